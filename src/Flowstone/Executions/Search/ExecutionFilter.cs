using Flowstone.Users;
using Flowstone.Workflows;

namespace Flowstone.Executions;

/// <summary>Which executions to list; what is null does not restrict.</summary>
public sealed record ExecutionFilter
{
    public Id<Workflow>? WorkflowId { get; init; }

    /// <summary>Any of these.</summary>
    public IReadOnlyCollection<ExecutionStatus>? Statuses { get; init; }

    public ExecutionTrigger? Trigger { get; init; }
    public Id<User>? StartedBy { get; init; }

    /// <summary>The execution that called them.</summary>
    public Id<Execution>? ParentId { get; init; }

    /// <summary>Asked for then or later, to the millisecond.</summary>
    public DateTimeOffset? From { get; init; }

    /// <summary>Asked for before then, to the millisecond.</summary>
    public DateTimeOffset? To { get; init; }

    /// <summary>A part of the error of what did not succeed, without regard to case.</summary>
    public string? ErrorText { get; init; }

    /// <summary>All of these; needs <see cref="WorkflowId"/>, whose workflow declares the names and types.</summary>
    public IReadOnlyList<AttributeCondition> Attributes { get; init; } = [];

    /// <summary>Only what failed or timed out, has retries left, and was not retried yet.</summary>
    public bool Retryable { get; init; }
}

/// <summary>What an attribute of an execution must be.</summary>
public sealed record AttributeCondition(string Name, Comparison Comparison, AttributeValue Value);

public enum Comparison { Equal, Less, LessOrEqual, Greater, GreaterOrEqual }

/// <summary>How many there are.</summary>
public sealed record Total(long Value, TotalKind Kind);

/// <summary>How a <see cref="Total"/> is meant: exactly so many, more than so many, or about so many.</summary>
public enum TotalKind { Exact, MoreThan, Estimate }
