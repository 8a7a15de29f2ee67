using System.Runtime.CompilerServices;
using Flowstone.Data;
using Flowstone.Tenancy;
using Npgsql;

namespace Flowstone.Executions;

/// <summary>One write of one execution. Whoever asked for it waits for its commit.</summary>
abstract class WriteCall(Id<Tenant> tenantId, Id<Execution> executionId, PayloadRows? payloads = null) : IThreadPoolWorkItem
{
    const int Waiting = 0, Sent = 1, GivenUp = 2;

    readonly TaskCompletionSource done = new();
    int state;
    Exception? error;

    public Id<Tenant> TenantId => tenantId;
    public Id<Execution> ExecutionId => executionId;
    public long AskedAt { get; } = System.Diagnostics.Stopwatch.GetTimestamp();

    /// <summary>Completes after the commit, or fails with what befell this call.</summary>
    public Task Done => done.Task;

    /// <summary>The payloads that it brings; null if none.</summary>
    public PayloadRows? Payloads => payloads;

    /// <summary>Why a committed group did nothing for it; null if it did.</summary>
    public virtual FlowstoneException? Refusal => null;

    public bool TrySend() => Interlocked.CompareExchange(ref state, Sent, Waiting) == Waiting;

    /// <summary>Only what has not been sent can be called off: what was, is told as it ends.</summary>
    public void CallOff(CancellationToken token)
    {
        if (Interlocked.CompareExchange(ref state, GivenUp, Waiting) != Waiting)
            return;
        error = new OperationCanceledException(token);
        AnswerElsewhere();
    }

    /// <summary>Why it was not done. It is told with the answer.</summary>
    public void Fail(Exception reason) => error = reason;

    /// <summary>Whoever waits goes on within, unless there is too little room for it on the stack.</summary>
    public void Answer()
    {
        if (RuntimeHelpers.TryEnsureSufficientExecutionStack())
            Execute();
        else
            AnswerElsewhere();
    }

    /// <summary>Whoever waits goes on with a thread of the pool.</summary>
    public void AnswerElsewhere() => ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: true);

    public void Execute()
    {
        switch (error ?? Refusal)
        {
            case null:
                done.SetResult();
                break;
            case OperationCanceledException cancelled when state == GivenUp:
                done.SetCanceled(cancelled.CancellationToken);
                break;
            case var reason:
                done.SetException(reason);
                break;
        }
    }
}

/// <summary>Queues an execution.</summary>
sealed class StartCall(Execution execution, NewExecution request, PayloadRows? payloads, IReadOnlyList<(string Name, byte[] Value)> attributes, DateTimeOffset now) : WriteCall(execution.TenantId, execution.Id, payloads)
{
    public Execution Execution => execution;
    public NewExecution Request => request;
    public IReadOnlyList<(string Name, byte[] Value)> Attributes => attributes;

    /// <summary>Whether it asks for more than most do.</summary>
    public bool Special => request is not { WorkflowVersion: null, DueAt: null, DedupKey: null, Concurrency: null } || execution is not { ParentId: null, Detached: false };

    public DateTimeOffset? DedupUntil => request.DedupKey is null ? null : now + request.DedupWindow;

    /// <summary>The version that was started; null if there is none, or if the dedup key was taken.</summary>
    public int? Version { get; set; }

    public override FlowstoneException? Refusal => Version is not null || request.DedupKey is not null ? null : NoWorkflow;

    public FlowstoneException NoWorkflow => request.WorkflowVersion is { } number
        ? new NotFoundException($"Workflow {execution.WorkflowId} version", number) : new NotFoundException("Workflow", execution.WorkflowId);
}

/// <summary>A write under a lease.</summary>
abstract class LeasedCall(ExecutionLease lease, PayloadRows? payloads = null) : WriteCall(lease.TenantId, lease.ExecutionId, payloads)
{
    public ExecutionLease Lease => lease;
}

/// <summary>Records steps.</summary>
sealed class RecordCall(ExecutionLease lease, NodeWrites writes, PayloadRows payloads) : LeasedCall(lease, payloads)
{
    public NodeWrites Writes => writes;
}

/// <summary>Ends an execution.</summary>
sealed class FinishCall(ExecutionLease lease, ExecutionOutcome outcome, PayloadRef? output, PayloadRows? payloads, DateTimeOffset finishedAt) : LeasedCall(lease, payloads)
{
    public ExecutionOutcome Outcome => outcome;

    /// <summary>Whether open steps are to be closed and limits to be given back: dearer, and seldom needed.</summary>
    public bool Thorough { get; set; }

    public string? Reason { get; } = outcome.Reason ?? (outcome.Status == ExecutionStatus.Success ? null : EnumText<ExecutionStatus>.Of(outcome.Status));
    public string? Error { get; } = Text.Fit(outcome.Error, Execution.MaxErrorLength);
    public DateTimeOffset FinishedAt => finishedAt;
    public PayloadRef? Output => output;
}

/// <summary>Prolongs a lease. In the lane of its execution, so that it never waits for that execution's other writes, nor they for it.</summary>
sealed class RenewCall(ExecutionLease lease, TimeSpan duration) : LeasedCall(lease)
{
    public TimeSpan Duration => duration;

    /// <summary>Whether the lease's fencing number was still the right one.</summary>
    public bool Held { get; set; }

    public override FlowstoneException? Refusal => Held ? null : Lease.Lost();
}

/// <summary>Claims what is due, after whatever else the group writes: another transaction would wait for another flush of the log.</summary>
/// <param name="tenants">Whose lanes are looked at; at least one.</param>
/// <param name="begin">Is called for each try: what is sent, which tells of itself by rows that begin with <see cref="WriteSql.Claimed"/>, and what reads them.</param>
sealed class ClaimCall(IReadOnlyList<Id<Tenant>> tenants, Func<(Statement Statement, Action<NpgsqlDataReader> Read)> begin) : WriteCall(tenants[0], default)
{
    public IReadOnlyList<Id<Tenant>> Tenants => tenants;
    public (Statement Statement, Action<NpgsqlDataReader> Read) Begin() => begin();
}
