using Flowstone.Data;
using Flowstone.Tenancy;

namespace Flowstone.Executions;

/// <summary>One write of one execution. Whoever asked for it waits for its commit.</summary>
abstract class WriteCall(Id<Tenant> tenantId, Id<Execution> executionId)
{
    const int Waiting = 0, Sent = 1, GivenUp = 2;

    readonly TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    int state;

    public Id<Tenant> TenantId => tenantId;
    public Id<Execution> ExecutionId => executionId;
    public long AskedAt { get; } = System.Diagnostics.Stopwatch.GetTimestamp();

    /// <summary>Completes after the commit, or fails with what befell this call.</summary>
    public Task Done => done.Task;

    /// <summary>Bytes of payload that it brings.</summary>
    public abstract long Bytes { get; }

    /// <summary>What the database said of it, if it said nothing: then the lease was lost, say.</summary>
    public abstract FlowstoneException? Refusal { get; }

    public bool TrySend() => Interlocked.CompareExchange(ref state, Sent, Waiting) == Waiting;

    /// <summary>Only what has not been sent can be called off: what was, is told as it ends.</summary>
    public void CallOff(CancellationToken token)
    {
        if (Interlocked.CompareExchange(ref state, GivenUp, Waiting) == Waiting)
            done.TrySetCanceled(token);
    }

    public void Complete()
    {
        if (Refusal is { } refusal)
            done.TrySetException(refusal);
        else
            done.TrySetResult();
    }

    public void Fail(Exception error) => done.TrySetException(error);
}

/// <summary>Queues an execution.</summary>
sealed class StartCall(Execution execution, NewExecution request, DateTimeOffset now) : WriteCall(execution.TenantId, execution.Id)
{
    public Execution Execution => execution;
    public NewExecution Request => request;
    public DateTimeOffset? DedupUntil => request.DedupKey is null ? null : now + request.DedupWindow;

    /// <summary>The version that was started; null if there is none, or if the dedup key was taken.</summary>
    public int? Version { get; set; }

    /// <summary>The payload that needs a row.</summary>
    public PayloadBody? Body => execution.Input?.Hash is null ? null : request.Input;

    public override long Bytes => Body?.Bytes.Length ?? 0;

    public override FlowstoneException? Refusal => Version is not null || request.DedupKey is not null ? null : NoWorkflow;

    public FlowstoneException NoWorkflow => request.WorkflowVersion is { } number
        ? new NotFoundException($"Workflow {execution.WorkflowId} version", number) : new NotFoundException("Workflow", execution.WorkflowId);
}

/// <summary>A write under a lease.</summary>
abstract class LeasedCall(ExecutionLease lease) : WriteCall(lease.TenantId, lease.ExecutionId)
{
    public ExecutionLease Lease => lease;

    /// <summary>Whether the lease's fencing number was still the right one.</summary>
    public bool Held { get; set; }

    public override FlowstoneException? Refusal => Held ? null : lease.Lost();
}

/// <summary>Records steps.</summary>
sealed class RecordCall(ExecutionLease lease, NodeWrites writes) : LeasedCall(lease)
{
    public NodeWrites Writes => writes;

    public override long Bytes => writes.Bodies.Sum(body => (long)body.Bytes.Length);
}

/// <summary>Ends an execution.</summary>
sealed class FinishCall(ExecutionLease lease, ExecutionOutcome outcome, DateTimeOffset finishedAt) : LeasedCall(lease)
{
    public ExecutionOutcome Outcome => outcome;
    public string? Reason { get; } = outcome.Reason ?? (outcome.Status == ExecutionStatus.Success ? null : EnumText<ExecutionStatus>.Of(outcome.Status));
    public string? Error { get; } = Text.Fit(outcome.Error, Execution.MaxErrorLength);
    public DateTimeOffset FinishedAt => finishedAt;
    public PayloadRef? Output { get; } = outcome.Output is { } output ? PayloadRef.Of(output, inline: true) : null;

    /// <summary>The payload that needs a row.</summary>
    public PayloadBody? Body => Output?.Hash is null ? null : outcome.Output;

    public override long Bytes => Body?.Bytes.Length ?? 0;
}
