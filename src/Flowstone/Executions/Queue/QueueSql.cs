namespace Flowstone.Executions;

/// <summary>What more than one statement of the queue does.</summary>
static class QueueSql
{
    /// <summary>
    /// Puts rows of <c>q</c> that are due at one time in order, as <c>ix_execution_queue_claim</c> has them: an expression, so that no look-up by
    /// key can use that index, and a leakproof one, so that it can be compared behind a policy.
    /// </summary>
    public const string ClaimOrder = "nullif(q.execution_id, '00000000-0000-0000-0000-000000000000')";

    /// <summary>
    /// Common table expressions that follow <c>released</c> (the queue's rows that went or wait, with <c>tenant_id</c> and <c>holds</c>) and
    /// <c>ended</c> (the executions that ended): they count for the statistics, give back what was held, and let those parked for it go on.
    /// The limits must be locked before, in a statement of their own.
    /// </summary>
    public static string AfterEnd(string now) => $"{Count}, {LetGo(now)}";

    public static readonly string Count = $"""
        deltas as (
            insert into flowstone.execution_deltas (tenant_id, delta_id, workflow_id, hour, status, bucket, executions, duration_ms, wait_ms)
            select tenant_id, gen_random_uuid(), workflow_id, date_trunc('hour', finished_at, 'UTC'), status, {DurationBucket.OfMilliseconds}, count(*), sum(ms), sum(wait)
              from (select e.*, coalesce((extract(epoch from e.finished_at - e.started_at) * 1000)::bigint, 0) as ms,
                           greatest(coalesce((extract(epoch from e.started_at - e.due_at) * 1000)::bigint, 0), 0) as wait from ended e) e
             group by tenant_id, workflow_id, date_trunc('hour', finished_at, 'UTC'), status, {DurationBucket.OfMilliseconds})
        """;

    /// <summary>The last part of <see cref="AfterEnd"/>, for what gives its place back without having ended.</summary>
    public static string LetGo(string now) => $"""
        freed as (
            update flowstone.execution_limits l set running = l.running - f.places
              from (select r.tenant_id, name, count(*)::int as places from released r, unnest(r.holds) name where r.holds is not null group by r.tenant_id, name) f
             where l.tenant_id = f.tenant_id and l.name = f.name returning l.tenant_id, l.name, l.maximum - l.running as room),
        unparked as (
            update flowstone.execution_queue q set visible_at = coalesce({now}, now()), parked_for = null
              from freed, lateral (
                   select p.ctid as place from flowstone.execution_queue p
                    where p.tenant_id = any(array[freed.tenant_id]) and p.parked_for = freed.name
                    order by p.priority desc limit greatest(freed.room, 0) for update skip locked) next
             where q.ctid = next.place and (q.tenant_id = freed.tenant_id) is true
            returning q.tenant_id, q.priority)
        """;
}
