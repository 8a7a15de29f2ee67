using Flowstone.Data;
using Flowstone.Tenancy;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Executions;

/// <summary>
/// Hands out executions under a lease and takes back what was done. Delivery is at least once, recording exactly once: every write
/// presents the lease's fencing number, and a worker that lost its lease changes nothing.
/// </summary>
/// <remarks>Every write here locks the queue's row first and the execution after it, so no two can wait for each other.</remarks>
public sealed class ExecutionQueue
{
    readonly Database app;
    readonly Database worker;
    readonly TimeProvider clock;
    readonly NodeOrdinals nodes;
    readonly GroupCommit writes;

    internal ExecutionQueue(Database app, Database worker, TimeProvider clock, NodeOrdinals nodes, GroupCommit writes)
        => (this.app, this.worker, this.clock, this.nodes, this.writes) = (app, worker, clock, nodes, writes);

    /// <summary>Takes what is due, or whose worker fell silent: the highest priority first, then the longest due.</summary>
    /// <returns>At most <see cref="ClaimRequest.Limit"/>; empty when there is nothing to do.</returns>
    public async Task<IReadOnlyList<ClaimedExecution>> ClaimAsync(ClaimRequest request, CancellationToken cancellationToken = default)
    {
        Text.Require("worker", request.Worker, 255);
        if (request.Limit is < 1 or > 1000)
            throw new InvalidInputException("limit", "must be 1 to 1,000.");
        CheckLease(request.Lease);

        // Two steps of one transaction. The first sees all tenants' queue rows, nothing else; the second is bound to the tenants found.
        // Materialized: `limit` and `skip locked` must have had their effect before the update joins.
        const string Take = """
                 order by priority desc, visible_at limit $2 for update skip locked)
            update flowstone.execution_queue q set fence = q.fence + 1, worker = $3, visible_at = coalesce($1, now()) + $4 from due
             where q.shard_key = due.shard_key and q.execution_id = due.execution_id
            returning q.tenant_id, q.execution_id, q.shard_key, q.fence, q.visible_at
            """;
        const string Due = "with due as materialized (select shard_key, execution_id from flowstone.execution_queue where visible_at <= coalesce($1, now())";
        const string ClaimOfAll = $"{Due} {Take}";
        const string ClaimOfTenant = $"{Due} and tenant_id = $5 {Take}";

        // Between the two steps the rows are locked and nobody else may have them: a worker that is frozen there must not keep them.
        const string LimitIdle = "set local idle_in_transaction_session_timeout = '10s'";
        var now = ExecutionRepository.DatabaseNow(clock);
        try
        {
            await using var connection = await worker.Source.OpenConnectionAsync(cancellationToken);
            await using var batch = connection.CreateBatch();
            worker.Begin(batch, tenants: null);
            batch.BatchCommands.Add(new NpgsqlBatchCommand(LimitIdle));
            NpgsqlParameter[] asked = [P(now), P(request.Limit), P(request.Worker), P(request.Lease)];
            batch.BatchCommands.Add((request.TenantId is { } only ? new Statement(ClaimOfTenant, [.. asked, P(only)]) : new Statement(ClaimOfAll, asked)).ToCommand());
            var leases = new Dictionary<Id<Execution>, (ExecutionLease Lease, DateTimeOffset Until)>();
            await using (var reader = await batch.ExecuteReaderAsync(cancellationToken))
                await Database.ReadToEndAsync(reader, row =>
                {
                    var lease = new ExecutionLease(new(row.GetGuid(0)), new(row.GetGuid(1)), row.GetGuid(2), row.GetInt32(3));
                    leases.Add(lease.ExecutionId, (lease, row.GetFieldValue<DateTimeOffset>(4)));
                }, cancellationToken);
            return await BeginAsync(connection, leases, cancellationToken);
        }
        catch (Exception error) when (PostgresErrors.Explain(error) is { } explained)
        {
            throw explained;
        }
    }

    /// <summary>Marks what was claimed as running, and the steps that a lost worker left open as lost; commits.</summary>
    async Task<List<ClaimedExecution>> BeginAsync(
        NpgsqlConnection connection, Dictionary<Id<Execution>, (ExecutionLease Lease, DateTimeOffset Until)> leases, CancellationToken cancellationToken)
    {
        const string Lose = """
            update flowstone.node_executions n set status = 'FAILED', reason = 'LOST_WORKER', finished_at = greatest(n.started_at, coalesce($3, now()))
              from unnest($1, $2) lost (tenant_id, execution_id)
             where n.tenant_id = lost.tenant_id and n.execution_id = lost.execution_id and n.execution_id = any($2) and n.finished_at is null
            """;
        const string Begin = $"""
            update flowstone.executions e set status = 'RUNNING', started_at = coalesce(e.started_at, $4, now()), claims = claimed.fence
              from unnest($1, $2, $3) claimed (tenant_id, execution_id, fence)
             where e.tenant_id = claimed.tenant_id and e.id = claimed.execution_id and e.id = any($2) and e.status in ('PENDING', 'RUNNING', 'WAITING')
            returning {ExecutionRow.Columns}
            """;
        var held = leases.Values.Select(l => l.Lease).ToList();
        var again = held.Where(l => l.Fence > 1).ToList();
        var now = ExecutionRepository.DatabaseNow(clock);
        var claimed = new List<ClaimedExecution>(held.Count);
        await using var batch = connection.CreateBatch();
        if (held.Count > 0)
        {
            batch.BatchCommands.Add(new NpgsqlBatchCommand(Database.SetTenants(TenantList(held))));
            batch.BatchCommands.Add(new Statement(Begin, Column(held, l => l.TenantId.Value), Column(held, l => l.ExecutionId.Value), Column(held, l => l.Fence), P(now)).ToCommand());
        }
        if (again.Count > 0)
            batch.BatchCommands.Add(new Statement(Lose, Column(again, l => l.TenantId.Value), Column(again, l => l.ExecutionId.Value), P(now)).ToCommand());
        batch.BatchCommands.Add(new NpgsqlBatchCommand("commit"));
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        await Database.ReadToEndAsync(reader, row =>
        {
            var execution = ExecutionRow.Read(row);
            var (lease, until) = leases[execution.Id];
            claimed.Add(new ClaimedExecution(lease, execution, until));
        }, cancellationToken);
        return [.. claimed.OrderByDescending(c => c.Execution.Priority).ThenBy(c => c.Execution.DueAt)];
    }

