using System.Text.Json;
using Flowstone.Data;
using Flowstone.Tests.Workflows.N8n;
using Flowstone.Workflows;
using Flowstone.Workflows.N8n;

namespace Flowstone.Tests.Workflows.Versions;

public sealed class DefinitionMergeTests
{
    const string Base = """{"name":"N","nodes":[{"id":"a","name":"A","type":"t"},{"id":"b","name":"B","type":"t"}],"edges":[{"source":"a","target":"b"}],"settings":{"x":1}}""";

    static DefinitionMerge Merge(string theirs, string mine, string origin = Base) => DefinitionMerge.Of(N8nDocuments.Parse(origin), N8nDocuments.Parse(theirs), N8nDocuments.Parse(mine));

    [Fact]
    public void Changes_of_different_nodes_edges_and_settings_merge()
    {
        var merge = Merge(
            """{"name":"N","nodes":[{"id":"a","name":"Theirs","type":"t"},{"id":"b","name":"B","type":"t"},{"id":"t","name":"T","type":"t"}],"edges":[{"source":"a","target":"b"},{"source":"b","target":"t"}],"settings":{"x":1,"theirs":1}}""",
            """{"name":"N","nodes":[{"id":"m","name":"M","type":"t"},{"id":"a","name":"A","type":"t"},{"id":"b","name":"Mine","type":"t"}],"edges":[{"source":"m","target":"a"},{"source":"a","target":"b"}],"settings":{"mine":1},"tags":[]}""");

        Assert.Empty(merge.Conflicts);
        N8nDocuments.AssertSame("""
            {"name":"N","nodes":[{"id":"m","name":"M","type":"t"},{"id":"a","name":"Theirs","type":"t"},{"id":"b","name":"Mine","type":"t"},{"id":"t","name":"T","type":"t"}],
             "edges":[{"source":"m","target":"a"},{"source":"a","target":"b"},{"source":"b","target":"t"}],"settings":{"theirs":1,"mine":1},"tags":[]}
            """, merge.Merged);
    }

    [Theory]
    [InlineData("""{"name":"N","nodes":[{"id":"b","name":"B","type":"t"}],"settings":{"x":1}}""", """{"name":"N","nodes":[{"id":"a","name":"Mine","type":"t"},{"id":"b","name":"B","type":"t"}],"edges":[{"source":"a","target":"b"}],"settings":{"x":1}}""",
        "Node /nodes/a They deleted it, and you changed it.")]
    [InlineData("""{"name":"N","nodes":[{"id":"a","name":"Theirs","type":"t"},{"id":"b","name":"B","type":"t"}],"settings":{"x":2}}""", """{"name":"M","nodes":[{"id":"a","name":"Mine","type":"t"},{"id":"b","name":"B","type":"t"}],"settings":{"x":3}}""",
        "Node /nodes/a Both changed it, and not to the same.|Field /settings/x Both changed it, and not to the same.")]
    [InlineData("""{"name":"N","nodes":[{"id":"b","name":"B","type":"t"}],"settings":{"x":1}}""", """{"name":"N","nodes":[{"id":"a","name":"A","type":"t"},{"id":"b","name":"B","type":"t"}],"edges":[{"source":"a","target":"b"},{"source":"b","target":"a"}],"settings":{"x":1}}""",
        "Edge /edges/b/main/0/a/main/0 Its target 'a' was deleted by them.")]
    [InlineData("""{"name":"N","nodes":[{"id":"a","name":"A","type":"t"},{"id":"b","name":"B","type":"t"}],"edges":[{"source":"a","target":"b"},{"source":"b","target":"a"}]}""", """{"name":"N","nodes":[{"id":"b","name":"B","type":"t"}]}""",
        "Edge /edges/b/main/0/a/main/0 Its target 'a' was deleted by you.")]
    [InlineData("""{"name":"N","nodes":[{"id":"a","name":"A","type":"t"},{"id":"b","name":"B","type":"t"},{"id":"n","name":"1","type":"t"}]}""", """{"name":"N","nodes":[{"id":"a","name":"A","type":"t"},{"id":"b","name":"B","type":"t"},{"id":"n","name":"2","type":"t"}]}""",
        "Node /nodes/n Both added it, and not the same.")]
    public void What_is_in_each_others_way_is_a_conflict(string theirs, string mine, string expected)
    {
        var merge = Merge(theirs, mine);
        Assert.Equal(expected, string.Join("|", merge.Conflicts.Select(conflict => $"{conflict.Kind} {conflict.Path} {conflict.Message}")));
        Assert.Equal(JsonValueKind.Undefined, merge.Merged.ValueKind);
    }

    [Fact]
    public void Two_other_orders_are_a_conflict_and_one_is_taken()
    {
        var three = """{"nodes":[{"id":"a","name":"","type":"t"},{"id":"b","name":"","type":"t"},{"id":"c","name":"","type":"t"}]}""";
        var other = """{"nodes":[{"id":"c","name":"","type":"t"},{"id":"b","name":"","type":"t"},{"id":"a","name":"","type":"t"}]}""";
        var third = """{"nodes":[{"id":"b","name":"","type":"t"},{"id":"c","name":"","type":"t"},{"id":"a","name":"","type":"t"}]}""";

        Assert.Equal((ConflictKind.Order, "/nodes"), Assert.Single(Merge(other, third, three).Conflicts) is var conflict ? (conflict.Kind, conflict.Path) : default);
        N8nDocuments.AssertSame(other, Merge(other, three, three).Merged);
        N8nDocuments.AssertSame(other, Merge(three, other, three).Merged);
        N8nDocuments.AssertSame(other, Merge(other, other, three).Merged);
    }

