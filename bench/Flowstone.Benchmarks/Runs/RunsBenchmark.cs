namespace Flowstone.Benchmarks.Runs;

/// <summary>
/// How many whole durable runs a second: start, claim, ten node starts and ten node finishes as twenty acknowledged calls, finish.
/// Against a program written for the purpose on the same tables, and with one caller also against plain prepared Npgsql.
/// </summary>
static class RunsBenchmark
{
    public static Task RunAsync(Settings settings) => RunAsync(settings, RunsDatabase.Nodes);

    /// <summary>The same without nodes: start, claim, finish.</summary>
    public static Task RunJobsAsync(Settings settings) => RunAsync(settings, nodes: 0);

    static async Task RunAsync(Settings settings, int nodes)
    {
        await using var server = await BenchmarkServer.StartAsync(settings.Database);
        var report = await Report.BeginAsync(nodes == 0 ? "jobs" : "runs", settings, server);
        var database = await RunsDatabase.CreateAsync(server, settings);
        await using var flowstone = new FlowstoneRuns(database, settings);
        await using var plain = await PlainNpgsql.ConnectAsync(database);
        var floors = settings.FloorConnections.Select(connections => new GroupCommitFloor(database, connections)).ToList();
        var table = new Table("in flight", "flowstone/s", "p50 ms", "p99 ms", "CPU ms", "floor/s", "CPU ms", "of the floor", "plain/s", "CPU ms", "of plain");
        foreach (var callers in settings.InFlight)
        {
            IRunStore[] sides = [.. new IRunStore[] { flowstone, plain }.Concat(floors).Where(side => settings.Measures(side.Name) && (callers == 1 || side != plain))];
            var rounds = await new Comparison(server, settings).RunAsync(callers, [.. sides.Select(side => new InProcess(side.Name, side.WholeRun(nodes)))]);
            var (ours, one) = (rounds.GetValueOrDefault(flowstone.Name), rounds.GetValueOrDefault(plain.Name));
            var best = Figures.Best(floors.Select(floor => rounds.GetValueOrDefault(floor.Name)));
            table.Add($"{callers}", Figures.PerSecond(ours), Figures.Milliseconds(ours, r => r.P50), Figures.Milliseconds(ours, r => r.P99), Figures.Milliseconds(ours, r => r.Cost.Cpu),
                Figures.PerSecond(best), Figures.Milliseconds(best, r => r.Cost.Cpu), Figures.Ratio(ours, best),
                Figures.PerSecond(one), Figures.Milliseconds(one, r => r.Cost.Cpu), Figures.Ratio(ours, one));
        }
        foreach (var floor in floors)
            await floor.DisposeAsync();
        report.Add(table);
        await report.EndAsync();
    }
}
