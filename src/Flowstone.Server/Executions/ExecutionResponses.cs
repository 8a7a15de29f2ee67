using Flowstone.Executions;
using Flowstone.Users;
using Flowstone.Workflows;

namespace Flowstone.Server.Executions;

/// <summary>An execution as clients see it.</summary>
/// <param name="DurationMs">Time at work, without the wait in the queue; null until it has finished.</param>
/// <param name="InputRef">Names the payload: <c>/executions/{id}/payloads/{name}</c>.</param>
sealed record ExecutionResponse(
    Id<Execution> Id, Id<Workflow> WorkflowId, int WorkflowVersion, ExecutionStatus Status, string? Reason, string? Error, ExecutionTrigger Trigger,
    short Priority, Id<User>? StartedBy, DateTimeOffset CreatedAt, DateTimeOffset DueAt, DateTimeOffset? StartedAt, DateTimeOffset? FinishedAt,
    double? DurationMs, int Claims, string? InputRef, string? OutputRef,
    Id<Execution>? ParentId, bool Detached, Id<Execution>? RetryOf, Id<Execution>? RetriedBy, short RetryCount, short MaxRetries, Id<Execution>? ForkedFrom, string? WaitingFor)
{
    public static ExecutionResponse Of(Execution e) => new(
        e.Id, e.WorkflowId, e.WorkflowVersion, e.Status, e.Reason, e.Error, e.Trigger, e.Priority, e.StartedBy, e.CreatedAt, e.DueAt, e.StartedAt, e.FinishedAt,
        e.Duration?.TotalMilliseconds, e.Claims, e.Input?.ToString(), e.Output?.ToString(),
        e.ParentId, e.Detached, e.RetryOf, e.RetriedBy, e.RetryCount, e.MaxRetries, e.ForkedFrom, e.WaitingFor);
}

/// <summary>One attempt of one node.</summary>
/// <param name="Node">The node's place in the version's <c>nodes</c>, from 0.</param>
sealed record NodeResponse(
    int Node, int Iteration, short Attempt, ExecutionStatus Status, string? Reason, string? Error,
    DateTimeOffset StartedAt, DateTimeOffset? FinishedAt, double? DurationMs, string? InputRef, string? OutputRef)
{
    public static NodeResponse Of(NodeExecution n) => new(
        n.Node, n.Iteration, n.Attempt, n.Status, n.Reason, n.Error, n.StartedAt, n.FinishedAt, n.Duration?.TotalMilliseconds,
        n.Input?.ToString(), n.Output?.ToString());
}

sealed record TimelineResponse(ExecutionResponse Execution, IReadOnlyList<TimelineStepResponse> Steps)
{
    public static TimelineResponse Of(ExecutionTimeline timeline) => new(
        ExecutionResponse.Of(timeline.Execution),
        [.. timeline.Steps.Select(TimelineStepResponse.Of)]);
}

/// <summary>A step with the node that it ran.</summary>
sealed record TimelineStepResponse(string NodeId, string Name, string Type, NodeResponse Execution)
{
    public static TimelineStepResponse Of(TimelineStep s) => new(s.Node.Id, s.Node.Name, s.Node.Type, NodeResponse.Of(s.Execution));
}

/// <param name="Kind">Whether it is exactly so many, more than so many, or about so many.</param>
sealed record TotalResponse(long Value, TotalKind Kind);

/// <param name="ClaimableAt">When it may be claimed: its due time, or the end of its worker's lease; null while it is held back.</param>
sealed record ActiveResponse(ExecutionResponse Execution, DateTimeOffset? ClaimableAt)
{
    public static ActiveResponse Of(ActiveExecution a) => new(ExecutionResponse.Of(a.Execution), a.Place.ClaimableAt == DateTimeOffset.MaxValue ? null : a.Place.ClaimableAt);
}

/// <summary>How executions ended, and in how long.</summary>
/// <param name="Counts">By status; a status without any is absent. What is not finished is counted as it is now, and not when <c>to</c> is given.</param>
/// <param name="SuccessRate">SUCCESS among SUCCESS, FAILED and TIMEOUT, 0 to 1; null if there is none of them.</param>
/// <param name="AverageWaitMs">From due to started.</param>
sealed record StatisticsResponse(Dictionary<string, long> Counts, double? SuccessRate, DurationResponse? DurationMs, double? AverageWaitMs)
{
    public static StatisticsResponse Of(ExecutionFigures f) => new(
        f.Counts.OrderBy(c => c.Key).ToDictionary(c => Choice.Text(c.Key), c => c.Value), f.SuccessRate,
        f.Duration is { } d ? new(d.Average.TotalMilliseconds, d.P50.TotalMilliseconds, d.P95.TotalMilliseconds, d.P99.TotalMilliseconds) : null, f.AverageWait?.TotalMilliseconds);
}

/// <summary>In milliseconds; percentiles are right within 2 %.</summary>
sealed record DurationResponse(double Average, double P50, double P95, double P99);
