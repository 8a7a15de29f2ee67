using System.Text.Json.Nodes;
using Flowstone.Workflows;
using Flowstone.Workflows.N8n;

namespace Flowstone.Tests.Workflows.N8n;

public sealed class N8nConnectionsTests
{
    [Fact]
    public void Connections_name_nodes_by_name_first_and_by_id_otherwise()
        => Assert.Equal(["A>B", "B>A", "C>A"], Edges("""{"A":{"main":[[{"node":"b","type":"main","index":0}]]},"b":{"main":[[{"node":"A"}]]},"c":{"main":[[{"node":"A"}]]}}"""));

    [Fact]
    public void A_name_wins_over_the_same_id()
    {
        var graph = WorkflowGraph.Read(N8nDocuments.Read("""
            {"nodes":[{"id":"B","name":"A","type":"t"},{"id":"x","name":"B","type":"t"}],"connections":{"A":{"main":[[{"node":"B","type":"main","index":0}]]}}}
            """).Definition);
        Assert.Equal([new WorkflowEdge(0, "main", 0, 1, "main", 0)], graph.Edges);
    }

    [Theory]
    [InlineData("""{"A":{"main":[[{"node":"x"}]]}}""", "1 connection to 1 node that is not there was kept but leads nowhere; the first is connections.A.main[0][0].")]
    [InlineData("""{"A":{"main":[[{"node":"B"},{"node":"x"}],null,[{"node":"x y"},{"node":"x"}]]}}""",
        "3 connections to 2 nodes that are not there were kept but lead nowhere; the first is connections.A.main[0][1].")]
    [InlineData("""{"my ghost":{"main":[[{"node":"A"},{"node":"B"}]]}}""",
        "2 connections from 1 node that is not there were kept but lead nowhere; the first is connections['my ghost'].main[0][0].")]
    [InlineData("""{"x":{"main":[[{"node":"y"}]]}}""", "1 connection from or to 2 nodes that are not there was kept but leads nowhere; the first is connections.x.main[0][0].")]
    [InlineData("""{"A":null}""", "1 part of the connections has an unknown shape and was kept without effect; the first is connections.A.")]
    [InlineData("""{"A":{"main":{}},"B":{"main":[7,[8]]}}""", "3 parts of the connections have an unknown shape and were kept without effect; the first is connections.A.main.")]
    [InlineData("""{"A":{"main":[[{"node":"B","index":-1}]]}}""", "1 part of the connections has an unknown shape and was kept without effect; the first is connections.A.main[0][0].")]
    public void What_leads_nowhere_is_kept_with_one_warning(string connections, string warning)
    {
        Assert.Equal([warning], N8nDocuments.Read(Document(connections)).Warnings);
        N8nDocuments.AssertRoundTrip(N8nDocuments.Parse(Document(connections)));
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"A":{}}""")]
    [InlineData("""{"A":{"main":[]}}""")]
    [InlineData("""{"A":{"main":[null,[{"node":"B","type":"main","index":0}],[]]}}""")]
    [InlineData("""{"A":{"main":[[{"node":"B"}]]},"a":{"main":[[{"node":"C"}]]}}""")]
    [InlineData("""{"A":{"main":[[{"node":"B","type":"main","index":0,"note":"x"},{"node":"B","type":"main","index":0}]]}}""")]
    public void Shapes_that_edges_do_not_say_come_back_without_a_warning(string connections)
    {
        Assert.Empty(N8nDocuments.Read(Document(connections)).Warnings);
        N8nDocuments.AssertRoundTrip(N8nDocuments.Parse(Document(connections)));
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("\"none\"")]
    public void Connections_of_another_type_are_kept_as_a_field(string connections)
    {
        var definition = N8nDocuments.Read(Document(connections)).Definition;
        Assert.False(definition.TryGetProperty("edges", out _));
        N8nDocuments.AssertSame(Document(connections), N8nFormat.Write(definition));
    }

    [Fact]
    public void Plain_connections_are_not_stored_twice()
        => Assert.False(N8nDocuments.Read(Document("""{"A":{"main":[[{"node":"B","type":"main","index":0}]]}}"""))
            .Definition.GetProperty("source").TryGetProperty("connections", out _));

    [Fact]
    public void An_edge_drawn_in_flowstone_is_exported()
    {
        var definition = Edit(Document("""{"A":{"main":[[{"node":"ghost"}]]}}"""),
            root => root["edges"]!.AsArray().Add(JsonNode.Parse("""{"source":"c","output":"ai_tool","outputIndex":1,"target":"a","input":"ai_tool","inputIndex":0}""")));
        N8nDocuments.AssertSame("""{"C":{"ai_tool":[[],[{"node":"A","type":"ai_tool","index":0}]]}}""", N8nFormat.Write(definition).GetProperty("connections"));
    }

    [Fact]
    public void A_node_renamed_in_flowstone_keeps_its_connections()
    {
        var definition = Edit(Document("""{"A":{"main":[[{"node":"B","type":"main","index":0}]]}}"""), root => root["nodes"]![1]!["name"] = "New");
        N8nDocuments.AssertSame("""{"A":{"main":[[{"node":"New","type":"main","index":0}]]}}""", N8nFormat.Write(definition).GetProperty("connections"));
    }

    [Fact]
    public void Of_nodes_with_one_name_the_second_is_exported_by_id()
    {
        var definition = Edit(Document("{}"), root =>
        {
            root["nodes"]![1]!["name"] = "A";
            root["edges"] = JsonNode.Parse("""[{"source":"b","target":"a"}]""");
        });
        var exported = N8nFormat.Write(definition);
        N8nDocuments.AssertSame("""{"b":{"main":[[{"node":"A","type":"main","index":0}]]}}""", exported.GetProperty("connections"));
        Assert.Equal(WorkflowGraph.Read(definition).Edges, WorkflowGraph.Read(N8nFormat.Read(exported, "x").Definition).Edges);
    }

    static string Document(string connections)
        => $$"""{"nodes":[{"id":"a","name":"A","type":"t"},{"id":"b","name":"B","type":"t"},{"id":"c","name":"C","type":"t"}],"connections":{{connections}}}""";

    static System.Text.Json.JsonElement Edit(string document, Action<JsonNode> edit)
    {
        var root = JsonNode.Parse(N8nDocuments.Read(document).Definition.GetRawText())!;
        edit(root);
        return N8nDocuments.Parse(root.ToJsonString());
    }

    static IEnumerable<string> Edges(string connections)
    {
        var graph = WorkflowGraph.Read(N8nDocuments.Read(Document(connections)).Definition);
        return graph.Edges.Select(edge => $"{graph.Nodes[edge.Source].Name}>{graph.Nodes[edge.Target].Name}");
    }
}
