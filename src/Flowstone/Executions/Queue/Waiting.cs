using Flowstone.Data;
using Flowstone.Tenancy;
using static Flowstone.Data.Sql;

namespace Flowstone.Executions;

/// <summary>What a WAITING execution waits for: a time, a signal, or whichever comes first.</summary>
public sealed record WaitFor
{
    public DateTimeOffset? Until { get; init; }

    /// <summary>The name of a signal, at most 255 characters: see <see cref="ExecutionRepository.SignalAsync"/>.</summary>
    public string? Signal { get; init; }
}

/// <summary>Leaving an execution before its end: to wait, to try again later, to hand it on.</summary>
public sealed partial class ExecutionQueue
{
    /// <summary>Gives an execution back as it is: another worker may take it at once. For a worker that shuts down; counts as no failure.</summary>
    /// <exception cref="ConflictException">The lease is lost.</exception>
    public async Task ReleaseAsync(ExecutionLease lease, CancellationToken cancellationToken = default)
    {
        if (!await LeaveAsync(lease, failed: false, null, null, closeSteps: true, cancellationToken))
            throw lease.Lost();
    }

    /// <summary>
    /// This attempt failed: the execution is queued again, after a back-off that doubles from a second up to five minutes, with jitter.
    /// When its attempts are spent it ends as FAILED with the reason <c>DEAD_LETTER</c>.
    /// </summary>
    /// <param name="delay">Instead of the back-off.</param>
    /// <exception cref="ConflictException">The lease is lost.</exception>
    public async Task GiveBackAsync(ExecutionLease lease, string error, TimeSpan? delay = null, CancellationToken cancellationToken = default)
    {
        if (delay < TimeSpan.Zero || delay > TimeSpan.FromDays(30))
            throw new InvalidInputException("delay", "must be 0 to 30 days.");
        if (!await LeaveAsync(lease, failed: true, null, delay, closeSteps: true, cancellationToken))
            await FinishAsync(lease, new ExecutionOutcome { Status = ExecutionStatus.Failed, Reason = Execution.DeadLetter, Error = error }, cancellationToken);
    }

    /// <summary>
    /// The execution waits, without a worker and across restarts. It can be claimed again when the time has come or the signal has; steps that are
    /// open stay open. A signal that came before is not missed.
    /// </summary>
    /// <exception cref="ConflictException">The lease is lost.</exception>
    public async Task WaitAsync(ExecutionLease lease, WaitFor what, CancellationToken cancellationToken = default)
    {
        if (what is { Until: null, Signal: null })
            throw new InvalidInputException("wait", "needs a time, or the name of a signal.");
        if (what.Signal is not null)
            Text.Require("signal", what.Signal, 255);
        if (!await LeaveAsync(lease, failed: false, what, null, closeSteps: false, cancellationToken))
            throw lease.Lost();
    }

    /// <summary>
    /// Takes the oldest signal of a name that came for the execution, and ends with its body the step that waited for it: both or neither, so a
    /// signal is neither lost nor taken twice.
    /// </summary>
    /// <param name="nodeId">A step that is running.</param>
    /// <returns>Null if no such signal has come: wait for it, or go on without.</returns>
    /// <exception cref="ConflictException">The lease is lost, or the step does not run.</exception>
    public async Task<Signal?> ReceiveAsync(
        ExecutionLease lease, string signal, string nodeId, int iteration = 0, short attempt = 1, CancellationToken cancellationToken = default)
    {
        const string Receive = """
            with held as materialized (
                select q.tenant_id, q.execution_id from flowstone.execution_queue q
                 where q.shard_key = $2 and q.execution_id = $3 and q.tenant_id = $1 and q.fence = $4 for update),
            oldest as materialized (
                select s.signal_id from held join flowstone.execution_signals s on s.tenant_id = held.tenant_id and s.execution_id = held.execution_id
                 where s.tenant_id = $1 and s.execution_id = $3 and s.name = $5 and s.taken_at is null order by s.signal_id limit 1),
            taken as (
                update flowstone.execution_signals s set taken_at = $9 from oldest
                 where s.tenant_id = $1 and s.execution_id = $3 and s.signal_id = oldest.signal_id returning s.body, s.sent_at),
            step as (
                update flowstone.node_executions n set status = 'SUCCESS', finished_at = greatest(n.started_at, $9), output = taken.body from taken
                 where n.tenant_id = $1 and n.execution_id = $3 and n.node = $6 and n.iteration = $7 and n.attempt = $8 and n.status = 'RUNNING' returning 1)
            select (select count(*) from held), t.body, t.sent_at, 1 / (case when t.sent_at is null or exists (select from step) then 1 else 0 end)
              from (select 1) one left join taken t on true
            """;
        Check([lease]);
        var database = new TenantDatabase(app, lease.TenantId);
        var defined = await nodes.GetAsync(database, lease.ExecutionId, cancellationToken);
        if (!defined.ById.TryGetValue(nodeId, out var node))
            throw new InvalidInputException("nodeId", "is not a node of the executed version.");
        var (held, taken) = (await database.QueryAsync(Receive,
            [P(lease.ShardKey), P(lease.ExecutionId), P(lease.Fence), P(signal), P(node), P(iteration), P(attempt), P(clock.Now())],
            row => (row.GetInt64(0), row.IsDBNull(2) ? null : new Signal(signal, row.GetRef(1), row.GetFieldValue<DateTimeOffset>(2))), cancellationToken))[0];
        return held == 0 ? throw lease.Lost() : taken;
    }

