using Flowstone.Executions;
using Flowstone.Tenancy;
using Npgsql;

namespace Flowstone.Workers;

/// <summary>One execution in the hands of this worker: what a handler is given.</summary>
/// <remarks>
/// While the database is away, the methods wait for it as long as the lease lasts. When the lease is lost they throw an
/// <see cref="OperationCanceledException"/>, and nothing that the handler does is recorded any more.
/// </remarks>
public sealed class WorkContext
{
    readonly FlowstoneStore store;
    readonly ClaimedExecution claimed;
    readonly HeldLease held;
    readonly Persistence persistence;
    readonly StepRunner steps;

    internal WorkContext(FlowstoneStore store, ClaimedExecution claimed, HeldLease held, WorkerOptions options, CancellationToken stopping, CancellationToken drained, CancellationToken cancelled)
    {
        (this.store, this.claimed, this.held) = (store, claimed, held);
        (Stopping, CancellationToken) = (stopping, cancelled);
        Tenant = store.Tenant(claimed.Execution.TenantId, Actor.System($"worker {options.Name}"));
        persistence = new Persistence(held);
        steps = new StepRunner(store, this, held, persistence, options.IsTransient, drained);
    }

    public Execution Execution => claimed.Execution;

    public ExecutionLease Lease => claimed.Lease;

    /// <summary>The repositories of the execution's tenant.</summary>
    public TenantScope Tenant { get; }

    /// <summary>Stop: the lease is lost, the time-out is over, or the worker ends.</summary>
    public CancellationToken CancellationToken { get; }

    /// <summary>
    /// The worker is to stop. What runs may go on for the drain time-out; a handler that has long to go returns
    /// <see cref="WorkResult.Release"/> after a step, and another worker goes on from there.
    /// </summary>
    public CancellationToken Stopping { get; }

    /// <summary>The execution's input; null if it has none.</summary>
    public Task<PayloadBody?> InputAsync(CancellationToken cancellationToken = default)
        => Execution.Input is { } input ? persistence.AskAsync(() => Tenant.Executions.FindPayloadAsync(Execution.Id, input, cancellationToken)) : Task.FromResult<PayloadBody?>(null);

    /// <summary>The steps that are recorded, by whatever worker, in the order in which they started.</summary>
    public Task<List<NodeExecution>> RecordedAsync(CancellationToken cancellationToken = default)
        => persistence.AskAsync(() => Tenant.Executions.NodesAsync(Execution.Id, cancellationToken));

    /// <summary>A recorded input or output; null if there is none of that name.</summary>
    public Task<PayloadBody?> PayloadAsync(PayloadRef name, CancellationToken cancellationToken = default)
        => persistence.AskAsync(() => Tenant.Executions.FindPayloadAsync(Execution.Id, name, cancellationToken));

    /// <summary>Records starts and finishes by hand, all or none. Does not wait for a database that is away.</summary>
    /// <exception cref="UnavailableException">The database is away. Unless it says that nothing was stored, read <see cref="RecordedAsync"/> before going on.</exception>
    /// <exception cref="ConflictException">The lease is lost, or a step was recorded before, or one finishes that was not started.</exception>
    public Task RecordAsync(IReadOnlyList<NodeStart> starts, IReadOnlyList<NodeFinish> finishes, CancellationToken cancellationToken = default)
        => store.Queue.RecordAsync(Lease, starts, finishes, cancellationToken);

    /// <summary>
    /// Runs a step, once: where it is recorded as succeeded already, its recorded output is returned and nothing is run. Otherwise its start is
    /// recorded, then it runs, then its end is recorded; only then does this return. Steps of different nodes may run at the same time.
    /// </summary>
    /// <param name="run">
    /// Effects outside of the database happen at least once: a worker may die after them and before the record. Pass
    /// <see cref="StepAttempt.IdempotencyKey"/> on. For effects in the database use the other overload.
    /// </param>
    /// <exception cref="StepFailedException">It failed as often as it may, now or before.</exception>
    /// <exception cref="OperationCanceledException">The lease is lost, a time-out is over or the worker ends. Let it pass.</exception>
    /// <exception cref="InvalidInputException">The version has no such node.</exception>
    public Task<PayloadBody?> StepAsync(string nodeId, Func<StepAttempt, Task<PayloadBody?>> run, StepOptions? options = null, CancellationToken cancellationToken = default)
        => steps.RunAsync(nodeId, options ?? StepOptions.Default, run, recordsItself: false, cancellationToken);

    /// <summary>
    /// Runs a step whose effects are in the same database, exactly once: its record is written in the transaction of its effects. Either both
    /// are committed, under a lease that was still this worker's, or neither.
    /// </summary>
    /// <param name="database">
    /// Where the effects go: the database of Flowstone, by a login of the caller's that may become <c>flowstone_app</c>
    /// (<c>grant flowstone_app to my_login</c>).
    /// </param>
    /// <param name="run">Uses the transaction, in its own role; does not commit it. It may be run again after a rollback.</param>
    /// <exception cref="StepFailedException">It failed as often as it may, now or before. Its effects are rolled back.</exception>
    /// <exception cref="OperationCanceledException">The lease is lost, a time-out is over or the worker ends. Let it pass.</exception>
    /// <exception cref="InvalidInputException">The version has no such node.</exception>
    public Task<PayloadBody?> StepAsync(
        string nodeId, NpgsqlDataSource database, Func<StepAttempt, NpgsqlTransaction, Task<PayloadBody?>> run, StepOptions? options = null, CancellationToken cancellationToken = default)
        => steps.RunAsync(nodeId, options ?? StepOptions.Default, step => StepTransaction.RunAsync(database, step, store.Queue, held.Lease, run), recordsItself: true, cancellationToken);
}
