using System.Text.Json;
using Flowstone.Data;
using Flowstone.Tests.Workflows.N8n;
using Flowstone.Workflows;
using Flowstone.Workflows.N8n;

namespace Flowstone.Tests.Workflows.Checks;

public sealed class GraphChecksTests
{
    static IReadOnlyList<GraphIssue> Check(string nodes, string edges = "[]") => GraphChecks.Check(N8nDocuments.Parse($$"""{"name":"N","nodes":{{nodes}},"edges":{{edges}}}"""), _ => false);

    static string Told(IEnumerable<GraphIssue> issues) => string.Join("|", issues.Select(issue => $"{issue.Code} {issue.NodeId} {issue.Path}"));

    [Theory]
    [InlineData("={{ $node[\\\"A\\\"].json.x }} {{ $('b').item }} {{ $items(\\\"A b\\\") }} {{$node.A.json}}", "")]
    [InlineData("={{ $node[\\\"No\\\"].json.x }}", "UnknownReference c nodes[2].parameters.p.list[0]")]
    [InlineData("={{ $('No').first().json }} {{ $('No').last() }}", "UnknownReference c nodes[2].parameters.p.list[0]")]
    [InlineData("={{ $(`No`).item }}", "UnknownReference c nodes[2].parameters.p.list[0]")]
    [InlineData("={{ $items( 'No' ) }}", "UnknownReference c nodes[2].parameters.p.list[0]")]
    [InlineData("={{ $node.No.json }}", "UnknownReference c nodes[2].parameters.p.list[0]")]
    [InlineData("={{ $('It\\\\'s me').item }}", "")]
    [InlineData("= $('No') outside of braces", "")]
    [InlineData("$('No') is no expression", "")]
    [InlineData("={{ $json.x }} {{ my$('No') }}", "")]
    public void References_to_nodes_that_are_not_there(string text, string expected)
        => Assert.Equal(expected, Told(Check($$$"""
            [{"id":"a","name":"A","type":"t"},{"id":"b","name":"A b","type":"t"},{"id":"c","name":"It's me","type":"t","parameters":{"p":{"list":["{{{text}}}"] } } },
             {"id":"off","name":"Off","type":"t","disabled":true,"parameters":{"x":"={{ $('No') }}"}}]
            """)));

    [Fact]
    public void References_by_a_name_that_several_nodes_have()
        => Assert.Equal("AmbiguousReference c nodes[2].parameters.x", Told(Check("""
            [{"id":"a","name":"A","type":"t"},{"id":"b","name":"A","type":"t"},{"id":"c","name":"C","type":"t","parameters":{"x":"={{ $('A').item }}","y":"={{ $('a').item }} {{ $('C').item }}"}},
             {"id":"n","name":"C","type":"n8n-nodes-base.stickyNote"}]
            """)));

    [Theory]
    [InlineData("const x = $('No').all();\\n// $('Neither')\\n/* $('Nor') */", "UnknownReference a nodes[0].parameters.jsCode")]
    [InlineData("const $ = require('cheerio'); $('div').text()", "")]
    [InlineData("return $('A').all()", "")]
    public void References_in_code(string code, string expected)
        => Assert.Equal(expected, Told(Check($$$"""[{"id":"a","name":"A","type":"t","parameters":{"jsCode":"{{{code}}}"}}]""")));

    [Fact]
    public void Nodes_without_a_path_from_a_trigger()
    {
        const string Nodes = """
            [{"id":"t","name":"T","type":"x.webhook"},{"id":"a","name":"A","type":"t"},{"id":"model","name":"M","type":"t"},{"id":"lost","name":"L","type":"t"},{"id":"after","name":"F","type":"t"},
             {"id":"note","name":"N","type":"n8n-nodes-base.stickyNote"},{"id":"off","name":"O","type":"t","disabled":true}]
            """;
        const string Edges = """[{"source":"t","target":"a"},{"source":"model","output":"ai_languageModel","target":"a","input":"ai_languageModel"},{"source":"lost","target":"after"}]""";
        Assert.Equal("UnreachableNode lost nodes[3]|UnreachableNode after nodes[4]", Told(Check(Nodes, Edges)));

        // Without a trigger, whatever nothing leads to begins.
        Assert.Empty(Check(Nodes.Replace("x.webhook", "t", StringComparison.Ordinal), Edges));
    }

