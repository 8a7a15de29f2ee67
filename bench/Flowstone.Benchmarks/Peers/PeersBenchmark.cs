using Flowstone.Benchmarks.Runs;

namespace Flowstone.Benchmarks.Peers;

/// <summary>
/// What do others do on the same PostgreSQL, in the same minutes? Whole runs of ten steps: DBOS, and the original's access pattern in Prisma.
/// Empty jobs: graphile-worker, pg-boss, DBOS without steps. Everybody's process stays up, and they take turns.
/// </summary>
static class PeersBenchmark
{
    const string Ours = "flowstone";

    static readonly string[] Runs = ["dbos", "prisma"];
    static readonly string[] Jobs = ["graphile-worker", "graphile-worker-local", "pg-boss", "dbos-jobs"];

    public static async Task RunAsync(Settings settings)
    {
        await using var server = await BenchmarkServer.StartAsync(settings.Database);
        var report = await Report.BeginAsync("peers", settings, server);
        var database = await RunsDatabase.CreateAsync(server, settings);
        await using var flowstone = new FlowstoneRuns(database, settings);
        await using (var floor = new GroupCommitFloor(database, settings.FloorConnections[^1]))
        {
            Side[] own = [Whole(flowstone, RunsDatabase.Nodes), Whole(floor, RunsDatabase.Nodes)];
            var runs = await CompareAsync(server, settings, own, Runs, settings.InFlight);
            report.Add("Whole runs of ten steps:");
            report.Add(Tell(runs));
            if (settings.Save)
                await File.WriteAllTextAsync(Path.Combine(Report.Folder, "results.svg"), Draw(runs).Svg());
        }
        var jobs = await CompareAsync(server, settings, [Whole(flowstone, nodes: 0)], Jobs, [32]);
        report.Add("Empty jobs, sent, claimed and completed:");
        report.Add(Tell(jobs));
        await report.EndAsync();
    }

    static InProcess Whole(IRunStore store, int nodes) => new(store.Name, store.WholeRun(nodes));

    /// <summary>What was measured at one number of callers.</summary>
    sealed record Level(int Callers, Dictionary<string, IReadOnlyList<Round>> Taken);

    static async Task<List<Level>> CompareAsync(BenchmarkServer server, Settings settings, Side[] own, string[] names, int[] levels)
    {
        var peers = new List<NodePeer>();
        try
        {
            foreach (var name in names.Where(settings.Measures))
            {
                await server.CreatePeerDatabaseAsync(Database(name), name == "prisma" ? Original.Schema("text") : null);
                peers.Add(await NodePeer.StartAsync(name, server.Url(Database(name)), settings.PeerPool));
            }
            var measured = new List<Level>();
            foreach (var callers in levels)
                measured.Add(new Level(callers, await new Comparison(server, settings).RunAsync(callers, [.. own, .. peers])));
            return measured;
        }
        finally
        {
            foreach (var peer in peers)
                await peer.DisposeAsync();
        }
    }

    /// <summary>A line per number of callers and side, with how many times the side's figure Flowstone's is: there, and against its best anywhere.</summary>
    static Table Tell(List<Level> levels)
    {
        var table = new Table("side", "in flight", "per s", "p50 ms", "p99 ms", "CPU ms", "flowstone ×", "flowstone × its best");
        foreach (var (callers, taken) in levels)
            foreach (var (side, rounds) in taken)
            {
                var best = levels.Max(level => Median(level.Taken[side]));
                table.Add(side, $"{callers}", Figures.PerSecond(rounds), Figures.Milliseconds(rounds, r => r.P50), Figures.Milliseconds(rounds, r => r.P99),
                    Figures.Milliseconds(rounds, r => r.Cost.Cpu), Figures.Ratio(taken[Ours], rounds), Figures.Ratio(Median(taken[Ours]) / best));
            }
        return table;
    }

    static Plot Draw(List<Level> levels) => new("Whole durable runs of ten steps, per second", "runs in flight (logarithmic axis)", [.. levels.Select(level => $"{level.Callers}")],
        [.. levels[0].Taken.Keys.Select(side => (side, levels.Select(level => Median(level.Taken[side])).ToArray()))]);

    static double Median(IReadOnlyList<Round> rounds) => Figures.Median(rounds.Select(round => round.PerSecond));

    static string Database(string peer) => $"peer_{peer.Replace('-', '_')}";
}
