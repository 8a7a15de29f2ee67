using System.Globalization;

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
        await using var flowstone = new FlowstoneRuns(database, settings.Pool);
        await using var floor = new GroupCommitFloor(database, settings.FloorConnections);
        await using var plain = await PlainNpgsql.ConnectAsync(database);
        var table = new Table("in flight", "flowstone/s", "floor/s", "of the floor", "plain/s", "of plain", "p50 ms", "p99 ms");
        foreach (var callers in settings.InFlight)
        {
            IRunStore[] sides = callers == 1 ? [flowstone, floor, plain] : [flowstone, floor];
            var rounds = await new Comparison(server, RunsDatabase.Name, settings).RunAsync(callers, [.. sides.Select(side => (side.Name, Once(side)))]);
            table.Add($"{callers}", Number(rounds[0].PerSecond()), Number(rounds[1].PerSecond()), Ratio(rounds[0], rounds[1]),
                callers == 1 ? Number(rounds[2].PerSecond()) : "", callers == 1 ? Ratio(rounds[0], rounds[2]) : "",
                Number(Medians.Of(rounds[0].Select(r => r.P50.TotalMilliseconds))), Number(Medians.Of(rounds[0].Select(r => r.P99.TotalMilliseconds))));
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

    static string Number(double value) => value.ToString(value < 100 ? "N1" : "N0", CultureInfo.InvariantCulture);

    static string Ratio(IReadOnlyList<Round> rounds, IReadOnlyList<Round> against) => Medians.Ratio(rounds, against).ToString("0.00", CultureInfo.InvariantCulture);
}
