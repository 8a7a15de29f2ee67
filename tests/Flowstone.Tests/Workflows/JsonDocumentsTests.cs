using System.Text;
using Flowstone.Data;

namespace Flowstone.Tests.Workflows;

public sealed class JsonDocumentsTests
{
    [Fact]
    public void A_byte_order_mark_is_skipped()
        => Assert.Equal("b", JsonDocuments.Parse((byte[])[0xEF, 0xBB, 0xBF, .. "{\"a\":\"b\"}"u8]).GetProperty("a").GetString());

    [Theory]
    [InlineData("", "$: is empty; a JSON document was expected.")]
    [InlineData(" \r\n\t", "$: is empty; a JSON document was expected.")]
    [InlineData("{\n  \"名前\": x}", "$: is not valid JSON at line 2, column 9: 'x' is an invalid start of a value.")]
    [InlineData("{\"a\": 1} 2", "$: is not valid JSON at line 1, column 10: '2' is invalid after a single JSON value. Expected end of data.")]
    public void Broken_json_is_explained_with_line_and_column(string text, string message)
        => Assert.Equal(message, Refuse(Encoding.UTF8.GetBytes(text)));

    [Theory]
    [InlineData("{\"a\": [1, 2")]
    [InlineData("{\"a\": \"never closed")]
    [InlineData("[1,]")]
    [InlineData("[1] // why")]
    [InlineData("{'a': 1}")]
    [InlineData("[01]")]
    public void Every_syntax_error_names_its_place_and_speaks_of_no_internals(string text)
    {
        var message = Refuse(Encoding.UTF8.GetBytes(text));
        Assert.StartsWith("$: is not valid JSON at line 1, column ", message);
        Assert.DoesNotContain("LineNumber", message);
        Assert.DoesNotContain("BytePosition", message);
        Assert.DoesNotContain("isFinalBlock", message);
    }

    [Fact]
    public void Utf_16_and_utf_32_are_refused()
    {
        foreach (var encoding in new[] { Encoding.Unicode, Encoding.BigEndianUnicode, Encoding.UTF32 })
        {
            var text = encoding.GetBytes("{\"a\": 1}");
            Assert.Equal("$: is not UTF-8, but UTF-16 or UTF-32. Save it as UTF-8.", Refuse(text));
            Assert.Equal("$: is not UTF-8, but UTF-16 or UTF-32. Save it as UTF-8.", Refuse([.. encoding.GetPreamble(), .. text]));
        }
    }

    [Fact]
    public void Latin_1_is_refused_with_the_place_of_its_first_letter()
        => Assert.Equal("$: is not UTF-8: line 2, column 4 has bytes that are no character. Save it as UTF-8.",
            Refuse(Encoding.Latin1.GetBytes("{\"a\":\n \"hé\"}")));

    [Fact]
    public void Two_hundred_levels_are_fine_and_one_more_is_not()
    {
        JsonDocuments.Parse(Nested(200));
        Assert.Equal("$: is nested deeper than 200 levels at line 1, column 201.", Refuse(Nested(201)));
        Assert.Equal("$: is nested deeper than 200 levels at line 1, column 201.", Refuse(Nested(100_000)));

        static byte[] Nested(int levels) => Encoding.UTF8.GetBytes(new string('[', levels) + new string(']', levels));
    }

    [Fact]
    public void More_than_5_MB_is_refused()
    {
        var largest = Encoding.UTF8.GetBytes("\"" + new string('x', JsonDocuments.MaxBytes - 2) + "\"");
        JsonDocuments.Parse(largest);
        Assert.Equal("$: is 5,242,881 bytes long; at most 5,242,880 are allowed.", Refuse([.. largest, (byte)' ']));
    }

    static string Refuse(byte[] text) => Assert.Throws<InvalidInputException>(() => JsonDocuments.Parse(text)).Message;
}
