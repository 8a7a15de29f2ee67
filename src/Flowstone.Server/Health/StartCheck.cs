namespace Flowstone.Server.Health;

/// <summary>The database is not one on which this server may work.</summary>
sealed class StartRefusedException(string message) : FlowstoneException(message);

/// <summary>
/// Asks at the start whether schema, roles and policies are right. If they are not, tenants might not be safe: the server stops.
/// If the database is away, it is asked again until it is back; until then nothing is served but health.
/// </summary>
sealed partial class StartCheck(FlowstoneStore store, IHostApplicationLifetime lifetime, ILogger<StartCheck> logger) : BackgroundService
{
    public const string HealthPath = "/health";

    static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(5);

    /// <summary>Whether the database was found right once. What happens to it later is readiness.</summary>
    public bool HasPassed { get; private set; }

    /// <summary>Why the server stops.</summary>
    public string? Refusal { get; private set; }

    // The first check is over before the server listens.
    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        await CheckAsync(cancellationToken);
        if (Refusal is { } reason)
            throw new StartRefusedException(reason);
        await base.StartAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var wait = TimeSpan.FromSeconds(0.5);
        for (; !HasPassed && Refusal is null; wait = wait * 2 < LongestWait ? wait * 2 : LongestWait)
        {
            await Task.Delay(wait, stoppingToken);
            await CheckAsync(stoppingToken);
        }
        if (Refusal is { } reason)
        {
            Stops(reason);
            lifetime.StopApplication();
        }
    }

    async Task CheckAsync(CancellationToken cancellationToken)
    {
        var status = await HealthEndpoints.AskAsync(store, cancellationToken);
        var problems = string.Join(" ", status.Problems);
        if (status.IsSafe is null)
            Waits(problems);
        else if (status.IsSafe is false)
            Refusal = problems;
        else
        {
            if (!status.IsReady)
                Degraded(problems);
            HasPassed = true;
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Waiting for the database: {Problems}")]
    partial void Waits(string problems);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The database works, but not as it should: {Problems}")]
    partial void Degraded(string problems);

    [LoggerMessage(Level = LogLevel.Critical, Message = "The server stops: {Problems}")]
    partial void Stops(string problems);
}

static class StartCheckMiddleware
{
    public static void UseStartCheck(this WebApplication app)
    {
        var check = app.Services.GetRequiredService<StartCheck>;
        app.Use((context, next) => check().HasPassed || context.Request.Path.StartsWithSegments(StartCheck.HealthPath)
            ? next(context)
            : throw new UnavailableException("The server waits for its database. Try again; /health/ready says what is wrong."));
    }
}
