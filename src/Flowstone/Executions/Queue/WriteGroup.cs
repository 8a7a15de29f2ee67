using System.Collections.Concurrent;
using Flowstone.Data;
using Flowstone.Tenancy;
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

    // How these statements find rows, whatever the planner believes of a table that is new: by sub-selects that are planned by themselves and
    // so by their key (offset 0, for update), the locked rows of the queue again by their place (ctid), and the rest by arrays of the keys beside
    // the join. The first and the last id leave out the partitions that do not matter. No row is joined to another by its number: without hash
    // joins that would be the square of the group.

    // The right to write: the queue's row with the fencing number, locked until the commit.
    const string Held = """
        lateral (select q.holds, q.ctid as place from flowstone.execution_queue q
                  where q.shard_key = a.shard_key and q.execution_id = a.execution_id and q.tenant_id = a.tenant_id and q.fence = a.fence for update) q
        """;

    public const string Payload = "hash, content_type, encoding, size_bytes, body, object_key, sealed, whole_size_bytes";

    // One statement, so that an execution is never there without its place in the queue. Queued by database time unless a time is asked for.
    // What few starts need is in the text only where one of the group does: every part costs, used or not.
    // A dedup key that is taken leaves its call without a row, as does a parent that has ended.
    static readonly ConcurrentDictionary<(bool Dedup, bool Limited, bool Attributes, bool Bodies), string> startTexts = new();

    static string StartText(bool dedup, bool limited, bool attributes, bool bodies) => startTexts.GetOrAdd((dedup, limited, attributes, bodies), static has => $"""
        with valid as materialized (
            select a.*, v.number, v.shard_key
              from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
                   a (call, tenant_id, id, workflow_id, workflow_version, trigger, priority, started_by, created_at, due_at, input,
                      parent_id, detached, max_retries, max_attempts, concurrency_key, concurrency_max, dedup_key, dedup_until), lateral (
                select v.number, t.shard_key from flowstone.workflows w
                  join flowstone.workflow_versions v on v.tenant_id = w.tenant_id and v.workflow_id = w.id and v.number = coalesce(a.workflow_version, w.version)
                  join flowstone.tenants t on t.id = w.tenant_id
                 where w.tenant_id = a.tenant_id and w.id = a.workflow_id offset 0) v
             where a.parent_id is null or exists (
                select from flowstone.execution_queue p where p.shard_key = v.shard_key and p.execution_id = a.parent_id and p.tenant_id = a.tenant_id for key share)),
        {(has.Dedup ? DedupParts : "accepted as (select * from valid),")}
        run as (
            insert into flowstone.executions (tenant_id, id, workflow_id, workflow_version, status, trigger, priority, started_by, created_at, due_at, claims, input,
                   parent_id, detached, retry_count, max_retries)
            select tenant_id, id, workflow_id, number, 'PENDING', trigger, priority, started_by, created_at, coalesce(due_at, created_at), 0, input,
                   parent_id, detached, 0, max_retries
              from accepted),
        {(has.Limited ? LimitParts : "")}
        {(has.Attributes ? StartAttributes : "")}
        {(has.Bodies ? StartBodies : "")}
        queued as (
            insert into flowstone.execution_queue (shard_key, execution_id, tenant_id, workflow_id, priority, visible_at, fence, failures, max_attempts, concurrency_key)
            select shard_key, id, tenant_id, workflow_id, priority, coalesce(due_at, $20, now()), 0, 0, max_attempts, concurrency_key from accepted),
        mark as (
            insert into flowstone.write_marks (tenant_id, group_id, statement, calls)
            select $21, $22, $23, (select array_agg(call) || array_agg(number) from accepted))
        select 0, call, number from accepted
        """);

    const string DedupParts = """
        keyed as (
            insert into flowstone.execution_keys as k (tenant_id, key, execution_id, expires_at)
            select tenant_id, dedup_key, id, dedup_until from valid where dedup_key is not null
            on conflict (tenant_id, key) do update set execution_id = excluded.execution_id, expires_at = excluded.expires_at
                  where k.expires_at <= coalesce($20, now()) returning execution_id),
        accepted as materialized (
            select * from valid where dedup_key is null or coalesce(id in (select execution_id from keyed), false)),
        """;

    const string LimitParts = """
        limited as (
            insert into flowstone.execution_limits as l (tenant_id, name, maximum, running)
            select distinct on (tenant_id, concurrency_key) tenant_id, concurrency_key, concurrency_max, 0 from accepted where concurrency_key is not null
             order by tenant_id, concurrency_key
            on conflict (tenant_id, name) do update set maximum = excluded.maximum where l.maximum <> excluded.maximum),
        """;

    const string StartAttributes = """
        attributes as (
            insert into flowstone.execution_attributes (tenant_id, execution_id, workflow_id, name, value)
            select a.tenant_id, a.execution_id, a.workflow_id, a.name, a.value from unnest($24, $25, $26, $27, $28) a (tenant_id, execution_id, workflow_id, name, value)
             where coalesce(a.execution_id in (select id from accepted), false)),
        """;

    const string StartBodies = $"""
        bodies as (
            insert into flowstone.payloads (tenant_id, execution_id, {Payload})
            select b.tenant_id, b.execution_id, {Payload} from unnest($29, $30, $31, $32, $33, $34, $35, $36, $37, $38)
                 b (tenant_id, execution_id, {Payload}) where coalesce(b.execution_id in (select id from accepted), false)),
        """;

    // The queue's rows of what ends, before anything is written: the snapshots of the statements that follow have all that was written
    // before under these leases. Then the limits that they hold, so that whoever is parked for them is seen.
    const string Lock = $"""
        select 3, count(*)::int, 0 from unnest($1, $2, $3, $4) a (shard_key, execution_id, tenant_id, fence), {Held}
        """;

    const string LockWithLimits = $"""
        with held as materialized (
            select a.tenant_id, q.holds from unnest($1, $2, $3, $4) a (shard_key, execution_id, tenant_id, fence), {Held}),
        limits as materialized (
            select 1 from flowstone.execution_limits l
             where (l.tenant_id, l.name) in (select tenant_id, unnest(holds) from held where holds is not null) order by l.tenant_id, l.name for update)
        select 3, (select count(*) from held)::int, (select count(*) from limits)::int
        """;

    const string Renew = $"""
        with held as materialized (
            select a.*, q.place from unnest($1, $2, $3, $4, $5, $6) a (call, shard_key, execution_id, tenant_id, fence, lease), {Held}),
        mark as (
            insert into flowstone.write_marks (tenant_id, group_id, statement, calls) select $8, $9, $10, (select array_agg(call) from held))
        update flowstone.execution_queue q set visible_at = coalesce($7, now()) + held.lease from held
         where q.ctid = held.place and q.execution_id = held.execution_id and q.tenant_id = held.tenant_id
        returning 1, held.call, 0
        """;

    const string Bodies = $"""
        insert into flowstone.payloads (tenant_id, execution_id, {Payload})
        select a.tenant_id, a.execution_id, {Payload}
          from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) a (shard_key, execution_id, tenant_id, fence, {Payload}), {Held}
        on conflict do nothing
        """;

    // A start must be new, or the key is violated. A finish must find its step running: if one does not, dividing by zero ends the transaction,
    // which saves asking first. The group is then split until the bad call is alone.
    const string Begin = $"""
        with held as materialized (
            select a.* from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
                 a (call, shard_key, execution_id, tenant_id, fence, node, iteration, attempt, status, reason, error, started_at, finished_at, input, output), {Held}),
        mark as (
            insert into flowstone.write_marks (tenant_id, group_id, statement, calls) select $16, $17, $18, (select array_agg(call) from held)),
        begun as (
            insert into flowstone.node_executions (tenant_id, execution_id, node, iteration, attempt, status, reason, error, started_at, finished_at, input, output)
            select tenant_id, execution_id, node, iteration, attempt, status, reason, error, started_at,
                   case when finished_at is not null then greatest(started_at, finished_at) end, input, output from held)
        select 1, call, 0 from held
        """;

    const string Finish = $"""
        with held as materialized (
            select a.* from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
                 a (call, shard_key, execution_id, tenant_id, fence, node, iteration, attempt, status, reason, error, finished_at, output), {Held}),
        mark as (
            insert into flowstone.write_marks (tenant_id, group_id, statement, calls) select $14, $15, $16, (select array_agg(call) from held)),
        finished as (
            update flowstone.node_executions n
               set status = held.status, reason = held.reason, error = held.error, finished_at = greatest(n.started_at, held.finished_at), output = held.output
              from held
             where n.tenant_id = held.tenant_id and n.execution_id = held.execution_id and n.node = held.node and n.iteration = held.iteration
               and n.attempt = held.attempt and n.execution_id = any($3) and n.execution_id between $17 and $18 and n.status = 'RUNNING'
            returning 1)
        select 1, call, 1 / (case when (select count(*) from finished) = (select count(*) from held) then 1 else 0 end) from held
        """;

    // Most executions end with no step open and hold no limit: then there is nothing to close and to give back, and the text without those
    // parts costs half. It divides by zero where that is not so; the call is then sent again as a thorough one.
    static readonly string End = EndText(thorough: false);
    static readonly string ThoroughEnd = EndText(thorough: true);

    static string EndText(bool thorough) => $"""
        with held as materialized (
            select a.*, q.holds, q.place from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                 a (call, shard_key, execution_id, tenant_id, fence, status, reason, error, finished_at, output), {Held}),
        released as (
            delete from flowstone.execution_queue q
             where q.ctid = any(array(select place from held)) and q.execution_id = any($3) and q.tenant_id = any($4) returning q.tenant_id, q.holds),
        {(thorough ? CloseSteps : "")}
        ended as (
            update flowstone.executions e set status = h.status, reason = h.reason, error = h.error, finished_at = greatest(e.started_at, h.finished_at), output = h.output
              from held h where e.tenant_id = h.tenant_id and e.id = h.execution_id and e.id = any($3) and e.id between $15 and $16 and e.status = 'RUNNING'
            returning e.tenant_id, e.workflow_id, e.status, e.due_at, e.started_at, e.finished_at),
        mark as (
            insert into flowstone.write_marks (tenant_id, group_id, statement, calls) select $12, $13, $14, (select array_agg(call) from held)),
        {QueueSql.Count}{(thorough ? $", {QueueSql.LetGo("$11")}" : "")}
        select 2, call, 1 / (case when (select count(*) from ended) = (select count(*) from held){(thorough ? "" : NothingToClose)} then 1 else 0 end), null::uuid from held
        {(thorough ? "union all select distinct 4, 0, unparked.priority, unparked.tenant_id from unparked" : "")}
        """;

    const string CloseSteps = """
        open_steps as (
            update flowstone.node_executions n set status = 'CANCELLED', reason = 'EXECUTION_ENDED', finished_at = greatest(n.started_at, h.finished_at)
              from held h where n.tenant_id = h.tenant_id and n.execution_id = h.execution_id and n.execution_id = any($3) and n.execution_id between $15 and $16 and n.finished_at is null),
        """;

    const string NothingToClose = """
         and not exists (select from held where holds is not null)
             and not exists (select from flowstone.node_executions n where n.tenant_id = any($4) and n.execution_id = any(array(select execution_id from held))
                                and n.execution_id between $15 and $16 and n.finished_at is null)
        """;

    // A start's version is told behind its number, so that one array says it all.
    const string Outcome = "select m.statement, m.calls from flowstone.write_marks m where m.tenant_id = $1 and m.group_id = $2";

    // Takes the mark that the group would have set first: waits for the group if it is still under way, and stops it if it is yet to come.
    const string Forestall = """
        insert into flowstone.write_marks (tenant_id, group_id, statement, calls) values ($1, $2, 0, '{-1}') on conflict do nothing
        """;

    readonly IReadOnlyList<WriteCall> calls;
    readonly List<(StartCall Call, int Number)> starts = [];
    readonly List<(FinishCall Call, int Number)> ends = [];
    readonly List<(RenewCall Call, int Number)> renewals = [];
    readonly List<Step> begun = [];
    readonly List<Step> finished = [];
    readonly List<(LeasedCall Call, StoredPayload Body)> bodies = [];
    readonly DateTimeOffset? databaseNow;
    readonly string tenants;
    readonly Id<WriteMark> id;
    short marks;

    readonly record struct Step(RecordCall Call, int Number, NodeWrites.Row Row);

    public WriteGroup(IReadOnlyList<WriteCall> calls, TimeProvider clock)
    {
        (this.calls, databaseNow, id) = (calls, ExecutionRepository.DatabaseNow(clock), Id<WriteMark>.New(clock));
        var owners = new HashSet<Id<Tenant>>();
        for (var number = 0; number < calls.Count; number++)
        {
            owners.Add(calls[number].TenantId);
            if (calls[number] is LeasedCall { Payloads: { } payloads } leased)
                foreach (var row in payloads.Rows)
                    bodies.Add((leased, row));
            switch (calls[number])
            {
                case StartCall start:
                    starts.Add((start, number));
                    break;
                case FinishCall end:
                    ends.Add((end, number));
                    break;
                case RenewCall renewal:
                    renewals.Add((renewal, number));
                    break;
                case RecordCall record:
                    foreach (var row in record.Writes.Rows)
                        (row.StartedAt is null ? finished : begun).Add(new Step(record, number, row));
                    break;
            }
        }
        tenants = string.Join(',', owners);

        // Locks are taken in one order everywhere.
        begun.Sort((one, other) => Compare(one.Call.Lease, other.Call.Lease));
        finished.Sort((one, other) => Compare(one.Call.Lease, other.Call.Lease));
        ends.Sort((one, other) => Compare(one.Call.Lease, other.Call.Lease));
        renewals.Sort((one, other) => Compare(one.Call.Lease, other.Call.Lease));
        bodies.Sort((one, other) => Compare(one.Call.Lease, other.Call.Lease) is var order and not 0 ? order : one.Body.Hash.AsSpan().SequenceCompareTo(other.Body.Hash));
    }

    static int Compare(ExecutionLease one, ExecutionLease other)
        => one.ShardKey.CompareTo(other.ShardKey) is var order and not 0 ? order : one.ExecutionId.CompareTo(other.ExecutionId);

    /// <summary>What may be claimed now, or later, because of this group.</summary>
    public List<QueuedWork> Queued { get; } = [];

    public async Task CommitAsync(Database database)
    {
        await database.TransactAsync(tenants, [new(Database.ByKeyOnly), .. Statements()], Learn, CancellationToken.None);
        Queued.AddRange(starts.Where(s => s.Call.Version is not null).Select(s => new QueuedWork(s.Call.TenantId, s.Call.Execution.Priority, s.Call.Request.DueAt)));
    }


    /// <summary>What the group writes, for a transaction that has the role and the tenants.</summary>
    public List<Statement> Statements()
    {
        marks = 0;
        var statements = new List<Statement>();
        if (starts.Count > 0)
            statements.Add(StartStatement());
        if (ends.Count > 0)
            statements.Add(LockStatement());
        if (renewals.Count > 0)
            statements.Add(RenewStatement());
        if (bodies.Count > 0)
            statements.Add(BodiesStatement());
        if (begun.Count > 0)
            statements.Add(BeginStatement());
        if (finished.Count > 0)
            statements.Add(FinishStatement());
        if (ends.Count > 0)
            statements.Add(EndStatement());
        return statements;
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

    public void Learn(NpgsqlDataReader row)
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

    Statement StartStatement()
    {
        NpgsqlParameter[] asked =
        [
            Column(starts, s => s.Number), Column(starts, s => s.Call.TenantId.Value), Column(starts, s => s.Call.ExecutionId.Value),
            Column(starts, s => s.Call.Execution.WorkflowId.Value), Column(starts, s => s.Call.Request.WorkflowVersion),
            Column(starts, s => EnumText<ExecutionTrigger>.Of(s.Call.Execution.Trigger)), Column(starts, s => s.Call.Execution.Priority),
            Column(starts, s => s.Call.Execution.StartedBy?.Value), Column(starts, s => s.Call.Execution.CreatedAt), Column(starts, s => s.Call.Request.DueAt),
            Column(starts, s => s.Call.Execution.Input?.Stored), Column(starts, s => s.Call.Execution.ParentId?.Value), Column(starts, s => s.Call.Execution.Detached),
            Column(starts, s => s.Call.Execution.MaxRetries), Column(starts, s => s.Call.Request.MaxAttempts),
            Column(starts, s => s.Call.Request.Concurrency?.Key), Column(starts, s => s.Call.Request.Concurrency?.Maximum),
            Column(starts, s => s.Call.Request.DedupKey), Column(starts, s => s.Call.DedupUntil), P(databaseNow), .. Mark(),
        ];
        var attributes = starts.SelectMany(s => s.Call.Attributes, (s, attribute) => (s.Call, attribute.Name, attribute.Value)).ToList();
        var stored = starts.SelectMany(s => s.Call.Payloads?.Rows ?? [], (s, row) => (s.Call, Row: row)).ToList();
        var text = StartText(starts.Exists(s => s.Call.Request.DedupKey is not null), starts.Exists(s => s.Call.Request.Concurrency is not null), attributes.Count > 0, stored.Count > 0);
        return attributes.Count + stored.Count == 0 ? new(text, asked) : new(text,
        [
            .. asked, Column(attributes, a => a.Call.TenantId.Value), Column(attributes, a => a.Call.ExecutionId.Value), Column(attributes, a => a.Call.Execution.WorkflowId.Value),
            Column(attributes, a => a.Name), Column(attributes, a => a.Value),
            Column(stored, b => b.Call.TenantId.Value), Column(stored, b => b.Call.ExecutionId.Value), .. Payloads(stored, b => b.Row),
        ]);
    }

    Statement LockStatement() => new(Thorough ? LockWithLimits : Lock, Leases(ends, e => e.Call.Lease));

    bool Thorough => ends.Exists(end => end.Call.Thorough);

    Statement RenewStatement() => new(Renew,
        [Column(renewals, r => r.Number), .. Leases(renewals, r => r.Call.Lease), Column(renewals, r => r.Call.Duration), P(databaseNow), .. Mark()]);

    Statement BodiesStatement() => new(Bodies, [.. Leases(bodies, b => b.Call.Lease), .. Payloads(bodies, b => b.Body)]);

    Statement BeginStatement() => new(Begin,
    [
        .. Steps(begun), Column(begun, s => s.Row.StartedAt), Column(begun, s => s.Row.FinishedAt),
        Column(begun, s => s.Row.Input?.Stored), Column(begun, s => s.Row.Output?.Stored), .. Mark(),
    ]);

    Statement FinishStatement() => new(Finish, [.. Steps(finished), Column(finished, s => s.Row.FinishedAt), Column(finished, s => s.Row.Output?.Stored), .. Mark(), .. Bounds(finished, s => s.Call.ExecutionId)]);

    Statement EndStatement() => new(Thorough ? ThoroughEnd : End,
    [
        Column(ends, e => e.Number), .. Leases(ends, e => e.Call.Lease), Column(ends, e => EnumText<ExecutionStatus>.Of(e.Call.Outcome.Status)),
        Column(ends, e => e.Call.Reason), Column(ends, e => e.Call.Error), Column(ends, e => e.Call.FinishedAt), Column(ends, e => e.Call.Output?.Stored),
        P(databaseNow), .. Mark(), .. Bounds(ends, e => e.Call.ExecutionId),
    ]);

    static NpgsqlParameter[] Bounds<T>(List<T> of, Func<T, Id<Execution>> id) => [P(of.Min(id)), P(of.Max(id))];

    NpgsqlParameter[] Mark() => [P(calls[0].TenantId), P(id), P(marks++)];

    static NpgsqlParameter[] Steps(List<Step> steps) =>
    [
        Column(steps, s => s.Number), .. Leases(steps, s => s.Call.Lease), Column(steps, s => s.Row.Node), Column(steps, s => s.Row.Iteration), Column(steps, s => s.Row.Attempt),
        Column(steps, s => EnumText<ExecutionStatus>.Of(s.Row.Status)), Column(steps, s => s.Row.Reason), Column(steps, s => s.Row.Error),
    ];

    static NpgsqlParameter[] Leases<T>(List<T> of, Func<T, ExecutionLease> lease) =>
    [
        Column(of, one => lease(one).ShardKey), Column(of, one => lease(one).ExecutionId.Value), Column(of, one => lease(one).TenantId.Value), Column(of, one => lease(one).Fence),
    ];

    public static NpgsqlParameter[] Payloads<T>(List<T> of, Func<T, StoredPayload> row) =>
    [
        Column(of, b => row(b).Hash), Column(of, b => row(b).ContentType), Column(of, b => EnumText<PayloadEncoding>.Of(row(b).Encoding)), Column(of, b => row(b).SizeBytes),
        Column(of, b => row(b).Body), Column(of, b => row(b).ObjectKey), Column(of, b => row(b).Sealed), Column(of, b => row(b).WholeSizeBytes),
    ];

    static NpgsqlParameter Column<TItem, T>(List<TItem> items, Func<TItem, T> pick)
    {
        var values = new T[items.Count];
        for (var i = 0; i < values.Length; i++)
            values[i] = pick(items[i]);
        return P(values);
    }
}
