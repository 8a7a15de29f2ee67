using System.Collections.Concurrent;
using Flowstone.Data;
using Flowstone.Tenancy;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Executions;

/// <summary>
/// The statements of one group, in one transaction and one round trip whatever their number: its mark, the locks of all leases, then starts,
/// renewals, steps, ends. A call that changes nothing ends the transaction (it divides by zero, or takes a logarithm of it), which saves asking
/// first; <see cref="GroupCommit"/> then finds the one. Rows that come back begin with what they tell.
/// </summary>
sealed class WriteGroup
{
    const int Started = 0, Renewed = 1, Unparked = 4;   // 3: nothing to learn

    /// <summary>What a claim's rows begin with.</summary>
    public const int Claimed = 5;

    // How these statements find rows by their keys, whatever the planner believes: one plan serves for all, also when it was made while a table
    // was empty, where every index costs the same. "tenant_id = any(array[…])" is a condition for the index like any other, but none to sort by:
    // then a scan of the whole index is not considered. "(tenant_id = …) is true" is none for an index: else one that has the tenant, but not
    // the rest, might be taken. Executions are looked for with their workflow, so that both indexes that may be taken are exact.

    public const string Payload = "hash, content_type, encoding, size_bytes, body, object_key, sealed, whole_size_bytes";

    // Before the rest, so that whoever asks for the outcome of a group that is still to come can take its place.
    const string Open = """
        with mark as (insert into flowstone.write_marks (tenant_id, group_id) values ($1, $2))
        select 3, set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true), set_config('plan_cache_mode', 'force_generic_plan', true)
        """;

    // The right to write: the queue's rows with the fencing numbers, locked until the commit. Before anything is written, and in a statement of
    // its own: the snapshots of those that follow have all that was written before under these leases.
    const string Lock = """
        select 3, ln(case when count(*) = $5 then 1 else 0 end) from unnest($1, $2, $3, $4) a (shard_key, execution_id, tenant_id, fence), lateral (
            select from flowstone.execution_queue q
             where q.shard_key = a.shard_key and q.execution_id = a.execution_id and (q.tenant_id = a.tenant_id) is true and q.fence = a.fence for update) q
        """;

    // The limits that are held by what ends, so that whoever is parked for them is seen.
    const string LockLimits = """
        with held as materialized (
            select a.tenant_id, q.holds from unnest($1, $2, $3) a (shard_key, execution_id, tenant_id), lateral (
                select q.holds from flowstone.execution_queue q where q.shard_key = a.shard_key and q.execution_id = a.execution_id and (q.tenant_id = a.tenant_id) is true offset 0) q),
        limits as materialized (
            select 1 from flowstone.execution_limits l
             where (l.tenant_id, l.name) in (select tenant_id, unnest(holds) from held where holds is not null) order by l.tenant_id, l.name for update)
        select 3, (select count(*) from limits)
        """;

    // Which of many leases are lost: asked after the lock failed.
    const string Lost = """
        select a.number::int from unnest($1, $2, $3, $4) with ordinality a (shard_key, execution_id, tenant_id, fence, number)
         where not exists (select from flowstone.execution_queue q
                            where q.shard_key = a.shard_key and q.execution_id = a.execution_id and (q.tenant_id = a.tenant_id) is true and q.fence = a.fence offset 0)
        """;

    // What few starts or steps need is in the text only where one of the group does: every part costs, used or not.
    static readonly ConcurrentDictionary<StartParts, string> startTexts = new();

    readonly record struct StartParts(bool Special, bool Dedup, bool Limited, bool Attributes, bool Bodies);

    const int StartColumns = 12, SpecialColumns = 8, AttributeColumns = 5, BodyColumns = 10;

