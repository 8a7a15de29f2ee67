using System.Diagnostics;
using Flowstone.Executions;

namespace Flowstone.Workers;

/// <summary>One claimed execution, from the call of its handler to what is written of it.</summary>
sealed class ExecutionRun : IDisposable
{
    /// <summary>For a handler that does not listen to its token, before it is left to itself.</summary>
    public static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    readonly FlowstoneStore store;
    readonly WorkerOptions options;
    readonly HeldLease held;
    readonly CancellationToken drained;
    readonly CancellationTokenSource time;
    readonly CancellationTokenSource cancelled;

    public ExecutionRun(FlowstoneStore store, WorkerOptions options, ClaimedExecution claimed, HeldLease held, CancellationToken stopping, CancellationToken drained)
    {
        (this.store, this.options, this.held, this.drained) = (store, options, held, drained);
        time = options.ExecutionTimeout is { } timeout ? new CancellationTokenSource(timeout) : new CancellationTokenSource();
        cancelled = CancellationTokenSource.CreateLinkedTokenSource(held.Lost, drained, time.Token);
        Context = new WorkContext(store, claimed, held, options, stopping, drained, cancelled.Token);
    }

    public WorkContext Context { get; }

    Id<Execution> Id => Context.Execution.Id;

    public void Dispose()
    {
        cancelled.Dispose();
        time.Dispose();
    }

    /// <returns>What is to be written: null if nothing, because it is another worker's now. And the handler, which may go on if it does not listen.</returns>
    public async Task<(WorkResult? Result, Task Working)> HandleAsync(Func<WorkContext, Task<WorkResult>> handler, WorkerLog log)
    {
        var working = CallAsync(handler);
        try
        {
            return (await working.ObeyAsync(Grace, cancelled.Token), working);
        }
        catch (Exception error)   // of the caller's code: it becomes the execution's end
        {
            var result = Judge(error);
            if (held.Lost.IsCancellationRequested)
                log.LeaseLost(Id, held.Lease.Fence);
            else if (result.Outcome is { Reason: WorkReason.Crashed })
                log.Crashed(Id, error);
            return (held.Lost.IsCancellationRequested || !working.IsCompleted && result.Outcome is null ? null : result, working);
        }
    }

    // A handler that throws before its first await does so here, not in the worker.
    async Task<WorkResult> CallAsync(Func<WorkContext, Task<WorkResult>> handler) => await handler(Context);

    WorkResult Judge(Exception error) => error switch
    {
        OperationCanceledException when time.IsCancellationRequested => WorkResult.TimedOut(null, $"It took longer than {options.ExecutionTimeout}."),
        OperationCanceledException when drained.IsCancellationRequested => WorkResult.Release(),
        StepFailedException { Status: ExecutionStatus.Timeout } => WorkResult.TimedOut(WorkReason.NodeTimeout, error.Message),
        StepFailedException => WorkResult.Failed(WorkReason.NodeFailed, error.Message),
        TransientWorkException e => WorkResult.GiveBack(CrashReport.Of(error), e.Delay),
        _ when options.IsTransient(error) => WorkResult.GiveBack(CrashReport.Of(error)),
        _ => WorkResult.Failed(WorkReason.Crashed, CrashReport.Of(error)),
    };

    /// <summary>Writes nothing if the lease is lost: then another worker decides, or it was cancelled.</summary>
    public async Task WriteAsync(WorkResult result, WorkerLog log)
    {
        if (held.Lost.IsCancellationRequested)
            return;
        var began = Stopwatch.GetTimestamp();
        try
        {
            await new Persistence(held).WriteAsync(() => result switch
            {
                { Outcome: { } outcome } => store.Queue.FinishAsync(held.Lease, outcome),
                { Awaited: { } what } => store.Queue.WaitAsync(held.Lease, what),
                { Back: { } back } => store.Queue.GiveBackAsync(held.Lease, back.Error, back.Delay),
                _ => store.Queue.ReleaseAsync(held.Lease),
            }, async () => await FindAsync() is not { Status: ExecutionStatus.Running });
        }
        catch (Exception error) when (error is ConflictException || error is OperationCanceledException && held.Lost.IsCancellationRequested)
        {
            log.LeaseLost(Id, held.Lease.Fence);
            return;
        }
        result.Written?.Invoke(Stopwatch.GetElapsedTime(began));
    }

    async Task<Execution?> FindAsync() => await Context.Tenant.Executions.FindAsync(Id);
}
