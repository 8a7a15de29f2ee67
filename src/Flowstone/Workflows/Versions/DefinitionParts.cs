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

    DefinitionParts(JsonElement definition, IReadOnlySet<string> opened)
    {
        foreach (var (id, node) in DefinitionDiff.Nodes(definition))
            Nodes.Add(JsonPointer.Append("/nodes", id), node);
        foreach (var edge in DefinitionDiff.Edges(definition))
            Add(edge);
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

    /// <summary>By their two ends; of several between the same ends, by their number.</summary>
    public OrderedDictionary<string, JsonElement> Edges { get; } = new(StringComparer.Ordinal);

    public OrderedDictionary<string, JsonElement> Fields { get; } = new(StringComparer.Ordinal);

    /// <summary>The parts of definitions that are to be compared.</summary>
    public static DefinitionParts[] Of(params JsonElement[] definitions)
    {
        // Versions from before variables had to be an object may hold anything there.
        var opened = ByKey.Where(path => Array.TrueForAll(definitions, definition => definition.Find(path[1..]) is null or { ValueKind: JsonValueKind.Object })).ToHashSet(StringComparer.Ordinal);
        return Array.ConvertAll(definitions, definition => new DefinitionParts(definition, opened));
    }

    void Add(JsonElement edge)
    {
        var path = "/edges";
        foreach (var end in new[] { "source", "output", "outputIndex", "target", "input", "inputIndex" })
            path = JsonPointer.Append(path, edge.Find(end) switch
            {
                { Text: { } text } => text,
                { ValueKind: JsonValueKind.Number } number => number.Index(WorkflowDefinition.MaxConnectorIndex)?.ToString(CultureInfo.InvariantCulture) ?? "",
                _ => end.EndsWith("Index", StringComparison.Ordinal) ? "0" : "main",
            });
        for (var (key, number) = (path, 2); !Edges.TryAdd(key, edge); number++)
            key = $"{path}/{number}";
    }
}
