using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Flowstone.Data;

/// <summary>Finds what jsonb cannot hold: U+0000, lone surrogates, numbers beyond numeric; what is nested too deep; and what is too long as PostgreSQL gives it back.</summary>
sealed class StorableJson
{
    readonly FieldErrors errors;
    readonly int maxDepth;
    readonly List<Step> path = [];
    bool keysAreReadable = true;
    long written;

    StorableJson(FieldErrors errors, int maxDepth) => (this.errors, this.maxDepth) = (errors, maxDepth);

    /// <summary>Adds an error with its path for each thing that cannot be stored.</summary>
    /// <param name="maxBytes">Without what jsonb does not keep, so that what was stored can be stored again: spaces, and escapes that need not be. Numbers are written out: 1e131071 has 131,072 digits.</param>
    /// <returns>Whether all keys are known to be readable: if not, looking a key up may throw.</returns>
    public static bool Check(JsonElement document, FieldErrors errors, int maxDepth = JsonDocuments.MaxDepth, int maxBytes = JsonDocuments.MaxBytes)
    {
        var check = new StorableJson(errors, maxDepth);
        check.Visit(document);
        if (check.written > maxBytes)
            errors.Add("$", FormattableString.Invariant(
                $"is {check.written:N0} bytes long{(check.written > JsonMarshal.GetRawUtf8Value(document).Length ? " with its numbers written out" : "")}; at most {maxBytes:N0} are allowed."));
        return check.keysAreReadable && !errors.IsFull;   // Full: the rest was not looked at.
    }

    void Visit(JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.String:
                var text = JsonMarshal.GetRawUtf8Value(value)[1..^1];
                written += Written(text) + 2;
                if (Flaw(text) is { } flaw)
                    Add($"contains {flaw}, which PostgreSQL cannot store.");
                break;
            case JsonValueKind.Number:
                var number = new JsonNumber(JsonMarshal.GetRawUtf8Value(value));
                if (number.FitsJsonb)
                    written += number.WrittenLength;
                else
                    Add("is a number with more digits than PostgreSQL can store: at most 131,072 before and 16,383 after the point.");
                break;
            case JsonValueKind.Object or JsonValueKind.Array when path.Count >= maxDepth:
                Add($"is nested deeper than {maxDepth} levels.");
                break;
            case JsonValueKind.Object:
                VisitObject(value);
                break;
            case JsonValueKind.Array:
                VisitArray(value);
                break;
            default:
                written += JsonMarshal.GetRawUtf8Value(value).Length;
                break;
        }
    }

    void VisitObject(JsonElement value)
    {
        written += 2 + Math.Max(0, value.GetPropertyCount() - 1);
        foreach (var property in value.EnumerateObject())
        {
            if (errors.IsFull)
                return;
            var raw = JsonMarshal.GetRawUtf8PropertyName(property);
            if (Flaw(raw) is { } flaw)
            {
                keysAreReadable &= flaw == Zero;
                Add($"the key \"{FieldErrors.Cut(Encoding.UTF8.GetString(raw))}\" contains {flaw}, which PostgreSQL cannot store.");
                continue;
            }
            written += Written(raw) + 3;
            path.Add(new Step(property, -1));
            Visit(property.Value);
            path.RemoveAt(path.Count - 1);
        }
    }

    void VisitArray(JsonElement value)
    {
        written += 2 + Math.Max(0, value.GetArrayLength() - 1);
        var index = 0;
        foreach (var item in value.EnumerateArray())
        {
            if (errors.IsFull)
                return;
            path.Add(new Step(default, index++));
            Visit(item);
            path.RemoveAt(path.Count - 1);
        }
    }

    const string Zero = "U+0000";

    static string? Flaw(ReadOnlySpan<byte> raw)
    {
        if (!Utf8.IsValid(raw))
            return "bytes that are not UTF-8";
        if (!raw.Contains((byte)'\\'))
            return null;

        // Only an escape can hide the two. The reader is the one who knows all its rules; it throws for a lone surrogate.
        var reader = new Utf8JsonReader([(byte)'"', .. raw, (byte)'"']);
        reader.Read();
        try
        {
            return reader.GetString()!.Contains('\0') ? Zero : null;
        }
        catch (InvalidOperationException)
        {
            return "half of a surrogate pair";
        }
    }

    /// <summary>How long the text of a string is without escapes that need not be.</summary>
    static int Written(ReadOnlySpan<byte> raw)
    {
        var length = raw.Length;
        for (var place = raw.IndexOf((byte)'\\'); place >= 0; place = raw.IndexOf((byte)'\\'))
        {
            if (raw[place + 1] is not (byte)'u')
            {
                length -= raw[place + 1] == '/' ? 1 : 0;
                raw = raw[(place + 2)..];
                continue;
            }
            length -= 6 - (char)ushort.Parse(raw.Slice(place + 2, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture) switch
            {
                '"' or '\\' or '\b' or '\t' or '\n' or '\f' or '\r' => 2,
                < ' ' => 6,
                < '\u0080' => 1,
                < '\u0800' or (>= '\uD800' and <= '\uDFFF') => 2,   // half of four
                _ => 3,
            };
            raw = raw[(place + 6)..];
        }
        return length;
    }

    void Add(string message)
    {
        var text = new StringBuilder();
        foreach (var step in path)
        {
            if (step.Index >= 0)
                text.Append('[').Append(step.Index).Append(']');
            else
                FieldErrors.AppendKey(text, step.Property.Name);
        }
        errors.Add(text.Length == 0 ? "$" : text.ToString(), message);
    }

    // Names are only read when there is something to report.
    readonly record struct Step(JsonProperty Property, int Index);
}
