using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Flowstone.Data;

/// <summary>Finds what jsonb cannot hold: U+0000, lone surrogates, numbers beyond numeric; and nesting that is too deep.</summary>
sealed class StorableJson
{
    readonly FieldErrors errors;
    readonly int maxDepth;
    readonly List<Step> path = [];
    bool keysAreReadable = true;

    StorableJson(FieldErrors errors, int maxDepth) => (this.errors, this.maxDepth) = (errors, maxDepth);

    /// <summary>Adds an error with its path for each thing that cannot be stored.</summary>
    /// <returns>Whether all keys are known to be readable: if not, looking a key up may throw.</returns>
    public static bool Check(JsonElement document, FieldErrors errors, int maxDepth = JsonDocuments.MaxDepth)
    {
        var check = new StorableJson(errors, maxDepth);
        check.Visit(document);
        return check.keysAreReadable && !errors.IsFull;   // Full: the rest was not looked at.
    }

    void Visit(JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.String:
                if (Flaw(JsonMarshal.GetRawUtf8Value(value)[1..^1]) is { } flaw)
                    Add($"contains {flaw}, which PostgreSQL cannot store.");
                break;
            case JsonValueKind.Number:
                if (!new JsonNumber(JsonMarshal.GetRawUtf8Value(value)).FitsJsonb)
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
        }
    }

    void VisitObject(JsonElement value)
    {
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
            path.Add(new Step(property, -1));
            Visit(property.Value);
            path.RemoveAt(path.Count - 1);
        }
    }

    void VisitArray(JsonElement value)
    {
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
