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
    const int Locked = 3, Unparked = 4;

    // One statement, so that an execution is never there without its place in the queue. Queued by database time unless a time is asked for.
    // A dedup key that is taken leaves its call without a row.
    const string Start = """
        with asked as materialized (
            select * from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
                 a (call, tenant_id, id, workflow_id, workflow_version, trigger, priority, started_by, created_at, due_at, input,
                    parent_id, detached, retry_of, retry_count, max_retries, forked_from, max_attempts, concurrency_key, concurrency_max, dedup_key, dedup_until)),
        valid as materialized (
            select a.*, v.number from asked a
              join flowstone.workflows w on w.tenant_id = a.tenant_id and w.id = a.workflow_id
              join flowstone.workflow_versions v on v.tenant_id = w.tenant_id and v.workflow_id = w.id and v.number = coalesce(a.workflow_version, w.version)),
        keyed as (
            insert into flowstone.execution_keys as k (tenant_id, key, execution_id, expires_at)
            select tenant_id, dedup_key, id, dedup_until from valid where dedup_key is not null
            on conflict (tenant_id, key) do update set execution_id = excluded.execution_id, expires_at = excluded.expires_at
                  where k.expires_at <= coalesce($23, now()) returning execution_id),
        run as (
            insert into flowstone.executions (tenant_id, id, workflow_id, workflow_version, status, trigger, priority, started_by, created_at, due_at, claims, input,
                   parent_id, detached, retry_of, retry_count, max_retries, forked_from)
            select tenant_id, id, workflow_id, number, 'PENDING', trigger, priority, started_by, created_at, coalesce(due_at, created_at), 0, input,
                   parent_id, detached, retry_of, retry_count, max_retries, forked_from
              from valid where dedup_key is null or id in (select execution_id from keyed)
            returning tenant_id, id, workflow_version),
        limited as (
            insert into flowstone.execution_limits as l (tenant_id, name, maximum, running)
            select distinct on (v.tenant_id, v.concurrency_key) v.tenant_id, v.concurrency_key, v.concurrency_max, 0 from valid v where v.concurrency_key is not null
             order by v.tenant_id, v.concurrency_key
            on conflict (tenant_id, name) do update set maximum = excluded.maximum where l.maximum <> excluded.maximum),
        queued as (
            insert into flowstone.execution_queue (shard_key, execution_id, tenant_id, workflow_id, priority, visible_at, fence, max_attempts, concurrency_key)
            select t.shard_key, a.id, t.id, a.workflow_id, a.priority, coalesce(a.due_at, $23, now()), 0, a.max_attempts, a.concurrency_key
              from run join asked a on a.id = run.id join flowstone.tenants t on t.id = run.tenant_id),
        bodies as (
            insert into flowstone.payloads (tenant_id, execution_id, hash, content_type, encoding, size_bytes, body, object_key, sealed, whole_size_bytes)
            select run.tenant_id, run.id, b.hash, b.content_type, b.encoding, b.size_bytes, b.body, b.object_key, b.sealed, b.whole_size_bytes
              from unnest($27, $28, $29, $30, $31, $32, $33, $34, $35) b (call, hash, content_type, encoding, size_bytes, body, object_key, sealed, whole_size_bytes)
              join asked a on a.call = b.call join run on run.id = a.id),
        mark as (
            insert into flowstone.write_marks (tenant_id, group_id, statement, calls)
            select $24, $25, $26, (select array_agg(a.call) || array_agg(run.workflow_version) from run join asked a on a.id = run.id))
        select 0, a.call, run.workflow_version from run join asked a on a.id = run.id
        """;

    // All queue rows of the group, in one order, before anything is written: the leases cannot change hands until the commit, no two
    // transactions wait for each other in a circle, and the snapshots of the statements that follow have all that was written before.
    // Then the limits that they hold, so that whoever is parked for them is seen.
    // Only where executions end: steps alone need no such snapshot, and take the same locks in the same order by themselves.
    const string Lock = """
        with held as materialized (
            select q.tenant_id, q.holds from flowstone.execution_queue q
              join unnest($1, $2, $3, $4) a (shard_key, execution_id, tenant_id, fence)
                on q.shard_key = a.shard_key and q.execution_id = a.execution_id and q.tenant_id = a.tenant_id and q.fence = a.fence
             order by q.shard_key, q.execution_id for update of q),
        limits as materialized (
            select 1 from flowstone.execution_limits l
             where (l.tenant_id, l.name) in (select tenant_id, unnest(holds) from held where holds is not null) order by l.tenant_id, l.name for update)
        select 3, (select count(*) from held)::int, (select count(*) from limits)::int
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
                   s (call, node, iteration, attempt, status, reason, error, started_at, finished_at, input, output)
              join held h on h.call = s.call),
        bodies as (
            insert into flowstone.payloads (tenant_id, execution_id, hash, content_type, encoding, size_bytes, body, object_key, sealed, whole_size_bytes)
            select h.tenant_id, h.execution_id, b.hash, b.content_type, b.encoding, b.size_bytes, b.body, b.object_key, b.sealed, b.whole_size_bytes
              from unnest($20, $21, $22, $23, $24, $25, $26, $27, $28) b (call, hash, content_type, encoding, size_bytes, body, object_key, sealed, whole_size_bytes)
              join held h on h.call = b.call
             order by h.execution_id, b.hash
            on conflict do nothing),
        started as (
            insert into flowstone.node_executions (tenant_id, execution_id, node, iteration, attempt, status, reason, error, started_at, finished_at, input, output)
            select tenant_id, execution_id, node, iteration, attempt, status, reason, error, started_at,
                   case when finished_at is not null then greatest(started_at, finished_at) end, input, output
              from step where started_at is not null
            on conflict do nothing returning 1),
        finished as (
            update flowstone.node_executions n
               set status = step.status, reason = step.reason, error = step.error, finished_at = greatest(n.started_at, step.finished_at), output = step.output
              from step
             where n.tenant_id = step.tenant_id and n.execution_id = step.execution_id and n.node = step.node and n.iteration = step.iteration
               and n.attempt = step.attempt and step.started_at is null and n.status = 'RUNNING'
            returning 1),
        mark as (
            insert into flowstone.write_marks (tenant_id, group_id, statement, calls) select $17, $18, $19, (select array_agg(call) from held))
        select 1, held.call, 1 / (case when (select count(*) from started) + (select count(*) from finished) = (select count(*) from step) then 1 else 0 end) from held
        """;

    static readonly string End = $"""
        with asked as materialized (
            select * from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                 a (call, shard_key, execution_id, tenant_id, fence, status, reason, error, finished_at, output)),
        released as (
            delete from flowstone.execution_queue q using asked a
             where q.shard_key = a.shard_key and q.execution_id = a.execution_id and q.tenant_id = a.tenant_id and q.fence = a.fence returning a.*, q.holds),
        bodies as (
            insert into flowstone.payloads (tenant_id, execution_id, hash, content_type, encoding, size_bytes, body, object_key, sealed, whole_size_bytes)
            select r.tenant_id, r.execution_id, b.hash, b.content_type, b.encoding, b.size_bytes, b.body, b.object_key, b.sealed, b.whole_size_bytes
              from unnest($15, $16, $17, $18, $19, $20, $21, $22, $23) b (call, hash, content_type, encoding, size_bytes, body, object_key, sealed, whole_size_bytes) join released r on r.call = b.call
            on conflict do nothing),
        open_steps as (
            update flowstone.node_executions n set status = 'CANCELLED', reason = 'EXECUTION_ENDED', finished_at = greatest(n.started_at, r.finished_at)
              from released r where n.tenant_id = r.tenant_id and n.execution_id = r.execution_id and n.finished_at is null),
        ended as (
            update flowstone.executions e set status = r.status, reason = r.reason, error = r.error, finished_at = greatest(e.started_at, r.finished_at), output = r.output
              from released r where e.tenant_id = r.tenant_id and e.id = r.execution_id and e.status = 'RUNNING'
            returning e.tenant_id, e.workflow_id, e.status, e.due_at, e.started_at, e.finished_at),
        mark as (
            insert into flowstone.write_marks (tenant_id, group_id, statement, calls) select $12, $13, $14, (select array_agg(call) from released)),
        {QueueSql.AfterEnd("$11")}
        select 2, released.call, 1 / (case when (select count(*) from ended) = (select count(*) from released) then 1 else 0 end), null::uuid from released
        union all select distinct 4, 0, unparked.priority, unparked.tenant_id from unparked
        """;

    // A start's version is told behind its number, so that one array says it all.
    const string Outcome = "select m.statement, m.calls from flowstone.write_marks m where m.tenant_id = $1 and m.group_id = $2";

    // Takes the mark that the group would have set first: waits for the group if it is still under way, and stops it if it is yet to come.
    const string Forestall = """
        insert into flowstone.write_marks (tenant_id, group_id, statement, calls) values ($1, $2, 0, '{-1}') on conflict do nothing
        """;

    readonly IReadOnlyList<WriteCall> calls;
    readonly (StartCall Call, int Number)[] starts;
    readonly (RecordCall Call, int Number)[] records;
    readonly (FinishCall Call, int Number)[] ends;
    readonly DateTimeOffset? databaseNow;
    readonly string tenants;
    readonly Id<WriteMark> id;
    short marks;

    public WriteGroup(IReadOnlyList<WriteCall> calls, TimeProvider clock)
    {
        (this.calls, databaseNow, id) = (calls, ExecutionRepository.DatabaseNow(clock), Id<WriteMark>.New(clock));
        (starts, records, ends) = (Of<StartCall>(), Of<RecordCall>(), Of<FinishCall>());
        tenants = string.Join(',', calls.Select(call => call.TenantId).Distinct());

        (T Call, int Number)[] Of<T>() where T : WriteCall => [.. calls.Select((call, number) => (call as T, number)).Where(pair => pair.Item1 is not null)!];
    }

    /// <summary>What may be claimed now, or later, because of this group.</summary>
    public List<QueuedWork> Queued { get; } = [];

    public async Task CommitAsync(Database database)
    {
        marks = 0;
        var statements = new List<Statement> { new(Database.ByKeyOnly) };
        if (starts.Length > 0)
            statements.Add(StartStatement());
        if (ends.Length > 0)
            statements.Add(LockStatement());
        if (records.Length > 0)
            statements.Add(RecordStatement());
        if (ends.Length > 0)
            statements.Add(EndStatement());
        await database.TransactAsync(tenants, statements, Learn, CancellationToken.None);
        Queued.AddRange(starts.Where(s => s.Call.Version is not null).Select(s => new QueuedWork(s.Call.TenantId, s.Call.Execution.Priority, s.Call.Request.DueAt)));
    }

    /// <summary>After the connection was lost: whether the group was committed, and then what became of each call.</summary>
    /// <returns>False if nothing was stored, and now never will be.</returns>
    public async Task<bool> FindOutcomeAsync(Database database)
    {
        var committed = true;
        NpgsqlParameter[] mark = [P(calls[0].TenantId), P(id)];
        await database.TransactAsync(tenants, [new(Forestall, mark)], null, CancellationToken.None);
        await database.TransactAsync(tenants, [new(Outcome, [P(calls[0].TenantId), P(id)])], row =>
        {
            if (row.Get<int[]>(1) is not { } told)
                return;
            if (told is [-1])
                committed = false;
            else if (calls[told[0]] is StartCall)
                for (var i = 0; i < told.Length / 2; i++)
                    ((StartCall)calls[told[i]]).Version = told[(told.Length / 2) + i];
            else
                foreach (var number in told)
                    ((LeasedCall)calls[number]).Held = true;
        }, CancellationToken.None);
        return committed;
    }

    void Learn(NpgsqlDataReader row)
    {
        switch (row.GetInt32(0))
        {
            case Locked:
                return;
            case Unparked:
                Queued.Add(new QueuedWork(new(row.GetGuid(3)), (short)row.GetInt32(2), null));
                return;
        }
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
        Column(starts, s => s.Call.Execution.WorkflowId.Value), Column(starts, s => s.Call.Request.WorkflowVersion),
        Column(starts, s => EnumText<ExecutionTrigger>.Of(s.Call.Execution.Trigger)), Column(starts, s => s.Call.Execution.Priority),
        Column(starts, s => s.Call.Execution.StartedBy?.Value), Column(starts, s => s.Call.Execution.CreatedAt), Column(starts, s => s.Call.Request.DueAt),
        Column(starts, s => s.Call.Execution.Input?.Stored), Column(starts, s => s.Call.Execution.ParentId?.Value), Column(starts, s => s.Call.Execution.Detached),
        Column(starts, s => s.Call.Execution.RetryOf?.Value), Column(starts, s => s.Call.Execution.RetryCount), Column(starts, s => s.Call.Execution.MaxRetries),
        Column(starts, s => s.Call.Execution.ForkedFrom?.Value), Column(starts, s => s.Call.Request.MaxAttempts),
        Column(starts, s => s.Call.Request.Concurrency?.Key), Column(starts, s => s.Call.Request.Concurrency?.Maximum),
        Column(starts, s => s.Call.Request.DedupKey), Column(starts, s => s.Call.DedupUntil), P(databaseNow),
        .. Mark(), .. Bodies(starts),
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
            Column(steps, s => s.Value.StartedAt), Column(steps, s => s.Value.FinishedAt), Column(steps, s => s.Value.Input?.Stored), Column(steps, s => s.Value.Output?.Stored),
            .. Mark(), .. Bodies(records),
        ]);
    }

    Statement EndStatement() => new(End,
    [
        Column(ends, e => e.Number), Column(ends, e => e.Call.Lease.ShardKey), Column(ends, e => e.Call.ExecutionId.Value),
        Column(ends, e => e.Call.TenantId.Value), Column(ends, e => e.Call.Lease.Fence), Column(ends, e => EnumText<ExecutionStatus>.Of(e.Call.Outcome.Status)),
        Column(ends, e => e.Call.Reason), Column(ends, e => e.Call.Error), Column(ends, e => e.Call.FinishedAt), Column(ends, e => e.Call.Output?.Stored),
        P(databaseNow), .. Mark(), .. Bodies(ends),
    ]);

    NpgsqlParameter[] Mark() => [P(calls[0].TenantId), P(id), P(marks++)];

    static NpgsqlParameter[] Bodies<T>((T Call, int Number)[] of) where T : WriteCall
    {
        var bodies = of.SelectMany(one => one.Call.Payloads?.Rows ?? [], (one, row) => (one.Number, Row: row)).ToArray();
        return
        [
            Column(bodies, b => b.Number), Column(bodies, b => b.Row.Hash), Column(bodies, b => b.Row.ContentType), Column(bodies, b => EnumText<PayloadEncoding>.Of(b.Row.Encoding)),
            Column(bodies, b => b.Row.SizeBytes), Column(bodies, b => b.Row.Body), Column(bodies, b => b.Row.ObjectKey), Column(bodies, b => b.Row.Sealed), Column(bodies, b => b.Row.WholeSizeBytes),
        ];
    }

    static NpgsqlParameter Column<TItem, T>(TItem[] items, Func<TItem, T> pick) => P(Array.ConvertAll(items, item => pick(item)));
}
