using System.Text.Json;
using Flowstone.Tenancy;
using Flowstone.Workflows;
using Npgsql;

namespace Flowstone.Benchmarks.Runs;

/// <summary>A database with one tenant and one workflow of ten nodes, which all sides write to.</summary>
sealed record RunsDatabase(BenchmarkServer Server, Id<Tenant> TenantId, Guid ShardKey, Id<Workflow> WorkflowId)
{
    public const string Name = "flowstone_bench";
    public const int Nodes = 10;

    public static string NodeId(int node) => $"step-{node}";

    public static async Task<RunsDatabase> CreateAsync(BenchmarkServer server)
    {
        await server.CreateFlowstoneDatabaseAsync(Name);
        await using var store = Store(server, pool: 2);
        var tenant = await store.Tenants.CreateAsync("bench", "Benchmark");
        var workflow = await store.Tenant(tenant.Id, Actor.System("benchmark")).Workflows.CreateAsync(new NewWorkflow
        {
            Definition = JsonSerializer.SerializeToElement(new
            {
                name = "Ten steps",
                nodes = Enumerable.Range(0, Nodes).Select(node => new { id = NodeId(node), name = $"Step {node}", type = "bench.step" }),
            }),
        });
        await using var connection = new NpgsqlConnection(server.Superuser(Name));
        await connection.OpenAsync();
        await using var shard = new NpgsqlCommand("select shard_key from flowstone.tenants where id = $1", connection) { Parameters = { new() { Value = tenant.Id.Value } } };
        return new RunsDatabase(server, tenant.Id, (Guid)(await shard.ExecuteScalarAsync())!, workflow.Id);
    }

    public static FlowstoneStore Store(BenchmarkServer server, int pool) => new(
        Microsoft.Extensions.Options.Options.Create(new FlowstoneOptions
        {
            // Pooled by the store; the rest as a user gets it.
            ConnectionString = new NpgsqlConnectionStringBuilder(server.Application(Name)) { Pooling = true }.ConnectionString,
            PoolMax = pool,
        }),
        TimeProvider.System);
}
