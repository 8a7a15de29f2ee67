namespace Flowstone.Benchmarks.Runs;

/// <summary>
/// How many whole durable runs a second: start, claim, ten node starts and ten node finishes as twenty acknowledged calls, finish.
/// Against a program written for the purpose on the same tables, and with one caller also against plain prepared Npgsql.
/// </summary>
static class RunsBenchmark
{
    public static async Task RunAsync(Settings settings)
    {
        await using var server = await BenchmarkServer.StartAsync(settings.Database);
        Comparison.Print($"{Machine.Describe()}; {await server.DescribeAsync()}; load {Machine.Load()}");
        var database = await RunsDatabase.CreateAsync(server);
        if (!settings.Fresh)
            await database.AddHistoryAsync(20_000);
        await using var flowstone = new FlowstoneRuns(database, settings.Pool);
        await using var floor = new GroupCommitFloor(database, settings.FloorConnections);
        await using var plain = await PlainNpgsql.ConnectAsync(database);
        var table = new Table("in flight", "flowstone/s", "p50 ms", "p99 ms", "floor/s", "of the floor", "plain/s", "of plain");
        foreach (var callers in settings.InFlight)
        {
            IRunStore[] sides = [.. new IRunStore[] { flowstone, floor, plain }.Where(side => settings.Measures(side.Name) && (callers == 1 || side != plain))];
            var rounds = await new Comparison(server, RunsDatabase.Name, settings).RunAsync(callers, [.. sides.Select(side => (side.Name, Once(side)))]);
            var (ours, best, one) = (rounds.GetValueOrDefault("flowstone"), rounds.GetValueOrDefault("floor"), rounds.GetValueOrDefault("plain"));
            table.Add($"{callers}", Figures.PerSecond(ours), Figures.Milliseconds(ours, r => r.P50), Figures.Milliseconds(ours, r => r.P99),
                Figures.PerSecond(best), Figures.Ratio(ours, best), Figures.PerSecond(one), Figures.Ratio(ours, one));
        }
        Comparison.Print($"\n{table}");
    }

    static Func<Task> Once(IRunStore store) => async () =>
    {
        await store.StartAsync();
        IRun? run;
        while ((run = await store.ClaimAsync()) is null)
            await Task.Yield();   // another caller's claim holds the last one for a moment
        for (var node = 0; node < RunsDatabase.Nodes; node++)
        {
            await run.StartNodeAsync(node);
            await run.FinishNodeAsync(node, node * 1.5);
        }
        await run.FinishAsync();
    };
}
