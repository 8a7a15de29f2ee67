using Flowstone.Data;
using Flowstone.Tenancy;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Executions;

/// <summary>
/// Deletes what finished long ago with all that belongs to it: whole weeks by dropping their partitions, the rest in small batches. What
/// is not finished stays, and so does what a retry or a fork that is still there shares its payloads with. A parent that goes before
/// its children is only named by them. Several processes may do it at once, and it may be killed at any point.
/// </summary>
public sealed class ExecutionRetention
{
    public const int DefaultDays = 30;

    const int RowsAtOnce = 500;
    const int LockAttempts = 5;

    readonly Database app;
    readonly Database worker;
    readonly TimeProvider clock;

    internal ExecutionRetention(Database app, Database worker, TimeProvider clock) => (this.app, this.worker, this.clock) = (app, worker, clock);

    /// <summary>Deletes what is past its time.</summary>
    /// <param name="days">For tenants that say nothing themselves.</param>
    /// <param name="patience">How long what is past its time may wait to go with its whole week, which costs next to nothing; null is not at all.</param>
    public Task<RetentionReport> RunAsync(int days = DefaultDays, TimeSpan? patience = null, CancellationToken cancellationToken = default)
        => RunAsync(days, patience ?? TimeSpan.Zero, dry: false, cancellationToken);

    /// <summary>What <see cref="RunAsync(int, TimeSpan?, CancellationToken)"/> would delete now.</summary>
    public Task<RetentionReport> ExplainAsync(int days = DefaultDays, CancellationToken cancellationToken = default)
        => RunAsync(days, TimeSpan.Zero, dry: true, cancellationToken);

    /// <summary>Says how long a tenant keeps what is finished; null leaves it to the default.</summary>
    /// <exception cref="NotFoundException">There is no such tenant.</exception>
    public async Task SetDaysAsync(Id<Tenant> tenant, int? days, CancellationToken cancellationToken = default)
    {
        if (days is { } given)
            Check(given);
        const string Set = """
            update flowstone.tenants set settings = case when $2 is null then settings - 'retentionDays' else jsonb_set(settings, '{retentionDays}', to_jsonb($2)) end where id = $1
            """;
        if (await new TenantDatabase(app, tenant).ExecuteAsync(Set, [P(days)], cancellationToken) == 0)
            throw new NotFoundException("Tenant", tenant);
    }

    /// <summary>Deletes what was needed for a while only: expired dedup keys, marks of writes of an hour ago, concurrency limits that nobody waits for.</summary>
    /// <returns>How many rows.</returns>
    public async Task<long> SweepAsync(CancellationToken cancellationToken = default)
    {
        // A key outlives its window where nothing used it again; and its execution, if that was kept for a shorter time.
        const string Keys = """
            delete from flowstone.execution_keys k where k.tenant_id = $1
               and (k.expires_at <= $2 or not exists (select from flowstone.executions e where e.tenant_id = $1 and e.id = k.execution_id))
            """;
        const string Marks = "delete from flowstone.write_marks m where m.tenant_id = $1 and m.group_id < $2";

        // A start locks its limit before it queues: once those that look idle are locked, the next statement sees whoever came before, and
        // whoever comes later makes the limit anew. A workflow's own limit stays as long as the workflow.
        const string Idle = """
            with idle as materialized (
                select l.name from flowstone.execution_limits l where l.tenant_id = $1 and l.running = 0 and l.name not like 'workflow:%'
                   and not exists (select from flowstone.execution_queue q where q.tenant_id = $1 and q.concurrency_key = l.name) order by l.name limit 1000)
            update flowstone.execution_limits l set running = l.running from idle where l.tenant_id = $1 and l.name = idle.name
            """;
        const string Limits = """
            delete from flowstone.execution_limits l where l.tenant_id = $1 and l.running = 0 and l.name not like 'workflow:%' and l.xmin = pg_current_xact_id()::xid
               and not exists (select from flowstone.execution_queue q where q.tenant_id = $1 and q.concurrency_key = l.name)
            """;
        var (now, swept) = (clock.Now(), 0L);
        foreach (var tenant in await TenantsAsync(DefaultDays, cancellationToken))
        {
            var rows = await new TenantDatabase(app, tenant.TenantId).ExecuteAsync(
            [
                (Keys, [P(now)]),
                (Marks, [P(Id<WriteMark>.Lowest(now - TimeSpan.FromHours(1)))]),
                (Idle, []),
                (Limits, []),
            ], cancellationToken);
            swept += rows[0] + rows[1] + rows[3];
        }
        return swept;
    }

    async Task<RetentionReport> RunAsync(int days, TimeSpan patience, bool dry, CancellationToken cancellationToken)
    {
        Check(days);
        var now = clock.Now();
        var tenants = await TenantsAsync(days, cancellationToken);
        var weeks = new List<ExpiredWeek>();
        var counts = new Dictionary<Id<Tenant>, long>();
        foreach (var week in tenants.Count == 0 ? [] : await WeeksBeforeAsync(now.AddDays(-tenants.Min(t => t.Days)), cancellationToken))
        {
            if (await ExpireAsync(week, now, days, dry ? [.. weeks.Select(w => w.Week)] : [], dry, cancellationToken) is { } executions)
                weeks.Add(new ExpiredWeek(week, executions));
        }
        foreach (var tenant in tenants)
            counts[tenant.TenantId] = await DeleteAsync(tenant, now, patience, dry ? [.. weeks.Select(week => week.Week)] : [], dry, cancellationToken);
        return new RetentionReport(weeks, [.. tenants.Select(t => t with { Executions = counts[t.TenantId] })]);
    }

