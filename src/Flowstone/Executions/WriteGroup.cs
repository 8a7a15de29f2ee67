using Flowstone.Data;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Executions;

/// <summary>
/// The statements of one group: starts, then the locks, then steps, then ends, in one transaction and one round trip whatever their number.
/// Each answers rows of (kind, call, value); a call of which nothing is said changed nothing.
/// </summary>
sealed class WriteGroup
{
    const int Locked = 3;

    // A new partition has no statistics, and a plan made on an empty one would read it whole for ever: these statements only look up by key.
    const string ByKeyOnly = """
        select 3, set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)
        """;

    // One statement, so that an execution is never there without its place in the queue. Queued by database time unless a time is asked for.
    const string Start = """
        with asked as materialized (
            select * from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
                 a (call, tenant_id, id, workflow_id, workflow_version, trigger, priority, started_by, created_at, due_at, database_now, input_hash)),
        run as (
            insert into flowstone.executions (tenant_id, id, workflow_id, workflow_version, status, trigger, priority, started_by, created_at, due_at, claims, input_hash)
            select v.tenant_id, a.id, v.workflow_id, v.number, 'PENDING', a.trigger, a.priority, a.started_by, a.created_at, coalesce(a.due_at, a.created_at), 0, a.input_hash
              from asked a
              join flowstone.workflows w on w.tenant_id = a.tenant_id and w.id = a.workflow_id
              join flowstone.workflow_versions v on v.tenant_id = w.tenant_id and v.workflow_id = w.id and v.number = coalesce(a.workflow_version, w.version)
            returning tenant_id, id, workflow_version),
        queued as (
            insert into flowstone.execution_queue (shard_key, execution_id, tenant_id, priority, visible_at, fence)
            select t.shard_key, a.id, t.id, a.priority, coalesce(a.due_at, a.database_now, now()), 0
              from run join asked a on a.id = run.id join flowstone.tenants t on t.id = run.tenant_id),
        input as (
            insert into flowstone.payloads (tenant_id, execution_id, hash, content_type, encoding, size_bytes, body)
            select run.tenant_id, run.id, b.hash, b.content_type, b.encoding, b.size_bytes, b.body
              from unnest($13, $14, $15, $16, $17, $18) b (call, hash, content_type, encoding, size_bytes, body)
              join asked a on a.call = b.call join run on run.id = a.id)
        select 0, a.call, run.workflow_version from run join asked a on a.id = run.id
        """;

    // All queue rows of the group, in one order, before anything is written: the leases cannot change hands until the commit, no two
    // transactions wait for each other in a circle, and the snapshots of the statements that follow have all that was written before.
    // Only where executions end: steps alone need no such snapshot, and take the same locks in the same order by themselves.
    const string Lock = """
        select 3, 0, 0 from flowstone.execution_queue q
          join unnest($1, $2, $3, $4) a (shard_key, execution_id, tenant_id, fence)
            on q.shard_key = a.shard_key and q.execution_id = a.execution_id and q.tenant_id = a.tenant_id and q.fence = a.fence
         order by q.shard_key, q.execution_id for update of q
        """;

