using System.Globalization;
using Flowstone.Benchmarks.Runs;

namespace Flowstone.Benchmarks.Backlog;

/// <summary>
/// What does it cost when millions of executions wait in the queue, and when somebody keeps a snapshot open, so that no dead row can be
/// cleared away? A second database on the same server, without either, is measured in turns. And: how long does a tenant wait for its
/// first claim while another has the backlog?
/// </summary>
static class BacklogBenchmark
{
    public static async Task RunAsync(Settings settings)
    {
        await using var server = await BenchmarkServer.StartAsync(settings.Database);
        var report = await Report.BeginAsync("backlog", settings, server);
        var empty = await RunsDatabase.CreateAsync(server, settings, "flowstone_empty");
        if (settings.Measures("backlog"))
            await BacklogAsync(server, settings, report, empty);
        if (settings.Measures("snapshot"))
            await SnapshotAsync(server, settings, report, empty);
        await report.EndAsync();
    }

    static async Task BacklogAsync(BenchmarkServer server, Settings settings, Report report, RunsDatabase empty)
    {
        var full = await RunsDatabase.CreateAsync(server, settings, "flowstone_backlog");
        await using (var rows = await BulkRuns.OpenAsync(server, full.Name))
        {
            await rows.AddQueuedAsync(full.TenantId, full.WorkflowId, settings.Backlog, TimeSpan.FromHours(6));
            await rows.VacuumAsync();
        }
        await using var without = new FlowstoneRuns(empty, settings, "empty queue");
        await using var with = new FlowstoneRuns(full, settings, "backlog");
        var table = new Table("", "in flight", "empty queue/s", "CPU ms", "backlog/s", "CPU ms", "of the empty queue's");
        foreach (var (kind, nodes) in new[] { ("runs", RunsDatabase.Nodes), ("jobs", 0) })
            foreach (var callers in settings.InFlight)
            {
                var rounds = await new Comparison(server, settings).RunAsync(callers, [.. new[] { without, with }.Select(side => new InProcess(side.Name, side.WholeRun(nodes)))]);
                var (one, other) = (rounds[without.Name], rounds[with.Name]);
                table.Add(kind, $"{callers}", Figures.PerSecond(one), Figures.Milliseconds(one, r => r.Cost.Cpu),
                    Figures.PerSecond(other), Figures.Milliseconds(other, r => r.Cost.Cpu), Figures.Ratio(other, one));
            }
        report.Add($"One tenant has {settings.Backlog:N0} executions in the queue, all due; its callers start one and claim the oldest.");
        report.Add(table);
        report.Add(await NewTenants.MeasureAsync(full, settings.Pool));
    }

    static async Task SnapshotAsync(BenchmarkServer server, Settings settings, Report report, RunsDatabase empty)
    {
        var held = await RunsDatabase.CreateAsync(server, settings, "flowstone_snapshot");
        await using var without = new FlowstoneRuns(empty, settings, "no snapshot");
        await using var with = new FlowstoneRuns(held, settings, "snapshot");
        await using var snapshot = await Snapshot.HoldAsync(server, held.Name);
        var callers = settings.InFlight[^1];
        var table = new Table("snapshot held under load for", "no snapshot/s", "CPU ms", "snapshot/s", "CPU ms", "of no snapshot's");
        var sides = new[] { without, with }.Select(side => new InProcess(side.Name, side.WholeRun(RunsDatabase.Nodes))).ToArray();

        // Long rounds, for the load is what ages the snapshot: five, and each counts for itself.
        var length = settings.Snapshot.TotalSeconds / 5;
        for (var round = 1; round <= 5; round++)
        {
            var taken = await new Comparison(server, settings with { Rounds = 1, Seconds = length }).RunAsync(callers, sides);
            var (one, other) = (taken[without.Name], taken[with.Name]);
            table.Add(string.Create(CultureInfo.InvariantCulture, $"{length * round / 60:0.0} min"), Figures.PerSecond(one), Figures.Milliseconds(one, r => r.Cost.Cpu),
                Figures.PerSecond(other), Figures.Milliseconds(other, r => r.Cost.Cpu), Figures.Ratio(other, one));
        }
        report.Add($"A repeatable-read transaction stays open in the database; runs, {callers} in flight.");
        report.Add(table);
    }
}
