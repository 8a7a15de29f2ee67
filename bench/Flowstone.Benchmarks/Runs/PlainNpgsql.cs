using System.Globalization;
using System.Text;
using Flowstone.Executions;
using Npgsql;

namespace Flowstone.Benchmarks.Runs;

/// <summary>
/// One caller alone, by plain prepared Npgsql: the same rows, constraints, policies and guarantees as <see cref="GroupCommitFloor"/>,
/// one call at a time, one commit per call, each in one round trip. Not for concurrent use.
/// </summary>
sealed class PlainNpgsql : IRunStore
{
    const string StartExecution = """
        insert into flowstone.executions (tenant_id, id, workflow_id, workflow_version, status, trigger, priority, created_at, due_at, claims)
        select $1, $2, w.id, w.version, 'PENDING', 'MANUAL', 0, $4, $4, 0 from flowstone.workflows w where w.tenant_id = $1 and w.id = $3
        """;

    const string QueueExecution = """
        insert into flowstone.execution_queue (shard_key, execution_id, tenant_id, workflow_id, priority, visible_at, fence) values ($2, $3, $1, $4, 0, now(), 0)
        """;

    const string StartNode = """
        with held as materialized (
            select 1 from flowstone.execution_queue q where q.shard_key = $2 and q.execution_id = $3 and q.tenant_id = $1 and q.fence = $4 for update)
        insert into flowstone.node_executions (tenant_id, execution_id, node, iteration, attempt, status, started_at)
        select $1, $3, $5, 0, 1, 'RUNNING', $6 from held
        """;

    const string FinishNode = """
        with held as materialized (
            select 1 from flowstone.execution_queue q where q.shard_key = $2 and q.execution_id = $3 and q.tenant_id = $1 and q.fence = $4 for update)
        update flowstone.node_executions n set status = 'SUCCESS', finished_at = greatest(n.started_at, $6), output = $7 from held
         where n.tenant_id = $1 and n.execution_id = $3 and n.node = $5 and n.iteration = 0 and n.attempt = 1 and n.status = 'RUNNING'
        """;

    const string Finish = """
        with released as (
            delete from flowstone.execution_queue q where q.shard_key = $2 and q.execution_id = $3 and q.tenant_id = $1 and q.fence = $4 returning 1),
        ended as (
            update flowstone.executions e set status = 'SUCCESS', finished_at = greatest(e.started_at, $5) from released
             where e.tenant_id = $1 and e.id = $3 and e.status = 'RUNNING' returning e.*)
        insert into flowstone.execution_deltas (tenant_id, delta_id, workflow_id, hour, status, bucket, executions, duration_ms, wait_ms)
        select $1, gen_random_uuid(), workflow_id, date_trunc('hour', finished_at, 'UTC'), status, 0, 1, extract(epoch from finished_at - started_at) * 1000, extract(epoch from started_at - due_at) * 1000 from ended
        """;

    const string Claim = """
        with due as materialized (
            select shard_key, execution_id from flowstone.execution_queue where tenant_id = $3 and priority = 0 and visible_at <= now()
             order by visible_at, execution_id limit 1 for update skip locked),
        taken as (
            update flowstone.execution_queue q set fence = q.fence + 1, worker = $1, visible_at = now() + $2 from due
             where q.shard_key = due.shard_key and q.execution_id = due.execution_id
            returning q.tenant_id, q.execution_id, q.fence)
        update flowstone.executions e set status = 'RUNNING', started_at = coalesce(e.started_at, now()), claims = taken.fence from taken
         where e.tenant_id = taken.tenant_id and e.id = taken.execution_id and e.status in ('PENDING', 'RUNNING', 'WAITING')
        returning e.id, taken.fence, e.workflow_id, e.workflow_version
        """;

    /// <summary>Everything that a call may bring.</summary>
    readonly record struct Call(Guid Id, int Fence, int Node, DateTimeOffset At, byte[] Output);

