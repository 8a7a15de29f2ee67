using Flowstone.Data;
using Flowstone.Workflows;

namespace Flowstone.Executions;

/// <summary>What is needed to start a workflow.</summary>
public sealed record NewExecution
{
    public required Id<Workflow> WorkflowId { get; init; }

    /// <summary>Null runs the newest version.</summary>
    public int? WorkflowVersion { get; init; }

    public ExecutionTrigger Trigger { get; init; } = ExecutionTrigger.Manual;
    public PayloadBody? Input { get; init; }

    /// <summary>Higher goes first.</summary>
    public short Priority { get; init; }

    /// <summary>Not before this; null is now.</summary>
    public DateTimeOffset? DueAt { get; init; }

    /// <summary>How often a worker may be lost with it, or give it back as failed, before it is a dead letter: 1 to 1,000. Default 10.</summary>
    public short MaxAttempts { get; init; } = 10;

    /// <summary>How often it may be tried again after it has failed; 0 is never. Default 3.</summary>
    public short MaxRetries { get; init; } = 3;

    /// <summary>
    /// Within <see cref="DedupWindow"/> a second start under the same key starts nothing and answers with the first one's execution. At most 255 characters.
    /// </summary>
    public string? DedupKey { get; init; }

    /// <summary>How long a dedup key is remembered, 1 s to 30 days. Default 24 h.</summary>
    public TimeSpan DedupWindow { get; init; } = TimeSpan.FromHours(24);

    /// <summary>At most so many of the tenant's executions with this key run at once; null does not limit.</summary>
    public ConcurrencyLimit? Concurrency { get; init; }

    /// <summary>The execution that calls this one, of the same tenant.</summary>
    public Id<Execution>? ParentId { get; init; }

    /// <summary>Goes on when its parent is cancelled. Default false.</summary>
    public bool Detached { get; init; }

    /// <summary>Values by which it will be found; their names and types are declared by the workflow.</summary>
    public IReadOnlyDictionary<string, AttributeValue> Attributes { get; init; } = new Dictionary<string, AttributeValue>();

    internal void Check()
    {
        if (MaxAttempts is < 1 or > 1000)
            throw new InvalidInputException("maxAttempts", "must be 1 to 1,000.");
        if (MaxRetries is < 0 or > 1000)
            throw new InvalidInputException("maxRetries", "must be 0 to 1,000.");
        if (DedupKey is not null)
            Text.Require("dedupKey", DedupKey, 255);
        if (DedupWindow < TimeSpan.FromSeconds(1) || DedupWindow > TimeSpan.FromDays(30))
            throw new InvalidInputException("dedupWindow", "must be 1 second to 30 days.");
        if (Concurrency is { } concurrency)
        {
            Text.Require("concurrency.key", concurrency.Key, 200);
            if (concurrency.Key.StartsWith("workflow:", StringComparison.Ordinal) || concurrency.Key.StartsWith("paused:", StringComparison.Ordinal))
                throw new InvalidInputException("concurrency.key", "must not begin with workflow: or paused:, which are Flowstone's own.");
            if (concurrency.Maximum < 1)
                throw new InvalidInputException("concurrency.maximum", "must be 1 or more.");
        }
    }
}

/// <summary>How many executions with the same key may run at once. The newest start decides the maximum.</summary>
public sealed record ConcurrencyLimit(string Key, int Maximum);
