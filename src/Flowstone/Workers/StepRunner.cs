using System.Runtime.ExceptionServices;
using Flowstone.Data;
using Flowstone.Executions;
using Flowstone.Tenancy;

namespace Flowstone.Workers;

/// <summary>Runs the steps of one execution, and keeps their record.</summary>
/// <param name="drained">The worker does not wait any longer for what runs.</param>
sealed class StepRunner(FlowstoneStore store, WorkContext work, HeldLease held, Persistence persistence, Func<Exception, bool> isTransient, CancellationToken drained)
{
    readonly Lock gate = new();
    readonly HashSet<(int Node, int Iteration)> running = [];
    RecordedSteps? recorded;

    Execution Execution => work.Execution;

    /// <param name="body">One attempt.</param>
    /// <param name="recordsItself">A success is recorded by the body, together with its effects.</param>
    public async Task<PayloadBody?> RunAsync(string nodeId, StepOptions options, Func<StepAttempt, Task<PayloadBody?>> body, bool recordsItself, CancellationToken cancellationToken)
    {
        using var cancelled = CancellationTokenSource.CreateLinkedTokenSource(work.CancellationToken, cancellationToken);
        cancelled.Token.ThrowIfCancellationRequested();
        var place = (Node: await OrdinalAsync(nodeId), options.Iteration);
        lock (gate)
            if (!running.Add(place))
                throw new InvalidOperationException($"Step {nodeId} (iteration {options.Iteration}) is running already.");
        try
        {
            return await RunAsync(new Run(nodeId, place.Node, options, body, recordsItself), cancelled.Token);
        }
        finally
        {
            lock (gate)
                running.Remove(place);
        }
    }

    sealed record Run(string NodeId, int Node, StepOptions Options, Func<StepAttempt, Task<PayloadBody?>> Body, bool RecordsItself);

    async Task<PayloadBody?> RunAsync(Run run, CancellationToken cancelled)
    {
        await ReadOnceAsync();
        Exception? failure = null;
        for (var again = 0; ;)
        {
            var state = this[run];
            if (state.Success is { } done)
                return done.Output is { } output ? await work.PayloadAsync(output, cancelled) : null;
            if (state.Tries >= run.Options.MaxAttempts)
                throw new StepFailedException(run.NodeId, state.Last!, failure);
            if (failure is not null)
                await Task.Delay(run.Options.PauseAfter(state.Tries), cancelled);
            if (!state.Open)
                await StartAsync(run, (short)(state.Attempts + 1));

            var (finish, result, error) = await AttemptAsync(run, this[run].Attempts, cancelled);
            held.Lost.ThrowIfCancellationRequested();
            if (run.RecordsItself && error is not null && (IsUncertain(error) || again > 0) && await LookAsync(run, again++, error))
                continue;
            if (run.RecordsItself && error is ConflictException)
            {
                held.Lose();
                ExceptionDispatchInfo.Throw(error);
            }
            if (!run.RecordsItself || error is not null)
                await WriteAsync([], [finish], row => row.FinishedAt is not null);
            this[run] = RecordedSteps.After(this[run], Row(run, finish));
            if (error is null)
                return result;
            if (finish.Status == ExecutionStatus.Cancelled || finish.Reason == WorkReason.Transient || work.CancellationToken.IsCancellationRequested)
                ExceptionDispatchInfo.Throw(error);
            failure = error;
        }
    }

    /// <summary>After an attempt that was committed or rolled back, nobody knows: the record tells.</summary>
    /// <returns>Go on by the record: it was committed, or the same attempt goes on.</returns>
    async Task<bool> LookAsync(Run run, int times, Exception error)
    {
        if (IsUncertain(error))
            await persistence.PauseAsync(times);
        this[run] = RecordedSteps.Of(await work.RecordedAsync(held.Lost))[run.Node, run.Options.Iteration];
        return IsUncertain(error) || this[run].Success is not null;   // else: this one failed by itself, and the one before did not stand in its way
    }

    async Task StartAsync(Run run, short attempt)
    {
        await WriteAsync([new NodeStart { NodeId = run.NodeId, Iteration = run.Options.Iteration, Attempt = attempt, Input = run.Options.Input }], [], _ => true);
        this[run] = this[run] with { Attempts = attempt, Open = true };
    }

    StepState this[Run run]
    {
        get => recorded![run.Node, run.Options.Iteration];
        set => recorded![run.Node, run.Options.Iteration] = value;
    }

