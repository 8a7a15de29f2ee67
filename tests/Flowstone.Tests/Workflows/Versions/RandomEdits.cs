using System.Text.Json;
using System.Text.Json.Nodes;
using Flowstone.Workflows;

namespace Flowstone.Tests.Workflows.Versions;

/// <summary>Edits a definition as people do, by chance but repeatably; what comes out breaks no rule.</summary>
sealed class RandomEdits(int seed)
{
    readonly Random random = new(seed);
    int added;

    public JsonElement Edit(JsonElement definition, int edits)
    {
        var edited = JsonNode.Parse(definition.GetRawText(), documentOptions: new() { MaxDepth = 250 })!.AsObject();
        for (var i = 0; i < edits; i++)
            EditOnce(edited);
        var result = JsonElement.Parse(edited.ToJsonString(), new() { MaxDepth = 250 });
        return WorkflowDefinition.Validate(result) is { Count: > 0 } errors ? throw new InvalidInputException(errors) : result;
    }

    void EditOnce(JsonObject definition)
    {
        var nodes = definition["nodes"]!.AsArray();
        var edges = definition["edges"]?.AsArray();
        switch (random.Next(14))
        {
            case 0 or 1: nodes.Insert(random.Next(nodes.Count + 1), NewNode()); break;
            case 2 when nodes.Count > 0: RemoveNode(definition, random.Next(nodes.Count)); break;
            case 3 or 4 or 5 when nodes.Count > 0: Change(nodes[random.Next(nodes.Count)]!.AsObject()); break;
            case 6 when nodes.Count > 1: Move(nodes); break;
            case 7 or 8 when nodes.Count > 0:
                if (edges is null)
                    definition["edges"] = edges = [];
                edges.Insert(random.Next(edges.Count + 1), NewEdge(nodes));
                break;
            case 9 when edges is { Count: > 0 }: edges.RemoveAt(random.Next(edges.Count)); break;
            case 10 when edges is { Count: > 1 }: Move(edges); break;
            case 11: definition[random.Next(2) == 0 ? "settings" : "variables"] = ByKey(definition["settings"] as JsonObject); break;
            case 12: definition[$"extra{random.Next(3)}"] = Value(); break;
            case 13 when edges is { Count: 0 }: definition.Remove("edges"); break;
            default: definition["name"] = $"Name {random.Next(5)}"; break;
        }
    }

    JsonObject NewNode() => new() { ["id"] = $"new-{seed}-{added++}", ["name"] = $"New {random.Next(9)}", ["type"] = "test.node", ["parameters"] = new JsonObject { ["a"] = Value() } };

    JsonObject NewEdge(JsonArray nodes)
    {
        var edge = new JsonObject { ["source"] = Id(), ["target"] = Id() };
        if (random.Next(2) == 0)
            edge["outputIndex"] = random.Next(2);
        if (random.Next(4) == 0)
            edge["note"] = Value();
        return edge;

        string Id() => nodes[random.Next(nodes.Count)]!["id"]!.GetValue<string>();
    }

    static void RemoveNode(JsonObject definition, int index)
    {
        var nodes = definition["nodes"]!.AsArray();
        var id = nodes[index]!["id"]!.GetValue<string>();
        nodes.RemoveAt(index);
        definition["edges"]?.AsArray().RemoveAll(edge => edge!["source"]!.GetValue<string>() == id || edge["target"]!.GetValue<string>() == id);
    }

    void Change(JsonObject node)
    {
        switch (random.Next(5))
        {
            case 0: node["name"] = $"Renamed {random.Next(5)}"; break;
            case 1: node["a/b~c"] = Value(); break;
            case 2: node.Remove("parameters"); break;
            case 3: node["position"] = new JsonArray(random.Next(3), random.Next(3)); break;
            default:
                if (node["parameters"] is not JsonObject parameters)
                    node["parameters"] = parameters = [];
                parameters[$"p{random.Next(3)}"] = Value();
                break;
        }
    }

    void Move(JsonArray items)
    {
        var from = random.Next(items.Count);
        var item = items[from];
        items.RemoveAt(from);
        items.Insert(random.Next(items.Count + 1), item);
    }

    JsonObject ByKey(JsonObject? former)
    {
        var fields = former is null || random.Next(5) == 0 ? [] : (JsonObject)former.DeepClone();
        fields[$"k{random.Next(3)}"] = Value();
        if (random.Next(3) == 0)
            fields.Remove($"k{random.Next(3)}");
        return fields;
    }

    JsonNode? Value() => random.Next(7) switch
    {
        0 => null,
        1 => random.Next(3),
        2 => 1.0,
        3 => "ä/~",
        4 => new JsonArray(random.Next(2), new JsonObject { ["x"] = random.Next(2) }),
        5 => new JsonObject { [""] = new JsonObject { ["y"] = random.Next(2) } },
        _ => true,
    };
}
