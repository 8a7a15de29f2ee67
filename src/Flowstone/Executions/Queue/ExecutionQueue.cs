using Flowstone.Data;
using Flowstone.Tenancy;

namespace Flowstone.Executions;

/// <summary>
/// Hands out executions under a lease and takes back what was done. Delivery is at least once, recording exactly once: every write
/// presents the lease's fencing number, and a worker that lost its lease changes nothing.
/// </summary>
/// <remarks>Every write here locks the queue's row first and the execution after it, so no two can wait for each other.</remarks>
public sealed class ExecutionQueue
{
    readonly Database app;
    readonly TimeProvider clock;
    readonly NodeOrdinals nodes;
    readonly GroupCommit writes;
    readonly ClaimLine claims;

    internal ExecutionQueue(Database app, Database worker, TimeProvider clock, NodeOrdinals nodes, GroupCommit writes, QueueLanes lanes)
    {
        (this.app, this.clock, this.nodes, this.writes) = (app, clock, nodes, writes);
        claims = new ClaimLine(app, worker, clock, lanes, lease => FinishAsync(lease, new ExecutionOutcome
        {
            Status = ExecutionStatus.Failed,
            Reason = Execution.DeadLetter,
            Error = "Its attempts are spent: workers were lost with it, or gave it back as failed, as often as it may be tried.",
        }));
    }

    /// <summary>
    /// Takes what is due, or whose worker fell silent. Tenants take turns; within a tenant the highest priority goes first, then the longest due.
    /// </summary>
    /// <returns>At most <see cref="ClaimRequest.Limit"/>; empty when there is nothing to do.</returns>
    public async Task<IReadOnlyList<ClaimedExecution>> ClaimAsync(ClaimRequest request, CancellationToken cancellationToken = default)
    {
        Text.Require("worker", request.Worker, 255);
        if (request.Limit is < 1 or > 1000)
            throw new InvalidInputException("limit", "must be 1 to 1,000.");
        CheckLease(request.Lease);
        cancellationToken.ThrowIfCancellationRequested();
        var claimed = await claims.ClaimAsync(request);   // to its end: what was claimed must not be lost on the way
        foreach (var one in claimed)
            nodes.Remember(one.Execution);
        return claimed;
    }

    /// <summary>Prolongs leases, many in one statement; what could not be prolonged is lost.</summary>
    /// <returns>The leases that are lost: stop working on these.</returns>
    public async Task<IReadOnlyList<ExecutionLease>> RenewAsync(IReadOnlyCollection<ExecutionLease> leases, TimeSpan lease, CancellationToken cancellationToken = default)
    {
        CheckLease(lease);
        if (leases.Count == 0)
            return [];
        Check(leases);
        var renewals = leases.Select(held => (Lease: held, Call: new RenewCall(held, lease))).ToList();
        await Task.WhenAll(renewals.Select(async one =>
        {
            try
            {
                await writes.WriteAsync(one.Call, cancellationToken);
            }
            catch (ConflictException)
            {
                // Told by the result.
            }
        }));
        return [.. renewals.Where(one => !one.Call.Held).Select(one => one.Lease)];
    }

    /// <summary>Records starts and finishes of nodes, all or none, in one round trip.</summary>
    /// <remarks>A node that starts and finishes within one call is written once.</remarks>
    /// <exception cref="ConflictException">The lease is lost, or a step was recorded before, or one finishes that was not started.</exception>
    /// <exception cref="InvalidInputException">The version has no such node, or a key occurs twice.</exception>
    public async Task RecordAsync(
        ExecutionLease lease, IReadOnlyList<NodeStart> starts, IReadOnlyList<NodeFinish> finishes, CancellationToken cancellationToken = default)
    {
        Check([lease]);
        if (starts.Count + finishes.Count == 0)
            return;
        var defined = await nodes.GetAsync(new TenantDatabase(app, lease.TenantId), lease.ExecutionId, cancellationToken);
        var payloads = new PayloadRows();
        var steps = NodeWrites.Merge(starts, finishes, defined.ById, payloads, clock.Now());
        await writes.WriteAsync(new RecordCall(lease, steps, payloads), cancellationToken);
    }

    /// <summary>Ends an execution. Nobody else can claim or write it afterwards.</summary>
    /// <exception cref="ConflictException">The lease is lost: another worker took over, or it was cancelled.</exception>
    public async Task FinishAsync(ExecutionLease lease, ExecutionOutcome outcome, CancellationToken cancellationToken = default)
    {
        if (outcome.Status is not (ExecutionStatus.Success or ExecutionStatus.Failed or ExecutionStatus.Timeout))
            throw new InvalidInputException("status", "must be SUCCESS, FAILED or TIMEOUT.");
        if (outcome is { Status: ExecutionStatus.Success, Reason: not null })
            throw new InvalidInputException("reason", "is for what did not succeed.");
        Text.Check("reason", outcome.Reason, 32);
        Check([lease]);
        var payloads = new PayloadRows();
        await writes.WriteAsync(new FinishCall(lease, outcome, payloads.Add(outcome.Output), payloads, clock.Now()), cancellationToken);
        nodes.Forget(lease.ExecutionId);
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
}
