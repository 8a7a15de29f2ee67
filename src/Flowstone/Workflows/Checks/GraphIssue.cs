namespace Flowstone.Workflows;

/// <summary>What is probably wrong with a graph that can be stored.</summary>
public enum GraphIssueCode
{
    /// <summary>An expression names a node that is not there.</summary>
    UnknownReference,

    /// <summary>An expression names a node by a name that several have.</summary>
    AmbiguousReference,

    /// <summary>No path leads from a trigger to the node.</summary>
    UnreachableNode,

    /// <summary>A cycle that no loop node ends.</summary>
    CycleWithoutLoop,

    /// <summary>A node names a credential that is not there.</summary>
    MissingCredential,
}

/// <summary>One place in a graph: a warning at a save, an error at a publication.</summary>
/// <param name="NodeId">Of a cycle, one of its nodes.</param>
/// <param name="Path">Into the definition: <c>nodes[3].parameters.url</c>.</param>
/// <param name="Message">What is wrong, as a sentence.</param>
public sealed record GraphIssue(GraphIssueCode Code, string NodeId, string Path, string Message);
