using Flowstone.Data;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Flowstone.Server.Health;

/// <param name="Status"><c>READY</c> or <c>NOT_READY</c>.</param>
/// <param name="Problems">Each a sentence that says what to do.</param>
/// <param name="PartitionsUntil">Up to when executions have a partition to go to.</param>
/// <param name="ScheduleLagMs">How long the first due time of a schedule has been waiting that nobody has fired.</param>
sealed record ReadyResponse(string Status, IReadOnlyList<string> Problems, DateTimeOffset? PartitionsUntil, long? ScheduleLagMs);

static class HealthEndpoints
{
    // Those who ask give up after seconds, too.
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    public static void AddServerHealth(this IServiceCollection services)
    {
        services.AddSingleton<StartCheck>();
        services.AddHostedService(provider => provider.GetRequiredService<StartCheck>());
        services.AddSingleton<PartitionJob>();
        services.AddHostedService(provider => provider.GetRequiredService<PartitionJob>());
    }

    public static void MapHealth(this IEndpointRouteBuilder app)
    {
        app.MapGet(StartCheck.HealthPath + "/live", Live).AllowAnonymous();
        app.MapGet(StartCheck.HealthPath + "/ready", Ready).AllowAnonymous();
    }

    static ContentHttpResult Live() => TypedResults.Text("The process is alive.");

    static async Task<JsonHttpResult<ReadyResponse>> Ready(FlowstoneStore store, StartCheck start, CancellationToken cancellationToken)
    {
        var status = await AskAsync(store, cancellationToken);
        var problems = status.IsReady && !start.HasPassed ? ["The server is starting: the database is about to be checked."] : status.Problems;
        var lag = (long?)status.ScheduleLag?.TotalMilliseconds;
        return problems.Count == 0
            ? TypedResults.Json(new ReadyResponse("READY", problems, status.PartitionsUntil, lag))
            : TypedResults.Json(new ReadyResponse("NOT_READY", problems, status.PartitionsUntil, lag), statusCode: StatusCodes.Status503ServiceUnavailable);
    }

    /// <summary>The state of the database; a database that does not answer in time is away.</summary>
    public static async Task<DatabaseStatus> AskAsync(FlowstoneStore store, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(Patience);
        try
        {
            return await store.Health.CheckAsync(patience.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new DatabaseStatus([$"The database did not answer within {Patience.TotalSeconds:N0} seconds."], null);
        }
    }
}
