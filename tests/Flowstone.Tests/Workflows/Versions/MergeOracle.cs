using System.Text.Json;
using System.Text.Json.Nodes;

namespace Flowstone.Tests.Workflows.Versions;

/// <summary>
/// What a merge of definitions must give, worked out another way: every part as text in a plain dictionary, three by three. Slow, and only for what
/// tests make: canonical spelling of numbers, no duplicate keys.
/// </summary>
static class MergeOracle
{
    static readonly string[] byKey = ["settings", "pinnedData", "variables"];

    /// <returns>Null for a conflict.</returns>
    public static JsonElement? Merge(JsonElement origin, JsonElement theirs, JsonElement mine)
    {
        JsonObject o = Parse(origin), t = Parse(theirs), m = Parse(mine);
        var nodes = Choose(Nodes(o), Nodes(t), Nodes(m));
        var edges = Choose(Edges(o, []), Edges(t, Edges(o, [])), Edges(m, Edges(o, [])));
        var fields = Choose(Fields(o), Fields(t), Fields(m));
        if (nodes is null || edges is null || fields is null || edges.Any(edge => !nodes.Any(node => node.Key == Of(edge, "source")) || !nodes.Any(node => node.Key == Of(edge, "target"))))
            return null;
        var merged = new JsonObject();
        foreach (var (name, value) in fields.Where(field => !field.Key.Contains('\0')))
            merged[name] = JsonNode.Parse(value);
        foreach (var (name, value) in fields.Where(field => field.Key.Contains('\0')))
        {
            var (container, key) = (name.Split('\0')[0], name.Split('\0')[1]);
            if (merged[container] is not JsonObject there)
                merged[container] = there = [];
            there[key] = JsonNode.Parse(value);
        }
        merged["nodes"] = new JsonArray([.. nodes.Select(node => JsonNode.Parse(node.Value))]);
        if (merged.ContainsKey("edges") || edges.Count > 0)
            merged["edges"] = new JsonArray([.. edges.Select(edge => JsonNode.Parse(edge.Value))]);
        return JsonElement.Parse(merged.ToJsonString(), new() { MaxDepth = 250 });

        static string Of(KeyValuePair<string, string> edge, string end) => JsonNode.Parse(edge.Value)![end]!.GetValue<string>();
    }

    static JsonObject Parse(JsonElement definition) => JsonNode.Parse(definition.GetRawText(), documentOptions: new() { MaxDepth = 250 })!.AsObject();

    static List<KeyValuePair<string, string>> Nodes(JsonObject definition)
        => [.. definition["nodes"]!.AsArray().Select(node => new KeyValuePair<string, string>(node!["id"]!.GetValue<string>(), Sorted(node)!.ToJsonString()))];

    static string Ends(JsonNode edge) => string.Join("\0", edge["source"], edge["target"], edge["output"] ?? "main", edge["input"] ?? "main", edge["outputIndex"] ?? 0, edge["inputIndex"] ?? 0);

    /// <summary>Each has the name of the origin's that it equals, or else of the first one left between its ends, or else one that the origin has not.</summary>
    static List<KeyValuePair<string, string>> Edges(JsonObject definition, List<KeyValuePair<string, string>> origin)
    {
        var edges = definition["edges"]?.AsArray().Select(edge => (Ends: Ends(edge!), Text: Sorted(edge)!.ToJsonString())).ToList() ?? [];
        var names = new string?[edges.Count];
        for (var i = 0; i < edges.Count; i++)
            names[i] = origin.Find(one => one.Key.Split('\u0001')[0] == edges[i].Ends && one.Value == edges[i].Text && !names.Contains(one.Key)).Key;
        for (var i = 0; i < edges.Count; i++)
            for (var number = 0; names[i] is null; number++)
                names[i] = names.Contains($"{edges[i].Ends}\u0001{number}") ? null : $"{edges[i].Ends}\u0001{number}";
        return [.. edges.Zip(names, (edge, name) => new KeyValuePair<string, string>(name!, edge.Text))];
    }

    static List<KeyValuePair<string, string>> Fields(JsonObject definition)
    {
        var fields = new List<KeyValuePair<string, string>>();
        foreach (var (name, value) in definition.Where(field => field.Key != "nodes"))
        {
            if (name == "edges" || byKey.Contains(name))
                fields.Add(new(name, name == "edges" ? "[]" : "{}"));
            else
                fields.Add(new(name, Sorted(value)?.ToJsonString() ?? "null"));
            if (byKey.Contains(name))
                fields.AddRange(value!.AsObject().Select(item => new KeyValuePair<string, string>($"{name}\0{item.Key}", Sorted(item.Value)?.ToJsonString() ?? "null")));
        }
        return fields;
    }

    static JsonNode? Sorted(JsonNode? value) => value switch
    {
        JsonObject fields => new JsonObject(fields.OrderBy(field => field.Key, StringComparer.Ordinal).Select(field => new KeyValuePair<string, JsonNode?>(field.Key, Sorted(field.Value)))),
        JsonArray items => new JsonArray([.. items.Select(Sorted)]),
        _ => value?.DeepClone(),
    };

    static List<KeyValuePair<string, string>>? Choose(List<KeyValuePair<string, string>> origin, List<KeyValuePair<string, string>> theirs, List<KeyValuePair<string, string>> mine)
    {
        var left = new Dictionary<string, string>();
        foreach (var key in origin.Concat(theirs).Concat(mine).Select(part => part.Key).Distinct())
        {
            string? o = In(origin, key), t = In(theirs, key), m = In(mine, key);
            if (t != m && o != t && o != m)
                return null;
            if ((t != o ? t : m) is { } value)
                left[key] = value;
        }
        List<string> Order(List<KeyValuePair<string, string>> side) => [.. side.Select(part => part.Key).Where(key => left.ContainsKey(key) && In(origin, key) is not null && In(theirs, key) is not null && In(mine, key) is not null)];
        var (before, byThem, byMe) = (Order(origin), Order(theirs), Order(mine));
        var theirOrder = !byThem.SequenceEqual(before);
        if (theirOrder && !byMe.SequenceEqual(before) && !byMe.SequenceEqual(byThem))
            return null;
        var (frame, other) = theirOrder ? (theirs, mine) : (mine, theirs);
        var order = frame.Select(part => part.Key).Where(left.ContainsKey).ToList();
        for (var i = 0; i < other.Count; i++)
        {
            if (!left.ContainsKey(other[i].Key) || order.Contains(other[i].Key))
                continue;
            var follows = other.Take(i).LastOrDefault(part => left.ContainsKey(part.Key)).Key;
            order.Insert(follows is null ? 0 : order.IndexOf(follows) + 1, other[i].Key);
        }
        return order.ConvertAll(key => new KeyValuePair<string, string>(key, left[key]));

        static string? In(List<KeyValuePair<string, string>> side, string key) => side.Where(part => part.Key == key).Select(part => part.Value).FirstOrDefault();
    }
}