    /// <summary>Prolongs leases, many in one statement; what could not be prolonged is lost.</summary>
    /// <returns>The leases that are lost: stop working on these.</returns>
    public async Task<IReadOnlyList<ExecutionLease>> RenewAsync(IReadOnlyCollection<ExecutionLease> leases, TimeSpan lease, CancellationToken cancellationToken = default)
    {
        CheckLease(lease);
        if (leases.Count == 0)
            return [];
        const string Renew = """
            with held as materialized (
                select q.shard_key, q.execution_id from flowstone.execution_queue q
                  join unnest($1, $2, $3, $4) a (shard_key, execution_id, tenant_id, fence)
                    on q.shard_key = a.shard_key and q.execution_id = a.execution_id and q.tenant_id = a.tenant_id and q.fence = a.fence
                 order by q.shard_key, q.execution_id for update of q)
            update flowstone.execution_queue q set visible_at = coalesce($5, now()) + $6 from held
             where q.shard_key = held.shard_key and q.execution_id = held.execution_id
            returning q.execution_id, q.fence
            """;
        Check(leases);
        var kept = new HashSet<(Id<Execution>, int)>();
        await app.TransactAsync(TenantList(leases), [new Statement(Renew,
            Column(leases, l => l.ShardKey), Column(leases, l => l.ExecutionId.Value), Column(leases, l => l.TenantId.Value), Column(leases, l => l.Fence),
            P(ExecutionRepository.DatabaseNow(clock)), P(lease))], row => kept.Add((new(row.GetGuid(0)), row.GetInt32(1))), cancellationToken);
        return [.. leases.Where(l => !kept.Contains((l.ExecutionId, l.Fence)))];
    }

    /// <summary>Records starts and finishes of nodes, all or none, in one round trip.</summary>
    /// <remarks>A node that starts and finishes within one call is written once.</remarks>
    /// <exception cref="ConflictException">The lease is lost, or a step was recorded before, or one finishes that was not started.</exception>
    /// <exception cref="InvalidInputException">The version has no such node, or a key occurs twice.</exception>
    public async Task RecordAsync(
        ExecutionLease lease, Execution execution, IReadOnlyList<NodeStart> starts, IReadOnlyList<NodeFinish> finishes, CancellationToken cancellationToken = default)
    {
        Check([lease]);
        if (starts.Count + finishes.Count == 0)
            return;
        var defined = await nodes.GetAsync(new TenantDatabase(app, lease.TenantId), execution.WorkflowId, execution.WorkflowVersion, cancellationToken);
        var steps = NodeWrites.Merge(starts, finishes, defined.ById, clock.Now());
        await writes.WriteAsync(new RecordCall(lease, steps), cancellationToken);
    }

    /// <summary>Ends an execution. Nobody else can claim or write it afterwards.</summary>
    /// <exception cref="ConflictException">The lease is lost: another worker took over, or it was cancelled.</exception>
    public async Task FinishAsync(ExecutionLease lease, ExecutionOutcome outcome, CancellationToken cancellationToken = default)
    {
        if (outcome.Status is not (ExecutionStatus.Success or ExecutionStatus.Failed or ExecutionStatus.Timeout))
            throw new InvalidInputException("status", "must be SUCCESS, FAILED or TIMEOUT.");
        Text.Check("reason", outcome.Reason, 32);
        Check([lease]);
        await writes.WriteAsync(new FinishCall(lease, outcome, clock.Now()), cancellationToken);
    }

    /// <summary>Nobody holds what was never claimed.</summary>
    static void Check(IEnumerable<ExecutionLease> leases)
    {
        if (leases.Any(lease => lease.Fence < 1))
            throw new InvalidInputException("lease.fence", "must be 1 or more, as a claim gave it.");
    }

    static void CheckLease(TimeSpan lease)
    {
        if (lease < TimeSpan.FromSeconds(1) || lease > TimeSpan.FromHours(1))
            throw new InvalidInputException("lease", "must be 1 second to 1 hour.");
    }

    static string TenantList(IEnumerable<ExecutionLease> leases) => string.Join(',', leases.Select(l => l.TenantId).Distinct());

    static NpgsqlParameter Column<T>(IEnumerable<ExecutionLease> leases, Func<ExecutionLease, T> pick) => P(leases.Select(pick).ToArray());
}
