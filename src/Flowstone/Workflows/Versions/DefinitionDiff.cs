using System.Text.Json;
using Flowstone.Data;

namespace Flowstone.Workflows;

/// <param name="Name">As it is now, for readers.</param>
public sealed record NodeChange(string Id, string Name, IReadOnlyList<FieldChange> Changes);

/// <summary>
/// What turns one definition into another: nodes by id, edges as wholes, and the rest by field; of settings, pinned data and variables by key.
/// <see cref="Apply"/> gives the other one exactly, the order of nodes and edges included.
/// </summary>
public sealed record DefinitionDiff
{
    public required IReadOnlyList<JsonElement> NodesAdded { get; init; }
    public required IReadOnlyList<JsonElement> NodesRemoved { get; init; }
    public required IReadOnlyList<NodeChange> NodesChanged { get; init; }
    public required IReadOnlyList<JsonElement> EdgesAdded { get; init; }
    public required IReadOnlyList<JsonElement> EdgesRemoved { get; init; }

    /// <summary>What else changed at the top: <c>/name</c>, <c>/settings/timezone</c>.</summary>
    public required IReadOnlyList<FieldChange> Fields { get; init; }

    /// <summary>The ids of all nodes in their new order; null where those that stay are in their old order, and then come those that were added.</summary>
    public IReadOnlyList<string>? NodeOrder { get; init; }

    /// <summary>For each edge, its place among those that stay, in their old order, and then those that were added; null where that is their order.</summary>
    public IReadOnlyList<int>? EdgeOrder { get; init; }

    public bool IsEmpty => NodesAdded.Count + NodesRemoved.Count + NodesChanged.Count + EdgesAdded.Count + EdgesRemoved.Count + Fields.Count == 0 && NodeOrder is null && EdgeOrder is null;

    /// <summary>Compares two definitions that break no rule (<see cref="WorkflowDefinition.Validate"/>).</summary>
    public static DefinitionDiff Between(JsonElement before, JsonElement after)
    {
        var nodes = Nodes(before).ToDictionary(node => node.Id, node => node.Node, StringComparer.Ordinal);
        var (added, changed, order, stay) = (new List<JsonElement>(), new List<NodeChange>(), new List<string>(), new HashSet<string>(StringComparer.Ordinal));
        foreach (var (id, node) in Nodes(after))
        {
            order.Add(id);
            if (!nodes.TryGetValue(id, out var old))
                added.Add(node);
            else if (stay.Add(id) && FieldChange.Between(old, node) is { Count: > 0 } changes)
                changed.Add(new(id, node.FindText("name") ?? "", changes));
        }
        var usual = nodes.Keys.Where(stay.Contains).Concat(added.Select(Id));
        var (edgesAdded, edgesRemoved, edgeOrder) = CompareEdges(before, after);
        return new()
        {
            NodesAdded = added,
            NodesRemoved = [.. nodes.Where(node => !stay.Contains(node.Key)).Select(node => node.Value)],
            NodesChanged = changed,
            NodeOrder = usual.SequenceEqual(order) ? null : order,
            EdgesAdded = edgesAdded,
            EdgesRemoved = edgesRemoved,
            EdgeOrder = edgeOrder,
            Fields = CompareFields(before, after),
        };
    }

    /// <summary>The definition with the changes.</summary>
    /// <exception cref="InvalidInputException">They are of another definition.</exception>
    public static JsonElement Apply(JsonElement definition, DefinitionDiff diff)
    {
        var edges = diff.Fields.FirstOrDefault(field => field.Path == "/edges");
        var hasEdges = edges is null ? definition.Find("edges") is not null : edges.After.ValueKind != JsonValueKind.Undefined;
        return FieldChange.Apply(definition,
        [
            .. diff.Fields,
            new("/nodes", default, Array(ApplyToNodes(definition, diff))),
            new("/edges", default, hasEdges ? Array(ApplyToEdges(definition, diff)) : default),
        ]);
    }