    // One statement, so that an execution is never there without its place in the queue. Queued by database time unless a time is asked for.
    // A dedup key that is taken leaves its call without a row, as does a parent that has ended.
    static string StartText(StartParts parts) => startTexts.GetOrAdd(parts, static has =>
    {
        var special = StartColumns;
        var attributes = special + (has.Special ? SpecialColumns : 0);
        var bodies = attributes + (has.Attributes ? AttributeColumns : 0);
        var asked = has.Special
            ? $"""
                unnest({List(0, 11)}, {List(special, SpecialColumns)})
                   a (call, tenant_id, id, workflow_id, trigger, priority, started_by, created_at, input, max_retries, max_attempts,
                      workflow_version, due_at, parent_id, detached, concurrency_key, concurrency_max, dedup_key, dedup_until), lateral (
                select v.number, t.shard_key from flowstone.workflows w
                  join flowstone.workflow_versions v on v.tenant_id = w.tenant_id and v.workflow_id = w.id and v.number = coalesce(a.workflow_version, w.version)
                  join flowstone.tenants t on t.id = w.tenant_id
                 where w.tenant_id = a.tenant_id and w.id = a.workflow_id offset 0) v
             where a.parent_id is null or exists (
                select from flowstone.execution_queue p where p.shard_key = v.shard_key and p.execution_id = a.parent_id and (p.tenant_id = a.tenant_id) is true for key share)
            """
            : $"""
                unnest({List(0, 11)}) a (call, tenant_id, id, workflow_id, trigger, priority, started_by, created_at, input, max_retries, max_attempts), lateral (
                select w.version as number, t.shard_key, null::timestamptz as due_at, null::uuid as parent_id, false as detached, null::varchar as concurrency_key
                  from flowstone.workflows w join flowstone.tenants t on t.id = w.tenant_id
                 where w.tenant_id = a.tenant_id and w.id = a.workflow_id offset 0) v
            """;
        return $"""
            with {(has.Dedup ? "valid" : "accepted")} as materialized (select a.*, v.* from {asked}),
            {(has.Dedup ? DedupParts : "")}
            run as (
                insert into flowstone.executions (tenant_id, id, workflow_id, workflow_version, status, trigger, priority, started_by, created_at, due_at, claims, input,
                       parent_id, detached, retry_count, max_retries)
                select tenant_id, id, workflow_id, number, 'PENDING', trigger, priority, started_by, created_at, coalesce(due_at, created_at), 0, input,
                       parent_id, detached, 0, max_retries
                  from accepted),
            {(has.Limited ? LimitParts : "")}
            {(has.Attributes ? $"""
            attributes as (
                insert into flowstone.execution_attributes (tenant_id, execution_id, workflow_id, name, value)
                select a.tenant_id, a.execution_id, a.workflow_id, a.name, a.value from unnest({List(attributes, AttributeColumns)}) a (tenant_id, execution_id, workflow_id, name, value)
                 where coalesce(a.execution_id in (select id from accepted), false)),
            """ : "")}
            {(has.Bodies ? $"""
            bodies as (
                insert into flowstone.payloads (tenant_id, execution_id, {Payload})
                select b.tenant_id, b.execution_id, {Payload} from unnest({List(bodies, BodyColumns)})
                     b (tenant_id, execution_id, {Payload}) where coalesce(b.execution_id in (select id from accepted), false)),
            """ : "")}
            queued as (
                insert into flowstone.execution_queue (shard_key, execution_id, tenant_id, workflow_id, priority, visible_at, fence, failures, max_attempts, concurrency_key)
                select shard_key, id, tenant_id, workflow_id, priority, coalesce(due_at, $12, now()), 0, 0, max_attempts, concurrency_key from accepted)
            select 0, call, number from accepted
            """;
    });

    static string List(int after, int count) => string.Join(", ", Enumerable.Range(after + 1, count).Select(number => $"${number}"));

