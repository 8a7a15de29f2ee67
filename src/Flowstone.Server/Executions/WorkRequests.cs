using System.Text.Json;
using Flowstone.Executions;
using Flowstone.Tenancy;
using Microsoft.AspNetCore.Mvc;

namespace Flowstone.Server.Executions;

/// <param name="Worker">A name for people: host and process.</param>
/// <param name="Limit">How many executions at most, 1 to 1,000.</param>
/// <param name="LeaseMs">How long the worker may be silent before another takes over, 1,000 to 3,600,000.</param>
/// <param name="WaitMs">How long to wait for work if there is none, 0 to 30,000: the answer comes as soon as there is some, empty at the end of the time.</param>
sealed record ClaimWork(string Worker, int Limit = 10, long LeaseMs = 30_000, long WaitMs = 0);

sealed record ClaimedWork(IReadOnlyList<WorkItem> Items);

/// <param name="Lease">To be sent back, as it is, with every write.</param>
/// <param name="LeaseUntil">By the database's clock.</param>
sealed record WorkItem(WorkLease Lease, ExecutionResponse Execution, DateTimeOffset LeaseUntil);

/// <summary>The right to write an execution. It says nothing of the tenant: that is the session's.</summary>
sealed record WorkLease(Id<Execution> ExecutionId, Guid ShardKey, int Fence)
{
    public static WorkLease Of(ExecutionLease lease) => new(lease.ExecutionId, lease.ShardKey, lease.Fence);

    public ExecutionLease For(TenantScope tenant) => new(tenant.TenantId, ExecutionId, ShardKey, Fence);
}

sealed record RenewWork(IReadOnlyList<WorkLease> Leases, long LeaseMs = 30_000);

/// <param name="Lost">Stop working on these: another worker took over, or they were cancelled.</param>
sealed record RenewedWork(IReadOnlyList<Id<Execution>> Lost);

/// <summary>What became of each item of a batch, in the same order.</summary>
sealed record WorkResults(IReadOnlyList<WorkItemResult> Items);

/// <param name="Problem">Null if it is stored. 409 is a lost lease: stop working on that execution.</param>
sealed record WorkItemResult(Id<Execution> ExecutionId, ProblemDetails? Problem);

/// <summary>Steps of one execution, or of several in <c>items</c>: not both.</summary>
sealed record NodeWork(
    WorkLease? Lease = null, IReadOnlyList<NodeStartWork>? Starts = null, IReadOnlyList<NodeFinishWork>? Finishes = null, IReadOnlyList<NodeWorkItem>? Items = null);

/// <summary>All or none of its starts and finishes are stored.</summary>
sealed record NodeWorkItem(WorkLease Lease, IReadOnlyList<NodeStartWork>? Starts = null, IReadOnlyList<NodeFinishWork>? Finishes = null);

/// <param name="NodeId">The node's id in the executed version.</param>
/// <param name="Iteration">How often a loop has come round before.</param>
/// <param name="Input">Any JSON value; kept byte for byte.</param>
/// <param name="InputRef">Instead of <paramref name="Input"/>: names a payload of this execution that is stored already.</param>
/// <param name="StartedAt">Now, unless told.</param>
sealed record NodeStartWork(string NodeId, int Iteration = 0, short Attempt = 1, JsonElement? Input = null, string? InputRef = null, DateTimeOffset? StartedAt = null)
{
    public NodeStart ToStart() => new()
    {
        NodeId = NodeId,
        Iteration = Iteration,
        Attempt = Attempt,
        Input = Input is { } input ? PayloadBody.Json(input) : null,
        InputRef = InputRef is null ? null : PayloadRef.Parse(InputRef),
        StartedAt = StartedAt?.ToUniversalTime(),
    };
}

/// <param name="Status">SUCCESS, FAILED, CANCELLED or TIMEOUT.</param>
/// <param name="OutputRef">Instead of <paramref name="Output"/>: names a payload of this execution that is stored already.</param>
sealed record NodeFinishWork(
    string NodeId, ExecutionStatus Status, int Iteration = 0, short Attempt = 1, JsonElement? Output = null, string? OutputRef = null, string? Error = null,
    string? Reason = null, DateTimeOffset? FinishedAt = null)
{
    public NodeFinish ToFinish() => new()
    {
        NodeId = NodeId,
        Iteration = Iteration,
        Attempt = Attempt,
        Status = Status,
        Output = Output is { } output ? PayloadBody.Json(output) : null,
        OutputRef = OutputRef is null ? null : PayloadRef.Parse(OutputRef),
        Error = Error,
        Reason = Reason,
        FinishedAt = FinishedAt?.ToUniversalTime(),
    };
}

/// <summary>The end of one execution, or of several in <c>items</c>: not both.</summary>
/// <param name="Status">SUCCESS, FAILED or TIMEOUT.</param>
sealed record FinishWork(
    WorkLease? Lease = null, ExecutionStatus? Status = null, JsonElement? Output = null, string? OutputRef = null, string? Error = null, string? Reason = null,
    IReadOnlyList<FinishWorkItem>? Items = null);

/// <param name="Status">SUCCESS, FAILED or TIMEOUT.</param>
/// <param name="OutputRef">Instead of <paramref name="Output"/>: names a payload of this execution that is stored already.</param>
sealed record FinishWorkItem(WorkLease Lease, ExecutionStatus Status, JsonElement? Output = null, string? OutputRef = null, string? Error = null, string? Reason = null)
{
    public ExecutionOutcome ToOutcome() => new()
    {
        Status = Status,
        Output = Output is { } output ? PayloadBody.Json(output) : null,
        OutputRef = OutputRef is { } name ? PayloadRef.Parse(name) : null,
        Error = Error,
        Reason = Reason,
    };
}

sealed record ReleaseWork(WorkLease Lease);

/// <param name="Error">Why this attempt failed, for people.</param>
/// <param name="DelayMs">Until it is tried again, 0 to 30 days; a back-off that grows with each attempt, unless told.</param>
sealed record GiveBackWork(WorkLease Lease, string Error, long? DelayMs = null);

/// <param name="Until">Go on then; null waits for the signal alone.</param>
/// <param name="Signal">Go on when it comes, or has come; null waits for the time alone.</param>
sealed record WaitWork(WorkLease Lease, DateTimeOffset? Until = null, string? Signal = null);

/// <param name="Ref">To be sent as <c>inputRef</c> or <c>outputRef</c> of steps and of the end.</param>
sealed record StoredWork(string Ref);