    [Theory]
    [InlineData("t", """[{"source":"s","target":"a"},{"source":"a","target":"b"},{"source":"b","target":"c"},{"source":"c","target":"a"}]""", "CycleWithoutLoop a nodes[1]")]
    [InlineData("t", """[{"source":"s","target":"a"},{"source":"a","target":"b"},{"source":"b","target":"b"},{"source":"b","target":"c"}]""", "CycleWithoutLoop b nodes[2]")]
    [InlineData("n8n-nodes-base.splitInBatches", """[{"source":"s","target":"a"},{"source":"a","target":"b"},{"source":"b","target":"c"},{"source":"c","target":"a"}]""", "")]
    [InlineData("test.loopOver", """[{"source":"s","target":"a"},{"source":"a","target":"b"},{"source":"b","target":"a"},{"source":"b","target":"c"},{"source":"c","target":"b"}]""", "CycleWithoutLoop b nodes[2]")]
    [InlineData("t", """[{"source":"s","target":"a"},{"source":"s","target":"b"},{"source":"a","target":"c"},{"source":"b","target":"c"}]""", "")]
    public void Cycles_that_no_loop_node_ends(string type, string edges, string expected)
        => Assert.Equal(expected, Told(Check($$"""[{"id":"s","name":"S","type":"trigger"},{"id":"a","name":"A","type":"{{type}}"},{"id":"b","name":"B","type":"t"},{"id":"c","name":"C","type":"t"}]""", edges)));

    [Theory]
    [InlineData("jsCode", "/*")]
    [InlineData("jsCode", "\n")]
    [InlineData("jsCode", "$('")]
    [InlineData("jsCode", "$(\"\\")]
    [InlineData("url", "{{")]
    public void Texts_full_of_beginnings_are_read_in_no_time(string parameter, string beginning)
    {
        var text = (parameter == "url" ? "=" : "$") + string.Concat(Enumerable.Repeat(beginning, 500_000));   // by going back, hours
        var definition = JsonSerializer.SerializeToElement(new { name = "Test", nodes = new[] { new { id = "a", name = "A", type = "trigger", parameters = new Dictionary<string, string> { [parameter] = text } } } });
        Assert.True(GraphChecks.Check(definition, _ => true).Count <= 1);
    }

    [Fact]
    public void A_large_graph_is_checked_without_recursion()
    {
        const int Count = 20_000;
        var nodes = "[" + string.Join(",", Enumerable.Range(0, Count).Select(i => $$"""{"id":"{{i}}","name":"","type":"t"}""")) + "]";
        var edges = "[" + string.Join(",", Enumerable.Range(0, Count).Select(i => $$"""{"source":"{{i}}","target":"{{(i + 1) % Count}}"}""")) + "]";
        Assert.Single(Check(nodes, edges), issue => issue.Code == GraphIssueCode.CycleWithoutLoop);
    }

    [Fact]
    public void Many_cycles_one_behind_the_other_are_found_in_one_pass()
    {
        const int Count = 20_000;   // from the beginning for each, minutes
        var nodes = "[" + string.Join(",", Enumerable.Range(0, 2 * Count).Select(i => $$"""{"id":"{{i}}","name":"","type":"t"}""")) + "]";
        var edges = "[" + string.Join(",", Enumerable.Range(0, Count).Select(i => 2 * i).Select(i => $$"""
            {{(i + 3 < 2 * Count ? $$"""{"source":"{{i + 3}}","target":"{{i}}"},""" : "")}}{"source":"{{i}}","target":"{{i + 1}}"},{"source":"{{i + 1}}","target":"{{i}}"}
            """)) + "]";
        Assert.Equal(Enumerable.Range(0, Count).Select(i => $"nodes[{2 * i}]"), Check(nodes, edges).Where(issue => issue.Code == GraphIssueCode.CycleWithoutLoop).Select(issue => issue.Path));
    }

    [Fact]
    public void What_is_unreachable_in_real_workflows_has_no_reachable_node_before_it()
    {
        foreach (var file in N8nDocuments.Files(N8nDocuments.Collection ?? N8nDocuments.Fixtures))
        {
            var definition = N8nFormat.Read(JsonDocuments.Parse(File.ReadAllBytes(file)), "unnamed").Definition;
            var graph = WorkflowGraph.Read(definition);
            var lost = GraphChecks.Check(definition, _ => true).Where(issue => issue.Code == GraphIssueCode.UnreachableNode).Select(issue => issue.NodeId).ToHashSet();
            Assert.DoesNotContain(graph.Edges, edge => edge.Output == "main" && lost.Contains(graph.Nodes[edge.Target].Id) && !graph.Nodes[edge.Source].Disabled && !lost.Contains(graph.Nodes[edge.Source].Id));
            Assert.True(GraphChecks.Credentials(definition).Count > 0 || !GraphChecks.Check(definition, _ => false).Any(issue => issue.Code == GraphIssueCode.MissingCredential));   // those of disabled nodes are not missed
        }
    }
}
