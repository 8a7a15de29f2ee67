using System.Text.Json;
using Flowstone.Data;

namespace Flowstone.Workflows;

/// <summary>One step of a workflow.</summary>
/// <param name="Ordinal">Its place in <see cref="WorkflowGraph.Nodes"/>, which is its place in the definition.</param>
/// <param name="Parameters">As in the definition; an empty object if it has none.</param>
public sealed record WorkflowNode(int Ordinal, string Id, string Name, string Type, bool Disabled, JsonElement Parameters);

/// <summary>Where the items of one node go.</summary>
/// <param name="Source">The ordinal of a node.</param>
/// <param name="Output">The kind of connector: <c>main</c> for items, <c>ai_tool</c> and the like for what a node uses.</param>
/// <param name="OutputIndex">Which of several outputs: an <c>if</c> has 0 for true and 1 for false.</param>
/// <param name="Target">The ordinal of a node.</param>
public readonly record struct WorkflowEdge(int Source, string Output, int OutputIndex, int Target, string Input, int InputIndex)
{
    /// <summary>Whether items go along it; if not, the target uses the source, as an agent does a model.</summary>
    internal bool IsMain => Output == "main";
}

/// <summary>A definition as workers walk it.</summary>
public sealed class WorkflowGraph
{
    const string Main = "main";

    static readonly JsonElement NoParameters = JsonElement.Parse("{}");

    WorkflowGraph(WorkflowNode[] nodes, WorkflowEdge[] edges) => (Nodes, Edges) = (nodes, edges);

    /// <summary>In the order of the definition.</summary>
    public IReadOnlyList<WorkflowNode> Nodes { get; }

    /// <summary>In the order of the definition, which is the order in which an output feeds its targets.</summary>
    public IReadOnlyList<WorkflowEdge> Edges { get; }

    /// <summary>Reads a definition that <see cref="WorkflowDefinition.Validate"/> found no fault with; of another, what can be read.</summary>
    public static WorkflowGraph Read(JsonElement definition)
    {
        var nodes = ReadNodes(definition);
        var ordinals = new Dictionary<string, int>(nodes.Length, StringComparer.Ordinal);
        foreach (var node in nodes)
            ordinals.TryAdd(node.Id, node.Ordinal);
        return new WorkflowGraph(nodes, ReadEdges(definition, ordinals));
    }

    static WorkflowNode[] ReadNodes(JsonElement definition)
    {
        if (definition.Find("nodes", JsonValueKind.Array) is not { } array)
            return [];
        var nodes = new WorkflowNode[array.GetArrayLength()];
        var ordinal = 0;
        foreach (var node in array.EnumerateArray())
        {
            nodes[ordinal] = new WorkflowNode(ordinal, node.FindText("id") ?? "", node.FindText("name") ?? "", node.FindText("type") ?? "",
                node.Find("disabled", JsonValueKind.True) is not null, node.Find("parameters") ?? NoParameters);
            ordinal++;
        }
        return nodes;
    }

    static WorkflowEdge[] ReadEdges(JsonElement definition, Dictionary<string, int> ordinals)
    {
        if (definition.Find("edges", JsonValueKind.Array) is not { } array)
            return [];
        var edges = new List<WorkflowEdge>(array.GetArrayLength());
        foreach (var edge in array.EnumerateArray())
        {
            if (Ordinal(edge.FindText("source")) is { } source && Ordinal(edge.FindText("target")) is { } target)
                edges.Add(new WorkflowEdge(source, edge.FindText("output") ?? Main, Index(edge, "outputIndex"),
                    target, edge.FindText("input") ?? Main, Index(edge, "inputIndex")));
        }
        return [.. edges];

        int? Ordinal(string? id) => id is not null && ordinals.TryGetValue(id, out var ordinal) ? ordinal : null;
    }

    static int Index(JsonElement edge, string name) => edge.Find(name)?.Index(WorkflowDefinition.MaxConnectorIndex) ?? 0;
}
