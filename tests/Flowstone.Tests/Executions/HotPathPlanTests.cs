using System.Text.RegularExpressions;
using Flowstone.Executions;
using Flowstone.Tenancy;
using Flowstone.Workflows;
using Npgsql;

namespace Flowstone.Tests.Executions;

/// <summary>
/// The plans of claims and group commit are made once and serve for all. The worst moment to make them is here: all tables are empty and
/// were vacuumed, so that to the planner a scan of a whole index costs what a look-up does.
/// </summary>
public sealed partial class HotPathPlanTests(TestDatabase database)
{
    /// <param name="deadRows">Of the queue, kept by an open snapshot: its indexes are big, and yet it holds nothing.</param>
    [Theory]
    [InlineData(0)]
    [InlineData(20_000)]
    public async Task Plans_made_on_empty_tables_look_up_by_whole_keys(int deadRows)
    {
        var name = await database.NewDatabaseAsync();
        var log = new PlanLog();
        await using var source = await log.ConnectAsync(database, name);
        var store = new FlowstoneStore(source, TimeProvider.System);
        var tenant = store.Tenant((await store.Tenants.CreateAsync("t", "Test")).Id, Actor.System("test"));
        var workflow = (await tenant.Workflows.CreateAsync(new NewWorkflow { Definition = TestTenant.Definition() })).Id;
        await using var holding = new NpgsqlConnection(database.SuperuserConnectionString(name));
        await holding.OpenAsync();
        await using var snapshot = await holding.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead);
        await using (var taken = new NpgsqlCommand("select count(*) from flowstone.tenants", holding))
            await taken.ExecuteNonQueryAsync();
        await database.ExecuteAsync(name, $"""
            insert into flowstone.execution_queue (shard_key, execution_id, tenant_id, workflow_id, priority, visible_at, fence)
            select shard_key, gen_random_uuid(), id, gen_random_uuid(), 0, now(), 0 from flowstone.tenants, generate_series(1, {deadRows})
            """);
        await database.ExecuteAsync(name, "delete from flowstone.execution_queue");
        await database.ExecuteAsync(name, "vacuum analyze");
        log.Take();

        for (var i = 0; i < 3; i++)
            await RunAsync(store, tenant, workflow);

        var plans = string.Join('\n', log.Take());
        var scans = Scan().Matches(plans).Select(match => (Table: Partition().Replace(match.Groups[2].Value, ""), Index: match.Groups[1].Value, Condition: match.Groups[3].Value)).ToHashSet();
        Assert.All(scans, scan => Assert.True(Exact(scan.Table, scan.Index, scan.Condition), $"{scan}"));
        Assert.Contains(scans, scan => scan.Index == "ix_execution_queue_claim" && scan.Condition.Contains("visible_at <=", StringComparison.Ordinal)   // ends with what is due
            && scan.Condition.Contains("> ROW(l.visible_from, l.id_from)", StringComparison.Ordinal));   // and begins past what was claimed
        Assert.DoesNotMatch(WholeTable(), plans);
        var lone = plans.Split("Query Text: ").Where(plan => plan.Contains("n.execution_id = ($4)[1]", StringComparison.Ordinal)).ToList();
        Assert.NotEmpty(lone);
        Assert.All(lone, plan => Assert.Contains("Subplans Removed", plan, StringComparison.Ordinal));   // the partitions of other times
        Assert.Superset(new HashSet<string> { "execution_queue", "executions", "node_executions" }, scans.Select(scan => scan.Table).ToHashSet());
    }

    static bool Exact(string table, string index, string condition)
    {
        return (table, index) switch
        {
            ("executions", _) => Compares("tenant_id", index.Contains("workflow", StringComparison.Ordinal) ? "workflow_id" : "", "id"),
            ("node_executions", _) => Compares("tenant_id", "execution_id"),
            ("execution_queue", "ix_execution_queue_claim") => !Compares("execution_id") && !condition.Contains("freed", StringComparison.Ordinal),   // walked in its order
            ("execution_queue", "ix_execution_queue_parked") => condition.Contains("parked_for", StringComparison.Ordinal),
            ("execution_queue", _) => Compares("shard_key", "execution_id"),
            _ => true,   // few rows
        };

        bool Compares(params string[] columns) => Array.TrueForAll(columns, column => condition.Contains($"({column} =", StringComparison.Ordinal) || column == "");
    }

    static async Task RunAsync(FlowstoneStore store, TenantScope tenant, Id<Workflow> workflow)
    {
        await tenant.Executions.StartAsync(new NewExecution { WorkflowId = workflow });
        await tenant.Executions.StartAsync(new NewExecution { WorkflowId = workflow, WorkflowVersion = 1, Concurrency = new("key", 5), Input = new(new byte[100]) });
        foreach (var claimed in await store.Queue.ClaimAsync(new ClaimRequest { Worker = "test" }))
        {
            // One step and several; that start, finish, fail, and do both within one call.
            foreach (var nodes in (string[][])[["n0"], ["n1", "n2"]])
            {
                await store.Queue.RecordAsync(claimed.Lease, Starts(nodes, 1), []);
                await store.Queue.RecordAsync(claimed.Lease, [], Finishes(nodes, 1, null));
                await store.Queue.RecordAsync(claimed.Lease, Starts(nodes, 2), []);
                await store.Queue.RecordAsync(claimed.Lease, [], Finishes(nodes, 2, "It failed."));
                await store.Queue.RecordAsync(claimed.Lease, Starts(nodes, 3), Finishes(nodes, 3, null));
            }
            Assert.Empty(await store.Queue.RenewAsync([claimed.Lease], TimeSpan.FromMinutes(1)));
            await store.Queue.FinishAsync(claimed.Lease, new() { Status = ExecutionStatus.Success });
        }

        static NodeStart[] Starts(string[] nodes, short attempt) => Array.ConvertAll(nodes, node => new NodeStart { NodeId = node, Attempt = attempt });
        static NodeFinish[] Finishes(string[] nodes, short attempt, string? error) => Array.ConvertAll(nodes, node => new NodeFinish
        {
            NodeId = node,
            Attempt = attempt,
            Status = error is null ? ExecutionStatus.Success : ExecutionStatus.Failed,
            Error = error,
        });
    }

    // A scan of an index, and its condition, if there is one.
    [GeneratedRegex(@"Index (?:Only )?Scan(?: Backward)? using (\w+) on (\w+)[^\n]*\n(?:\s+Index Cond: ([^\n]*))?")]
    private static partial Regex Scan();

    [GeneratedRegex(@"_\d{8}$")]
    private static partial Regex Partition();

    [GeneratedRegex(@"(?:Seq Scan|Bitmap Index Scan) on \w*(?:execution|payload)")]
    private static partial Regex WholeTable();
}
