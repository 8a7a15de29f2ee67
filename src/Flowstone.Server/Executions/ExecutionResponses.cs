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
    double? DurationMs, int Claims, string? InputRef, string? OutputRef)
{
    public static ExecutionResponse Of(Execution e) => new(
        e.Id, e.WorkflowId, e.WorkflowVersion, e.Status, e.Reason, e.Error, e.Trigger, e.Priority, e.StartedBy, e.CreatedAt, e.DueAt, e.StartedAt, e.FinishedAt,
        e.Duration?.TotalMilliseconds, e.Claims, e.Input?.ToString(), e.Output?.ToString());
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
        [.. timeline.Steps.Select(s => new TimelineStepResponse(s.Node.Id, s.Node.Name, s.Node.Type, NodeResponse.Of(s.Execution)))]);
}

/// <summary>A step with the node that it ran.</summary>
sealed record TimelineStepResponse(string NodeId, string Name, string Type, NodeResponse Execution);
