using Flowstone.Cli.Demo;
using Flowstone.Tests.Workflows.N8n;
using Flowstone.Workflows;
using Flowstone.Workflows.N8n;

namespace Flowstone.Tests.Workflows;

public sealed class SampleWorkflowsTests
{
    [Fact]
    public void There_are_twenty_with_names_of_their_own()
        => Assert.Equal(20, SampleWorkflows.All().Select(sample => sample.Document.GetProperty("name").GetString()).Distinct().Count());

    [Fact]
    public void Each_imports_without_a_warning_and_comes_back_as_it_went_in()
    {
        foreach (var (name, document) in SampleWorkflows.All())
        {
            var workflow = N8nFormat.Read(document, "unnamed");
            Assert.True(workflow.Warnings.Count == 0, $"{name}: {string.Join(' ', workflow.Warnings)}");
            Assert.NotEmpty(workflow.Tags);
            Assert.NotNull(workflow.Description);
            N8nDocuments.AssertRoundTrip(document);
        }
    }

    [Fact]
    public void Each_is_described_by_its_edges_alone()
    {
        foreach (var (_, document) in SampleWorkflows.All())
            Assert.False(N8nFormat.Read(document, "unnamed").Definition.GetProperty("source").TryGetProperty("connections", out var _));
    }

    [Fact]
    public void Every_node_but_notes_and_what_is_disabled_is_connected_and_no_two_lie_on_each_other()
    {
        foreach (var (name, document) in SampleWorkflows.All())
        {
            var graph = WorkflowGraph.Read(N8nFormat.Read(document, "unnamed").Definition);
            Assert.InRange(graph.Nodes.Count, 4, 25);

            var connected = graph.Edges.SelectMany(edge => new[] { edge.Source, edge.Target }).ToHashSet();
            Assert.All(graph.Nodes, node => Assert.True(
                connected.Contains(node.Ordinal) || node.Disabled || node.Type.EndsWith("stickyNote", StringComparison.Ordinal), $"{name}: {node.Name}"));
            Assert.Distinct(document.GetProperty("nodes").EnumerateArray().Select(node => node.GetProperty("position").GetRawText()));
        }
    }

    [Fact]
    public void Together_they_have_branches_merges_loops_error_paths_and_tools()
    {
        var graphs = SampleWorkflows.All().Select(sample => WorkflowGraph.Read(N8nFormat.Read(sample.Document, "unnamed").Definition)).ToList();
        Assert.True(graphs.Count(graph => graph.Edges.Any(edge => edge.OutputIndex > 0)) >= 10, "branches");
        Assert.True(graphs.Count(graph => graph.Edges.Any(edge => edge.InputIndex > 0)) >= 5, "merges");
        Assert.True(graphs.Count(HasLoop) >= 4, "loops");
        Assert.True(graphs.Count(graph => graph.Edges.Any(edge => edge.Output == "ai_languageModel")) >= 4, "language models");
        Assert.Contains(graphs, graph => graph.Edges.Count(edge => edge.Output == "ai_tool") >= 3);
    }

    static bool HasLoop(WorkflowGraph graph)
    {
        return graph.Nodes.Any(node => Reaches(node.Ordinal, node.Ordinal, []));

        bool Reaches(int from, int goal, HashSet<int> seen)
            => graph.Edges.Where(edge => edge.Source == from).Any(edge => edge.Target == goal || (seen.Add(edge.Target) && Reaches(edge.Target, goal, seen)));
    }
}