    // A start must be new and a finish must find its step running: if any is not, dividing by zero ends the transaction, which saves
    // asking first; the group is then split until the bad call is alone.
    const string Record = """
        with held as materialized (
            select a.call, q.tenant_id, q.execution_id from flowstone.execution_queue q
              join unnest($1, $2, $3, $4, $5) a (call, shard_key, execution_id, tenant_id, fence)
                on q.shard_key = a.shard_key and q.execution_id = a.execution_id and q.tenant_id = a.tenant_id and q.fence = a.fence
             order by q.shard_key, q.execution_id for update of q),
        step as materialized (
            select h.tenant_id, h.execution_id, s.*
              from unnest($6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
                   s (call, node, iteration, attempt, status, reason, error, started_at, finished_at, input_hash, output_hash)
              join held h on h.call = s.call),
        bodies as (
            insert into flowstone.payloads (tenant_id, execution_id, hash, content_type, encoding, size_bytes, body)
            select h.tenant_id, h.execution_id, b.hash, b.content_type, b.encoding, b.size_bytes, b.body
              from unnest($17, $18, $19, $20, $21, $22) b (call, hash, content_type, encoding, size_bytes, body)
              join held h on h.call = b.call
             order by h.execution_id, b.hash
            on conflict do nothing),
        started as (
            insert into flowstone.node_executions (tenant_id, execution_id, node, iteration, attempt, status, reason, error, started_at, finished_at, input_hash, output_hash)
            select tenant_id, execution_id, node, iteration, attempt, status, reason, error, started_at,
                   case when finished_at is not null then greatest(started_at, finished_at) end, input_hash, output_hash
              from step where started_at is not null
            on conflict do nothing returning 1),
        finished as (
            update flowstone.node_executions n
               set status = step.status, reason = step.reason, error = step.error, finished_at = greatest(n.started_at, step.finished_at), output_hash = step.output_hash
              from step
             where n.tenant_id = step.tenant_id and n.execution_id = step.execution_id and n.node = step.node and n.iteration = step.iteration
               and n.attempt = step.attempt and step.started_at is null and n.status = 'RUNNING'
            returning 1)
        select 1, held.call, 1 / (case when (select count(*) from started) + (select count(*) from finished) = (select count(*) from step) then 1 else 0 end) from held
        """;

    const string End = """
        with asked as materialized (
            select * from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                 a (call, shard_key, execution_id, tenant_id, fence, status, reason, error, finished_at, output_hash)),
        released as (
            delete from flowstone.execution_queue q using asked a
             where q.shard_key = a.shard_key and q.execution_id = a.execution_id and q.tenant_id = a.tenant_id and q.fence = a.fence returning a.*),
        output as (
            insert into flowstone.payloads (tenant_id, execution_id, hash, content_type, encoding, size_bytes, body)
            select r.tenant_id, r.execution_id, b.hash, b.content_type, b.encoding, b.size_bytes, b.body
              from unnest($11, $12, $13, $14, $15, $16) b (call, hash, content_type, encoding, size_bytes, body) join released r on r.call = b.call
            on conflict do nothing),
        open_steps as (
            update flowstone.node_executions n set status = 'CANCELLED', reason = 'EXECUTION_ENDED', finished_at = greatest(n.started_at, r.finished_at)
              from released r where n.tenant_id = r.tenant_id and n.execution_id = r.execution_id and n.finished_at is null),
        ended as (
            update flowstone.executions e set status = r.status, reason = r.reason, error = r.error, finished_at = greatest(e.started_at, r.finished_at), output_hash = r.output_hash
              from released r where e.tenant_id = r.tenant_id and e.id = r.execution_id and e.status = 'RUNNING' returning 1)
        select 2, released.call, 1 / (case when (select count(*) from ended) = (select count(*) from released) then 1 else 0 end) from released
        """;

    readonly IReadOnlyList<WriteCall> calls;
    readonly (StartCall Call, int Number)[] starts;
    readonly (RecordCall Call, int Number)[] records;
    readonly (FinishCall Call, int Number)[] ends;

    public WriteGroup(IReadOnlyList<WriteCall> calls)
    {
        this.calls = calls;
        (starts, records, ends) = (Of<StartCall>(), Of<RecordCall>(), Of<FinishCall>());

        (T Call, int Number)[] Of<T>() where T : WriteCall => [.. calls.Select((call, number) => (call as T, number)).Where(pair => pair.Item1 is not null)!];
    }

    public async Task CommitAsync(Database database)
    {
        var statements = new List<Statement> { new(ByKeyOnly) };
        if (starts.Length > 0)
            statements.Add(StartStatement());
        if (ends.Length > 0)
            statements.Add(LockStatement());
        if (records.Length > 0)
            statements.Add(RecordStatement());
        if (ends.Length > 0)
            statements.Add(EndStatement());
        await database.TransactAsync(string.Join(',', calls.Select(call => call.TenantId).Distinct()), statements, Learn, CancellationToken.None);
    }

    void Learn(NpgsqlDataReader row)
    {
        if (row.GetInt32(0) == Locked)
            return;
        switch (calls[row.GetInt32(1)])
        {
            case StartCall start:
                start.Version = row.GetInt32(2);
                break;
            case LeasedCall leased:
                leased.Held = true;
                break;
        }
    }

