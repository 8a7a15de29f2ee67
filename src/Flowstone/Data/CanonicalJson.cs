using System.Buffers;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace Flowstone.Data;

/// <summary>
/// When two JSON documents are the same: keys in any order, the last of duplicate keys, numbers by value (1.0 is 1e0; exact at any size),
/// strings by their characters. A round trip through jsonb changes nothing of that, so a hash taken before it still matches after.
/// </summary>
/// <remarks>All methods throw <see cref="InvalidOperationException"/> on lone surrogates: check with <see cref="StorableJson"/> first.</remarks>
public static class CanonicalJson
{
    /// <summary>The SHA-256 of the canonical form: 32 bytes, equal for equal documents.</summary>
    public static byte[] Hash(JsonElement document)
    {
        using var buffer = new HashingBuffer();
        Write(document, buffer);
        return buffer.Finish();
    }

    /// <summary>Whether two documents are the same, all the way down.</summary>
    public static bool Equal(JsonElement left, JsonElement right)
    {
        var (a, b) = (new ArrayBufferWriter<byte>(), new ArrayBufferWriter<byte>());
        Write(left, a);
        Write(right, b);
        return a.WrittenSpan.SequenceEqual(b.WrittenSpan);
    }

    // Every value starts with a letter of its kind and carries its length or an end mark, so no two documents share a form.
    static void Write(JsonElement value, IBufferWriter<byte> target)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        switch (value.ValueKind)
        {
            case JsonValueKind.Null: target.Write("n"u8); break;
            case JsonValueKind.True: target.Write("t"u8); break;
            case JsonValueKind.False: target.Write("f"u8); break;
            case JsonValueKind.Number: WriteNumber(JsonMarshal.GetRawUtf8Value(value), target); break;
            case JsonValueKind.String: WriteString(value, target); break;
            case JsonValueKind.Array:
                target.Write("["u8);
                foreach (var item in value.EnumerateArray())
                    Write(item, target);
                target.Write("]"u8);
                break;
            case JsonValueKind.Object: WriteObject(value, target); break;
            default: throw new ArgumentException("There is no JSON value.", nameof(value));
        }
    }

    static void WriteObject(JsonElement value, IBufferWriter<byte> target)
    {
        var properties = value.LastProperties();
        properties.Sort(static (a, b) => string.CompareOrdinal(a.Name, b.Name));

        target.Write("{"u8);
        foreach (var (name, item) in properties)
        {
            WriteText(name, target);
            Write(item, target);
        }
        target.Write("}"u8);
    }

    static void WriteNumber(ReadOnlySpan<byte> text, IBufferWriter<byte> target)
    {
        var number = new JsonNumber(text);
        target.Write("#"u8);
        target.Advance(number.WriteCanonical(target.GetSpan(number.MaxCanonicalLength)));
        target.Write(";"u8);
    }

    static void WriteString(JsonElement value, IBufferWriter<byte> target)
    {
        var raw = JsonMarshal.GetRawUtf8Value(value)[1..^1];
        if (raw.Contains((byte)'\\'))
        {
            WriteText(value.GetString()!, target);
            return;
        }
        WriteLength(raw.Length, target);
        target.Write(raw);
    }

    static void WriteText(string text, IBufferWriter<byte> target)
    {
        var length = Encoding.UTF8.GetByteCount(text);
        WriteLength(length, target);
        target.Advance(Encoding.UTF8.GetBytes(text, target.GetSpan(length)));
    }

    static void WriteLength(int length, IBufferWriter<byte> target)
    {
        target.Write("s"u8);
        length.TryFormat(target.GetSpan(16), out var written, default, CultureInfo.InvariantCulture);
        target.Advance(written);
        target.Write(":"u8);
    }
}
