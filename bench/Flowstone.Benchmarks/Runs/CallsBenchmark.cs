using System.Diagnostics;

namespace Flowstone.Benchmarks.Runs;

/// <summary>How long one caller, alone on the machine, waits for each call: Flowstone against plain prepared Npgsql, one commit per call on both sides.</summary>
static class CallsBenchmark
{
    public static async Task RunAsync(Settings settings)
    {
        await using var server = await BenchmarkServer.StartAsync(settings.Database);
        var report = await Report.BeginAsync("calls", settings, server);
        var database = await RunsDatabase.CreateAsync(server, settings);
        await using var flowstone = new TimedRuns(new FlowstoneRuns(database, settings));
        await using var plain = new TimedRuns(await PlainNpgsql.ConnectAsync(database));
        await new Comparison(server, settings).RunAsync(1, [.. new[] { flowstone, plain }.Select(side => new InProcess(side.Name, side.WholeRun(RunsDatabase.Nodes)))]);

        var table = new Table("call", "flowstone p50 ms", "p99 ms", "plain p50 ms", "p99 ms", "p50 of plain");
        foreach (var call in TimedRuns.Calls)
        {
            var (ours, theirs) = (flowstone.Sorted(call), plain.Sorted(call));
            table.Add(call, Milliseconds(ours, 50), Milliseconds(ours, 99), Milliseconds(theirs, 50), Milliseconds(theirs, 99),
                Figures.Ratio(At(ours, 50) / At(theirs, 50)));
        }
        report.Add(table);
        await report.EndAsync();
    }

    static string Milliseconds(List<TimeSpan> sorted, int percentile) => At(sorted, percentile).TotalMilliseconds.ToString("0.000", System.Globalization.CultureInfo.InvariantCulture);

    static TimeSpan At(List<TimeSpan> sorted, int percentile) => sorted[sorted.Count * percentile / 100];

    /// <summary>Takes the time of each call. For one caller.</summary>
    sealed class TimedRuns(IRunStore store) : IRunStore
    {
        public static readonly string[] Calls = ["start", "claim", "record a node's start", "record a node's finish", "finish"];

        readonly Dictionary<string, List<TimeSpan>> times = Calls.ToDictionary(call => call, _ => new List<TimeSpan>());

        public string Name => store.Name;

        public List<TimeSpan> Sorted(string call) => [.. times[call].Order()];

        public Task StartAsync() => TimeAsync(0, store.StartAsync);

        public async Task<IRun?> ClaimAsync()
        {
            IRun? run = null;
            await TimeAsync(1, async () => run = await store.ClaimAsync());
            return run is null ? null : new TimedRun(this, run);
        }

        async Task TimeAsync(int call, Func<Task> work)
        {
            var began = Stopwatch.GetTimestamp();
            await work();
            times[Calls[call]].Add(Stopwatch.GetElapsedTime(began));
        }

        public ValueTask DisposeAsync() => store.DisposeAsync();

        sealed class TimedRun(TimedRuns timed, IRun run) : IRun
        {
            public Task StartNodeAsync(int node) => timed.TimeAsync(2, () => run.StartNodeAsync(node));

            public Task FinishNodeAsync(int node, double result) => timed.TimeAsync(3, () => run.FinishNodeAsync(node, result));

            public Task FinishAsync() => timed.TimeAsync(4, run.FinishAsync);
        }
    }
}