    const string DedupParts = """
        keyed as (
            insert into flowstone.execution_keys as k (tenant_id, key, execution_id, expires_at)
            select tenant_id, dedup_key, id, dedup_until from valid where dedup_key is not null
            on conflict (tenant_id, key) do update set execution_id = excluded.execution_id, expires_at = excluded.expires_at
                  where k.expires_at <= coalesce($12, now()) returning execution_id),
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

    // The one write of a group that may change nothing: its worker is told that the lease is lost.
    const string Renew = """
        update flowstone.execution_queue q set visible_at = coalesce($7, now()) + held.lease
          from (select a.*, q.place from unnest($1, $2, $3, $4, $5, $6) a (call, shard_key, execution_id, tenant_id, fence, lease), lateral (
                    select q.ctid as place from flowstone.execution_queue q
                     where q.shard_key = a.shard_key and q.execution_id = a.execution_id and (q.tenant_id = a.tenant_id) is true and q.fence = a.fence for update) q) held
         where q.ctid = held.place and (q.tenant_id = held.tenant_id) is true
        returning 1, held.call
        """;

    const string Bodies = $"""
        insert into flowstone.payloads (tenant_id, execution_id, {Payload})
        select a.tenant_id, a.execution_id, {Payload} from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) a (tenant_id, execution_id, {Payload})
        on conflict do nothing
        """;

    // A start must be new, or the key is violated.
    const string Begin = """
        insert into flowstone.node_executions (tenant_id, execution_id, node, iteration, attempt, started_at, input, status)
        select a.*, 'RUNNING' from unnest($1, $2, $3, $4, $5, $6, $7) a (tenant_id, execution_id, node, iteration, attempt, started_at, input)
        """;

    // Steps that start and finish within one call.
    const string Whole = """
        insert into flowstone.node_executions (tenant_id, execution_id, node, iteration, attempt, started_at, input, status, finished_at, output, reason, error)
        select tenant_id, execution_id, node, iteration, attempt, started_at, input, status, greatest(started_at, finished_at), output, reason, error
          from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
               a (tenant_id, execution_id, node, iteration, attempt, started_at, input, status, finished_at, output, reason, error)
        """;

    static readonly string Finish = FinishText(failed: false);
    static readonly string FinishFailed = FinishText(failed: true);

    // A finish must find its step running.
    static string FinishText(bool failed) => $"""
        with finished as (
            update flowstone.node_executions n set status = a.status, finished_at = greatest(n.started_at, a.finished_at), output = a.output{(failed ? ", reason = a.reason, error = a.error" : "")}
              from unnest($1, $2, $3, $4, $5, $6, $7, $8{(failed ? ", $10, $11" : "")})
                   a (tenant_id, execution_id, node, iteration, attempt, status, finished_at, output{(failed ? ", reason, error" : "")})
             where n.tenant_id = any(array[a.tenant_id]) and n.execution_id = a.execution_id and n.node = a.node and n.iteration = a.iteration and n.attempt = a.attempt
               and n.status = 'RUNNING'
            returning 1)
        select 3, 1 / (case when count(*) = $9 then 1 else 0 end) from finished
        """;

    // Most executions end with no step open and hold no limit: then there is nothing to close and to give back, and the text without those
    // parts costs half. It divides by zero where that is not so; the call is then sent again as a thorough one.
    static readonly string End = EndText(thorough: false);
    static readonly string ThoroughEnd = EndText(thorough: true);

    static string EndText(bool thorough) => $"""
        with held as materialized (
            select a.*, q.place, q.workflow_id from unnest($1, $2, $3, $4, $5, $6, $7, $8)
                   a (shard_key, execution_id, tenant_id, status, reason, error, finished_at, output), lateral (
                select q.ctid as place, q.workflow_id from flowstone.execution_queue q
                 where q.shard_key = a.shard_key and q.execution_id = a.execution_id and (q.tenant_id = a.tenant_id) is true {(thorough ? "" : "and q.holds is null")} offset 0) q),
        released as (
            delete from flowstone.execution_queue q using held h where q.ctid = h.place and (q.tenant_id = h.tenant_id) is true returning q.tenant_id, q.holds),
        {(thorough ? CloseSteps : "")}
        ended as (
            update flowstone.executions e set status = h.status, reason = h.reason, error = h.error, finished_at = greatest(e.started_at, h.finished_at), output = h.output
              from held h where e.tenant_id = any(array[h.tenant_id]) and e.workflow_id = h.workflow_id and e.id = h.execution_id and e.status = 'RUNNING'
            returning e.tenant_id, e.workflow_id, e.status, e.due_at, e.started_at, e.finished_at),
        {QueueSql.Count}{(thorough ? $", {QueueSql.LetGo("$9")}" : "")}
        select 3, 1 / (case when (select count(*) from ended) = $10 {(thorough ? "" : NothingOpen)} then 1 else 0 end), null::uuid
        {(thorough ? "union all select distinct 4, unparked.priority, unparked.tenant_id from unparked" : "")}
        """;

    const string CloseSteps = """
        open_steps as (
            update flowstone.node_executions n set status = 'CANCELLED', reason = 'EXECUTION_ENDED', finished_at = greatest(n.started_at, h.finished_at)
              from held h where n.tenant_id = any(array[h.tenant_id]) and n.execution_id = h.execution_id and n.finished_at is null),
        """;

    const string NothingOpen = """
        and not exists (select from held h, lateral (
                select from flowstone.node_executions n where n.tenant_id = h.tenant_id and n.execution_id = h.execution_id and n.finished_at is null offset 0) n)
        """;

    // Takes the mark that the group would have set: waits for the group if it is still under way, and stops it if it is yet to come.
    const string Forestall = "insert into flowstone.write_marks (tenant_id, group_id) values ($1, $2) on conflict do nothing";

    const string Versions = """
        select a.call, e.workflow_version from unnest($1, $2, $3) a (call, tenant_id, id), lateral (
            select e.workflow_version from flowstone.executions e where e.tenant_id = a.tenant_id and e.id = a.id offset 0) e
        """;

    readonly IReadOnlyList<WriteCall> calls;
    readonly List<(StartCall Call, int Number)> starts = [];
    readonly List<FinishCall> ends = [];
    readonly List<(RenewCall Call, int Number)> renewals = [];
    readonly List<LeasedCall> leased = [];
    readonly (Statement Statement, Action<NpgsqlDataReader> Read)? claim;
    readonly List<Step> begun = [];
    readonly List<Step> whole = [];
    readonly List<Step> finished = [];
    readonly List<(LeasedCall Call, StoredPayload Body)> bodies = [];
    readonly DateTimeOffset? databaseNow;
    readonly string tenants;
    readonly Id<WriteMark> id;

    readonly record struct Step(RecordCall Call, NodeWrites.Row Row);

    public WriteGroup(IReadOnlyList<WriteCall> calls, TimeProvider clock)
    {
        (this.calls, databaseNow, id) = (calls, ExecutionRepository.DatabaseNow(clock), Id<WriteMark>.New(clock));
        var owners = new HashSet<Id<Tenant>>();
        for (var number = 0; number < calls.Count; number++)
        {
            owners.Add(calls[number].TenantId);
            if (calls[number] is LeasedCall { Payloads: { } payloads } storing)
                foreach (var row in payloads.Rows)
                    bodies.Add((storing, row));
            switch (calls[number])
            {
                case StartCall start:
                    starts.Add((start, number));
                    break;
                case RenewCall renewal:
                    renewals.Add((renewal, number));
                    break;
                case FinishCall end:
                    ends.Add(end);
                    leased.Add(end);
                    break;
                case ClaimCall call:
                    owners.UnionWith(call.Tenants);
                    claim = call.Begin();
                    break;
                case RecordCall record:
                    leased.Add(record);
                    foreach (var row in record.Writes.Rows)
                        (row.StartedAt is null ? finished : row.FinishedAt is null ? begun : whole).Add(new Step(record, row));
                    break;
            }
        }
        tenants = string.Join(',', owners);

        // Locks are taken in one order everywhere.
        leased.Sort((one, other) => Compare(one.Lease, other.Lease));
        renewals.Sort((one, other) => Compare(one.Call.Lease, other.Call.Lease));
        bodies.Sort((one, other) => Compare(one.Call.Lease, other.Call.Lease) is var order and not 0 ? order : one.Body.Hash.AsSpan().SequenceCompareTo(other.Body.Hash));
    }

    static int Compare(ExecutionLease one, ExecutionLease other)
        => one.ShardKey.CompareTo(other.ShardKey) is var order and not 0 ? order : one.ExecutionId.CompareTo(other.ExecutionId);

    /// <summary>What may be claimed now, or later, because of this group.</summary>
    public List<QueuedWork> Queued { get; } = [];

    public async Task CommitAsync(Database database)
    {
        // Nobody asks for the outcome of a claim: what it took comes back when the lease has run out.
        var open = calls is [ClaimCall] ? new Statement(Database.ByKeyOnly) : new Statement(Open, P(calls[0].TenantId), P(id));
        await database.TransactAsync(tenants, [open, .. Statements()], Learn, CancellationToken.None);
        AddQueued();
    }

    void AddQueued()
        => Queued.AddRange(starts.Where(s => s.Call.Version is not null).Select(s => new QueuedWork(s.Call.TenantId, s.Call.Execution.Priority, s.Call.Request.DueAt)));

    /// <summary>What the group writes, for a transaction that has the role and the tenants.</summary>
    public List<Statement> Statements()
    {
        var statements = new List<Statement>();
        if (leased.Count > 0)
            statements.Add(new(Lock, [.. Leases(leased), P((long)leased.Count)]));
        if (Thorough)
            statements.Add(new(LockLimits, Leases(ends)[..3]));
        if (starts.Count > 0)
            statements.Add(StartStatement());
        if (renewals.Count > 0)
            statements.Add(RenewStatement());
        if (bodies.Count > 0)
            statements.Add(BodiesStatement());
        if (begun.Count > 0)
            statements.Add(new(Begin, Begun(begun)));
        if (whole.Count > 0)
            statements.Add(WholeStatement());
        if (finished.Count > 0)
            statements.Add(FinishStatement());
        if (ends.Count > 0)
            statements.Add(EndStatement());
        if (claim is { } claiming)
            statements.Add(claiming.Statement);
        return statements;
    }

    /// <summary>After the connection was lost: whether the group was committed, and then what became of each start.</summary>
    /// <returns>False if nothing was stored, and now never will be.</returns>
    public async Task<bool> FindOutcomeAsync(Database database)
    {
        if (await database.TransactAsync(tenants, [new(Forestall, P(calls[0].TenantId), P(id))], null, CancellationToken.None) is [1])
            return false;
        if (starts.Count > 0)
            await database.TransactAsync(tenants, [new(Versions,
                Column(starts, s => s.Number), Column(starts, s => s.Call.TenantId.Value), Column(starts, s => s.Call.ExecutionId.Value))],
                row => ((StartCall)calls[row.GetInt32(0)]).Version = row.GetInt32(1), CancellationToken.None);
        AddQueued();
        return true;
    }

    /// <summary>The calls whose lease is lost. What is lost stays so.</summary>
    public async Task<IReadOnlyList<LeasedCall>> FindLostAsync(Database database)
    {
        var lost = new List<LeasedCall>();
        if (leased.Count > 0)
            await database.TransactAsync(tenants, [new(Database.ByKeyOnly), new(Lost, Leases(leased))], row =>
            {
                if (row.FieldCount == 1)
                    lost.Add(leased[row.GetInt32(0) - 1]);
            }, CancellationToken.None);
        return lost;
    }

    public void Learn(NpgsqlDataReader row)
    {
        switch (row.GetInt32(0))
        {
            case Started:
                ((StartCall)calls[row.GetInt32(1)]).Version = row.GetInt32(2);
                break;
            case Renewed:
                ((RenewCall)calls[row.GetInt32(1)]).Held = true;
                break;
            case Claimed:
                claim!.Value.Read(row);
                break;
            case Unparked:
                Queued.Add(new QueuedWork(new(row.GetGuid(2)), (short)row.GetInt32(1), null));
                break;
        }
    }

    Statement StartStatement()
    {
        var attributes = starts.SelectMany(s => s.Call.Attributes, (s, attribute) => (s.Call, attribute.Name, attribute.Value)).ToList();
        var stored = starts.SelectMany(s => s.Call.Payloads?.Rows ?? [], (s, row) => (s.Call, Row: row)).ToList();
        var parts = new StartParts(starts.Exists(s => s.Call.Special), starts.Exists(s => s.Call.Request.DedupKey is not null),
            starts.Exists(s => s.Call.Request.Concurrency is not null), attributes.Count > 0, stored.Count > 0);
        return new(StartText(parts),
        [
            Column(starts, s => s.Number), Column(starts, s => s.Call.TenantId.Value), Column(starts, s => s.Call.ExecutionId.Value),
            Column(starts, s => s.Call.Execution.WorkflowId.Value), Column(starts, s => EnumText<ExecutionTrigger>.Of(s.Call.Execution.Trigger)),
            Column(starts, s => s.Call.Execution.Priority), Column(starts, s => s.Call.Execution.StartedBy?.Value), Column(starts, s => s.Call.Execution.CreatedAt),
            Column(starts, s => s.Call.Execution.Input?.Stored), Column(starts, s => s.Call.Execution.MaxRetries), Column(starts, s => s.Call.Request.MaxAttempts), P(databaseNow),
            .. parts.Special ? Special() : [],
            .. parts.Attributes ? Attributes() : [],
            .. parts.Bodies ? Bodies() : [],
        ]);

        NpgsqlParameter[] Special() =>
        [
            Column(starts, s => s.Call.Request.WorkflowVersion), Column(starts, s => s.Call.Request.DueAt), Column(starts, s => s.Call.Execution.ParentId?.Value),
            Column(starts, s => s.Call.Execution.Detached), Column(starts, s => s.Call.Request.Concurrency?.Key), Column(starts, s => s.Call.Request.Concurrency?.Maximum),
            Column(starts, s => s.Call.Request.DedupKey), Column(starts, s => s.Call.DedupUntil),
        ];

        NpgsqlParameter[] Attributes() =>
        [
            Column(attributes, a => a.Call.TenantId.Value), Column(attributes, a => a.Call.ExecutionId.Value), Column(attributes, a => a.Call.Execution.WorkflowId.Value),
            Column(attributes, a => a.Name), Column(attributes, a => a.Value),
        ];

        NpgsqlParameter[] Bodies() => [Column(stored, b => b.Call.TenantId.Value), Column(stored, b => b.Call.ExecutionId.Value), .. Payloads(stored, b => b.Row)];
    }

    bool Thorough => ends.Exists(end => end.Thorough);

    Statement RenewStatement()
        => new(Renew, [Column(renewals, r => r.Number), .. Leases(renewals.ConvertAll(r => r.Call)), Column(renewals, r => r.Call.Duration), P(databaseNow)]);

    Statement BodiesStatement()
        => new(Bodies, [Column(bodies, b => b.Call.TenantId.Value), Column(bodies, b => b.Call.ExecutionId.Value), .. Payloads(bodies, b => b.Body)]);

    Statement WholeStatement() => new(Whole, [.. Begun(whole), .. Outcomes(whole), .. Errors(whole)]);

    Statement FinishStatement()
    {
        NpgsqlParameter[] plain = [.. Keys(finished), .. Outcomes(finished), P((long)finished.Count)];
        return finished.Exists(s => s.Row.Reason is not null || s.Row.Error is not null) ? new(FinishFailed, [.. plain, .. Errors(finished)]) : new(Finish, plain);
    }

    Statement EndStatement() => new(Thorough ? ThoroughEnd : End,
    [
        .. Leases(ends)[..3], Column(ends, e => EnumText<ExecutionStatus>.Of(e.Outcome.Status)), Column(ends, e => e.Reason), Column(ends, e => e.Error),
        Column(ends, e => e.FinishedAt), Column(ends, e => e.Output?.Stored), P(databaseNow), P((long)ends.Count),
    ]);

    static NpgsqlParameter[] Keys(List<Step> steps) =>
    [
        Column(steps, s => s.Call.TenantId.Value), Column(steps, s => s.Call.ExecutionId.Value), Column(steps, s => s.Row.Node), Column(steps, s => s.Row.Iteration),
        Column(steps, s => s.Row.Attempt),
    ];

    static NpgsqlParameter[] Begun(List<Step> steps) => [.. Keys(steps), Column(steps, s => s.Row.StartedAt), Column(steps, s => s.Row.Input?.Stored)];

    static NpgsqlParameter[] Outcomes(List<Step> steps)
        => [Column(steps, s => EnumText<ExecutionStatus>.Of(s.Row.Status)), Column(steps, s => s.Row.FinishedAt), Column(steps, s => s.Row.Output?.Stored)];

    static NpgsqlParameter[] Errors(List<Step> steps) => [Column(steps, s => s.Row.Reason), Column(steps, s => s.Row.Error)];

    static NpgsqlParameter[] Leases<T>(List<T> of) where T : LeasedCall =>
    [
        Column(of, one => one.Lease.ShardKey), Column(of, one => one.Lease.ExecutionId.Value), Column(of, one => one.Lease.TenantId.Value), Column(of, one => one.Lease.Fence),
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
