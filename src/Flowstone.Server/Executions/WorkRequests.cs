using System.Text.Json;
using Flowstone.Executions;
using Flowstone.Tenancy;

namespace Flowstone.Server.Executions;

/// <param name="Worker">A name for people: host and process.</param>
/// <param name="Limit">How many executions at most, 1 to 1,000.</param>
/// <param name="LeaseMs">How long the worker may be silent before another takes over, 1,000 to 3,600,000.</param>
sealed record ClaimWork(string Worker, int Limit = 10, long LeaseMs = 30_000);

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

sealed record NodeWork(WorkLease Lease, IReadOnlyList<NodeStartWork>? Starts = null, IReadOnlyList<NodeFinishWork>? Finishes = null);

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

/// <param name="Status">SUCCESS, FAILED or TIMEOUT.</param>
/// <param name="OutputRef">Instead of <paramref name="Output"/>: names a payload of this execution that is stored already.</param>
sealed record FinishWork(WorkLease Lease, ExecutionStatus Status, JsonElement? Output = null, string? OutputRef = null, string? Error = null, string? Reason = null);

/// <param name="Ref">To be sent as <c>inputRef</c> or <c>outputRef</c> of steps and of the end.</param>
sealed record StoredWork(string Ref);
