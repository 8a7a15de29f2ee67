using Flowstone.Workflows;
using Flowstone.Workflows.N8n;

namespace Flowstone.Tests.Workflows.N8n;

public sealed class N8nReadTests
{
    const string Two = """{"id":"1","name":"A","type":"t"},{"id":"2","name":"B","type":"t"}""";

    [Fact]
    public void A_usual_document_becomes_a_definition()
    {
        var workflow = N8nDocuments.Read($$$$"""
            {"name":"Orders","description":"daily","active":true,"tags":["shop"],"nodes":[{{{{Two}}}}],"settings":{"executionOrder":"v1"},"pinData":{"A":[1]},
             "connections":{"A":{"main":[[],[{"node":"B","type":"main","index":1}]]}}}
            """);

        Assert.Equal(("Orders", "daily"), (workflow.Name, workflow.Description));
        Assert.Equal(["shop"], workflow.Tags);
        Assert.Empty(workflow.Warnings);
        N8nDocuments.AssertSame($$$$"""
            {"name":"Orders","description":"daily","tags":["shop"],"nodes":[{{{{Two}}}}],"settings":{"executionOrder":"v1"},"pinnedData":{"A":[1]},
             "edges":[{"source":"1","output":"main","outputIndex":1,"target":"2","input":"main","inputIndex":1}],
             "source":{"format":"n8n","fields":{"active":true}}}
            """, workflow.Definition);
    }

    [Theory]
    [InlineData("[]", "$: must be an object, but is an array.")]
    [InlineData("null", "$: must be an object, but is null.")]
    [InlineData("{}", "nodes: is missing; an array is needed.")]
    [InlineData("""{"nodes":null}""", "nodes: must be an array, but is null.")]
    [InlineData("""{"nodes":{"0":{}}}""", "nodes: must be an array, but is an object.")]
    [InlineData("""{"nodes":["x"]}""", "nodes[0]: must be an object, but is a string.")]
    [InlineData("""{"nodes":[{"type":"t"}]}""", "nodes[0].name: is missing; a string is needed.")]
    [InlineData("""{"nodes":[{"name":5,"type":"t"}]}""", "nodes[0].name: must be a string, but is a number.")]
    [InlineData("""{"nodes":[{"name":"A"}]}""", "nodes[0].type: is missing; a string is needed.")]
    [InlineData("""{"nodes":[{"name":"A","type":""}]}""", "nodes[0].type: must not be empty.")]
    [InlineData("""{"nodes":[TWO,{"id":"1","name":"C","type":"t"}]}""", "nodes[2].id: '1' is already the id of nodes[0].")]
    [InlineData("""{"nodes":[],"name":"LONG"}""", "name: has 256 characters; at most 255 are allowed.")]
    [InlineData("""{"nodes":[{"name":"LONG","type":"t"}]}""", "nodes[0].name: has 256 characters; at most 255 are allowed.")]
    [InlineData("""{"nodes":[{"id":"LONG","name":"A","type":"t"}]}""", "nodes[0].id: has 256 characters; at most 255 are allowed.")]
    [InlineData("""{"nodes":[{"name":"A","type":"t","parameters":{"q":["\u0000"]}}]}""", "nodes[0].parameters.q[0]: contains U+0000, which PostgreSQL cannot store.")]
    [InlineData("""{"nodes":[],"meta":{"\udfff":1}}""", """meta: the key "\udfff" contains half of a surrogate pair, which PostgreSQL cannot store.""")]
    public void A_document_that_is_no_workflow_is_refused_with_the_field(string json, string message)
    {
        var error = Assert.Throws<InvalidInputException>(() => N8nDocuments.Read(json.Replace("TWO", Two).Replace("LONG", new string('x', 256))));
        Assert.Equal(message, error.Message);
    }

    [Fact]
    public void All_faults_of_the_nodes_are_told_at_once()
    {
        var error = Assert.Throws<InvalidInputException>(() => N8nDocuments.Read("""{"nodes":[{"name":"A"},7,{"type":"t"}]}"""));
        Assert.Equal(["nodes[0].type", "nodes[1]", "nodes[2].name"], error.Errors.Select(e => e.Field));
    }

