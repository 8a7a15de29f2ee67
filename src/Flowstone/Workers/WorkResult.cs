using Flowstone.Executions;

namespace Flowstone.Workers;

/// <summary>What a handler wants to become of its execution. A <see cref="PayloadBody"/> converts to success with that output.</summary>
public sealed class WorkResult
{
    WorkResult() { }

    internal ExecutionOutcome? Outcome { get; private init; }
    internal WaitFor? Awaited { get; private init; }
    internal (string Error, TimeSpan? Delay)? Back { get; private init; }
    internal bool Left { get; private init; }
    internal Action<TimeSpan>? Written { get; private init; }

    /// <summary>It is done.</summary>
    public static WorkResult Success(PayloadBody? output = null) => new() { Outcome = new() { Status = ExecutionStatus.Success, Output = output } };

    /// <summary>It failed for good. An exception that leaves the handler says the same, with the reason <see cref="WorkReason.Crashed"/>.</summary>
    /// <param name="reason">For machines, at most 32 characters.</param>
    /// <param name="error">For people; cut at 4,000 characters.</param>
    public static WorkResult Failed(string reason, string? error = null) => new() { Outcome = new() { Status = ExecutionStatus.Failed, Reason = reason, Error = error } };

    /// <summary>It waits, and no worker holds it meanwhile; then a handler is called anew, and finds its steps recorded.</summary>
    public static WorkResult Wait(WaitFor what) => new() { Awaited = what };

    /// <summary>This attempt failed for a reason that passes: it is tried again after a back-off, until its attempts are spent.</summary>
    /// <param name="delay">Null grows with each attempt.</param>
    public static WorkResult GiveBack(string error, TimeSpan? delay = null) => new() { Back = (error, delay) };

    /// <summary>Another worker shall go on, at once; counts as no failure. For handlers that see <see cref="WorkContext.Stopping"/>.</summary>
    public static WorkResult Release() => new();

    /// <summary>Nothing is written; the lease runs out.</summary>
    internal static WorkResult Leave() => new() { Left = true };

    /// <summary>Calls back once it is written, with the time that took. Not if the lease was lost before.</summary>
    internal WorkResult Then(Action<TimeSpan> written) => new() { Outcome = Outcome, Awaited = Awaited, Back = Back, Written = written };

    internal static WorkResult TimedOut(string? reason, string error) => new() { Outcome = new() { Status = ExecutionStatus.Timeout, Reason = reason, Error = error } };

    public static implicit operator WorkResult(PayloadBody? output) => Success(output);
}

/// <summary>Why a step or an execution that a worker ran did not succeed, as its <c>reason</c> says.</summary>
public static class WorkReason
{
    /// <summary>An exception left the handler, or the step.</summary>
    public const string Crashed = "CRASHED";

    /// <summary>A step failed as often as it may, and the handler let that pass.</summary>
    public const string NodeFailed = "NODE_FAILED";

    /// <summary>A step took longer than it may, and the handler let that pass. The execution's status is TIMEOUT.</summary>
    public const string NodeTimeout = "NODE_TIMEOUT";

    /// <summary>A step ended by an error that passes by itself. Counts as none of its attempts.</summary>
    public const string Transient = "TRANSIENT";

    /// <summary>A step was cancelled because its worker stops. Counts as none of its attempts.</summary>
    public const string Drained = "DRAINED";

    /// <summary>A step's worker fell silent. Counts as none of its attempts.</summary>
    internal const string LostWorker = "LOST_WORKER";

    /// <summary>A step that was left open when its execution was given back. Counts as none of its attempts.</summary>
    internal const string GivenBack = "GIVEN_BACK";
}

/// <summary>Thrown by a handler or a step: it failed for a reason that passes by itself. The execution is given back and tried again.</summary>
public sealed class TransientWorkException(string message, Exception? cause = null, TimeSpan? delay = null) : FlowstoneException(message, cause)
{
    /// <summary>Until it is tried again; null grows with each attempt.</summary>
    public TimeSpan? Delay => delay;
}

/// <summary>A step failed as often as it may. A handler may catch it and go another way; otherwise the execution ends so.</summary>
public sealed class StepFailedException : FlowstoneException
{
    internal StepFailedException(string nodeId, NodeExecution last, Exception? cause)
        : base($"Node {nodeId} {(last.Status == ExecutionStatus.Timeout ? "timed out" : "failed")}, at attempt {last.Attempt}: {last.Error}", cause)
        => (NodeId, Status) = (nodeId, last.Status);

    public string NodeId { get; }

    /// <summary>FAILED, TIMEOUT or CANCELLED.</summary>
    public ExecutionStatus Status { get; }
}
