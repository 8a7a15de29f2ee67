using Flowstone.Benchmarks.Runs;

namespace Flowstone.Benchmarks.Peers;

/// <summary>
/// What do others do on the same PostgreSQL, in the same minutes? Whole runs of ten steps: DBOS, and the original's access pattern in Prisma.
/// Empty jobs: graphile-worker, pg-boss, DBOS without steps. Everybody's process stays up, and they take turns.
/// </summary>
static class PeersBenchmark
{
    static readonly string[] Runs = ["dbos", "prisma"];
    static readonly string[] Jobs = ["graphile-worker", "graphile-worker-local", "pg-boss", "dbos-jobs"];

    public static async Task RunAsync(Settings settings)
    {
        await using var server = await BenchmarkServer.StartAsync(settings.Database);
        var report = await Report.BeginAsync("peers", settings, server);
        var database = await RunsDatabase.CreateAsync(server, settings);
        await using var flowstone = new FlowstoneRuns(database, settings.Pool);
        report.Add("Whole runs of ten steps:");
        report.Add(await CompareAsync(server, settings, new InProcess(flowstone.Name, flowstone.WholeRun(RunsDatabase.Nodes)), Runs, settings.InFlight));
        report.Add("Empty jobs, sent, claimed and completed:");
        report.Add(await CompareAsync(server, settings, new InProcess(flowstone.Name, flowstone.WholeRun(nodes: 0)), Jobs, [32]));
        await report.EndAsync();
    }

    static async Task<Table> CompareAsync(BenchmarkServer server, Settings settings, Side flowstone, string[] names, int[] levels)
    {
        var peers = new List<NodePeer>();
        try
        {
            foreach (var name in names.Where(settings.Measures))
            {
                await server.CreatePeerDatabaseAsync(Database(name), name == "prisma" ? Original.Schema("text") : null);
                peers.Add(await NodePeer.StartAsync(name, server.Url(Database(name)), settings.PeerPool));
            }
            var rounds = new List<(int Callers, Dictionary<string, IReadOnlyList<Round>> Taken)>();
            foreach (var callers in levels)
                rounds.Add((callers, await new Comparison(server, settings).RunAsync(callers, [flowstone, .. peers])));
            return Tell(flowstone.Name, peers.ConvertAll(peer => peer.Name), rounds);
        }
        finally
        {
            foreach (var peer in peers)
                await peer.DisposeAsync();
        }
    }

    static Table Tell(string ours, List<string> peers, List<(int Callers, Dictionary<string, IReadOnlyList<Round>> Taken)> rounds)
    {
        var table = new Table(["in flight", $"{ours}/s", "CPU ms", .. peers.SelectMany(peer => new[] { $"{peer}/s", "CPU ms", "×", "× its best" })]);
        foreach (var (callers, taken) in rounds)
        {
            var row = new List<string> { $"{callers}", Figures.PerSecond(taken[ours]), Figures.Milliseconds(taken[ours], r => r.Cost.Cpu) };
            foreach (var peer in peers)
            {
                var best = rounds.Max(level => Figures.Median(level.Taken[peer].Select(r => r.PerSecond)));
                row.AddRange([Figures.PerSecond(taken[peer]), Figures.Milliseconds(taken[peer], r => r.Cost.Cpu), Figures.Ratio(taken[ours], taken[peer]),
                    Figures.Ratio(Figures.Median(taken[ours].Select(r => r.PerSecond)) / best)]);
            }
            table.Add([.. row]);
        }
        return table;
    }

    static string Database(string peer) => $"peer_{peer.Replace('-', '_')}";
}