    [Fact]
    public void Nesting_leaves_room_for_the_definition_around_it()
    {
        N8nDocuments.AssertRoundTrip(N8nDocuments.Parse(Nested(197)));
        var error = Assert.Throws<InvalidInputException>(() => N8nDocuments.Read(Nested(198)));
        Assert.EndsWith("is nested deeper than 198 levels.", error.Message);

        static string Nested(int arrays) => $$$"""{"nodes":[],"x":{{{new string('[', arrays)}}}{{{new string(']', arrays)}}} }""";
    }

    [Fact]
    public void A_definition_that_outgrows_the_limit_is_refused()
    {
        // Edges are longer than connections, and a connection that leads nowhere makes that both are kept.
        var targets = string.Join(',', Enumerable.Repeat("""{"node":"B","type":"main","index":0}""", 30_000));
        var json = $$$"""{"nodes":[{{{Two}}}],"connections":{"A":{"main":[[{{{targets}}},{"node":"C"}]]} },"x":"{{{new string('y', 3_000_000)}}}"}""";
        Assert.InRange(json.Length, 0, WorkflowDefinition.MaxBytes);
        var error = Assert.Throws<InvalidInputException>(() => N8nDocuments.Read(json));
        Assert.Matches(@"^\$: becomes a definition of [\d,]+ bytes; at most 5,242,880 are allowed\.$", error.Message);
    }

    [Fact]
    public void A_fallback_name_that_is_too_long_is_refused()
        => Assert.Equal("name: is missing, and the name given instead has 300 characters; at most 255 are allowed.",
            Assert.Throws<InvalidInputException>(() => N8nDocuments.Read("""{"nodes":[]}""", new string('x', 300))).Message);

    [Theory]
    [InlineData("""{"nodes":[]}""")]
    [InlineData("""{"nodes":[],"name":null}""")]
    [InlineData("""{"nodes":[],"name":" "}""")]
    [InlineData("""{"nodes":[],"name":{"en":"x"}}""")]
    public void Without_a_name_the_fallback_is_taken_and_not_exported(string json)
    {
        var workflow = N8nDocuments.Read(json, "orders.json");
        Assert.Equal("orders.json", workflow.Name);
        Assert.Equal("orders.json", workflow.Definition.GetProperty("name").GetString());
        N8nDocuments.AssertSame(json, N8nFormat.Write(workflow.Definition));
    }

    [Fact]
    public void Missing_and_odd_node_ids_are_generated_alike_every_time()
    {
        const string Json = """{"nodes":[{"name":"A","type":"t"},{"id":7,"name":"A","type":"t"},{"id":null,"name":"B","type":"t"},{"id":"","name":"B","type":"t"}]}""";
        var (first, second) = (N8nDocuments.Read(Json).Definition, N8nDocuments.Read(Json).Definition);

        var ids = WorkflowGraph.Read(first).Nodes.Select(node => node.Id).ToList();
        Assert.Equal(4, ids.Distinct().Count());
        Assert.All(ids, id => Assert.True(Guid.TryParseExact(id, "D", out _)));
        N8nDocuments.AssertSame(first, second);
        N8nDocuments.AssertSame($$"""{"{{ids[0]}}":[],"{{ids[1]}}":[7],"{{ids[2]}}":[null],"{{ids[3]}}":[""]}""", first.GetProperty("source").GetProperty("nodeIds"));
        N8nDocuments.AssertSame(Json, N8nFormat.Write(first));
    }

    [Fact]
    public void A_generated_id_never_takes_that_of_another_node()
    {
        var generated = WorkflowGraph.Read(N8nDocuments.Read("""{"nodes":[{"name":"A","type":"t"}]}""").Definition).Nodes[0].Id;
        var json = $$"""{"nodes":[{"name":"A","type":"t"},{"id":"{{generated}}","name":"B","type":"t"}]}""";
        Assert.Equal(2, WorkflowGraph.Read(N8nDocuments.Read(json).Definition).Nodes.Select(node => node.Id).Distinct().Count());
        N8nDocuments.AssertRoundTrip(N8nDocuments.Parse(json));
    }
}
