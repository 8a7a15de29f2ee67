using Flowstone.Tenancy;

namespace Flowstone.Executions;

/// <summary>
/// A worker's right to write an execution. <see cref="Fence"/> is the fencing number: when another worker takes the execution over,
/// it grows, and every write with the old one is refused.
/// </summary>
public sealed record ExecutionLease(Id<Tenant> TenantId, Id<Execution> ExecutionId, Guid ShardKey, int Fence)
{
    internal ConflictException Lost()
        => new($"The lease on execution {ExecutionId} (fence {Fence}) is lost: another worker took over, or it was cancelled. Stop working on it.");
}

/// <summary>What a worker asks for.</summary>
public sealed record ClaimRequest
{
    /// <summary>A name for people: host and process.</summary>
    public required string Worker { get; init; }

    /// <summary>How many executions at most, 1 to 1,000.</summary>
    public int Limit { get; init; } = 10;

    /// <summary>How long the worker may be silent before another takes over, 1 s to 1 h. Default 30 s.</summary>
    public TimeSpan Lease { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Only this tenant's work; null takes all tenants'.</summary>
    public Id<Tenant>? TenantId { get; init; }
}

/// <summary>An execution that a worker now holds. What <see cref="Execution.Claims"/> over 1 left behind is read with <c>NodesAsync</c>.</summary>
/// <param name="LeaseUntil">By the database's clock.</param>
public sealed record ClaimedExecution(ExecutionLease Lease, Execution Execution, DateTimeOffset LeaseUntil);

/// <summary>A node begins.</summary>
public sealed record NodeStart
{
    /// <summary>The node's id in the executed version.</summary>
    public required string NodeId { get; init; }

    /// <summary>How often a loop has come round before: 0 outside of loops.</summary>
    public int Iteration { get; init; }

    /// <summary>1 for the first try.</summary>
    public short Attempt { get; init; } = 1;

    /// <summary>Stored once per execution, however often it occurs.</summary>
    public PayloadBody? Input { get; init; }

    /// <summary>Instead of <see cref="Input"/>: a payload of this execution that is stored already, an earlier step's output say.</summary>
    public PayloadRef? InputRef { get; init; }

    /// <summary>Null is now.</summary>
    public DateTimeOffset? StartedAt { get; init; }
}

/// <summary>A node that was started has ended.</summary>
public sealed record NodeFinish
{
    public required string NodeId { get; init; }
    public int Iteration { get; init; }
    public short Attempt { get; init; } = 1;

    /// <summary>SUCCESS, FAILED, CANCELLED or TIMEOUT.</summary>
    public required ExecutionStatus Status { get; init; }

    public PayloadBody? Output { get; init; }

    /// <summary>Instead of <see cref="Output"/>: a payload of this execution that is stored already.</summary>
    public PayloadRef? OutputRef { get; init; }

    /// <summary>For people; cut at 4,000 characters.</summary>
    public string? Error { get; init; }

    /// <summary>For machines, at most 32 characters.</summary>
    public string? Reason { get; init; }

    /// <summary>Null is now.</summary>
    public DateTimeOffset? FinishedAt { get; init; }
}

/// <summary>How an execution ended.</summary>
public sealed record ExecutionOutcome
{
    /// <summary>SUCCESS, FAILED or TIMEOUT.</summary>
    public required ExecutionStatus Status { get; init; }

    public PayloadBody? Output { get; init; }

    /// <summary>Instead of <see cref="Output"/>: a payload of this execution that is stored already, the last step's output say.</summary>
    public PayloadRef? OutputRef { get; init; }

    public string? Error { get; init; }
    public string? Reason { get; init; }
}
