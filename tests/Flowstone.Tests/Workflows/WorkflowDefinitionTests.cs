using System.Runtime.InteropServices;
using System.Text.Json;
using Flowstone.Workflows;

namespace Flowstone.Tests.Workflows;

public sealed class WorkflowDefinitionTests
{
    const string Node = """{"id":"a","name":"A","type":"t"}""";

    static readonly string Long = new('x', 256);

    [Fact]
    public void A_definition_with_fields_of_its_own_is_valid()
        => Assert.Empty(Errors("""
            {"name":"n","description":null,"tags":["x","🦆"],"settings":{},"pinnedData":{"A":[]},"owner":{"team":7},
             "nodes":[{"id":"a","name":"","type":"t","typeVersion":1.1,"position":null,"anything":[1e100]},{"id":"b","name":"","type":"t"}],
             "edges":[{"source":"a","output":"main","outputIndex":1.0,"target":"b","input":"main","inputIndex":0,"label":"yes"},{"source":"b","target":"a"}]}
            """));

    [Theory]
    [InlineData("[]", "$: must be an object, but is an array.")]
    [InlineData("{}", "nodes: is missing; an array is needed.")]
    [InlineData("""{"nodes":{}}""", "nodes: must be an array, but is an object.")]
    [InlineData("""{"nodes":[null]}""", "nodes[0]: must be an object, but is null.")]
    [InlineData("""{"nodes":[{"name":"A","type":"t"}]}""", "nodes[0].id: is missing; a string is needed.")]
    [InlineData("""{"nodes":[{"id":7,"name":"A","type":"t"}]}""", "nodes[0].id: must be a string, but is a number.")]
    [InlineData("""{"nodes":[{"id":"","name":"A","type":"t"}]}""", "nodes[0].id: must not be empty.")]
    [InlineData("""{"nodes":[{"id":"a","type":"t"}]}""", "nodes[0].name: is missing; a string is needed.")]
    [InlineData("""{"nodes":[{"id":"a","name":"A","type":""}]}""", "nodes[0].type: must not be empty.")]
    [InlineData("""{"nodes":[NODE,{"id":"x","name":"","type":"t"},NODE]}""", "nodes[2].id: 'a' is already the id of nodes[0].")]
    [InlineData("""{"nodes":[NODE],"edges":null}""", "edges: must be an array, but is null.")]
    [InlineData("""{"nodes":[NODE],"edges":[[]]}""", "edges[0]: must be an object, but is an array.")]
    [InlineData("""{"nodes":[NODE],"edges":[{"source":"a","target":"x"}]}""", "edges[0].target: there is no node 'x'.")]
    [InlineData("""{"nodes":[NODE],"edges":[{"target":"a"}]}""", "edges[0].source: is missing; a string is needed.")]
    [InlineData("""{"nodes":[NODE],"edges":[{"source":"a","target":"a","outputIndex":256}]}""", "edges[0].outputIndex: must be a whole number from 0 to 255.")]
    [InlineData("""{"nodes":[NODE],"edges":[{"source":"a","target":"a","inputIndex":0.5}]}""", "edges[0].inputIndex: must be a whole number from 0 to 255.")]
    [InlineData("""{"nodes":[NODE],"edges":[{"source":"a","target":"a","output":null}]}""", "edges[0].output: must be a string, but is null.")]
    [InlineData("""{"nodes":[],"name":""}""", "name: must not be empty.")]
    [InlineData("""{"nodes":[],"name":"LONG"}""", "name: has 256 characters; at most 255 are allowed.")]
    [InlineData("""{"nodes":[{"id":"a","name":"LONG","type":"t"}]}""", "nodes[0].name: has 256 characters; at most 255 are allowed.")]
    [InlineData("""{"nodes":[],"settings":[]}""", "settings: must be an object, but is an array.")]
    [InlineData("""{"nodes":[],"pinnedData":"x"}""", "pinnedData: must be an object, but is a string.")]
    [InlineData("""{"nodes":[],"variables":[]}""", "variables: must be an object, but is an array.")]
    [InlineData("""{"nodes":[],"variables":{"":1}}""", "variables['']: its name must have 1 to 255 characters.")]
    [InlineData("""{"nodes":[],"settings":{"timezone":5,"unknown":5,"errorWorkflow":null}}""", "settings.timezone: must be a string, but is a number.")]
    [InlineData("""{"nodes":[],"settings":{"executionTimeout":"5"}}""", "settings.executionTimeout: must be a number, but is a string.")]
    [InlineData("""{"nodes":[],"tags":["a",true]}""", "tags[1]: must be a string, but is a boolean.")]
    [InlineData("""{"nodes":[],"x":{"y z":["a\u0000"]}}""", "x['y z'][0]: contains U+0000, which PostgreSQL cannot store.")]
    [InlineData("""{"nodes":[],"x":"\ud800"}""", "x: contains half of a surrogate pair, which PostgreSQL cannot store.")]
    [InlineData("""{"nodes":[],"name":"\udc00"}""", "name: contains half of a surrogate pair, which PostgreSQL cannot store.")]
    [InlineData("""{"nodes":[],"x":{"\ud83e":1}}""", """x: the key "\ud83e" contains half of a surrogate pair, which PostgreSQL cannot store.""")]
    [InlineData("""{"nodes":[],"a\u0000":1}""", """$: the key "a\u0000" contains U+0000, which PostgreSQL cannot store.""")]
    [InlineData("""{"nodes":[],"x":1e131072}""", "x: is a number with more digits than PostgreSQL can store: at most 131,072 before and 16,383 after the point.")]
    [InlineData("""{"nodes":[],"x":[1e-16384]}""", "x[0]: is a number with more digits than PostgreSQL can store: at most 131,072 before and 16,383 after the point.")]
    public void A_broken_rule_is_told_with_its_path(string json, string error)
        => Assert.Equal([error], Errors(json.Replace("NODE", Node).Replace("LONG", Long)));

