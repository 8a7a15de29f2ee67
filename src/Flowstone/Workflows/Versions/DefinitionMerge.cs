using System.Text.Json;
using System.Text.Json.Serialization;
using Flowstone.Data;

namespace Flowstone.Workflows;

/// <summary>What two changes are in each other's way at.</summary>
public enum ConflictKind
{
    Node,
    Edge,

    /// <summary>A field at the top; of settings, pinned data and variables, one key.</summary>
    Field,

    /// <summary>Both put the nodes, or the edges, into another order.</summary>
    Order,
}

/// <param name="Path">
/// Of the part: <c>/nodes/ID</c>, <c>/edges/SOURCE/main/0/TARGET/main/0</c>, <c>/settings/timezone</c>; names within it as a JSON pointer has them.
/// </param>
/// <param name="Message">Why it is one, as a sentence.</param>
/// <param name="Base">What both began with. Undefined, and left out in JSON, where there was none; so are the others.</param>
public sealed record MergeConflict(
    ConflictKind Kind,
    string Path,
    string Message,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] JsonElement Base,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] JsonElement Theirs,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] JsonElement Mine);

/// <summary>
/// Merges two changes of one definition. What only one side touched is taken from it: nodes by id, edges by their ends, fields by name, settings,
/// pinned data and variables by key. What both made the same is no conflict; what they made different is one, and so is an edge to a node that
/// the other side deleted.
/// </summary>
/// <remarks>
/// The order of nodes, and of edges, is that of the side which changed it, or else mine; what the other side added comes right after what it follows there.
/// </remarks>
public sealed class DefinitionMerge
{
    readonly DefinitionParts origin, theirs, mine;
    readonly List<MergeConflict> conflicts = [];
    readonly HashSet<string> contested = new(StringComparer.Ordinal);

    DefinitionMerge(JsonElement origin, JsonElement theirs, JsonElement mine)
    {
        var parts = DefinitionParts.Of(origin, theirs, mine);
        (this.origin, this.theirs, this.mine) = (parts[0], parts[1], parts[2]);
        var nodes = Merge(ConflictKind.Node, parts => parts.Nodes);
        var edges = Merge(ConflictKind.Edge, parts => parts.Edges);
        var fields = Merge(ConflictKind.Field, parts => parts.Fields);
        RefuseDangling(nodes, edges);
        var nodeOrder = Order("/nodes", nodes, parts => parts.Nodes);
        var edgeOrder = Order("/edges", edges, parts => parts.Edges);
        if (conflicts.Count == 0)
            Merged = Write(nodeOrder.Select(key => nodes[key]), edgeOrder.Select(key => edges[key]), fields);
    }

    /// <summary>Undefined if there are conflicts.</summary>
    public JsonElement Merged { get; }

    public IReadOnlyList<MergeConflict> Conflicts => conflicts;

    /// <summary>Merges definitions that break no rule. What comes out may: be too large, that is.</summary>
    public static DefinitionMerge Of(JsonElement origin, JsonElement theirs, JsonElement mine) => new(origin, theirs, mine);

    Dictionary<string, JsonElement> Merge(ConflictKind kind, Func<DefinitionParts, OrderedDictionary<string, JsonElement>> of)
    {
        var merged = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        foreach (var key in of(theirs).Keys.Union(of(mine).Keys))
        {
            JsonElement o = of(origin).GetValueOrDefault(key), t = of(theirs).GetValueOrDefault(key), m = of(mine).GetValueOrDefault(key);
            if (Same(t, m) || Same(o, m))
                Take(t);
            else if (Same(o, t))
                Take(m);
            else
                Refuse(o, t, m);

            void Take(JsonElement value)
            {
                if (value.ValueKind != JsonValueKind.Undefined)
                    merged.Add(key, value);
            }

            void Refuse(JsonElement o, JsonElement t, JsonElement m)
            {
                contested.Add(key);
                conflicts.Add(new(kind, key, (o.ValueKind, t.ValueKind, m.ValueKind) switch
                {
                    (JsonValueKind.Undefined, _, _) => "Both added it, and not the same.",
                    (_, JsonValueKind.Undefined, _) => "They deleted it, and you changed it.",
                    (_, _, JsonValueKind.Undefined) => "They changed it, and you deleted it.",
                    _ => "Both changed it, and not to the same.",
                }, o, t, m));
            }
        }
        return merged;
    }

