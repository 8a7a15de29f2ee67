using System.Diagnostics;
using Flowstone.Data;
using Flowstone.Tenancy;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Executions;

/// <summary>
/// Claims for all who ask: those who ask while a claim is under way are served together by the next. Each claim is one statement, with
/// whatever else is written just then, at the lanes where work is known to be (<see cref="QueueLanes"/>).
/// </summary>
/// <param name="bury">Ends an execution whose attempts are spent.</param>
sealed class ClaimLine(Database app, Database worker, GroupCommit writes, TimeProvider clock, QueueLanes lanes, Func<ExecutionLease, Task> bury)
{
    const int MostTenants = 16;

    // How long the known lanes are trusted: others queue work too. Where looking is slow, because of dead rows that an old snapshot keeps, it is
    // done less often; in between the known lanes are asked again, each from where its last claim ended, past the dead rows.
    static readonly TimeSpan askAgain = TimeSpan.FromSeconds(1);
    static readonly TimeSpan lookAgainAtLatest = TimeSpan.FromSeconds(15);
    const int LookShare = 20;   // looking takes one part of so many

    sealed record Asked(ClaimRequest Request, TaskCompletionSource<IReadOnlyList<ClaimedExecution>> Answer);

    readonly Lock guard = new();
    readonly List<Asked> waiting = [];
    bool serving;
    long lookedAt, askedAgainAt;
    TimeSpan lookTook;
    TimeSpan ahead;   // of the database's clock before ours

    /// <summary>By the database's clock, as far as it is known here.</summary>
    public DateTimeOffset Now => clock.Now() + ahead;

    /// <summary>How long until the lanes were last looked at, or asked again, so long ago.</summary>
    public TimeSpan UntilLook(TimeSpan interval) => lookedAt == 0 ? TimeSpan.Zero : interval - Stopwatch.GetElapsedTime(askedAgainAt);

    public Task<IReadOnlyList<ClaimedExecution>> ClaimAsync(ClaimRequest request)
    {
        var asked = new Asked(request, new(TaskCreationOptions.RunContinuationsAsynchronously));
        lock (guard)
        {
            waiting.Add(asked);
            if (!serving)
            {
                serving = true;
                _ = ServeAsync();   // ends every call that it takes, with what befell it
            }
        }
        return asked.Answer.Task;
    }

    async Task ServeAsync()
    {
        while (true)
        {
            await Task.Yield();   // who is about to ask, asks with the first
            List<Asked> together;
            lock (guard)
            {
                if (waiting.Count == 0)
                {
                    serving = false;
                    return;
                }
                // Those who ask for the same: a name, a lease, a tenant.
                var first = waiting[0].Request;
                var room = 1000;
                together = waiting.Where(a => a.Request with { Limit = 0 } == first with { Limit = 0 } && (room -= a.Request.Limit) >= 0).ToList();
                waiting.RemoveAll(together.Contains);
            }
            try
            {
                var started = Stopwatch.GetTimestamp();
                var claimed = await ClaimAsync(together[0].Request, together.Sum(a => a.Request.Limit));
                QueueMeters.Claimed.Record(claimed.Count);
                QueueMeters.Claim.Record(Stopwatch.GetElapsedTime(started).TotalSeconds);
                var given = 0;
                foreach (var asked in together)
                {
                    var share = Math.Min(asked.Request.Limit, claimed.Count - given);
                    asked.Answer.SetResult(claimed.GetRange(given, share));
                    given += share;
                }
            }
            catch (Exception error)
            {
                // Handled where the calls are awaited.
                foreach (var asked in together)
                    asked.Answer.TrySetException(error);
            }
        }
    }

