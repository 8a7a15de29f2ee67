using Flowstone.Data;

namespace Flowstone.Executions;

/// <summary>Queues an execution.</summary>
sealed class StartCall(Execution execution, int? version, DateTimeOffset? dueAt, DateTimeOffset? databaseNow, PayloadBody? input)
    : WriteCall(execution.TenantId, execution.Id)
{
    public Execution Execution => execution;
    public int? RequestedVersion => version;
    public DateTimeOffset? DueAt => dueAt;
    public DateTimeOffset? DatabaseNow => databaseNow;
    public PayloadBody? Input => input;

    /// <summary>The version that was started; null if there is none.</summary>
    public int? Version { get; set; }

    public override long Bytes => input?.Bytes.Length ?? 0;

    public override FlowstoneException? Refusal => Version is not null ? null
        : version is { } number ? new NotFoundException($"Workflow {execution.WorkflowId} version", number) : new NotFoundException("Workflow", execution.WorkflowId);
}

/// <summary>A write under a lease.</summary>
abstract class LeasedCall(ExecutionLease lease) : WriteCall(lease.TenantId, lease.ExecutionId)
{
    public ExecutionLease Lease => lease;

    /// <summary>Whether the lease's fencing number was still the right one.</summary>
    public bool Held { get; set; }

    public override FlowstoneException? Refusal => Held ? null
        : new ConflictException($"The lease on execution {lease.ExecutionId} (fence {lease.Fence}) is lost: another worker took over, or it was cancelled. Stop working on it.");
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
    public string? Error { get; } = Text.Fit(outcome.Error, Execution.MaxErrorLength);
    public DateTimeOffset FinishedAt => finishedAt;

    public override long Bytes => outcome.Output?.Bytes.Length ?? 0;
}
