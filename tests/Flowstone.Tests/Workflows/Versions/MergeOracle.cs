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
        var nodes = Choose(Keyed(o["nodes"], NodeKey), Keyed(t["nodes"], NodeKey), Keyed(m["nodes"], NodeKey));
        var edges = Choose(Keyed(o["edges"], EdgeKey), Keyed(t["edges"], EdgeKey), Keyed(m["edges"], EdgeKey));
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

    static string NodeKey(JsonNode node) => node["id"]!.GetValue<string>();

    static string EdgeKey(JsonNode edge) => string.Join("\0", edge["source"], edge["target"], edge["output"] ?? "main", edge["input"] ?? "main", edge["outputIndex"] ?? 0, edge["inputIndex"] ?? 0);

    static List<KeyValuePair<string, string>> Keyed(JsonNode? items, Func<JsonNode, string> key)
    {
        var keyed = new List<KeyValuePair<string, string>>();
        foreach (var item in items?.AsArray() ?? [])
        {
            var name = key(item!);
            var repeats = keyed.Count(other => other.Key.Split('\u0001')[0] == name);
            keyed.Add(new(repeats == 0 ? name : $"{name}\u0001{repeats}", Sorted(item)!.ToJsonString()));
        }
        return keyed;
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
