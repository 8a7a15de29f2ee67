using System.Collections.Concurrent;
using Flowstone.Data;

namespace Flowstone.Executions;

/// <summary>The texts of a <see cref="WriteGroup"/>. Rows that come back begin with what they tell.</summary>
static class WriteSql
{
    public const int Started = 0, Renewed = 1, Unparked = 4;   // 3: nothing to learn

    /// <summary>What a claim's rows begin with.</summary>
    public const int Claimed = 5;

    // How these statements find rows by their keys, whatever the planner believes: one plan serves for all, also when it was made while a table
    // was empty, where every index costs the same. "tenant_id = any(array[…])" is a condition for the index like any other, but none to sort by:
    // then a scan of the whole index is not considered. "(tenant_id = …) is true" is none for an index: else one that has the tenant, but not
    // the rest, might be taken. Executions are looked for with their workflow, so that both indexes that may be taken are exact.

    /// <summary>The columns of a stored payload, as <see cref="WriteGroup.Payloads"/> gives them.</summary>
    public const string Payload = "hash, content_type, encoding, size_bytes, body, object_key, sealed, whole_size_bytes";

    // Before the rest, so that whoever asks for the outcome of a group that is still to come can take its place.
    public const string Open = $"with mark as (insert into flowstone.write_marks (tenant_id, group_id) values ($1, $2)) {Database.ByKeyOnly}";

    // The right to write: the queue's rows with the fencing numbers, locked until the commit. A lease that is lost makes it the logarithm of
    // nought. What ends is locked before anything else, in a statement of its own: the snapshots of those that follow have all that was written
    // before under these leases.
    public const string Lock = $"select 3, ln(count(*) - $5 + 1) from unnest($1, $2, $3, $4) a (shard_key, execution_id, tenant_id, fence), {Locked}";

    const string Locked = """
        lateral (select from flowstone.execution_queue q
                  where q.shard_key = a.shard_key and q.execution_id = a.execution_id and (q.tenant_id = a.tenant_id) is true and q.fence = a.fence for update) q
        """;

    // The limits that are held by what ends, so that whoever is parked for them is seen.
    public const string LockLimits = """
        with held as materialized (
            select a.tenant_id, q.holds from unnest($1, $2, $3) a (shard_key, execution_id, tenant_id), lateral (
                select q.holds from flowstone.execution_queue q where q.shard_key = a.shard_key and q.execution_id = a.execution_id and (q.tenant_id = a.tenant_id) is true offset 0) q),
        limits as materialized (
            select 1 from flowstone.execution_limits l
             where (l.tenant_id, l.name) in (select tenant_id, unnest(holds) from held where holds is not null) order by l.tenant_id, l.name for update)
        select 3, (select count(*) from limits)
        """;

    // Which of many leases are lost: asked after the lock failed.
    public const string Lost = """
        select a.number::int from unnest($1, $2, $3, $4) with ordinality a (shard_key, execution_id, tenant_id, fence, number)
         where not exists (select from flowstone.execution_queue q
                            where q.shard_key = a.shard_key and q.execution_id = a.execution_id and (q.tenant_id = a.tenant_id) is true and q.fence = a.fence offset 0)
        """;

    // What few starts or steps need is in the text only where one of the group does: every part costs, used or not.
    static readonly ConcurrentDictionary<StartParts, string> starts = new();

    public readonly record struct StartParts(bool Special, bool Dedup, bool Limited, bool Attributes, bool Bodies);

    const int StartColumns = 12, SpecialColumns = 8, AttributeColumns = 5, BodyColumns = 10;

    // One statement, so that an execution is never there without its place in the queue. Queued by database time unless a time is asked for.
    // A dedup key that is taken leaves its call without a row, as does a parent that has ended.
    public static string Start(StartParts parts) => starts.GetOrAdd(parts, static has =>
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
                  join flowstone.workflow_versions v on v.tenant_id = w.tenant_id and v.workflow_id = w.id and v.number = coalesce(a.workflow_version, w.published_version, w.version)
                  join flowstone.tenants t on t.id = w.tenant_id
                 where w.tenant_id = a.tenant_id and w.id = a.workflow_id and w.deleted_at is null offset 0) v
             where a.parent_id is null or exists (
                select from flowstone.execution_queue p where p.shard_key = v.shard_key and p.execution_id = a.parent_id and (p.tenant_id = a.tenant_id) is true for key share)
            """
            : $"""
                unnest({List(0, 11)}) a (call, tenant_id, id, workflow_id, trigger, priority, started_by, created_at, input, max_retries, max_attempts), lateral (
                select coalesce(w.published_version, w.version) as number, t.shard_key, null::timestamptz as due_at, null::uuid as parent_id, false as detached, null::varchar as concurrency_key
                  from flowstone.workflows w join flowstone.tenants t on t.id = w.tenant_id
                 where w.tenant_id = a.tenant_id and w.id = a.workflow_id and w.deleted_at is null offset 0) v
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
    public const string Renew = """
        update flowstone.execution_queue q set visible_at = coalesce($7, now()) + held.lease
          from (select a.*, q.place from unnest($1, $2, $3, $4, $5, $6) a (call, shard_key, execution_id, tenant_id, fence, lease), lateral (
                    select q.ctid as place from flowstone.execution_queue q
                     where q.shard_key = a.shard_key and q.execution_id = a.execution_id and (q.tenant_id = a.tenant_id) is true and q.fence = a.fence for update) q) held
         where q.ctid = held.place and (q.tenant_id = held.tenant_id) is true
        returning 1, held.call
        """;

