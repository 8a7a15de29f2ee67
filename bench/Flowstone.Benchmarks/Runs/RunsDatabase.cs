using System.Globalization;
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

    const int History = 20_000;

    public static async Task<RunsDatabase> CreateAsync(BenchmarkServer server, Settings settings)
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
        var database = new RunsDatabase(server, tenant.Id, (Guid)(await shard.ExecuteScalarAsync())!, workflow.Id);
        if (!settings.Fresh)
            await database.AddHistoryAsync(History);
        return database;
    }

    /// <summary>
    /// Finished runs of the last hours, and statistics: nobody works on an empty database, and plans that are made on one are bad for everybody.
    /// </summary>
    async Task AddHistoryAsync(int runs)
    {
        const string Add = """
            create function pg_temp.id_at(at timestamptz) returns uuid language sql volatile as $$
                select overlay(overlay(md5(random()::text) placing lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') from 1) placing '7' from 13)::uuid $$;
            create temp table run as
                select pg_temp.id_at(at) as id, at from (select now() - i * interval '100 ms' as at from generate_series(1, {0}) i) a;
            insert into flowstone.executions (tenant_id, id, workflow_id, workflow_version, status, trigger, priority, created_at, due_at, started_at, finished_at, claims)
                select '{1}', id, '{2}', 1, 'SUCCESS', 'MANUAL', 0, at, at, at, at + interval '50 ms', 1 from run order by id;
            insert into flowstone.node_executions (tenant_id, execution_id, node, iteration, attempt, status, started_at, finished_at, output)
                select '{1}', id, node, 0, 1, 'SUCCESS', at, at, '\x01' || convert_to(node::text, 'UTF8') from run, generate_series(0, {3}) node order by id, node;
            """;
        await Server.ExecuteAsync(Name, string.Format(CultureInfo.InvariantCulture, Add, runs, TenantId, WorkflowId, Nodes - 1));
        await Server.ExecuteAsync(Name, "vacuum (analyze)");
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
