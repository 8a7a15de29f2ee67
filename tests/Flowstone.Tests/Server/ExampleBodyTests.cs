using System.Text.Json;

namespace Flowstone.Tests.Server;

/// <summary>The examples of the API's description are what its schemas say.</summary>
public sealed class ExampleBodyTests
{
    static readonly JsonElement document = JsonElement.Parse(File.ReadAllBytes(Path.Combine(Repository.Root, "tests", "Flowstone.Tests", "Snapshots", "openapi.json")));

    [Fact]
    public void Every_JSON_body_has_an_example_of_its_schema()
    {
        var checkedBodies = 0;
        foreach (var path in document.GetProperty("paths").EnumerateObject())
            foreach (var operation in path.Value.EnumerateObject())
            {
                if (!operation.Value.TryGetProperty("requestBody", out var body) || !body.GetProperty("content").TryGetProperty("application/json", out var json))
                    continue;
                var where = $"{operation.Name.ToUpperInvariant()} {path.Name}";
                Assert.True(json.TryGetProperty("example", out var example), $"{where} has no example.");
                Check(example, json.GetProperty("schema"), where);
                checkedBodies++;
            }
        Assert.InRange(checkedBodies, 30, 1000);
    }

    static void Check(JsonElement value, JsonElement schema, string where)
    {
        if (schema.TryGetProperty("$ref", out var reference))
            schema = document.GetProperty("components").GetProperty("schemas").GetProperty(reference.GetString()!.Split('/')[^1]);
        if (schema.TryGetProperty("oneOf", out var choices))
        {
            foreach (var choice in choices.EnumerateArray().Where(choice => choice.TryGetProperty("$ref", out _) && value.ValueKind != JsonValueKind.Null))
                Check(value, choice, where);
            return;
        }
        if (schema.TryGetProperty("enum", out var names))
            Assert.Contains(value.GetString(), names.EnumerateArray().Select(name => name.GetString()));
        if (schema.TryGetProperty("items", out var items) && value.ValueKind == JsonValueKind.Array)
            foreach (var item in value.EnumerateArray())
                Check(item, items, where);
        if (schema.TryGetProperty("required", out var required))
            Assert.All(required.EnumerateArray(), name => Assert.True(value.TryGetProperty(name.GetString()!, out _), $"{where}: {name} is missing"));
        if (!schema.TryGetProperty("properties", out var properties))
            return;
        foreach (var property in value.EnumerateObject())
        {
            Assert.True(properties.TryGetProperty(property.Name, out var of), $"{where}: there is no {property.Name}");
            Check(property.Value, of, $"{where}: {property.Name}");
        }
    }
}