    void RefuseDangling(Dictionary<string, JsonElement> nodes, Dictionary<string, JsonElement> edges)
    {
        foreach (var (key, edge) in edges)
        {
            foreach (var end in new[] { "source", "target" })
            {
                var node = JsonPointer.Append("/nodes", edge.FindText(end) ?? "");
                if (nodes.ContainsKey(node) || contested.Contains(node))
                    continue;
                conflicts.Add(new(ConflictKind.Edge, key, $"Its {end} '{FieldErrors.Cut(edge.FindText(end) ?? "")}' was deleted by {(mine.Nodes.ContainsKey(node) ? "them" : "you")}.",
                    origin.Edges.GetValueOrDefault(key), theirs.Edges.GetValueOrDefault(key), mine.Edges.GetValueOrDefault(key)));
                break;
            }
        }
    }

    /// <summary>All that is left, in the order that one side gave it.</summary>
    LinkedList<string> Order(string path, Dictionary<string, JsonElement> merged, Func<DefinitionParts, OrderedDictionary<string, JsonElement>> of)
    {
        List<string> o = Common(origin), t = Common(theirs), m = Common(mine);
        var (frame, other) = t.SequenceEqual(o) ? (mine, theirs) : (theirs, mine);
        if (frame == theirs && !m.SequenceEqual(o) && !m.SequenceEqual(t))
        {
            conflicts.Add(new(ConflictKind.Order, path, "Both changed the order.", JsonSerializer.SerializeToElement(o), JsonSerializer.SerializeToElement(t), JsonSerializer.SerializeToElement(m)));
            return new();
        }
        var order = new LinkedList<string>();
        var places = new Dictionary<string, LinkedListNode<string>>(StringComparer.Ordinal);
        foreach (var key in of(frame).Keys.Where(merged.ContainsKey))
            places.Add(key, order.AddLast(key));
        LinkedListNode<string>? last = null;
        foreach (var key in of(other).Keys.Where(merged.ContainsKey))
        {
            if (!places.TryGetValue(key, out var place))
                places.Add(key, place = last is null ? order.AddFirst(key) : order.AddAfter(last, key));
            last = place;
        }
        return order;

        List<string> Common(DefinitionParts parts)
            => [.. of(parts).Keys.Where(key => merged.ContainsKey(key) && of(origin).ContainsKey(key) && of(theirs).ContainsKey(key) && of(mine).ContainsKey(key))];
    }

    static bool Same(JsonElement a, JsonElement b)
        => a.ValueKind == JsonValueKind.Undefined || b.ValueKind == JsonValueKind.Undefined ? a.ValueKind == b.ValueKind : CanonicalJson.Equal(a, b);

    static JsonElement Write(IEnumerable<JsonElement> nodes, IEnumerable<JsonElement> edges, Dictionary<string, JsonElement> fields) => JsonBytes.Write(writer =>
    {
        var keys = fields.Select(field => (Path: JsonPointer.Parse(field.Key).ToArray(), field.Value)).ToLookup(field => field.Path[0]);
        var hasEdges = edges.Any();
        writer.WriteStartObject();
        foreach (var field in keys)
        {
            if (field.Key == "edges")
            {
                hasEdges = true;
                continue;
            }
            writer.WritePropertyName(field.Key);
            if (field.All(part => part.Path.Length == 1))
            {
                field.Single().Value.WriteTo(writer);
                continue;
            }
            writer.WriteStartObject();
            foreach (var part in field.Where(part => part.Path.Length > 1))
            {
                writer.WritePropertyName(part.Path[1]);
                part.Value.WriteTo(writer);
            }
            writer.WriteEndObject();
        }
        WriteArray("nodes", nodes);
        if (hasEdges)
            WriteArray("edges", edges);
        writer.WriteEndObject();

        void WriteArray(string name, IEnumerable<JsonElement> items)
        {
            writer.WriteStartArray(name);
            foreach (var item in items)
                item.WriteTo(writer);
            writer.WriteEndArray();
        }
    });
}
