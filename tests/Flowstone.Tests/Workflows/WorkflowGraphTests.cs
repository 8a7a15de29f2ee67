using System.Text.Json;
using Flowstone.Workflows;

namespace Flowstone.Tests.Workflows;

public sealed class WorkflowGraphTests
{
    [Fact]
    public void Nodes_and_edges_are_read_in_the_order_of_the_definition()
    {
        var graph = WorkflowGraph.Read(JsonElement.Parse("""
            {"nodes":[{"id":"b","name":"Second","type":"t2","disabled":true,"parameters":{"x":1}},{"id":"a","name":"First","type":"t1","disabled":"yes"}],
             "edges":[{"source":"a","output":"ai_tool","outputIndex":1,"target":"b","input":"main","inputIndex":2e0},{"source":"b","target":"b"}]}
            """));

        Assert.Equal([(0, "b", "Second", "t2", true), (1, "a", "First", "t1", false)],
            graph.Nodes.Select(node => (node.Ordinal, node.Id, node.Name, node.Type, node.Disabled)));
        Assert.Equal(1, graph.Nodes[0].Parameters.GetProperty("x").GetInt32());
        Assert.Equal("{}", graph.Nodes[1].Parameters.GetRawText());
        Assert.Equal([new WorkflowEdge(1, "ai_tool", 1, 0, "main", 2), new WorkflowEdge(0, "main", 0, 0, "main", 0)], graph.Edges);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("""{"nodes":[],"edges":[]}""")]
    [InlineData("""{"nodes":7,"edges":"x"}""")]
    public void Without_nodes_there_is_an_empty_graph(string json)
    {
        var graph = WorkflowGraph.Read(JsonElement.Parse(json));
        Assert.Empty(graph.Nodes);
        Assert.Empty(graph.Edges);
    }
}