    readonly RunsDatabase database;
    readonly NpgsqlConnection connection;
    readonly TimeProvider clock = TimeProvider.System;
    PreparedTransaction<Call> start = null!, claim = null!, startNode = null!, finishNode = null!, finish = null!;

    PlainNpgsql(RunsDatabase database)
    {
        this.database = database;
        connection = new NpgsqlConnection(
            new NpgsqlConnectionStringBuilder(database.Server.Application(database.Name)) { Options = PreparedTransaction<Call>.PlanSettings }.ConnectionString);
    }

    public static async Task<PlainNpgsql> ConnectAsync(RunsDatabase database)
    {
        var plain = new PlainNpgsql(database);
        await plain.connection.OpenAsync();
        await plain.PrepareAsync();
        return plain;
    }

    public string Name => "plain";

    async Task PrepareAsync()
    {
        var t = New();
        t.Add(StartExecution, One, Tenant(), Id(t), Value(database.WorkflowId.Value), At(t));
        t.Add(QueueExecution, One, Tenant(), Shard(), Id(t), Value(database.WorkflowId.Value));
        start = await t.PrepareAsync();

        t = new(connection, database.TenantId, marked: false);
        t.Add("set local role flowstone_worker");
        t.Add(Claim, Value("bench"), Value(TimeSpan.FromSeconds(30)), Tenant());
        claim = await t.PrepareAsync();

        t = New();
        t.Add(StartNode, One, Tenant(), Shard(), Id(t), Fence(t), Node(t), At(t));
        startNode = await t.PrepareAsync();

        t = New();
        t.Add(FinishNode, One, Tenant(), Shard(), Id(t), Fence(t), Node(t), At(t), t.Input([], c => c.Output));
        finishNode = await t.PrepareAsync();

        t = New();
        t.Add(Finish, One, Tenant(), Shard(), Id(t), Fence(t), At(t));
        finish = await t.PrepareAsync();

        PreparedTransaction<Call> New() => new(connection, database.TenantId);
        NpgsqlParameter Tenant() => Value(database.TenantId.Value);
        NpgsqlParameter Shard() => Value(database.ShardKey);
        static int One(Call call) => 1;
        static NpgsqlParameter Id(PreparedTransaction<Call> t) => t.Input(Guid.Empty, c => c.Id);
        static NpgsqlParameter Fence(PreparedTransaction<Call> t) => t.Input(0, c => c.Fence);
        static NpgsqlParameter Node(PreparedTransaction<Call> t) => t.Input(0, c => c.Node);
        static NpgsqlParameter At(PreparedTransaction<Call> t) => t.Input(default(DateTimeOffset), c => c.At);
        static NpgsqlParameter Value<T>(T value) => PreparedTransaction<Call>.Value(value);
    }

    public Task StartAsync() => start.CommitAsync(new Call(Id<Execution>.New(clock).Value, 0, 0, clock.Now(), []));

    public async Task<IRun?> ClaimAsync()
    {
        Run? run = null;
        await claim.CommitAsync(default, async reader =>
        {
            if (await reader.ReadAsync())
                run = new Run(this, reader.GetGuid(0), reader.GetInt32(1));
        });
        return run;
    }

    sealed class Run(PlainNpgsql plain, Guid id, int fence) : IRun
    {
        public Task StartNodeAsync(int node) => plain.startNode.CommitAsync(new Call(id, fence, node, plain.clock.Now(), []));

        public Task FinishNodeAsync(int node, double result)
        {
            byte[] output = [1, .. Encoding.UTF8.GetBytes(result.ToString(CultureInfo.InvariantCulture))];   // 1: a short JSON value, kept in the row
            return plain.finishNode.CommitAsync(new Call(id, fence, node, plain.clock.Now(), output));
        }

        public Task FinishAsync() => plain.finish.CommitAsync(new Call(id, fence, 0, plain.clock.Now(), []));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var transaction in new[] { start, claim, startNode, finishNode, finish })
            await transaction.DisposeAsync();
        await connection.DisposeAsync();
    }
}
