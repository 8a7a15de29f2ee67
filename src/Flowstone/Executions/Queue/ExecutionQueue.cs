using Flowstone.Data;
using Flowstone.Tenancy;
using Npgsql;

namespace Flowstone.Executions;

/// <summary>
/// Hands out executions under a lease and takes back what was done. Delivery is at least once, recording exactly once: every write
/// presents the lease's fencing number, and a worker that lost its lease changes nothing.
/// </summary>
/// <remarks>Every write here locks the queue's row first and the execution after it, so no two can wait for each other.</remarks>
public sealed partial class ExecutionQueue
{
    readonly Database app;
    readonly TimeProvider clock;
    readonly NodeOrdinals nodes;
    readonly PayloadStore payloads;
    readonly GroupCommit writes;
    readonly ClaimLine claims;
    readonly QueueLanes lanes;
    readonly QueueNews news;

    internal ExecutionQueue(Database app, Database worker, TimeProvider clock, NodeOrdinals nodes, PayloadStore payloads, GroupCommit writes, QueueLanes lanes, QueueNews news)
    {
        (this.app, this.clock, this.nodes, this.payloads, this.writes, this.lanes, this.news) = (app, clock, nodes, payloads, writes, lanes, news);
        claims = new ClaimLine(app, worker, writes, clock, lanes, lease => FinishAsync(lease, new ExecutionOutcome
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
        {
            nodes.Remember(one.Execution);
            payloads.Remember(one.Execution);
        }
        return claimed;
    }

    /// <summary>
    /// Returns when there may be work: something was queued here or elsewhere, something is due, or it is time to look again, which it is
    /// every second and a half, and every two and a half where notifications arrive.
    /// </summary>
    /// <param name="tenantId">Whose work is meant; null is everybody's.</param>
    public async Task WaitForWorkAsync(TimeSpan atMost, Id<Tenant>? tenantId = null, CancellationToken cancellationToken = default)
    {
        news.Listen();
        var heard = lanes.News;
        var wait = lanes.NextDue(tenantId) - claims.Now;
        var untilLook = claims.UntilLook(TimeSpan.FromSeconds(news.Listening ? 2.5 : 1.5));
        wait = new[] { wait, untilLook, atMost }.Min();
        if (wait < ShortestWait)
            wait = ShortestWait;
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await Task.WhenAny(heard, Task.Delay(wait, over.Token));
        await over.CancelAsync();
        cancellationToken.ThrowIfCancellationRequested();
    }

    // What is due may be held by another's transaction: asked again after this.
    static readonly TimeSpan ShortestWait = TimeSpan.FromMilliseconds(5);

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
        var (call, rows) = await PrepareAsync(lease, starts, finishes, cancellationToken);
        await writes.WriteAsync(call, cancellationToken);
        rows.Remember();
    }

    /// <summary>
    /// Records within a transaction of the caller's, on the same database: what the step did there and its record are committed together or not
    /// at all. The transaction's own role and settings are as before afterwards. It holds the lease's row until it ends: keep it short.
    /// </summary>
    /// <param name="transaction">Of somebody who may become <c>flowstone_app</c>.</param>
    /// <inheritdoc cref="RecordAsync(ExecutionLease, IReadOnlyList{NodeStart}, IReadOnlyList{NodeFinish}, CancellationToken)"/>
    public async Task RecordAsync(
        ExecutionLease lease, IReadOnlyList<NodeStart> starts, IReadOnlyList<NodeFinish> finishes, NpgsqlTransaction transaction, CancellationToken cancellationToken = default)
    {
        Check([lease]);
        if (starts.Count + finishes.Count == 0)
            return;
        var (call, _) = await PrepareAsync(lease, starts, finishes, cancellationToken);
        var group = new WriteGroup([call], clock);
        try
        {
            await new TenantDatabase(app, lease.TenantId).WithinAsync(transaction, group.Statements(), group.Learn, cancellationToken);
        }
        catch (Exception error) when (PostgresErrors.Explain(error) is { } explained)
        {
            throw PostgresErrors.IsLostLease(explained) ? lease.Lost() : explained;
        }
    }

    async ValueTask<(RecordCall Call, PayloadRows Rows)> PrepareAsync(
        ExecutionLease lease, IReadOnlyList<NodeStart> starts, IReadOnlyList<NodeFinish> finishes, CancellationToken cancellationToken)
    {
        var database = new TenantDatabase(app, lease.TenantId);
        var defined = await nodes.GetAsync(database, lease.ExecutionId, cancellationToken);
        var rows = await payloads.OpenAsync(lease.TenantId, defined.WorkflowId, lease.ExecutionId, cancellationToken);
        var steps = NodeWrites.Merge(starts, finishes, defined.ById, rows, clock.Now());
        await rows.ReadyAsync(database, cancellationToken);
        return (new RecordCall(lease, steps, rows), rows);
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
        var rows = outcome is { Output: null, OutputRef: null } ? null : await OpenPayloadsAsync(lease, cancellationToken);
        var output = rows?.Add(outcome.Output, outcome.OutputRef, "output");
        if (rows is not null)
            await rows.ReadyAsync(new TenantDatabase(app, lease.TenantId), cancellationToken);
        await writes.WriteAsync(new FinishCall(lease, outcome, output, rows, clock.Now()), cancellationToken);
        nodes.Forget(lease.ExecutionId);
    }

    /// <summary>Stores a payload under a lease, to be named by steps and the outcome later: binaries, and what is sent once and used often.</summary>
    /// <exception cref="ConflictException">The lease is lost.</exception>
    /// <exception cref="InvalidInputException">It is over the limit.</exception>
    public async Task<PayloadRef> StoreAsync(ExecutionLease lease, PayloadBody payload, CancellationToken cancellationToken = default)
    {
        Check([lease]);
        var rows = await OpenPayloadsAsync(lease, cancellationToken);
        var name = rows.Add(payload, "payload")!;
        await rows.ReadyAsync(new TenantDatabase(app, lease.TenantId), cancellationToken);
        await payloads.WriteAsync(lease, rows, cancellationToken);
        return name;
    }

    async Task<PayloadRows> OpenPayloadsAsync(ExecutionLease lease, CancellationToken cancellationToken)
    {
        var defined = await nodes.GetAsync(new TenantDatabase(app, lease.TenantId), lease.ExecutionId, cancellationToken);
        return await payloads.OpenAsync(lease.TenantId, defined.WorkflowId, lease.ExecutionId, cancellationToken);
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