    async Task<List<TenantRetention>> TenantsAsync(int days, CancellationToken cancellationToken)
    {
        var tenants = new List<TenantRetention>();
        await worker.TransactAsync(null, [new("select id, slug, (settings ->> 'retentionDays')::int from flowstone.tenants order by slug")],
            row => tenants.Add(new(new(row.GetGuid(0)), row.GetString(1), row.Get<int?>(2) ?? days, !row.IsDBNull(2), 0)), cancellationToken);
        return tenants;
    }

    /// <summary>The weeks with a partition that ended by then, newest first: retries and forks lie in later weeks than what they refer to.</summary>
    async Task<List<DateOnly>> WeeksBeforeAsync(DateTimeOffset cut, CancellationToken cancellationToken)
    {
        var weeks = new List<DateOnly>();
        await app.TransactAsync(null, [new("select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'flowstone.executions'::regclass order by c.relname desc")], row =>
        {
            // Named by create_partitions after its Monday; what somebody named otherwise is theirs.
            if (DateOnly.TryParseExact(row.GetString(0).Split('_')[^1], "yyyyMMdd", out var week) && new DateTimeOffset(week.AddDays(7), default, TimeSpan.Zero) <= cut)
                weeks.Add(week);
        }, cancellationToken);
        return weeks;
    }

    /// <param name="besides">Other weeks that would be gone by then.</param>
    /// <returns>How many executions the week had; null if it stays.</returns>
    async Task<long?> ExpireAsync(DateOnly week, DateTimeOffset now, int days, DateOnly[] besides, bool dry, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                long? executions = null;
                await worker.TransactAsync(null, [new("select flowstone.expire_partition($1, $2, $3, $4, $5)", P(week), P(now), P(days), P(dry), P(besides))], row => executions = row.Get<long?>(0), cancellationToken);
                return executions;
            }
            catch (Exception error) when (error is PostgresException { SqlState: PostgresErrorCodes.LockNotAvailable } or { InnerException: PostgresException { SqlState: PostgresErrorCodes.LockNotAvailable } })
            {
                // Somebody reads or writes for longer than others may wait: in a moment, or tomorrow, or row by row.
                if (attempt == LockAttempts)
                    return null;
                await Task.Delay(TimeSpan.FromMilliseconds(200 * attempt), cancellationToken);
            }
        }
    }

    /// <param name="except">Weeks that are counted elsewhere.</param>
    async Task<long> DeleteAsync(TenantRetention tenant, DateTimeOffset now, TimeSpan patience, DateOnly[] except, bool dry, CancellationToken cancellationToken)
    {
        // What finished before the cut was asked for before it. Newest first, so that children, retries and forks go before what they refer to.
        const string Expired = """
            select e.id from flowstone.executions e
             where e.tenant_id = $1 and e.id < $2 and e.finished_at < $3
               and not exists (select from flowstone.executions r where r.tenant_id = $1 and r.retry_of = e.id)
               and not exists (select from flowstone.executions f where f.tenant_id = $1 and f.forked_from = e.id)
             order by e.id desc
            """;
        const string Count = $"""
            with recursive kept (id) as (
                select e.retry_of from flowstone.executions e where e.tenant_id = $1 and e.retry_of is not null and not (e.id < $2 and coalesce(e.finished_at < $3, false))
                union select e.forked_from from flowstone.executions e where e.tenant_id = $1 and e.forked_from is not null and not (e.id < $2 and coalesce(e.finished_at < $3, false))
                union select r.id from kept join flowstone.executions e on e.tenant_id = $1 and e.id = kept.id, lateral (values (e.retry_of), (e.forked_from)) r (id) where r.id is not null)
            select count(*) from flowstone.executions e
             where e.tenant_id = $1 and e.id < $2 and e.finished_at < $3 and e.id not in (select id from kept)
               and not exists (select from unnest($4) week where e.id >= flowstone.lowest_id(week::timestamp at time zone 'UTC') and e.id < flowstone.lowest_id((week + 7)::timestamp at time zone 'UTC'))
            """;
        const string Delete = $"""
            with expired as materialized ({Expired} limit $4),
            nodes as (delete from flowstone.node_executions n using expired x where n.tenant_id = $1 and n.execution_id = x.id),
            bodies as (delete from flowstone.payloads p using expired x where p.tenant_id = $1 and p.execution_id = x.id),
            attributes as (delete from flowstone.execution_attributes a using expired x where a.tenant_id = $1 and a.execution_id = x.id),
            signals as (delete from flowstone.execution_signals s using expired x where s.tenant_id = $1 and s.execution_id = x.id),
            gone as (delete from flowstone.executions e using expired x where e.tenant_id = $1 and e.id = x.id returning e.id)
            select count(*), (array_agg(id order by id))[1] from gone
            """;
        var cut = now.AddDays(-tenant.Days);
        var newest = Id<Execution>.Lowest(cut - patience);
        var database = new TenantDatabase(app, tenant.TenantId);
        if (dry)
            return (await database.SearchAsync(Count, [P(newest), P(cut), P(except)], row => row.GetInt64(0), cancellationToken)).Single();

        // From the newest to the oldest, and again as long as that frees what others referred to.
        var deleted = 0L;
        for (long round = 1; round > 0; deleted += round)
        {
            round = 0;
            for (Id<Execution>? below = newest; below is not null;)
            {
                var (count, last) = (await database.SearchAsync(Delete, [P(below.Value), P(cut), P(RowsAtOnce)], row => (row.GetInt64(0), row.GetId<Execution>(1)), cancellationToken)).Single();
                round += count;
                below = count < RowsAtOnce ? null : last;
            }
        }
        return deleted;
    }

    static void Check(int days)
    {
        if (days is < 1 or > 36_500)
            throw new InvalidInputException("days", "must be 1 to 36,500.");
    }
}