    /// <returns>False if the lease is lost, or, of a failed attempt, if it was the last.</returns>
    async Task<bool> LeaveAsync(ExecutionLease lease, bool failed, WaitFor? wait, TimeSpan? delay, bool closeSteps, CancellationToken cancellationToken)
    {
        Check([lease]);
        var rows = await new TenantDatabase(app, lease.TenantId).QueryAsync(
        [
            (LockOne, [P(lease.ShardKey), P(lease.ExecutionId), P(lease.Fence)]),
            (Leave, [P(lease.ShardKey), P(lease.ExecutionId), P(lease.Fence), P(failed ? (short)1 : (short)0), P(wait?.Until), P(wait?.Signal), P(0.5 + (Random.Shared.NextDouble() / 2)),
                     P(ExecutionRepository.DatabaseNow(clock)), P(delay), P(clock.Now()), P(closeSteps)]),
        ], row => (Kind: row.GetInt32(0), Work: row.GetInt32(0) == Locked ? default : new QueuedWork(lease.TenantId, row.GetInt16(1), row.GetFieldValue<DateTimeOffset>(2))), cancellationToken);
        lanes.Add(rows.Where(row => row.Kind != Locked).Select(row => row.Work), clock.Now());
        if (!rows.Exists(row => row.Kind == Left))
            return false;
        nodes.Forget(lease.ExecutionId);
        return true;
    }

    const int Locked = 3, Left = 5;

    // As in every write: the queue's row first, and the limits that it holds, in a statement of their own.
    const string LockOne = """
        with held as materialized (
            select q.tenant_id, q.holds from flowstone.execution_queue q
             where q.shard_key = $2 and q.execution_id = $3 and q.tenant_id = $1 and q.fence = $4 for update),
        limits as materialized (
            select 1 from flowstone.execution_limits l
             where l.tenant_id = $1 and l.name in (select unnest(holds) from held) order by l.name for update)
        select 3, (select count(*) from held), (select count(*) from limits)
        """;

    static readonly string Leave = $"""
        with held as materialized (
            select q.tenant_id, q.execution_id, q.holds, q.failures from flowstone.execution_queue q
             where q.shard_key = $2 and q.execution_id = $3 and q.tenant_id = $1 and q.fence = $4 and ($5 = 0 or q.failures + 1 < q.max_attempts) for update),
        released as (select tenant_id, holds from held),
        come as (
            select 1 from flowstone.execution_signals s where s.tenant_id = $1 and s.execution_id = $3 and s.name = $7 and s.taken_at is null limit 1),
        went as (
            update flowstone.execution_queue q set worker = null, holds = null, failures = q.failures + $5, visible_at = case
                   when exists (select from come) then coalesce($9, now())
                   when $6 is not null then $6
                   when $7 is not null then 'infinity'::timestamptz
                   when $5 = 1 then coalesce($9, now()) + coalesce($10, make_interval(secs => least(300, power(2, held.failures)) * $8))
                   else coalesce($9, now()) end
              from held where q.shard_key = $2 and q.execution_id = $3 and q.tenant_id = $1
            returning q.priority, q.visible_at),
        steps as (
            update flowstone.node_executions n set status = case $5 when 1 then 'FAILED' else 'CANCELLED' end, reason = 'GIVEN_BACK', finished_at = greatest(n.started_at, $11)
              from held where n.tenant_id = $1 and n.execution_id = $3 and n.finished_at is null and $12),
        waits as (
            update flowstone.executions e set status = 'WAITING', waiting_for = $7 from held
             where e.tenant_id = $1 and e.id = $3 and e.status = 'RUNNING' returning 1),
        {QueueSql.LetGo("$9")}
        select 5 / (select count(*)::int from waits), went.priority, went.visible_at from went
        union all select distinct 4, unparked.priority, now() from unparked
        """;
}

/// <summary>A signal that was received.</summary>
/// <param name="Body">Null if it brought none.</param>
public sealed record Signal(string Name, PayloadRef? Body, DateTimeOffset SentAt);
