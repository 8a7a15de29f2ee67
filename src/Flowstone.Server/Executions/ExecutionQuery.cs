using System.Globalization;
using System.Text.RegularExpressions;
using Flowstone.Executions;
using Flowstone.Users;
using Flowstone.Workflows;
using Microsoft.AspNetCore.Mvc;

namespace Flowstone.Server.Executions;

/// <summary>Which executions are asked for; what is absent does not restrict.</summary>
/// <param name="Status">Any of these: <c>status=FAILED&amp;status=TIMEOUT</c>.</param>
/// <param name="From">Asked for then or later.</param>
/// <param name="To">Asked for before then.</param>
/// <param name="Error">A part of the error, without regard to case.</param>
/// <param name="Retryable">Only what failed or timed out, has retries left, and was not retried yet.</param>
/// <param name="Attribute">All of these, with <c>workflowId</c>: <c>customer=acme</c>, <c>amount&gt;=100</c>; also &lt;, &lt;= and &gt;.</param>
sealed partial record ExecutionQuery(
    [FromQuery(Name = "workflowId")] Id<Workflow>? WorkflowId, [FromQuery(Name = "status")] string[]? Status, [FromQuery(Name = "trigger")] string? Trigger,
    [FromQuery(Name = "startedBy")] Id<User>? StartedBy, [FromQuery(Name = "parentId")] Id<Execution>? ParentId,
    [FromQuery(Name = "from")] DateTimeOffset? From, [FromQuery(Name = "to")] DateTimeOffset? To, [FromQuery(Name = "error")] string? Error,
    [FromQuery(Name = "retryable")] bool? Retryable, [FromQuery(Name = "attribute")] string[]? Attribute)
{
    public ExecutionFilter ToFilter() => new()
    {
        WorkflowId = WorkflowId,
        Statuses = Status is { Length: > 0 } ? [.. Status.Select(status => Choice.Parse<ExecutionStatus>("status", status)).OfType<ExecutionStatus>()] : null,
        Trigger = Choice.Parse<ExecutionTrigger>("trigger", Trigger),
        StartedBy = StartedBy,
        ParentId = ParentId,
        From = From,
        To = To,
        ErrorText = Error,
        Retryable = Retryable ?? false,
        Attributes = [.. (Attribute ?? []).Select(Parse)],
    };

    static AttributeCondition Parse(string condition) => Condition().Match(condition) is { Success: true } match
        ? new(match.Groups["name"].Value, match.Groups["comparison"].Value switch
        {
            "=" => Comparison.Equal,
            "<" => Comparison.Less,
            "<=" => Comparison.LessOrEqual,
            ">" => Comparison.Greater,
            _ => Comparison.GreaterOrEqual,
        }, match.Groups["value"].Value)
        : throw new InvalidInputException("attribute", "must be a name, one of =, <, <=, >, >=, and a value.");

    [GeneratedRegex("^(?<name>[^=<>]+)(?<comparison>=|<=?|>=?)(?<value>.*)$", RegexOptions.Singleline)]
    private static partial Regex Condition();
}

/// <summary>The texts of cursors that are more than an id.</summary>
static class PlaceText
{
    public static string Of(QueuePlace place) => string.Create(CultureInfo.InvariantCulture, $"{place.Priority} {place.ClaimableAt.UtcTicks} {place.Id}");

    public static string Of(StepPlace place) => string.Create(CultureInfo.InvariantCulture, $"{place.StartedAt.UtcTicks} {place.Iteration} {place.Node} {place.Attempt}");

    /// <exception cref="FormatException">It is not one of these texts; nor are overflow and range errors, which say the same.</exception>
    public static QueuePlace Queue(string text)
        => text.Split(' ') is [var priority, var at, var id] ? new(short.Parse(priority, CultureInfo.InvariantCulture), Time(at), Id<Execution>.Parse(id)) : throw new FormatException();

    public static StepPlace Step(string text)
        => text.Split(' ') is [var at, var iteration, var node, var attempt]
            ? new(Time(at), Number(iteration), Number(node), short.Parse(attempt, CultureInfo.InvariantCulture)) : throw new FormatException();

    static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

    static DateTimeOffset Time(string ticks) => new(long.Parse(ticks, CultureInfo.InvariantCulture), TimeSpan.Zero);
}