    static List<JsonElement> ApplyToNodes(JsonElement definition, DefinitionDiff diff)
    {
        var removed = diff.NodesRemoved.Select(Id).ToHashSet(StringComparer.Ordinal);
        var changed = diff.NodesChanged.ToDictionary(change => change.Id, change => change.Changes, StringComparer.Ordinal);
        var nodes = Nodes(definition).Where(node => !removed.Contains(node.Id))
            .Select(node => changed.TryGetValue(node.Id, out var changes) ? FieldChange.Apply(node.Node, changes) : node.Node).Concat(diff.NodesAdded).ToList();
        if (diff.NodeOrder is not { } order)
            return nodes;
        var byId = nodes.ToDictionary(Id, StringComparer.Ordinal);
        return [.. order.Select(id => byId.TryGetValue(id, out var node) ? node : throw OfAnother())];
    }

    static List<JsonElement> ApplyToEdges(JsonElement definition, DefinitionDiff diff)
    {
        var old = Edges(definition);
        var stay = Counts(old);
        foreach (var edge in diff.EdgesRemoved)
            stay[Key(edge)] = stay.GetValueOrDefault(Key(edge)) - 1;
        var edges = old.Where(edge => Take(stay, Key(edge))).Concat(diff.EdgesAdded).ToList();
        return diff.EdgeOrder is { } order ? [.. order.Select(place => place < edges.Count ? edges[place] : throw OfAnother())] : edges;
    }

    static (List<JsonElement> Added, List<JsonElement> Removed, List<int>? Order) CompareEdges(JsonElement before, JsonElement after)
    {
        var (old, now) = (Edges(before), Edges(after));
        var (oldCounts, nowCounts) = (Counts(old), Counts(now));
        var removed = old.Where(edge => !Take(nowCounts, Key(edge))).ToList();
        var added = now.Where(edge => !Take(oldCounts, Key(edge))).ToList();

        // Of equal edges it does not matter which one stays.
        var places = new Dictionary<string, Queue<int>>(StringComparer.Ordinal);
        var staying = Counts(now);
        var usual = 0;
        foreach (var edge in old.Where(edge => Take(staying, Key(edge))).Concat(added))
        {
            if (!places.TryGetValue(Key(edge), out var queue))
                places[Key(edge)] = queue = new();
            queue.Enqueue(usual++);
        }
        var order = now.ConvertAll(edge => places[Key(edge)].Dequeue());
        return (added, removed, order.SequenceEqual(Enumerable.Range(0, order.Count)) ? null : order);
    }

    static List<FieldChange> CompareFields(JsonElement before, JsonElement after)
    {
        var changes = FieldChange.Between(before, after, path => DefinitionParts.ByKey.Contains(path));
        changes.RemoveAll(change => change.Path is "/nodes" || (change.Path is "/edges" && change is not ({ Before.ValueKind: JsonValueKind.Undefined } or { After.ValueKind: JsonValueKind.Undefined })));

        // The edges themselves are told elsewhere: here, only whether there is the array.
        var none = JsonElement.Parse("[]");
        return changes.ConvertAll(change => change.Path is not "/edges" ? change
            : change.After.ValueKind == JsonValueKind.Undefined ? change with { Before = none } : change with { After = none });
    }

    internal static IEnumerable<(string Id, JsonElement Node)> Nodes(JsonElement definition)
        => definition.Find("nodes", JsonValueKind.Array)?.EnumerateArray().Select(node => (Id(node), node)) ?? [];

    internal static List<JsonElement> Edges(JsonElement definition) => definition.Find("edges", JsonValueKind.Array) is { } edges ? [.. edges.EnumerateArray()] : [];

    static string Id(JsonElement node) => node.FindText("id") ?? throw new InvalidInputException("nodes", "have no ids.");

    internal static string Key(JsonElement edge) => Convert.ToHexString(CanonicalJson.Hash(edge));

    static Dictionary<string, int> Counts(List<JsonElement> edges) => edges.CountBy(Key).ToDictionary(StringComparer.Ordinal);

    static bool Take(Dictionary<string, int> counts, string key)
    {
        if (counts.GetValueOrDefault(key) <= 0)
            return false;
        counts[key]--;
        return true;
    }

    static JsonElement Array(List<JsonElement> items) => JsonBytes.Write(writer =>
    {
        writer.WriteStartArray();
        foreach (var item in items)
            item.WriteTo(writer);
        writer.WriteEndArray();
    });

    static InvalidInputException OfAnother() => new("diff", "is of another definition.");
}