    [Fact]
    public void All_errors_are_told_at_once_in_the_order_of_their_kind()
        => Assert.Equal(
            ["x: contains U+0000, which PostgreSQL cannot store.", "settings: must be an object, but is null.",
             "nodes[0].id: is missing; a string is needed.", "nodes[0].type: is missing; a string is needed.", "edges[0].source: there is no node 'q'.",
             "edges[0].target: is missing; a string is needed."],
            Errors("""{"x":"\u0000","settings":null,"nodes":[{"name":"A"}],"edges":[{"source":"q"}]}"""));

    [Fact]
    public void Twenty_errors_are_enough()
        => Assert.Equal(20, Errors($$"""{"nodes":[{{string.Join(',', Enumerable.Repeat("1", 100))}}]}""").Count);

    [Fact]
    public void A_key_that_cannot_be_read_after_twenty_errors_does_no_harm()
        => Assert.Equal(20, Errors($$"""{"nodes":[],"x":[{{string.Join(',', Enumerable.Repeat(@"""\u0000""", 20))}}],"\ud800ges":1}""").Count);

    [Fact]
    public void Numbers_up_to_what_numeric_holds_are_stored_and_not_rounded()
        => Assert.Empty(Errors("""{"nodes":[],"x":[1e131071,1e-16383,0e999999,-9.99e131071,1.5e400,0.000e3,123456789012345678901234567890]}"""));

    [Fact]
    public void A_surrogate_pair_and_an_escaped_backslash_are_fine()
        => Assert.Empty(Errors("""{"nodes":[],"\ud83e\udd86":"\\u0000 \\ud800 \ud83e\udd86"}"""));

    [Fact]
    public void Two_hundred_levels_are_fine_and_one_more_is_not()
    {
        Assert.Empty(Errors(Nested(199)));
        Assert.EndsWith("is nested deeper than 200 levels.", Assert.Single(Errors(Nested(200))));
        Assert.EndsWith("is nested deeper than 200 levels.", Assert.Single(Errors(Nested(5_000))));

        static string Nested(int arrays) => $$$"""{"nodes":[],"x":{{{new string('[', arrays)}}}{{{new string(']', arrays)}}} }""";
    }

    [Fact]
    public void More_than_5_MB_is_refused()
        => Assert.Equal(["$: is 5,242,899 bytes long; at most 5,242,880 are allowed."],
            Errors($$"""{"nodes":[],"x":"{{new string('x', WorkflowDefinition.MaxBytes)}}"}"""));

    [Fact]
    public void The_limit_is_for_what_a_definition_says_and_not_for_its_spelling()
    {
        Assert.Empty(Errors($$"""{"nodes":[],"x":"{{string.Concat(Enumerable.Repeat(@"\u6f22\u0027\/\n\ud83e\udd86", 400_000))}}"}"""));
        Assert.Empty(Errors($$"""{"nodes":[], {{new string(' ', WorkflowDefinition.MaxBytes)}} "x":1}"""));

        // PostgreSQL writes numbers out: of ten thousand such ones no session could read the row again, nor a backup.
        Assert.Equal(["$: is 11,796,498 bytes long with its numbers written out; at most 5,242,880 are allowed."], Errors($$"""{"nodes":[],"x":[{{string.Join(',', Enumerable.Repeat("1e131070", 90))}}]}"""));
        Assert.Equal(["$: is 5,242,881 bytes long with its numbers written out; at most 5,242,880 are allowed."],
            Errors($$"""{"nodes":[],"x":[{{string.Join(',', Enumerable.Repeat("-12.34e-15998", 327))}},"{{new string('x', 9_552)}}"]}"""));
    }

    [Fact]
    public void What_was_stored_can_be_stored_again()
    {
        var (before, after) = ($$"""{"name":"n","nodes":[],"numbers":[{{string.Join(',', Enumerable.Repeat("1", 10_000))}}],"script":"{{string.Concat(Enumerable.Repeat("<'漢'>", 200_000))}}""", "\"}");
        var definition = JsonElement.Parse(before + new string('x', WorkflowDefinition.MaxBytes - System.Text.Encoding.UTF8.GetByteCount(before + after)) + after);

        foreach (var same in new[] { definition, SimulatedJsonb.RoundTrip(definition), JsonSerializer.SerializeToElement(definition), DefinitionMerge.Of(definition, definition, definition).Merged })
            Assert.Empty(WorkflowDefinition.Validate(same));
        Assert.True(JsonMarshal.GetRawUtf8Value(SimulatedJsonb.RoundTrip(definition)).Length > WorkflowDefinition.MaxBytes);
    }

    static List<string> Errors(string json)
        => [.. WorkflowDefinition.Validate(JsonElement.Parse(json, new JsonDocumentOptions { MaxDepth = 10_000 })).Select(error => $"{error.Field}: {error.Message}")];
}