    async Task<List<ClaimedExecution>> ClaimAsync(ClaimRequest request, int limit)
    {
        var claimed = new List<ClaimedExecution>();
        var trustedFor = lookTook * LookShare is var slow && slow > askAgain ? slow < lookAgainAtLatest ? slow : lookAgainAtLatest : askAgain;
        if (lookedAt == 0 || Stopwatch.GetElapsedTime(lookedAt) > trustedFor)
        {
            await LookAsync(request.TenantId);
        }
        else if (Stopwatch.GetElapsedTime(askedAgainAt) > askAgain)
        {
            lanes.AskAgain();
            askedAgainAt = Stopwatch.GetTimestamp();
        }
        var emptied = new HashSet<QueueLane>();   // what came since is for the next who asks: whoever has something to do need not wait for more
        var looked = false;
        while (claimed.Count < limit)
        {
            var chosen = lanes.Choose(request.TenantId, limit - claimed.Count, MostTenants, Now);
            chosen.RemoveAll(c => emptied.Contains(c.Lane));
            if (chosen.Count == 0 && claimed.Count == 0 && !looked && MayLook())
            {
                looked = true;
                await LookAsync(request.TenantId);
                chosen = lanes.Choose(request.TenantId, limit, MostTenants, Now);
            }
            if (chosen.Count == 0)
                break;
            try
            {
                await ClaimAsync(request, chosen, claimed, emptied);
            }
            catch (ConflictException) when (!chosen.Exists(c => c.Lane.Limited))
            {
                // Pauses or limits are in the way: with them then, and from now on until the lane is empty.
                foreach (var (lane, _, _) in chosen)
                    lane.Limited = true;
            }
        }
        return claimed;

        // Who asks an empty queue again and again costs little; a test's clock may have moved.
        bool MayLook() => clock != TimeProvider.System || Stopwatch.GetElapsedTime(lookedAt) > lookTook * LookShare;
    }

    // With pauses and limits in the way. Limits are locked in one order, and only those that matter. What holds its places already, because
    // its worker was lost, keeps them.
    const string Limits = """
        wanted as materialized (
            select n.tenant_id, n.execution_id, name, row_number() over (partition by n.tenant_id, name order by n.number, n.visible_at, n.execution_id) as rank
              from named n, unnest(n.names) name where n.paused is null and n.holds is null),
        room as materialized (
            select l.tenant_id, l.name, l.maximum - l.running as places from flowstone.execution_limits l
             where (l.tenant_id, l.name) in (select tenant_id, name from wanted) order by l.tenant_id, l.name for update),
        refused as (
            select w.tenant_id, w.execution_id, min(w.name) as name from wanted w join room r on r.tenant_id = w.tenant_id and r.name = w.name
             where w.rank > r.places group by w.tenant_id, w.execution_id),
        parked as (
            update flowstone.execution_queue q set visible_at = 'infinity', parked_for = coalesce(n.paused, f.name), worker = null,
                   failures = n.failures, holds = null
              from named n left join refused f on f.execution_id = n.execution_id
             where q.ctid = n.place and (q.tenant_id = n.tenant_id) is true and (n.paused is not null or f.name is not null)
            returning n.tenant_id, n.holds),
        """;

    const string Counted = """
        counted as (
            update flowstone.execution_limits l set running = l.running + c.places
              from (select tenant_id, name, sum(places)::int as places from (
                        select t.tenant_id, name, 1 as places from taken t, unnest(t.names) name where t.held is null
                        union all select p.tenant_id, name, -1 from parked p, unnest(p.holds) name) places group by tenant_id, name) c
             where l.tenant_id = c.tenant_id and l.name = c.name),
        """;

    static readonly string Claim = ClaimText(limits: false);
    static readonly string ClaimWithLimits = ClaimText(limits: true);

