using System.Text.Json.Nodes;
using Flowstone.Workflows.N8n;

namespace Flowstone.Tests.Workflows.N8n;

public sealed class N8nWriteTests
{
    [Theory]
    [InlineData("""["a","b"]""", "a,b")]
    [InlineData("""[{"id":"1","name":"a"},"b"]""", "a,b")]
    [InlineData("[]", "")]
    public void Tags_are_read_by_name_and_written_as_they_were(string tags, string names)
    {
        var document = $$"""{"nodes":[],"tags":{{tags}}}""";
        Assert.Equal(names, string.Join(',', N8nDocuments.Read(document).Tags));
        N8nDocuments.AssertRoundTrip(N8nDocuments.Parse(document));
    }

    [Theory]
    [InlineData("null")]
    [InlineData("\"a\"")]
    [InlineData("""["a",null]""")]
    [InlineData("""["a",{"id":"1"}]""")]
    public void Tags_of_another_shape_are_kept_as_a_field(string tags)
    {
        var workflow = N8nDocuments.Read($$"""{"nodes":[],"tags":{{tags}}}""");
        Assert.Empty(workflow.Tags);
        N8nDocuments.AssertSame(tags, N8nFormat.Write(workflow.Definition).GetProperty("tags"));
    }

    [Fact]
    public void Edited_tags_are_exported_as_texts()
    {
        var edited = Edit("""{"nodes":[],"tags":[{"id":"1","name":"a"}]}""", root => root["tags"]!.AsArray().Add("new"));
        N8nDocuments.AssertSame("""["a","new"]""", N8nFormat.Write(edited).GetProperty("tags"));
    }

    [Fact]
    public void Edited_fields_win_over_what_was_kept()
    {
        var edited = Edit("""{"nodes":[],"name":null,"settings":[],"meta":{"v":1}}""", root =>
        {
            root["name"] = "Named";
            root["settings"] = JsonNode.Parse("""{"timezone":"UTC"}""");
        });
        N8nDocuments.AssertSame("""{"name":"Named","nodes":[],"settings":{"timezone":"UTC"},"meta":{"v":1}}""", N8nFormat.Write(edited));
    }

    [Fact]
    public void Fields_named_as_ours_do_not_get_in_each_others_way()
        => N8nDocuments.AssertRoundTrip(N8nDocuments.Parse("""
            {"nodes":[],"edges":7,"source":{"format":"n8n","fields":{"x":1}},"pinnedData":null,"fields":{},"connections":{},"pinData":{},"nodeIds":{"a":[]}}
            """));

    [Fact]
    public void Of_duplicate_keys_the_last_counts_as_in_jsonb()
    {
        const string Json = """
            {"nodes":"x","name":"one","name":"two","nodes":[{"id":"1","id":"2","name":"A","type":"t"},{"name":"B","type":"t","id":"9","id":5}],
             "connections":{"B":{"main":[[{"node":"x"}]]},"B":{"main":[[{"node":"x","node":"A","type":"main","index":0}]]}}}
            """;
        var workflow = N8nDocuments.Read(Json);
        Assert.Equal("two", workflow.Name);
        Assert.Empty(workflow.Warnings);
        N8nDocuments.AssertRoundTrip(N8nDocuments.Parse(Json));
    }

    [Fact]
    public void A_definition_made_elsewhere_is_exported_with_its_connections_and_its_own_fields()
        => N8nDocuments.AssertSame("""
            {"name":"Ours","nodes":[{"id":"a","name":"A","type":"t"}],"connections":{},"pinData":{"A":[]},"owner":"me"}
            """, N8nFormat.Write(N8nDocuments.Parse("""
            {"name":"Ours","nodes":[{"id":"a","name":"A","type":"t"}],"pinnedData":{"A":[]},"owner":"me","connections":"not n8n's","source":{"format":"other"}}
            """)));

    static System.Text.Json.JsonElement Edit(string document, Action<JsonNode> edit)
    {
        var root = JsonNode.Parse(N8nDocuments.Read(document).Definition.GetRawText())!;
        edit(root);
        return N8nDocuments.Parse(root.ToJsonString());
    }
}
