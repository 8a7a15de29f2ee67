using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using System.Text.Unicode;

namespace Flowstone.Data;

/// <summary>Turns the bytes that a user sent into JSON, or says in plain words why they are none.</summary>
public static partial class JsonDocuments
{
    /// <summary>5 MB: several times the largest workflow that people published (0.4 MB).</summary>
    public const int MaxBytes = 5 * 1024 * 1024;

    /// <summary>Objects and arrays inside each other. Deeper documents are attacks or mistakes, and recursion must end.</summary>
    public const int MaxDepth = 200;

    /// <summary>Parses one document. A UTF-8 byte order mark is skipped; comments and trailing commas are refused.</summary>
    /// <returns>An element that owns its memory: it may be kept.</returns>
    /// <exception cref="InvalidInputException">
    /// Too big, not UTF-8, too deep, or not JSON; the message names line and column. The field is <c>$</c>.
    /// </exception>
    public static JsonElement Parse(ReadOnlyMemory<byte> utf8, int maxBytes = MaxBytes, int maxDepth = MaxDepth)
    {
        var text = utf8.Span;
        if (text.Length > maxBytes)
            throw Refused(FormattableString.Invariant($"is {text.Length:N0} bytes long; at most {maxBytes:N0} are allowed."));

        text = WithoutByteOrderMark(text);
        if (text.Trim(" \t\r\n"u8).IsEmpty)
            throw Refused("is empty; a JSON document was expected.");
        if (!Utf8.IsValid(text))
            throw Refused($"is not UTF-8: {Place(text, FirstInvalid(text))} has bytes that are no character. Save it as UTF-8.");

        try
        {
            return JsonElement.Parse(text, new JsonDocumentOptions { MaxDepth = maxDepth });
        }
        catch (JsonException error)
        {
            throw Explain(text, error, maxDepth);
        }
    }

    static ReadOnlySpan<byte> WithoutByteOrderMark(ReadOnlySpan<byte> text)
    {
        if (text.StartsWith("\uFEFF"u8))
            return text[3..];

        // UTF-16 and UTF-32 show as a mark, or as the zero bytes around the first ASCII character of any JSON document.
        var wide = text is [0xFF, 0xFE, ..] or [0xFE, 0xFF, ..] or [0, _, ..] or [_, 0, ..];
        return wide ? throw Refused("is not UTF-8, but UTF-16 or UTF-32. Save it as UTF-8.") : text;
    }

    static InvalidInputException Explain(ReadOnlySpan<byte> text, JsonException error, int maxDepth)
    {
        // The parser does not say whether it met its depth limit or a syntax error; a second look without the limit does.
        var reader = new Utf8JsonReader(text, new JsonReaderOptions { MaxDepth = int.MaxValue });
        try
        {
            while (reader.Read())
            {
                if (reader.CurrentDepth >= maxDepth && reader.TokenType is JsonTokenType.StartArray or JsonTokenType.StartObject)
                    return Refused($"is nested deeper than {maxDepth} levels at {Place(text, (int)reader.TokenStartIndex)}.");
            }
        }
        catch (JsonException)
        {
            // A syntax error before the limit: the first error tells it.
        }

        var position = LineStart(text, error.LineNumber ?? 0) + (int)(error.BytePositionInLine ?? 0);
        return Refused($"is not valid JSON at {Place(text, Math.Min(position, text.Length))}: {Reason().Replace(error.Message, "").TrimEnd('.')}.");
    }

    static int LineStart(ReadOnlySpan<byte> text, long line)
    {
        var start = 0;
        for (; line > 0; line--)
            start += text[start..].IndexOf((byte)'\n') + 1;
        return start;
    }

    /// <summary>Counted as an editor counts: from 1, in characters.</summary>
    static string Place(ReadOnlySpan<byte> text, int position)
    {
        var before = text[..position];
        var line = before.Count((byte)'\n') + 1;
        var column = Encoding.UTF8.GetCharCount(before[(before.LastIndexOf((byte)'\n') + 1)..]) + 1;
        return $"line {line}, column {column}";
    }

    static int FirstInvalid(ReadOnlySpan<byte> text)
    {
        var position = 0;
        while (Rune.DecodeFromUtf8(text[position..], out _, out var length) == System.Buffers.OperationStatus.Done)
            position += length;
        return position;
    }

    static InvalidInputException Refused(string message) => new("$", message);

    [GeneratedRegex(@"( Path: .*?)?( LineNumber: \d+ \| BytePositionInLine: \d+\.?| Expected depth to be zero.*)", RegexOptions.Singleline)]
    private static partial Regex Reason();
}
