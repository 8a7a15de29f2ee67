using Flowstone.Users;

namespace Flowstone.Workflows;

/// <summary>Which workflows to list; what is null does not restrict.</summary>
public sealed record WorkflowFilter
{
    public WorkflowStatus? Status { get; init; }
    public Visibility? Visibility { get; init; }
    public string? Category { get; init; }

    /// <summary>Those that have any of them.</summary>
    public IReadOnlyList<string>? Tags { get; init; }

    public bool? IsTemplate { get; init; }
    public Id<User>? OwnerId { get; init; }
    public Id<Team>? TeamId { get; init; }

    /// <summary>
    /// Words of name, description, tags, or of names and types of nodes: all of them, in any order, without regard to case. Three letters are found
    /// anywhere in a word, fewer at its beginning.
    /// </summary>
    public string? Search { get; init; }
}

public enum WorkflowOrder
{
    /// <summary>What was made last comes first.</summary>
    Newest,

    /// <summary>What was changed last comes first. Not with a search.</summary>
    Updated,

    /// <summary>What has the words in its name, then in name and tags, then anywhere; newest first. Only with a search.</summary>
    Relevance,
}

/// <summary>A place in a list: the next page begins behind it.</summary>
/// <param name="UpdatedAt">Of the workflow there; counts in the order of changes alone.</param>
/// <param name="Rank">0 to 2; counts in the order of relevance alone.</param>
public readonly record struct WorkflowPlace(Id<Workflow> Id, DateTimeOffset UpdatedAt = default, int Rank = 0);

/// <summary>A workflow in a list.</summary>
public sealed record ListedWorkflow(Workflow Workflow, WorkflowPlace Place);
