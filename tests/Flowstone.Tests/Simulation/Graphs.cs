using System.Text.Json;
using Flowstone.Cli.Simulation;
using Flowstone.Workflows;

namespace Flowstone.Tests.Simulation;

/// <summary>Definitions from a line of text: <c>"a>b b>c if:1>d tool-ai_tool>agent"</c>.</summary>
static class Graphs
{
    public static readonly SimulatedRun Run = new("test", Seed: 7, Ordinal: 0, FailureRate: 0, MaxAttempts: 3);

    /// <param name="edges">Source, output index and kind if not <c>main</c>, target.</param>
    /// <param name="alone">Nodes without edges.</param>
    public static JsonElement Definition(string edges, params string[] alone)
    {
        var parsed = edges.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(edge =>
        {
            var ends = edge.Split('>');
            var kind = ends[0].Split('-');
            var source = kind[0].Split(':');
            return (Source: source[0], Index: source.Length > 1 ? int.Parse(source[1], null) : 0, Kind: kind.Length > 1 ? kind[1] : "main", Target: ends[1]);
        }).ToList();
        var nodes = parsed.SelectMany(e => new[] { e.Source, e.Target }).Concat(alone).Distinct();
        return JsonSerializer.SerializeToElement(new
        {
            name = edges.Length is 0 or > 200 ? "graph" : edges,
            nodes = nodes.Select(id => new { id, name = id, type = id.StartsWith("note", StringComparison.Ordinal) ? "n8n-nodes-base.stickyNote" : "test.node", disabled = id.StartsWith("off", StringComparison.Ordinal) }),
            edges = parsed.Select(e => new { source = e.Source, output = e.Kind, outputIndex = e.Index, target = e.Target, input = e.Kind, inputIndex = 0 }),
        });
    }

    public static GraphPlan Plan(string edges, params string[] alone) => GraphPlan.Create(WorkflowGraph.Read(Definition(edges, alone)));

    /// <summary>The ids of what runs, in its order.</summary>
    public static List<string> Walk(this GraphPlan plan, int ordinal = 0)
        => [.. RunPlan.Create(plan, Run with { Ordinal = ordinal }).Select(visit => plan.NodeId(visit.Node))];
}
