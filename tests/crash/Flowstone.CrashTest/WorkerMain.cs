using System.Globalization;
using System.Text;
using Flowstone.Executions;
using Flowstone.Tenancy;
using Flowstone.Workers;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Flowstone.CrashTest;

/// <summary>What a worker process is told, by its environment.</summary>
sealed record WorkerSettings
{
    const string Prefix = "CRASH_TEST_";

    public required string Database { get; init; }
    public required Id<Tenant> Tenant { get; init; }
    public required string Name { get; init; }
    public TimeSpan Lease { get; init; } = TimeSpan.FromSeconds(1.5);
    public int Workers { get; init; } = 1;
    public int Concurrency { get; init; } = 4;
    public KillPoint? Die { get; init; }
    public Sabotage Break { get; init; }

    /// <summary>Executions without steps.</summary>
    public bool Empty { get; init; }

    public void WriteTo(IDictionary<string, string?> environment)
    {
        foreach (var (name, value) in new (string, string)[]
        {
            (nameof(Database), Database), (nameof(Tenant), Tenant.ToString()), (nameof(Name), Name), (nameof(Lease), Lease.ToString("c", CultureInfo.InvariantCulture)),
            (nameof(Workers), $"{Workers}"), (nameof(Concurrency), $"{Concurrency}"), (nameof(Die), $"{Die}"), (nameof(Break), $"{Break}"), (nameof(Empty), $"{Empty}"),
        })
            environment[Prefix + name] = value;
    }

    public static WorkerSettings Read()
    {
        return new()
        {
            Database = Text(nameof(Database)),
            Tenant = Id<Tenant>.Parse(Text(nameof(Tenant))),
            Name = Text(nameof(Name)),
            Lease = TimeSpan.Parse(Text(nameof(Lease)), CultureInfo.InvariantCulture),
            Workers = int.Parse(Text(nameof(Workers)), CultureInfo.InvariantCulture),
            Concurrency = int.Parse(Text(nameof(Concurrency)), CultureInfo.InvariantCulture),
            Die = KillPoint.Parse(Text(nameof(Die))),
            Break = Enum.Parse<Sabotage>(Text(nameof(Break))),
            Empty = bool.Parse(Text(nameof(Empty))),
        };

        static string Text(string name) => Environment.GetEnvironmentVariable(Prefix + name) ?? "";
    }
}

/// <summary>A worker process: says on its standard output what was acknowledged, ends when its standard input does, and dies where it is told to.</summary>
static class WorkerMain
{
    public static async Task<int> RunAsync()
    {
        var settings = WorkerSettings.Read();
        var connections = settings.Empty ? 5 : settings.Concurrency + 4;
        await using var store = new FlowstoneStore(Options.Create(new FlowstoneOptions { ConnectionString = settings.Database, PoolMin = 0, PoolMax = connections }), TimeProvider.System);
        await using var effects = NpgsqlDataSource.Create(settings.Database + $";Maximum Pool Size={settings.Concurrency};Server Compatibility Mode=NoTypeLoading");
        using var stop = new CancellationTokenSource();
        _ = Task.Run(() =>
        {
            Console.OpenStandardInput().ReadByte();
            stop.Cancel();   // the campaign is over, or dead
        });
        var run = new ChainRun(store, effects, settings);
        await Task.WhenAll(Enumerable.Range(0, settings.Workers).Select(i => new Worker(store, new WorkerOptions
        {
            Name = $"{settings.Name}/{i}",
            Concurrency = settings.Concurrency,
            Lease = settings.Lease,
            TenantId = settings.Tenant,
            DrainTimeout = TimeSpan.FromSeconds(5),
        }, run.HandleAsync).RunAsync(stop.Token)));
        return 0;
    }
}

/// <summary>Writes lines to the pipe, each at once and whole.</summary>
static class Pipe
{
    static readonly Lock gate = new();
    static readonly Stream output = Console.OpenStandardOutput();

    public static void Write(char kind, ExecutionLease lease, int node = 0, int attempt = 0, string text = "-")
    {
        var line = Encoding.ASCII.GetBytes($"{kind} {lease.ExecutionId} {lease.Fence} {node} {attempt} {text} ;\n");
        lock (gate)
        {
            output.Write(line);
            output.Flush();
        }
    }
}
