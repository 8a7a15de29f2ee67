using System.Text.Json;
using Flowstone.Data;
using FsCheck;
using FsCheck.Fluent;
using Flowstone.Tests.Workflows.N8n;

namespace Flowstone.Tests.Workflows;

public sealed class CanonicalJsonTests
{
    [Theory]
    [InlineData("1.0", "1")]
    [InlineData("1e0", "1")]
    [InlineData("10e-1", "1")]
    [InlineData("100", "1E+2")]
    [InlineData("-0", "0")]
    [InlineData("-0.00e-7", "0")]
    [InlineData("0.1", "1e-1")]
    [InlineData("123456789012345678901234567890.50", "1234567890123456789012345678905e-1")]
    [InlineData("1e99999999999999999999", "10e99999999999999999998")]
    [InlineData("\"\\u0041\\/\\ud83e\\udd86\"", "\"A/🦆\"")]
    [InlineData("{\"b\":1,\"a\":2}", "{ \"a\": 2, \"b\": 1 }")]
    [InlineData("{\"a\":1,\"\\u0061\":2}", "{\"a\":2}")]
    public void Two_spellings_of_one_document_are_equal(string one, string other)
    {
        Assert.True(CanonicalJson.Equal(JsonElement.Parse(one), JsonElement.Parse(other)));
        Assert.Equal(CanonicalJson.Hash(JsonElement.Parse(one)), CanonicalJson.Hash(JsonElement.Parse(other)));
    }

    [Theory]
    [InlineData("1", "\"1\"")]
    [InlineData("1", "-1")]
    [InlineData("1", "10")]
    [InlineData("0.1", "0.10000000000000000000000000001")]
    [InlineData("9007199254740993", "9007199254740992")]
    [InlineData("null", "false")]
    [InlineData("[]", "{}")]
    [InlineData("[1,2]", "[2,1]")]
    [InlineData("[1,[2]]", "[[1],2]")]
    [InlineData("[\"a\",\"b\"]", "[\"as1:b\"]")]
    [InlineData("{\"a\":\"b\"}", "[\"a\",\"b\"]")]
    [InlineData("{\"a\":null}", "{}")]
    [InlineData("\"\u00e9\"", "\"e\\u0301\"")]
    public void Different_documents_are_not_equal(string one, string other)
    {
        Assert.False(CanonicalJson.Equal(JsonElement.Parse(one), JsonElement.Parse(other)));
        Assert.NotEqual(CanonicalJson.Hash(JsonElement.Parse(one)), CanonicalJson.Hash(JsonElement.Parse(other)));
    }

    [Fact]
    public void A_hash_survives_a_round_trip_through_jsonb()
        => Check.One(Config.QuickThrowOnFailure.WithMaxTest(1_000), Prop.ForAll(OddN8nDocuments.Documents.ToArbitrary(), json =>
        {
            var document = N8nDocuments.Parse(json);
            Assert.Equal(CanonicalJson.Hash(document), CanonicalJson.Hash(SimulatedJsonb.RoundTrip(document)));
        }));

    [Fact]
    public void A_document_larger_than_the_buffer_hashes_as_its_parts_say()
    {
        var text = new string('x', 100_000);
        var document = JsonElement.Parse($$"""{"a":"{{text}}","b":[{{string.Join(',', Enumerable.Range(0, 10_000))}}]}""");
        var other = JsonElement.Parse($$"""{"a":"{{text}}","b":[{{string.Join(',', Enumerable.Range(0, 10_000).Reverse())}}]}""");
        Assert.Equal(32, CanonicalJson.Hash(document).Length);
        Assert.Equal(CanonicalJson.Hash(document), CanonicalJson.Hash(document.Clone()));
        Assert.NotEqual(CanonicalJson.Hash(document), CanonicalJson.Hash(other));
    }

    [Theory]
    [InlineData("1.50e1", "15.0")]
    [InlineData("-0.0", "0.0")]
    [InlineData("1e3", "1000")]
    [InlineData("12e-4", "0.0012")]
    [InlineData("-12.34e-3", "-0.01234")]
    [InlineData("0.5e-1", "0.05")]
    [InlineData("1234.5e2", "123450")]
    [InlineData("-0.25", "-0.25")]
    public void The_simulation_prints_numbers_as_numeric_does(string json, string numeric)
    {
        Assert.Equal(numeric, SimulatedJsonb.Numeric(json));
        Assert.InRange(new JsonNumber(System.Text.Encoding.ASCII.GetBytes(json)).WrittenLength, numeric.Length, numeric.Length + (json.StartsWith("-0.0", StringComparison.Ordinal) ? 1 : 0));
    }
}
