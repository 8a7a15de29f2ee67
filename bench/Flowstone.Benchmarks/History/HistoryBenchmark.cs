using Flowstone.Benchmarks.Runs;
using Flowstone.Executions;
using Flowstone.Tenancy;
using Flowstone.Workflows;

namespace Flowstone.Benchmarks.History;

/// <summary>
/// How long does one reader wait for a page of a list and for a timeline, among very many executions of ten tenants in thirteen weeks?
/// Against the same queries written by hand, under the same policies.
/// </summary>
static class HistoryBenchmark
{
    const int Tenants = 10, Workflows = 20, Page = 50;
    static readonly TimeSpan span = TimeSpan.FromDays(90);

    public static async Task RunAsync(Settings settings)
    {
        var executions = settings.Executions > 0 ? settings.Executions : 1_000_000;
        await using var server = await BenchmarkServer.StartAsync(settings.Database);
        var report = await Report.BeginAsync("history", settings, server);
        const string Name = "flowstone_history";
        await server.CreateFlowstoneDatabaseAsync(Name);
        await using var store = RunsDatabase.Store(server, Name, settings.Pool);
        var tenants = await FillAsync(server, Name, store, executions);
        var samples = await HistorySamples.ReadAsync(server, Name, tenants);
        await using var queries = new HistoryQueries(server, Name);
        report.Add($"{executions:N0} executions with ten steps each, of {Tenants} tenants with {Workflows} workflows, in {span.Days} days. One reader.");
        var table = new Table("question", "flowstone p50 ms", "p99 ms", "CPU ms", "by hand p50 ms", "p99 ms", "CPU ms", "p50 of by hand");

        await AskAsync($"newest {Page} of a workflow",
            s => s.Scope(store).Executions.ListAsync(new ExecutionFilter { WorkflowId = s.WorkflowId }, null, Page), s => queries.OfWorkflowAsync(s, Page));
        await AskAsync($"newest {Page} of the tenant", s => s.Scope(store).Executions.ListAsync(new ExecutionFilter(), null, Page), s => queries.OfTenantAsync(s, Page));
        await AskAsync($"{Page} of the tenant, a month back",
            s => s.Scope(store).Executions.ListAsync(new ExecutionFilter(), s.MonthBack, Page), s => queries.OfTenantAsync(s, Page, s.MonthBack));
        await AskAsync("a timeline", s => s.Scope(store).Executions.TimelineAsync(s.ExecutionId), s => queries.TimelineAsync(s));
        report.Add(table);
        await report.EndAsync();

        async Task AskAsync(string question, Func<HistorySamples.Sample, Task> ours, Func<HistorySamples.Sample, Task> byHand)
        {
            var rounds = await new Comparison(server, settings).RunAsync(1, [new InProcess("flowstone", () => ours(samples.Next())), new InProcess("by hand", () => byHand(samples.Next()))]);
            var (one, other) = (rounds["flowstone"], rounds["by hand"]);
            table.Add(question, Figures.Milliseconds(one, r => r.P50), Figures.Milliseconds(one, r => r.P99), Figures.Milliseconds(one, r => r.Cost.Cpu),
                Figures.Milliseconds(other, r => r.P50), Figures.Milliseconds(other, r => r.P99), Figures.Milliseconds(other, r => r.Cost.Cpu),
                Figures.Ratio(Figures.Median(one.Zip(other, (a, b) => a.P50 / b.P50))));
        }
    }

    static async Task<List<Id<Tenant>>> FillAsync(BenchmarkServer server, string database, FlowstoneStore store, int executions)
    {
        await using var rows = await BulkRuns.OpenAsync(server, database);
        var tenants = new List<Id<Tenant>>();
        for (var i = 0; i < Tenants; i++)
        {
            var tenant = await store.Tenants.CreateAsync($"tenant-{i}", $"Tenant {i}");
            tenants.Add(tenant.Id);
            var workflows = new List<Id<Workflow>>();
            for (var j = 0; j < Workflows; j++)
                workflows.Add(await RunsDatabase.CreateWorkflowAsync(store.Tenant(tenant.Id, Actor.System("benchmark"))));
            await rows.AddFinishedAsync(tenant.Id, workflows, executions / Tenants, span, RunsDatabase.Nodes);
            Console.WriteLine($"  loaded {executions / Tenants * (i + 1):N0} executions");
        }
        await rows.VacuumAsync();
        return tenants;
    }
}
