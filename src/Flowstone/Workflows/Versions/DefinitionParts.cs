using System.Globalization;
using System.Text.Json;
using Flowstone.Data;

namespace Flowstone.Workflows;

/// <summary>A definition taken apart into what two people can change without being in each other's way.</summary>
sealed class DefinitionParts
{
    /// <summary>Fields whose keys are parts of their own.</summary>
    public static readonly IReadOnlyCollection<string> ByKey = ["/settings", "/pinnedData", "/variables"];

    static readonly JsonElement noObject = JsonElement.Parse("{}"), noArray = JsonElement.Parse("[]");

    // Several edges between the same ends, in their order.
    readonly Dictionary<string, List<JsonElement>> between = new(StringComparer.Ordinal);

    DefinitionParts(JsonElement definition, DefinitionParts? origin, IReadOnlySet<string> opened)
    {
        foreach (var (id, node) in DefinitionDiff.Nodes(definition))
            Nodes.Add(JsonPointer.Append("/nodes", id), node);
        AddEdges(DefinitionDiff.Edges(definition), origin);
        foreach (var (name, value) in definition.LastProperties())
        {
            var path = JsonPointer.Append("", name);
            if (path is "/nodes")
                continue;
            Fields.Add(path, path is "/edges" ? noArray : opened.Contains(path) ? noObject : value);   // an empty one says that it is there
            if (opened.Contains(path))
                foreach (var (key, item) in value.LastProperties())
                    Fields.Add(JsonPointer.Append(path, key), item);
        }
    }

    public OrderedDictionary<string, JsonElement> Nodes { get; } = new(StringComparer.Ordinal);

    /// <summary>By their two ends; of several between the same ends, by which of the origin's they are: those that are equal, then the others in their order, then new ones.</summary>
    public OrderedDictionary<string, JsonElement> Edges { get; } = new(StringComparer.Ordinal);

    public OrderedDictionary<string, JsonElement> Fields { get; } = new(StringComparer.Ordinal);

    /// <summary>The parts of definitions that are to be compared; the first is the one that the others began with.</summary>
    public static DefinitionParts[] Of(JsonElement origin, params JsonElement[] others)
    {
        // Versions from before variables had to be an object may hold anything there.
        var opened = ByKey.Where(path => others.Append(origin).All(definition => definition.Find(path[1..]) is null or { ValueKind: JsonValueKind.Object })).ToHashSet(StringComparer.Ordinal);
        var first = new DefinitionParts(origin, origin: null, opened);
        return [first, .. others.Select(other => new DefinitionParts(other, first, opened))];
    }

    void AddEdges(List<JsonElement> edges, DefinitionParts? origin)
    {
        var ends = edges.ConvertAll(Ends);
        for (var i = 0; i < edges.Count; i++)
        {
            if (!between.TryGetValue(ends[i], out var same))
                between[ends[i]] = same = [];
            same.Add(edges[i]);
        }
        var numbers = between.ToDictionary(same => same.Key, same => Numbers(same.Value, origin?.between.GetValueOrDefault(same.Key) ?? []), StringComparer.Ordinal);
        for (var i = 0; i < edges.Count; i++)
            Edges.Add(numbers[ends[i]].Dequeue() is > 0 and var number ? $"{ends[i]}/{number + 1}" : ends[i], edges[i]);
    }

    /// <summary>Which edge of the origin's each one is; from their count on, none.</summary>
    static Queue<int> Numbers(List<JsonElement> edges, List<JsonElement> origin)
    {
        if (edges.Count == 1 && origin.Count < 2)
            return new([0]);
        var equal = origin.Select((edge, number) => (Key: DefinitionDiff.Key(edge), number)).GroupBy(edge => edge.Key, edge => edge.number).ToDictionary(same => same.Key, same => new Queue<int>(same), StringComparer.Ordinal);
        var known = edges.ConvertAll(edge => equal.TryGetValue(DefinitionDiff.Key(edge), out var left) && left.TryDequeue(out var number) ? number : -1);
        var taken = known.ToHashSet();
        var next = 0;
        return new(known.Select(number => number >= 0 ? number : Free()));

        int Free()
        {
            while (taken.Contains(next))
                next++;
            return next++;
        }
    }

    static string Ends(JsonElement edge)
    {
        var path = "/edges";
        foreach (var end in new[] { "source", "output", "outputIndex", "target", "input", "inputIndex" })
            path = JsonPointer.Append(path, edge.Find(end) switch
            {
                { Text: { } text } => text,
                { ValueKind: JsonValueKind.Number } number => number.Index(WorkflowDefinition.MaxConnectorIndex)?.ToString(CultureInfo.InvariantCulture) ?? "",
                _ => end.EndsWith("Index", StringComparison.Ordinal) ? "0" : "main",
            });
        return path;
    }
}
