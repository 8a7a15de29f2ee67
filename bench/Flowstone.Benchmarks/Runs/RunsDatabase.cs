using System.Text.Json;
using Flowstone.Tenancy;
using Flowstone.Workflows;
using Npgsql;

namespace Flowstone.Benchmarks.Runs;

/// <summary>A database with one tenant and one workflow of ten nodes, which all sides write to.</summary>
sealed record RunsDatabase(BenchmarkServer Server, string Name, Id<Tenant> TenantId, Guid ShardKey, Id<Workflow> WorkflowId)
{
    public const int Nodes = 10;

    // Nobody works on an empty database, and plans that are made on one are bad for everybody.
    const int History = 20_000;

    public static string NodeId(int node) => $"step-{node}";

    public static async Task<RunsDatabase> CreateAsync(BenchmarkServer server, Settings settings, string name = "flowstone_bench")
    {
        await server.CreateFlowstoneDatabaseAsync(name);
        await using var store = Store(server, name, pool: 2);
        var tenant = await store.Tenants.CreateAsync("bench", "Benchmark");
        var workflow = await CreateWorkflowAsync(store.Tenant(tenant.Id, Actor.System("benchmark")));
        var shard = await server.ScalarAsync<Guid>(name, $"select shard_key from flowstone.tenants where id = '{tenant.Id}'");
        if (!settings.Fresh)
        {
            await using var rows = await BulkRuns.OpenAsync(server, name);
            await rows.AddFinishedAsync(tenant.Id, [workflow], History, TimeSpan.FromHours(1), Nodes);
            await rows.VacuumAsync();
        }
        return new RunsDatabase(server, name, tenant.Id, shard, workflow);
    }

    public static async Task<Id<Workflow>> CreateWorkflowAsync(TenantScope tenant)
        => (await tenant.Workflows.CreateAsync(new NewWorkflow
        {
            Definition = JsonSerializer.SerializeToElement(new
            {
                name = "Ten steps",
                nodes = Enumerable.Range(0, Nodes).Select(node => new { id = NodeId(node), name = $"Step {node}", type = "bench.step" }),
            }),
        })).Id;

    public FlowstoneStore Store(Settings settings) => Store(Server, Name, settings.Pool, settings.Writers);

    public FlowstoneStore Store(int pool) => Store(Server, Name, pool);

    /// <summary>As a user gets it.</summary>
    public static FlowstoneStore Store(BenchmarkServer server, string database, int pool, int writers = 1) => new(
        Microsoft.Extensions.Options.Options.Create(new FlowstoneOptions
        {
            ConnectionString = new NpgsqlConnectionStringBuilder(server.Application(database)) { Pooling = true }.ConnectionString,
            PoolMax = pool,
            Writers = writers,
        }),
        TimeProvider.System);
}
