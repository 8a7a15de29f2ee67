using System.Globalization;
using System.Numerics;
using System.Text;

namespace Flowstone.Data;

/// <summary>A JSON number as its digits: exact at any size, where a double would round.</summary>
readonly ref struct JsonNumber
{
    // What numeric, and so jsonb, can hold: numeric.c, NUMERIC_DSCALE_MAX and a 16-bit weight of base 10,000.
    const int MaxDigitsBeforePoint = 131_072, MaxDigitsAfterPoint = 16_383;

    readonly bool negative;
    readonly int length;
    readonly ReadOnlySpan<byte> whole, fraction;
    readonly BigInteger exponent;

    /// <param name="text">A number by JSON's grammar, as a parser has checked it.</param>
    public JsonNumber(ReadOnlySpan<byte> text)
    {
        length = text.Length;
        negative = text[0] == '-';
        text = negative ? text[1..] : text;

        var e = text.IndexOfAny((byte)'e', (byte)'E');
        exponent = e < 0 ? 0 : BigInteger.Parse(Encoding.ASCII.GetString(text[(e + 1)..]), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        text = e < 0 ? text : text[..e];

        var point = text.IndexOf((byte)'.');
        whole = (point < 0 ? text : text[..point]).TrimStart((byte)'0');
        fraction = point < 0 ? [] : text[(point + 1)..];
    }

    /// <summary>Whether jsonb takes the number. PostgreSQL counts trailing zeros after the point too.</summary>
    public bool FitsJsonb
    {
        get
        {
            if (BigInteger.Abs(exponent) > 1_000_000 || fraction.Length - exponent > MaxDigitsAfterPoint)
                return false;
            var leadingZeros = whole.IsEmpty ? fraction.Length - fraction.TrimStart((byte)'0').Length : 0;
            var isZero = whole.IsEmpty && leadingZeros == fraction.Length;
            return isZero || whole.Length - leadingZeros + exponent <= MaxDigitsBeforePoint;
        }
    }

    /// <summary>How long jsonb's text is of a number that it takes: without an exponent, and with no fewer digits after the point.</summary>
    public int WrittenLength
    {
        get
        {
            if (exponent.IsZero)
                return length;
            var (before, after) = (Math.Max(1, whole.Length + (int)exponent), Math.Max(0, fraction.Length - (int)exponent));
            return (negative ? 1 : 0) + before + (after > 0 ? after + 1 : 0);
        }
    }

    /// <summary>How many bytes <see cref="WriteCanonical"/> may need.</summary>
    public int MaxCanonicalLength => whole.Length + fraction.Length + 32 + (exponent.IsZero ? 0 : exponent.GetByteCount() * 3);

    /// <summary>Sign, digits without outer zeros, <c>e</c>, power of ten; <c>0</c> for every zero. One text per value.</summary>
    public int WriteCanonical(Span<byte> target)
    {
        whole.CopyTo(target);
        fraction.CopyTo(target[whole.Length..]);
        var all = target[..(whole.Length + fraction.Length)];
        var digits = all.TrimEnd((byte)'0');
        var power = exponent - fraction.Length + (all.Length - digits.Length);

        digits = digits.TrimStart((byte)'0');
        if (digits.IsEmpty)
        {
            target[0] = (byte)'0';
            return 1;
        }

        var sign = negative ? 1 : 0;
        digits.CopyTo(target[sign..]);
        if (negative)
            target[0] = (byte)'-';
        target[sign + digits.Length] = (byte)'e';

        var length = sign + digits.Length + 1;
        return length + Encoding.ASCII.GetBytes(power.ToString(CultureInfo.InvariantCulture), target[length..]);
    }

    /// <summary>The number as an index from 0 to <paramref name="max"/>, whatever its spelling: 2, 2.0 and 2e0 are one index.</summary>
    public bool TryGetIndex(int max, out int index)
    {
        Span<byte> canonical = MaxCanonicalLength <= 64 ? stackalloc byte[64] : new byte[MaxCanonicalLength];
        canonical = canonical[..WriteCanonical(canonical)];
        if (canonical.SequenceEqual("0"u8))
        {
            index = 0;
            return true;
        }

        var e = canonical.IndexOf((byte)'e');
        return int.TryParse(canonical[..e], NumberStyles.None, CultureInfo.InvariantCulture, out index)
            && int.TryParse(canonical[(e + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out var power)
            && Shift(ref index, power) && index <= max;
    }

    static bool Shift(ref int digits, int power)
    {
        for (; power > 0 && digits < int.MaxValue / 10; power--)
            digits *= 10;
        return power == 0;
    }
}
