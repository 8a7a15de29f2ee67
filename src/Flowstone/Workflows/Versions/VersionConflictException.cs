using System.Text.Json;

namespace Flowstone.Workflows;

/// <summary>A save was based on a version that is not the newest any more, and both changed the same. Nothing was stored.</summary>
public sealed class VersionConflictException : ConflictException
{
    internal VersionConflictException(string message, WorkflowVersion? origin, WorkflowVersion theirs, JsonElement mine, IReadOnlyList<MergeConflict> conflicts) : base(message)
        => (Base, Theirs, Mine, Conflicts) = (origin, theirs, mine, conflicts);

    /// <summary>The version that was edited; null if there is no such version.</summary>
    public WorkflowVersion? Base { get; }

    /// <summary>The newest version.</summary>
    public WorkflowVersion Theirs { get; }

    /// <summary>What was to be saved.</summary>
    public JsonElement Mine { get; }

    /// <summary>Where the two are in each other's way; none if there is no base to compare them with.</summary>
    public IReadOnlyList<MergeConflict> Conflicts { get; }
}