    Statement StartStatement() => new(Start,
    [
        Column(starts, s => s.Number), Column(starts, s => s.Call.TenantId.Value), Column(starts, s => s.Call.ExecutionId.Value),
        Column(starts, s => s.Call.Execution.WorkflowId.Value), Column(starts, s => s.Call.RequestedVersion),
        Column(starts, s => EnumText<ExecutionTrigger>.Of(s.Call.Execution.Trigger)), Column(starts, s => s.Call.Execution.Priority),
        Column(starts, s => s.Call.Execution.StartedBy?.Value), Column(starts, s => s.Call.Execution.CreatedAt), Column(starts, s => s.Call.DueAt),
        Column(starts, s => s.Call.DatabaseNow), Column(starts, s => s.Call.Input?.Hash),
        .. Bodies(starts.Where(s => s.Call.Input is not null).Select(s => (s.Number, s.Call.Input!))),
    ]);

    Statement LockStatement()
    {
        var leases = records.Select(r => r.Call.Lease).Concat(ends.Select(e => e.Call.Lease)).Distinct().ToArray();
        return new(Lock, Column(leases, l => l.ShardKey), Column(leases, l => l.ExecutionId.Value), Column(leases, l => l.TenantId.Value), Column(leases, l => l.Fence));
    }

    Statement RecordStatement()
    {
        var steps = records.SelectMany(r => r.Call.Writes.Rows.Select(row => (r.Number, row.Key, row.Value))).ToArray();
        return new(Record,
        [
            Column(records, r => r.Number), Column(records, r => r.Call.Lease.ShardKey), Column(records, r => r.Call.ExecutionId.Value),
            Column(records, r => r.Call.TenantId.Value), Column(records, r => r.Call.Lease.Fence),
            Column(steps, s => s.Number), Column(steps, s => s.Key.Node), Column(steps, s => s.Key.Iteration), Column(steps, s => s.Key.Attempt),
            Column(steps, s => EnumText<ExecutionStatus>.Of(s.Value.Status)), Column(steps, s => s.Value.Reason), Column(steps, s => s.Value.Error),
            Column(steps, s => s.Value.StartedAt), Column(steps, s => s.Value.FinishedAt), Column(steps, s => s.Value.InputHash), Column(steps, s => s.Value.OutputHash),
            .. Bodies(records.SelectMany(r => r.Call.Writes.Bodies.Select(body => (r.Number, body)))),
        ]);
    }

    Statement EndStatement() => new(End,
    [
        Column(ends, e => e.Number), Column(ends, e => e.Call.Lease.ShardKey), Column(ends, e => e.Call.ExecutionId.Value),
        Column(ends, e => e.Call.TenantId.Value), Column(ends, e => e.Call.Lease.Fence), Column(ends, e => EnumText<ExecutionStatus>.Of(e.Call.Outcome.Status)),
        Column(ends, e => e.Call.Outcome.Reason), Column(ends, e => e.Call.Error), Column(ends, e => e.Call.FinishedAt), Column(ends, e => e.Call.Outcome.Output?.Hash),
        .. Bodies(ends.Where(e => e.Call.Outcome.Output is not null).Select(e => (e.Number, e.Call.Outcome.Output!))),
    ]);

    static NpgsqlParameter[] Bodies(IEnumerable<(int Number, PayloadBody Body)> bodies)
    {
        var encoded = bodies.Select(b => (b.Number, b.Body, Stored: b.Body.Encode())).ToArray();
        return
        [
            Column(encoded, e => e.Number), Column(encoded, e => e.Body.Hash), Column(encoded, e => e.Body.ContentType),
            Column(encoded, e => EnumText<PayloadEncoding>.Of(e.Stored.Encoding)), Column(encoded, e => (long)e.Body.Bytes.Length), Column(encoded, e => e.Stored.Body),
        ];
    }

    static NpgsqlParameter Column<TItem, T>(IEnumerable<TItem> items, Func<TItem, T> pick) => P(items.Select(pick).ToArray());
}
