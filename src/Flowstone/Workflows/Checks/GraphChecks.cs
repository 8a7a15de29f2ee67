using System.Text.Json;
using Flowstone.Data;

namespace Flowstone.Workflows;

/// <summary>Finds what is probably wrong with a graph that breaks no rule: references, reachability, cycles, credentials. Disabled nodes and sticky notes are left alone.</summary>
public static class GraphChecks
{
    // What begins by itself, beside everything that calls itself a trigger.
    static readonly string[] starts = ["webhook", "start", "cron", "interval", "schedule", "emailreadimap", "localfiletrigger", "rssfeedread"];

    /// <summary>The credentials that nodes name by id.</summary>
    public static IReadOnlyCollection<string> Credentials(JsonElement definition)
        => DefinitionDiff.Nodes(definition).SelectMany(node => CredentialsOf(node.Node)).Select(credential => credential.Id).ToHashSet(StringComparer.Ordinal);

    /// <summary>Every issue, in the order of the nodes.</summary>
    /// <param name="isCredential">Whether there is a credential of this id.</param>
    public static IReadOnlyList<GraphIssue> Check(JsonElement definition, Func<string, bool> isCredential)
    {
        var graph = WorkflowGraph.Read(definition);
        var nodes = DefinitionDiff.Nodes(definition).Select(node => node.Node).ToArray();
        var names = graph.Nodes.SelectMany(node => new[] { node.Id, node.Name }).ToHashSet(StringComparer.Ordinal);
        var several = graph.Nodes.Where(node => !IsNote(node)).CountBy(node => node.Name, StringComparer.Ordinal).Where(name => name.Value > 1).ToDictionary(StringComparer.Ordinal);
        var issues = new List<(int Node, GraphIssue Issue)>();
        foreach (var node in graph.Nodes.Where(IsActive))
        {
            foreach (var (path, name) in NodeReferences.In(node.Parameters, $"nodes[{node.Ordinal}].parameters"))
                if (!names.Contains(name))
                    Add(node, GraphIssueCode.UnknownReference, path, $"'{Label(node)}' refers to '{FieldErrors.Cut(name)}', and there is no such node.");
                else if (several.TryGetValue(name, out var count))
                    Add(node, GraphIssueCode.AmbiguousReference, path, $"'{Label(node)}' refers to '{FieldErrors.Cut(name)}', and {count} nodes have that name.");
            foreach (var (type, id) in CredentialsOf(nodes[node.Ordinal]))
                if (!isCredential(id))
                    Add(node, GraphIssueCode.MissingCredential, FieldErrors.Step($"nodes[{node.Ordinal}].credentials", type), $"'{Label(node)}' names a credential that is not there: {FieldErrors.Cut(id)}.");
        }
        var reached = Reached(graph);
        foreach (var node in graph.Nodes.Where(node => IsActive(node) && !reached[node.Ordinal]))
            Add(node, GraphIssueCode.UnreachableNode, $"nodes[{node.Ordinal}]", $"No path leads from a trigger to '{Label(node)}'.");
        foreach (var cycle in Cycles(graph))
            Add(graph.Nodes[cycle[0]], GraphIssueCode.CycleWithoutLoop, $"nodes[{cycle[0]}]",
                $"A cycle has no loop node: {string.Join(" → ", cycle.Append(cycle[0]).Take(8).Select(node => $"'{Label(graph.Nodes[node])}'"))}{(cycle.Count > 7 ? " → …" : "")}.");
        return [.. issues.OrderBy(issue => issue.Node).Select(issue => issue.Issue)];

        void Add(WorkflowNode node, GraphIssueCode code, string path, string message) => issues.Add((node.Ordinal, new(code, node.Id, path, message)));
    }

    static string Label(WorkflowNode node) => FieldErrors.Cut(node.Name.Length > 0 ? node.Name : node.Id);

    static bool IsActive(WorkflowNode node) => !node.Disabled && !IsNote(node);

    static bool IsNote(WorkflowNode node) => node.Type.EndsWith("stickyNote", StringComparison.OrdinalIgnoreCase);

    static bool IsStart(WorkflowNode node)
        => node.Type.Contains("trigger", StringComparison.OrdinalIgnoreCase) || starts.Contains(node.Type[(node.Type.LastIndexOf('.') + 1)..], StringComparer.OrdinalIgnoreCase);