    [Theory]
    [InlineData("x,y", "y", "x", "")]              // each deleted another one
    [InlineData("x,y,z", "y,z", "x,y", "y")]
    [InlineData("x,y", "y", "x,y,z", "y,z")]
    [InlineData("x,y", "y", "x,z", "z")]           // deleted, and the other one changed
    [InlineData("x,x", "x", "x,x,y", "x,y")]
    [InlineData("", "x", "x", "x")]
    public void Of_several_edges_between_the_same_ends_each_is_known_again(string origin, string theirs, string mine, string expected)
    {
        N8nDocuments.AssertSame(With(expected), Merge(With(theirs).GetRawText(), With(mine).GetRawText(), With(origin).GetRawText()).Merged);
        N8nDocuments.AssertSame(With(expected), Merge(With(mine).GetRawText(), With(theirs).GetRawText(), With(origin).GetRawText()).Merged);

        // As the original platform tells them apart.
        static JsonElement With(string handles) => N8nDocuments.Parse($$"""
            {"name":"N","nodes":[{"id":"a","name":"A","type":"t"}],"edges":[{{string.Join(",", handles.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(handle => $$"""{"source":"a","sourceHandle":"{{handle}}","target":"a"}"""))}}]}
            """);
    }

    [Fact]
    public void Thirty_thousand_edges_between_the_same_ends_merge_in_no_time()
    {
        var edges = string.Join(",", Enumerable.Repeat("""{"source":"a","target":"a"}""", 30_000));   // by trying one number after the other, minutes
        string Named(string name) => $$"""{"name":"{{name}}","nodes":[{"id":"a","name":"A","type":"t"}],"edges":[{{edges}}]}""";
        Assert.Empty(Merge(Named("N"), Named("M"), Named("N")).Conflicts);
    }

    [Fact]
    public void Every_merge_of_chance_edits_is_the_oracles()
    {
        var (seed, merged, refused) = (1_000_000, 0, 0);
        foreach (var file in N8nDocuments.Files(N8nDocuments.Fixtures))
        {
            var origin = N8nFormat.Read(JsonDocuments.Parse(File.ReadAllBytes(file)), "unnamed").Definition;
            for (var round = 0; round < 12; round++)
            {
                JsonElement theirs = new RandomEdits(++seed).Edit(origin, 1 + (round % 4)), mine = new RandomEdits(++seed).Edit(origin, 1 + (round % 3));
                var expected = MergeOracle.Merge(origin, theirs, mine);
                var merge = DefinitionMerge.Of(origin, theirs, mine);

                Assert.True(expected is null == merge.Conflicts.Count > 0, $"{Path.GetFileName(file)}, {seed}: {string.Join(" ", merge.Conflicts)}");
                if (expected is { } value)
                {
                    N8nDocuments.AssertSame(value, merge.Merged);
                    Assert.Empty(WorkflowDefinition.Validate(merge.Merged));
                }
                _ = expected is null ? refused++ : merged++;
                N8nDocuments.AssertSame(theirs, DefinitionMerge.Of(origin, theirs, origin).Merged);
                N8nDocuments.AssertSame(mine, DefinitionMerge.Of(origin, origin, mine).Merged);
                N8nDocuments.AssertSame(mine, DefinitionMerge.Of(origin, mine, mine).Merged);
            }
        }
        Assert.True(merged > 100 && refused > 20, $"{merged} merged, {refused} refused");
    }

    [Fact]
    public void So_is_every_one_where_many_edges_have_the_same_ends()
    {
        var (random, merged, refused) = (new Random(6), 0, 0);
        for (var round = 0; round < 2_000; round++)
        {
            var origin = Edges([.. Enumerable.Range(0, random.Next(5)).Select(_ => random.Next(4))]);
            JsonElement theirs = Edited(origin), mine = Edited(origin);
            var expected = MergeOracle.Merge(origin, theirs, mine);
            var merge = DefinitionMerge.Of(origin, theirs, mine);

            Assert.True(expected is null == merge.Conflicts.Count > 0, $"{origin} {theirs} {mine}: {string.Join(" ", merge.Conflicts)}");
            if (expected is { } value)
                N8nDocuments.AssertSame(value, merge.Merged);
            _ = expected is null ? refused++ : merged++;
        }
        Assert.True(merged > 500 && refused > 100, $"{merged} merged, {refused} refused");

        JsonElement Edited(JsonElement definition)
        {
            var notes = definition.GetProperty("edges").EnumerateArray().Select(edge => edge.GetProperty("note").GetInt32()).ToList();
            for (var edit = random.Next(3); edit > 0; edit--)
            {
                var place = random.Next(notes.Count + 1);
                if (place == notes.Count || random.Next(3) == 0)
                    notes.Insert(place, random.Next(6));
                else if (random.Next(2) == 0)
                    notes.RemoveAt(place);
                else
                    notes[place] = random.Next(6);
            }
            return Edges(notes);
        }

        static JsonElement Edges(List<int> notes) => JsonSerializer.SerializeToElement(new { name = "N", nodes = new[] { new { id = "a", name = "A", type = "t" } }, edges = notes.Select(note => new { source = "a", target = "a", note }) });
    }
}