    // Without limits, the root of -1 tells that there are some. "case" and not "coalesce": behind a policy the latter is no condition for an
    // index, and the walk would go on over all leases, dead ones too.
    static string ClaimText(bool limits) => $"""
        with due as materialized (
            select d.*, l.number from unnest($1, $2, $3, $4, $5) with ordinality l (tenant_id, priority, visible_from, id_from, quota, number), lateral (
                select from flowstone.tenants t where t.id = l.tenant_id and t.paused_at is null offset 0) t, lateral (
                select q.ctid as place, q.shard_key, q.execution_id, q.tenant_id, q.workflow_id, q.fence, q.visible_at, q.concurrency_key, q.holds,
                       (q.failures + case when q.worker is null then 0 else 1 end)::smallint as failures, q.worker is not null as lost
                  from flowstone.execution_queue q
                 where q.tenant_id = l.tenant_id and q.priority = l.priority and (q.visible_at, {QueueSql.ClaimOrder}) > (l.visible_from, l.id_from)
                   and q.visible_at <= case when $6 is null then now() else $6 end
                 order by q.visible_at, {QueueSql.ClaimOrder} limit l.quota for update skip locked) d),
        named as materialized (
            select d.*, case when w.paused_at is not null then 'paused:' || w.id end as paused,
                   case when w.max_concurrency is null then case when d.concurrency_key is null then null else array[d.concurrency_key::text] end
                        else array_remove(array['workflow:' || w.id, d.concurrency_key::text], null) end as names
              from due d, lateral (
                select w.id, w.paused_at, w.max_concurrency from flowstone.workflows w where w.tenant_id = d.tenant_id and w.id = d.workflow_id offset 0) w),
        {(limits ? Limits : "")}
        taken as (
            update flowstone.execution_queue q set fence = q.fence + 1, worker = $7, visible_at = coalesce($6, now()) + $8, failures = n.failures,
                   holds = coalesce(n.holds, n.names)
              from named n
             where q.ctid = n.place and (q.tenant_id = n.tenant_id) is true and n.paused is null
               {(limits ? "and n.execution_id not in (select execution_id from refused)" : "")}
            returning q.tenant_id, q.execution_id, q.workflow_id, q.shard_key, q.fence, q.visible_at as lease_until, n.number, n.holds as held, n.names, n.lost, q.failures >= q.max_attempts as spent),
        {(limits ? Counted : "")}
        begun as (
            update flowstone.executions e set status = 'RUNNING', started_at = coalesce(e.started_at, $6, now()), claims = t.fence, waiting_for = null
              from taken t
             where e.tenant_id = any(array[t.tenant_id]) and e.workflow_id = t.workflow_id and e.id = t.execution_id
               and e.status in ('PENDING', 'RUNNING', 'WAITING')
            returning {ExecutionRow.Columns}, t.shard_key, t.fence, t.lease_until, t.lost, t.spent, t.number)
        select 5, s.number, s.found, s.visible_at, s.execution_id, e.*
          from (select number, count(*)::int{(limits ? "" : " + sqrt(case when bool_or(paused is not null or names is not null) then -1 else 0 end)::int")} as found, max(visible_at) as visible_at,
                       (array_agg(execution_id order by visible_at desc, execution_id desc))[1] as execution_id from named group by number) s
          left join begun e on e.number = s.number
        """;

    async Task ClaimAsync(ClaimRequest request, List<(QueueLane Lane, int Quota, int News)> chosen, List<ClaimedExecution> claimed, HashSet<QueueLane> emptied)
    {
        var now = ExecutionRepository.DatabaseNow(clock);
        var seen = new (int Count, (DateTimeOffset, Guid) Last)[chosen.Count];
        var taken = new List<(ClaimedExecution Claimed, bool Lost, bool Spent)>();
        var limited = chosen.Exists(c => c.Lane.Limited);
        if (limited)   // by itself: it locks limits, as ends do before it in their groups
            await app.TransactAsync(string.Join(',', chosen.Select(c => c.Lane.TenantId)), [new(Database.ByKeyOnly), Begin().Statement], Read, CancellationToken.None);
        else
            await writes.WriteAsync(new ClaimCall(chosen.ConvertAll(c => c.Lane.TenantId), Begin), CancellationToken.None);
        for (var i = 0; i < chosen.Count; i++)
        {
            lanes.Claimed(chosen[i].Lane, chosen[i].Quota, chosen[i].News, seen[i].Count, seen[i].Last, Now);
            if (seen[i].Count < chosen[i].Quota)
                emptied.Add(chosen[i].Lane);
        }
        if (taken.Exists(t => t.Lost))
            await LoseAsync([.. taken.Where(t => t.Lost).Select(t => t.Claimed.Lease)]);
        claimed.AddRange(taken.Where(t => !t.Spent).Select(t => t.Claimed).OrderBy(c => c.Execution.DueAt));
        foreach (var dead in taken.Where(t => t.Spent))
            await bury(dead.Claimed.Lease);

        (Statement Statement, Action<NpgsqlDataReader> Read) Begin()
        {
            Array.Clear(seen);
            taken.Clear();
            return (new Statement(limited ? ClaimWithLimits : Claim,
            [
                Column(c => c.Lane.TenantId.Value), Column(c => c.Lane.Priority), Column(c => c.Lane.From.VisibleAt), Column(c => c.Lane.From.Id), Column(c => c.Quota),
                P(now), P(request.Worker), P(request.Lease),
            ]), Read);
        }

        void Read(NpgsqlDataReader row)
        {
            const int First = 5, Next = First + ExecutionRow.Count;
            if (row.GetInt32(0) != WriteSql.Claimed)
                return;   // the settings' own row
            seen[row.GetInt64(1) - 1] = (row.GetInt32(2), (row.GetFieldValue<DateTimeOffset>(3), row.GetGuid(4)));
            if (row.IsDBNull(First))
                return;
            var execution = ExecutionRow.Read(row, First);
            var lease = new ExecutionLease(execution.TenantId, execution.Id, row.GetGuid(Next), row.GetInt32(Next + 1));
            taken.Add((new ClaimedExecution(lease, execution, row.GetFieldValue<DateTimeOffset>(Next + 2)), row.GetBoolean(Next + 3), row.GetBoolean(Next + 4)));
        }

        NpgsqlParameter Column<T>(Func<(QueueLane Lane, int Quota, int News), T> pick) => P(chosen.Select(pick).ToArray());
    }