    static bool IsLoop(WorkflowNode node) => node.Type.Contains("splitInBatches", StringComparison.OrdinalIgnoreCase) || node.Type.Contains("loop", StringComparison.OrdinalIgnoreCase);

    /// <summary>From the triggers, or, where there are none, from the nodes to which nothing leads. What a reached node uses (a model, a tool) is reached.</summary>
    static bool[] Reached(WorkflowGraph graph)
    {
        var next = graph.Edges.Where(edge => edge.IsMain).ToLookup(edge => edge.Source, edge => edge.Target);
        var used = graph.Edges.Where(edge => !edge.IsMain).ToLookup(edge => edge.Target, edge => edge.Source);
        var targets = graph.Edges.Select(edge => edge.IsMain ? edge.Target : edge.Source).ToHashSet();
        var triggers = graph.Nodes.Where(IsStart).ToList();
        var reached = new bool[graph.Nodes.Count];
        var open = new Stack<int>((triggers.Count > 0 ? triggers : graph.Nodes.Where(node => !targets.Contains(node.Ordinal))).Select(node => node.Ordinal));
        while (open.TryPop(out var node))
        {
            if (reached[node])
                continue;
            reached[node] = true;
            foreach (var other in next[node].Concat(used[node]))
                open.Push(other);
        }
        return reached;
    }

    /// <summary>One cycle for each knot of nodes that no loop node is in.</summary>
    static List<List<int>> Cycles(WorkflowGraph graph)
    {
        var left = graph.Nodes.Where(node => !IsLoop(node)).Select(node => node.Ordinal).ToHashSet();
        var edges = graph.Edges.Where(edge => edge.IsMain && left.Contains(edge.Source) && left.Contains(edge.Target)).ToList();
        var (next, former) = (edges.ToLookup(edge => edge.Source, edge => edge.Target), edges.ToLookup(edge => edge.Target, edge => edge.Source));
        var incoming = left.ToDictionary(node => node, node => former[node].Count());
        var cycles = new List<List<int>>();
        Peel([.. left.Where(node => incoming[node] == 0)]);

        // Each one left has one before it that is left: going back comes round. What goes is never met again, so each node and edge is looked at once.
        var (path, places, befores) = (new List<int>(), new Dictionary<int, int>(), new Dictionary<int, IEnumerator<int>>());
        foreach (var start in left.Order().ToList())
        {
            for (var node = start; left.Contains(node); node = path.Count > 0 ? path[^1] : start)
            {
                if (path.Count == 0)
                    Go(node);
                var before = Before(node);
                if (!places.TryGetValue(before, out var place))
                {
                    Go(before);
                    continue;
                }
                var cycle = path[place..];
                cycle.Reverse();
                var first = cycle.IndexOf(cycle.Min());
                cycles.Add([.. cycle[first..], .. cycle[..first]]);
                Peel(cycle);
                while (path.Count > 0 && !left.Contains(path[^1]))   // what was peeled hung on it, so it is the end of the path
                {
                    places.Remove(path[^1]);
                    path.RemoveAt(path.Count - 1);
                }
            }
        }
        return cycles;

        void Go(int node)
        {
            places.Add(node, path.Count);
            path.Add(node);
        }

        int Before(int node)
        {
            if (!befores.TryGetValue(node, out var before))
                (befores[node] = before = former[node].GetEnumerator()).MoveNext();
            while (!left.Contains(before.Current))
                before.MoveNext();
            return before.Current;
        }

        void Peel(List<int> nodes)
        {
            foreach (var node in nodes)
                left.Remove(node);
            for (var open = new Stack<int>(nodes); open.TryPop(out var node);)
                foreach (var target in next[node])
                    if (--incoming[target] <= 0 && left.Remove(target))
                        open.Push(target);
        }
    }

    static IEnumerable<(string Type, string Id)> CredentialsOf(JsonElement node)
    {
        if (node.Find("credentials", JsonValueKind.Object) is not { } credentials)
            yield break;
        foreach (var credential in credentials.EnumerateObject())
            if (credential.Value.FindText("id") is { Length: > 0 } id)
                yield return (credential.Name, id);
    }
}
