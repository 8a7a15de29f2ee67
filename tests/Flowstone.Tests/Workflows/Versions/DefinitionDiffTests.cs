using System.Text.Json;
using Flowstone.Data;
using Flowstone.Tests.Workflows.N8n;
using Flowstone.Workflows;
using Flowstone.Workflows.N8n;

namespace Flowstone.Tests.Workflows.Versions;

public sealed class DefinitionDiffTests
{
    static JsonElement Parse(string json) => N8nDocuments.Parse(json);

    static readonly JsonElement before = Parse("""
        {"name":"Orders","nodes":[{"id":"a","name":"A","type":"t","parameters":{"list":[1,{"x":1}],"url":"u"}},{"id":"b","name":"B","type":"t"},{"id":"c","name":"C","type":"t"}],
         "edges":[{"source":"a","target":"b"},{"source":"b","target":"c"}],"settings":{"timezone":"UTC","keep":1}}
        """);

    static readonly JsonElement after = Parse("""
        {"name":"Orders","nodes":[{"id":"a","name":"A2","type":"t","parameters":{"list":[1,{"x":2}],"a/b":null}},{"id":"c","name":"C","type":"t"},{"id":"d","name":"D","type":"t"}],
         "edges":[{"source":"a","target":"c"}],"settings":{"keep":1.0,"executionTimeout":5},"tags":["x"]}
        """);

    [Fact]
    public void A_diff_names_each_node_edge_and_field()
    {
        var diff = DefinitionDiff.Between(before, after);

        Assert.Equal("d", Assert.Single(diff.NodesAdded).GetProperty("id").GetString());
        Assert.Equal("b", Assert.Single(diff.NodesRemoved).GetProperty("id").GetString());
        var changed = Assert.Single(diff.NodesChanged);
        Assert.Equal(("a", "A2"), (changed.Id, changed.Name));
        Assert.Equal(["/name \"A\" \"A2\"", "/parameters/a~1b  null", "/parameters/list/1/x 1 2", "/parameters/url \"u\" "], Told(changed.Changes));
        Assert.Equal("{\"source\":\"a\",\"target\":\"c\"}", Assert.Single(diff.EdgesAdded).GetRawText());
        Assert.Equal(2, diff.EdgesRemoved.Count);
        Assert.Equal(["/settings/executionTimeout  5", "/settings/timezone \"UTC\" ", "/tags  [\"x\"]"], Told(diff.Fields));
        Assert.Null(diff.NodeOrder);
        Assert.False(diff.IsEmpty);
        Assert.True(DefinitionDiff.Between(before, before).IsEmpty);
    }

    static IEnumerable<string> Told(IEnumerable<FieldChange> changes)
        => changes.Select(change => $"{change.Path} {Raw(change.Before)} {Raw(change.After)}").Order(StringComparer.Ordinal);

    static string Raw(JsonElement value) => value.ValueKind == JsonValueKind.Undefined ? "" : value.GetRawText();

    [Fact]
    public void A_diff_that_went_through_HTTP_still_applies()
    {
        var sent = JsonSerializer.Serialize(DefinitionDiff.Between(before, after), FlowstoneJson.Options);
        N8nDocuments.AssertSame(after, DefinitionDiff.Apply(before, JsonSerializer.Deserialize<DefinitionDiff>(sent, FlowstoneJson.Options)!));
    }

    [Theory]
    [InlineData("""{"nodes":[]}""", """{"nodes":[],"edges":[]}""")]
    [InlineData("""{"nodes":[],"edges":[]}""", """{"nodes":[]}""")]
    [InlineData("""{"nodes":[{"id":"a","name":"","type":"t"}],"edges":[{"source":"a","target":"a"},{"source":"a","target":"a"}]}""", """{"nodes":[{"id":"a","name":"","type":"t"}]}""")]
    [InlineData("""{"nodes":[{"id":"a","name":"","type":"t"}],"edges":[{"source":"a","target":"a"},{"source":"a","target":"a","x":1},{"source":"a","target":"a"}]}""", """{"nodes":[{"id":"a","name":"","type":"t"}],"edges":[{"source":"a","target":"a","x":1},{"source":"a","target":"a"}]}""")]
    [InlineData("""{"nodes":[],"settings":{}}""", """{"nodes":[]}""")]
    [InlineData("""{"nodes":[],"settings":{"":{"a":[1]}}}""", """{"nodes":[],"settings":{"":{"a":[1,2]}}}""")]
    [InlineData("""{"nodes":[],"x":null}""", """{"nodes":[],"x":{}}""")]
    [InlineData("""{"nodes":[],"variables":{"a":1}}""", """{"nodes":[],"variables":5}""")]
    [InlineData("""{"nodes":[{"id":"a","name":"","type":"t","x":1,"x":2}]}""", """{"nodes":[{"id":"a","name":"","type":"t","x":1}]}""")]
    public void A_diff_applied_to_one_gives_the_other(string left, string right)
    {
        AssertApplies(Parse(left), Parse(right));
        AssertApplies(Parse(right), Parse(left));
    }

    static void AssertApplies(JsonElement left, JsonElement right) => N8nDocuments.AssertSame(right, DefinitionDiff.Apply(left, DefinitionDiff.Between(left, right)));

    [Fact]
    public void A_diff_of_something_else_is_refused()
        => Assert.Throws<InvalidInputException>(() => DefinitionDiff.Apply(Parse("""{"nodes":[]}"""), DefinitionDiff.Between(before, after) with { NodeOrder = ["a"] }));

    [Fact]
    public void Real_workflows_after_chance_edits_and_between_each_other()
    {
        var seed = 0;
        JsonElement? former = null;
        foreach (var file in N8nDocuments.Files(N8nDocuments.Collection ?? N8nDocuments.Fixtures))
        {
            var definition = N8nFormat.Read(JsonDocuments.Parse(File.ReadAllBytes(file)), "unnamed").Definition;
            var versions = new List<JsonElement> { definition };
            for (var i = 0; i < 3; i++)
                versions.Add(new RandomEdits(++seed).Edit(versions[^1], 1 + (seed % 5)));
            for (var i = 1; i < versions.Count; i++)
                AssertApplies(versions[i - 1], versions[i]);
            AssertApplies(versions[^1], definition);
            if (former is { } other)
                AssertApplies(other, definition);
            former = definition;
        }
    }
}