    /// <summary>Closes the steps that a lost worker left open. In a transaction of its own, so that it sees all that the lost one committed.</summary>
    async Task LoseAsync(List<ExecutionLease> leases)
    {
        const string Lose = """
            update flowstone.node_executions n set status = 'FAILED', reason = 'LOST_WORKER', finished_at = greatest(n.started_at, coalesce($5, now()))
              from unnest($1, $2, $3, $4) lost (tenant_id, execution_id, shard_key, fence)
              join flowstone.execution_queue q on q.shard_key = lost.shard_key and q.execution_id = lost.execution_id and (q.tenant_id = lost.tenant_id) is true and q.fence = lost.fence
             where n.tenant_id = any(array[lost.tenant_id]) and n.execution_id = lost.execution_id and n.finished_at is null
            """;
        await app.TransactAsync(string.Join(',', leases.Select(l => l.TenantId).Distinct()), [new(Database.ByKeyOnly), new(Lose,
            P(leases.Select(l => l.TenantId.Value).ToArray()), P(leases.Select(l => l.ExecutionId.Value).ToArray()),
            P(leases.Select(l => l.ShardKey).ToArray()), P(leases.Select(l => l.Fence).ToArray()), P(ExecutionRepository.DatabaseNow(clock)))], null, CancellationToken.None);
    }

    /// <summary>Finds the lanes: from one to the next along the index, whatever their number of rows. Sees all tenants, as the worker's role.</summary>
    async Task LookAsync(Id<Tenant>? only)
    {
        const string First = "(select q.tenant_id, q.priority, q.visible_at from flowstone.execution_queue q where $1 is null or q.tenant_id = $1 order by q.tenant_id, q.priority desc, q.visible_at limit 1)";
        const string Look = $"""
            with recursive lane as (
                {First}
                union all
                select n.* from lane l, lateral (
                    (select q.tenant_id, q.priority, q.visible_at from flowstone.execution_queue q
                      where q.tenant_id = l.tenant_id and q.priority < l.priority order by q.tenant_id, q.priority desc, q.visible_at limit 1)
                    union all
                    (select q.tenant_id, q.priority, q.visible_at from flowstone.execution_queue q
                      where q.tenant_id > l.tenant_id and $1 is null order by q.tenant_id, q.priority desc, q.visible_at limit 1) limit 1) n)
            select lane.tenant_id, lane.priority, lane.visible_at, clock_timestamp()
              from lane join flowstone.tenants t on t.id = lane.tenant_id where t.paused_at is null
            """;
        var (started, now) = (Stopwatch.GetTimestamp(), Now);
        var found = new List<(Id<Tenant>, short, DateTimeOffset)>();
        await worker.TransactAsync(only?.ToString(), [new(Database.ByKeyOnly), new(Look, P(only))], row =>
        {
            if (row.GetFieldType(1) != typeof(short))
                return;
            found.Add((new(row.GetGuid(0)), row.GetInt16(1), row.GetFieldValue<DateTimeOffset>(2)));
            if (clock == TimeProvider.System)
                ahead = row.GetFieldValue<DateTimeOffset>(3) - clock.Now();
        }, CancellationToken.None);
        lanes.Replace(only, found, now);
        lookTook = Stopwatch.GetElapsedTime(started);
        lookedAt = askedAgainAt = Stopwatch.GetTimestamp();
    }
}
