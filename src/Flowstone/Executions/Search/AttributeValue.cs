using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Flowstone.Data;

namespace Flowstone.Executions;

/// <summary>The type of a search attribute.</summary>
public enum AttributeType { Text, Number, Boolean, Time }

/// <summary>The value of a search attribute: a text, a number, a yes or no, or a time.</summary>
/// <remarks>Texts sort by code point; times are kept to the microsecond; numbers are doubles.</remarks>
public sealed record AttributeValue
{
    const int LongestText = 255;

    // Beyond it a double no longer tells neighbouring whole numbers apart, and a search would find the wrong one.
    const double LargestExactInteger = 1L << 53;

    readonly object value;

    AttributeValue(AttributeType type, object value) => (Type, this.value) = (type, value);

    public AttributeType Type { get; }

    public static implicit operator AttributeValue(string text) => new(AttributeType.Text, text);

    /// <exception cref="InvalidInputException">It is not finite, or a whole number beyond 2^53: declare such numbers as TEXT.</exception>
    public static implicit operator AttributeValue(double number)
        => !double.IsFinite(number) ? throw Invalid("must be a finite number.")
            : Math.Abs(number) > LargestExactInteger && double.IsInteger(number) ? throw Invalid("is a whole number beyond 2^53, which cannot be told from its neighbours: declare it as TEXT.")
            : new(AttributeType.Number, number == 0 ? 0 : number);   // no negative zero

    public static implicit operator AttributeValue(bool value) => new(AttributeType.Boolean, value);

    public static implicit operator AttributeValue(DateTimeOffset time) => new(AttributeType.Time, time.ToUniversalTime().AddTicks(-(time.Ticks % TimeSpan.TicksPerMicrosecond)));

    /// <summary>Reads a string, a number, true or false. A time is a string until it is <see cref="As"/> one.</summary>
    public static AttributeValue FromJson(JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.String => json.GetString()!,
        JsonValueKind.Number => json.GetDouble(),
        JsonValueKind.True or JsonValueKind.False => json.GetBoolean(),
        _ => throw Invalid("must be a string, a number, true or false."),
    };

    /// <summary>A string, a number, a <see cref="bool"/> or a <see cref="DateTimeOffset"/>: for JSON.</summary>
    public object ToObject() => value;

    /// <summary>The same as another type, where a text says so: <c>2026-01-31T12:00:00Z</c>; null where it does not.</summary>
    /// <param name="anyText">Whether texts of numbers and of true and false are such too, as in a query string.</param>
    internal AttributeValue? As(AttributeType type, bool anyText = false)
    {
        if (Type == type)
            return this;
        if (value is not string text)
            return null;
        return type switch
        {
            AttributeType.Time when DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time) => time,
            AttributeType.Number when anyText && double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) => number,
            AttributeType.Boolean when anyText && bool.TryParse(text, out var truth) => truth,
            _ => null,
        };
    }

    /// <summary>
    /// Bytes that sort as the values of one type do, behind a byte that tells the type: one index serves all types, and a range of one
    /// never meets another, even if the attribute was declared otherwise before.
    /// </summary>
    internal byte[] Encode()
    {
        switch (value)
        {
            case string text:
                if (text.Length > LongestText)
                    throw Invalid($"has {text.Length:N0} characters; at most {LongestText} are allowed.");
                if (!Text.IsStorable(text))
                    throw Invalid("holds half a surrogate pair or U+0000.");
                return [(byte)AttributeType.Text, .. Encoding.UTF8.GetBytes(text)];
            case bool truth:
                return [(byte)AttributeType.Boolean, truth ? (byte)1 : (byte)0];
            case double number:
                // IEEE 754 sorts as its bits do once the sign is turned, and all bits of what is negative.
                var bits = BitConverter.DoubleToInt64Bits(number);
                return Sortable(AttributeType.Number, bits < 0 ? ~bits : bits ^ long.MinValue);
            default:
                var microseconds = (((DateTimeOffset)value).Ticks - DateTimeOffset.UnixEpoch.Ticks) / TimeSpan.TicksPerMicrosecond;
                return Sortable(AttributeType.Time, microseconds ^ long.MinValue);
        }
    }

    internal static AttributeValue Decode(byte[] stored)
    {
        switch ((AttributeType)stored[0])
        {
            case AttributeType.Text:
                return Encoding.UTF8.GetString(stored.AsSpan(1));
            case AttributeType.Boolean:
                return stored[1] == 1;
            case AttributeType.Number:
                var bits = BinaryPrimitives.ReadInt64BigEndian(stored.AsSpan(1));
                return BitConverter.Int64BitsToDouble(bits < 0 ? bits ^ long.MinValue : ~bits);
            default:
                return DateTimeOffset.UnixEpoch.AddTicks((BinaryPrimitives.ReadInt64BigEndian(stored.AsSpan(1)) ^ long.MinValue) * TimeSpan.TicksPerMicrosecond);
        }
    }

    static byte[] Sortable(AttributeType type, long bits)
    {
        var bytes = new byte[9];
        bytes[0] = (byte)type;
        BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan(1), bits);
        return bytes;
    }

    static InvalidInputException Invalid(string message) => new("value", message);
}
