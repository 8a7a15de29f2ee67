using Flowstone.Tenancy;
using Flowstone.Workflows;
using Npgsql;

namespace Flowstone.Benchmarks;

/// <summary>Puts many executions into a database at once, as the superuser, past triggers and policies.</summary>
sealed class BulkRuns : IAsyncDisposable
{
    const int Chunk = 100_000;

    readonly NpgsqlConnection connection;

    BulkRuns(NpgsqlConnection connection) => this.connection = connection;

    public static async Task<BulkRuns> OpenAsync(BenchmarkServer server, string database)
    {
        var rows = new BulkRuns(new NpgsqlConnection(server.Superuser(database)));
        await rows.connection.OpenAsync();
        await rows.ExecuteAsync("""
            set session_replication_role = replica;
            create function pg_temp.id_at(at timestamptz) returns uuid language sql volatile as $$
                select overlay(overlay(md5(random()::text) placing lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') from 1) placing '7' from 13)::uuid $$;
            create temp table run (id uuid, at timestamptz, workflow_id uuid);
            """);
        return rows;
    }

    /// <param name="span">They began evenly within this time before now.</param>
    public async Task AddFinishedAsync(Id<Tenant> tenant, IReadOnlyList<Id<Workflow>> workflows, int runs, TimeSpan span, int nodes)
    {
        const string Add = """
            insert into flowstone.executions (tenant_id, id, workflow_id, workflow_version, status, trigger, priority, created_at, due_at, started_at, finished_at, claims)
            select $1, id, workflow_id, 1, 'SUCCESS', 'MANUAL', 0, at, at, at, at + interval '50 ms', 1 from run order by id
            """;
        const string AddNodes = """
            insert into flowstone.node_executions (tenant_id, execution_id, node, iteration, attempt, status, started_at, finished_at, output)
            select $1, id, node, 0, 1, 'SUCCESS', at + node * interval '5 ms', at + (node + 1) * interval '5 ms', '\x01' || convert_to(node::text, 'UTF8')
              from run, generate_series(0, $2 - 1) node order by id, node
            """;
        await ExecuteAsync("select flowstone.create_partitions(now() - $1, now())", span);
        await InChunksAsync(workflows, runs, span, async () =>
        {
            await ExecuteAsync(Add, tenant.Value);
            await ExecuteAsync(AddNodes, tenant.Value, nodes);
        });
    }

    /// <summary>Executions that wait to be claimed, the oldest for so long.</summary>
    public Task AddQueuedAsync(Id<Tenant> tenant, Id<Workflow> workflow, int runs, TimeSpan span)
    {
        const string Add = """
            insert into flowstone.executions (tenant_id, id, workflow_id, workflow_version, status, trigger, priority, created_at, due_at, claims)
            select $1, id, workflow_id, 1, 'PENDING', 'MANUAL', 0, at, at, 0 from run order by id
            """;
        const string AddToQueue = """
            insert into flowstone.execution_queue (shard_key, execution_id, tenant_id, workflow_id, priority, visible_at, fence)
            select t.shard_key, run.id, t.id, run.workflow_id, 0, run.at, 0 from run, flowstone.tenants t where t.id = $1 order by run.id
            """;
        return InChunksAsync([workflow], runs, span, async () =>
        {
            await ExecuteAsync(Add, tenant.Value);
            await ExecuteAsync(AddToQueue, tenant.Value);
        });
    }

    public Task VacuumAsync() => ExecuteAsync("vacuum (analyze)");

    async Task InChunksAsync(IReadOnlyList<Id<Workflow>> workflows, int runs, TimeSpan span, Func<Task> add)
    {
        // Oldest first, as they would have come.
        const string Fill = """
            insert into run select pg_temp.id_at(at), at, ($4::uuid[])[1 + i % cardinality($4::uuid[])] from (
                select i, now() - $1 * (1 - i::float8 / $2) as at from generate_series($3, least($3 + $5, $2) - 1) i) moment
            """;
        for (var from = 0; from < runs; from += Chunk)
        {
            await ExecuteAsync("truncate run");
            await ExecuteAsync(Fill, span, runs, from, workflows.Select(workflow => workflow.Value).ToArray(), Chunk);
            await ExecuteAsync("analyze run");
            await add();
        }
    }

    async Task ExecuteAsync(string sql, params object[] parameters)
    {
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        foreach (var value in parameters)
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        await command.ExecuteNonQueryAsync();
    }

    public ValueTask DisposeAsync() => connection.DisposeAsync();
}