    async Task<(NodeFinish Finish, PayloadBody? Output, Exception? Error)> AttemptAsync(Run run, short attempt, CancellationToken cancelled)
    {
        using var time = new CancellationTokenSource();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancelled, time.Token);
        if (run.Options.Timeout is { } timeout)
            time.CancelAfter(timeout);
        var step = new StepAttempt
        {
            NodeId = run.NodeId,
            Iteration = run.Options.Iteration,
            Attempt = attempt,
            IdempotencyKey = $"{Execution.Id}/{run.Node}/{run.Options.Iteration}",
            CancellationToken = stop.Token,
        };
        var finish = new NodeFinish { NodeId = run.NodeId, Iteration = step.Iteration, Attempt = attempt, Status = ExecutionStatus.Failed };
        try
        {
            // Who uses a connection cannot be left to himself.
            var output = await (run.RecordsItself ? run.Body(step) : run.Body(step).ObeyAsync(ExecutionRun.Grace, stop.Token));
            return (finish with { Status = ExecutionStatus.Success, Output = output }, output, null);
        }
        catch (Exception error)   // whatever the caller's code throws is the step's end
        {
            return (error switch
            {
                OperationCanceledException when time.IsCancellationRequested
                    => finish with { Status = ExecutionStatus.Timeout, Error = $"It took longer than {run.Options.Timeout}." },
                OperationCanceledException when drained.IsCancellationRequested
                    => finish with { Status = ExecutionStatus.Cancelled, Reason = WorkReason.Drained, Error = "The worker stopped." },
                OperationCanceledException when work.CancellationToken.IsCancellationRequested
                    => finish with { Status = ExecutionStatus.Timeout, Error = "The execution took longer than it may." },
                OperationCanceledException when cancelled.IsCancellationRequested
                    => finish with { Status = ExecutionStatus.Cancelled, Error = "Its handler cancelled it." },
                _ when isTransient(error) => finish with { Reason = WorkReason.Transient, Error = CrashReport.Of(error) },
                _ => finish with { Reason = WorkReason.Crashed, Error = CrashReport.Of(error) },
            }, null, error);
        }
    }

    static bool IsUncertain(Exception error) => error is not OperationCanceledException && (error is UnavailableException || PostgresErrors.Explain(error) is UnavailableException);

    async ValueTask<int> OrdinalAsync(string nodeId)
    {
        var defined = await persistence.AskAsync(() => store.Nodes.GetAsync(new TenantDatabase(store.App, Execution.TenantId), Execution.WorkflowId, Execution.WorkflowVersion, held.Lost).AsTask());
        return defined.ById.TryGetValue(nodeId, out var node) ? node : throw new InvalidInputException("nodeId", $"is not a node of the executed version: {nodeId}");
    }

    /// <summary>What was there when this worker took the execution: nobody else writes it since.</summary>
    async ValueTask ReadOnceAsync()
    {
        if (recorded is not null)
            return;
        var read = Execution is { Claims: 1, ForkedFrom: null, RetryOf: null } ? [] : await work.RecordedAsync(held.Lost);
        Interlocked.CompareExchange(ref recorded, RecordedSteps.Of(read), null);
    }

    Task WriteAsync(NodeStart[] starts, NodeFinish[] finishes, Func<NodeExecution, bool> isWritten)
    {
        var (nodeId, iteration, attempt) = starts is [var start] ? (start.NodeId, start.Iteration, start.Attempt) : (finishes[0].NodeId, finishes[0].Iteration, finishes[0].Attempt);
        return persistence.WriteAsync(() => store.Queue.RecordAsync(held.Lease, starts, finishes, held.Lost), async () =>
        {
            var node = await OrdinalAsync(nodeId);
            return (await work.RecordedAsync(held.Lost)).Exists(row => row.Node == node && row.Iteration == iteration && row.Attempt == attempt && isWritten(row));
        });
    }

    NodeExecution Row(Run run, NodeFinish finish) => new()
    {
        TenantId = Execution.TenantId,
        ExecutionId = Execution.Id,
        Node = run.Node,
        Iteration = finish.Iteration,
        Attempt = finish.Attempt,
        Status = finish.Status,
        Reason = finish.Reason,
        Error = finish.Error,
        StartedAt = default,
        FinishedAt = default(DateTimeOffset),
        Output = finish.Output is { } output ? PayloadRef.Of(output, inline: true) : null,
    };
}
