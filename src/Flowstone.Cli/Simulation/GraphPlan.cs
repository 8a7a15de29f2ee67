using Flowstone.Workflows;

namespace Flowstone.Cli.Simulation;

/// <summary>In which order the nodes of a version run, and what makes each of them run. The same for all executions of the version.</summary>
sealed class GraphPlan
{
    const string Main = "main";

    /// <summary>Nodes that run one after another; those of a loop run several times.</summary>
    public sealed record Stretch(int[] Nodes, bool Loops);

    /// <summary>What feeds a node.</summary>
    /// <param name="Node">An ordinal.</param>
    /// <param name="Output">A place in <see cref="Outputs"/> of that node.</param>
    public readonly record struct Feed(int Node, int Output);

    readonly WorkflowGraph graph;

    GraphPlan(WorkflowGraph graph, List<Stretch> stretches, Feed[][] feeds, int[][] outputs)
        => (this.graph, Stretches, Feeds, Outputs) = (graph, stretches, feeds, outputs);

    public IReadOnlyList<Stretch> Stretches { get; }

    /// <summary>Per ordinal, the items that may come in; none makes the node a start. Edges back to the beginning of a loop do not count.</summary>
    public IReadOnlyList<Feed[]> Feeds { get; }

    /// <summary>Per ordinal, the outputs that lead on: more than one makes the node a branch.</summary>
    public IReadOnlyList<int[]> Outputs { get; }

    public string NodeId(int ordinal) => graph.Nodes[ordinal].Id;

    public static GraphPlan Create(WorkflowGraph graph)
    {
        var runs = graph.Nodes.Select(n => !n.Disabled && !n.Type.Contains("stickyNote", StringComparison.OrdinalIgnoreCase)).ToArray();
        var edges = graph.Edges.Where(e => runs[e.Source] && runs[e.Target]).ToList();
        var targets = Group(runs.Length, edges, e => e.Source, e => e.Target);

        var stretches = new List<Stretch>();
        foreach (var component in StrongComponents.InTopologicalOrder(targets))
        {
            if (component is [var single] && !targets[single].Contains(single))
            {
                if (runs[single])
                    stretches.Add(new Stretch(component, Loops: false));
            }
            else
                stretches.Add(new Stretch(LoopOrder(component, edges, targets), Loops: true));
        }

        var place = new int[runs.Length];
        foreach (var (node, at) in stretches.SelectMany(s => s.Nodes).Select((node, at) => (node, at)))
            place[node] = at;
        var ahead = edges.Where(e => e.Output == Main && place[e.Source] < place[e.Target]).ToList();
        var outputs = Group(runs.Length, ahead, e => e.Source, e => e.OutputIndex).Select(indexes => indexes.Distinct().Order().ToArray()).ToArray();
        var feeds = Group(runs.Length, ahead, e => e.Target, e => new Feed(e.Source, Array.IndexOf(outputs[e.Source], e.OutputIndex)));
        return new GraphPlan(graph, stretches, feeds, outputs);
    }

    /// <summary>From where the loop is entered, depth first, each node before those it leads to unless the edge leads back.</summary>
    static int[] LoopOrder(int[] loop, List<WorkflowEdge> edges, int[][] targets)
    {
        var inside = loop.ToHashSet();
        var entry = edges.FirstOrDefault(e => e.Output == Main && inside.Contains(e.Target) && !inside.Contains(e.Source)) is { Output: not null } edge
            ? edge.Target : loop[0];
        var order = new List<int>(loop.Length);
        var seen = new HashSet<int> { entry };
        var calls = new Stack<(int Node, int Edge)>([(entry, 0)]);
        while (calls.TryPop(out var call))
        {
            var (node, next) = call;
            if (next == targets[node].Length)
            {
                order.Add(node);
                continue;
            }
            calls.Push((node, next + 1));
            var target = targets[node][next];
            if (inside.Contains(target) && seen.Add(target))
                calls.Push((target, 0));
        }
        order.Reverse();
        return [.. order];
    }

    static T[][] Group<T>(int count, List<WorkflowEdge> edges, Func<WorkflowEdge, int> by, Func<WorkflowEdge, T> pick)
    {
        var groups = new List<T>[count];
        foreach (var edge in edges)
            (groups[by(edge)] ??= []).Add(pick(edge));
        return [.. groups.Select(group => group is null ? [] : group.ToArray())];
    }
}