    public const string Bodies = $"""
        insert into flowstone.payloads (tenant_id, execution_id, {Payload})
        select a.tenant_id, a.execution_id, {Payload} from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) a (tenant_id, execution_id, {Payload})
        on conflict do nothing
        """;

    const string Step = "*shard_key, fence, *tenant_id, execution_id, node, *iteration, *attempt";
    const string Outcome = ", *status, finished_at, output";
    const string Trouble = ", reason, error";

    static readonly (string Many, string One) begin = (BeginText(false), BeginText(true));
    static readonly (string Many, string One) whole = (WholeText(false), WholeText(true));
    static readonly (string Many, string One) finish = (FinishText(false, false), FinishText(false, true));
    static readonly (string Many, string One) finishFailed = (FinishText(true, false), FinishText(true, true));

    public static string Begin(int steps) => steps == 1 ? begin.One : begin.Many;
    public static string Whole(int steps) => steps == 1 ? whole.One : whole.Many;
    public static string Finish(int steps, bool failed) => (failed, steps) switch
    {
        (false, 1) => finish.One,
        (false, _) => finish.Many,
        (true, 1) => finishFailed.One,
        _ => finishFailed.Many,
    };

    /// <summary>
    /// The steps that are given, as <c>a</c>: an array per column from $1 on. A column with a star is never null, and where it is the same for all
    /// of a group it comes as one element: each costs on both sides. (In a sub-select of its own, because "coalesce" behind a policy is no
    /// condition for an index.) A lone step's columns are constants to the planner.
    /// </summary>
    static string Given(string columns, bool one)
    {
        var names = columns.Split(", ").Select((name, i) => (Name: name.TrimStart('*'), First: $"(${i + 1})[1]", Shared: name[0] == '*')).ToList();
        return one
            ? $"(select {string.Join(", ", names.Select(c => $"{c.First} as {c.Name}"))}) a"
            : $"(select {string.Join(", ", names.Select(c => c.Shared ? $"coalesce(u.{c.Name}, {c.First}) as {c.Name}" : $"u.{c.Name}"))} from unnest({List(0, names.Count)}) u ({string.Join(", ", names.Select(c => c.Name))}) offset 0) a";
    }

    /// <summary>The parameter behind the columns: how many steps there are.</summary>
    static string Count(string columns) => $"${columns.Split(", ").Length + 1}";

    // A start must be new, or the key is violated.
    static string BeginText(bool one)
    {
        const string Columns = $"{Step}, started_at, input";
        return $"""
            with held as materialized (select a.* from {Given(Columns, one)}, {Locked}),
            begun as (
                insert into flowstone.node_executions (tenant_id, execution_id, node, iteration, attempt, started_at, input, status)
                select tenant_id, execution_id, node, iteration, attempt, started_at, input, 'RUNNING' from held)
            select 3, ln(count(*) - {Count(Columns)} + 1) from held
            """;
    }

    // Steps that start and finish within one call.
    static string WholeText(bool one)
    {
        const string Columns = $"{Step}, started_at, input{Outcome}{Trouble}";
        return $"""
            with held as materialized (select a.* from {Given(Columns, one)}, {Locked}),
            done as (
                insert into flowstone.node_executions (tenant_id, execution_id, node, iteration, attempt, started_at, input, status, finished_at, output, reason, error)
                select tenant_id, execution_id, node, iteration, attempt, started_at, input, status, greatest(started_at, finished_at), output, reason, error from held)
            select 3, ln(count(*) - {Count(Columns)} + 1) from held
            """;
    }

    // A finish must find its step running. A lone one's key is constant, so that only its partition is looked at.
    static string FinishText(bool failed, bool one)
    {
        var columns = $"{Step}{Outcome}{(failed ? Trouble : "")}";
        var (tenant, key) = one ? ("($3)[1]", "n.execution_id = ($4)[1] and n.node = ($5)[1] and n.iteration = ($6)[1] and n.attempt = ($7)[1]")
            : ("any(array[a.tenant_id])", "n.execution_id = a.execution_id and n.node = a.node and n.iteration = a.iteration and n.attempt = a.attempt");
        return $"""
            with held as materialized (select a.* from {Given(columns, one)}, {Locked}),
            finished as (
                update flowstone.node_executions n set status = a.status, finished_at = greatest(n.started_at, a.finished_at), output = a.output{(failed ? ", reason = a.reason, error = a.error" : "")}
                  from held a where n.tenant_id = {tenant} and {key} and n.status = 'RUNNING'
                returning 1)
            select 3, ln((select count(*) from held) - {Count(columns)} + 1), 1 / (case when count(*) = {Count(columns)} then 1 else 0 end) from finished
            """;
    }

    // Most executions end with no step open and hold no limit: then there is nothing to close and to give back, and the text without those
    // parts costs half. It divides by zero where that is not so; the call is then sent again as a thorough one.
    public static readonly string End = EndText(thorough: false);
    public static readonly string ThoroughEnd = EndText(thorough: true);

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
    public const string Forestall = "insert into flowstone.write_marks (tenant_id, group_id) values ($1, $2) on conflict do nothing";

    public const string Versions = """
        select a.call, e.workflow_version from unnest($1, $2, $3) a (call, tenant_id, id), lateral (
            select e.workflow_version from flowstone.executions e where e.tenant_id = a.tenant_id and e.id = a.id offset 0) e
        """;
}
