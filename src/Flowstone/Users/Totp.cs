using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Flowstone.Users;

/// <summary>One-time passwords by time (RFC 6238), as authenticator apps expect them: HMAC-SHA-1, six digits, half a minute.</summary>
static class Totp
{
    public const int SecretLength = 20;
    const int Digits = 6, StepSeconds = 30;
    const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

    public static long StepAt(DateTimeOffset time) => time.ToUnixTimeSeconds() / StepSeconds;

    /// <summary>The code of a half minute.</summary>
    public static string Code(ReadOnlySpan<byte> secret, long step, int digits = Digits)
    {
        Span<byte> counter = stackalloc byte[8], mac = stackalloc byte[HMACSHA1.HashSizeInBytes];
        BinaryPrimitives.WriteInt64BigEndian(counter, step);
#pragma warning disable CA5350   // what RFC 6238 and the apps say; as a MAC it is not broken
        HMACSHA1.HashData(secret, counter, mac);
#pragma warning restore CA5350
        var number = BinaryPrimitives.ReadInt32BigEndian(mac[(mac[^1] & 15)..]) & int.MaxValue;
        return (number % (int)Math.Pow(10, digits)).ToString(CultureInfo.InvariantCulture).PadLeft(digits, '0');
    }

    /// <summary>The half minute whose code it is: this one, or its neighbours, for clocks that differ and people who are slow. Null if none's.</summary>
    public static long? FindStep(ReadOnlySpan<byte> secret, string code, DateTimeOffset now)
    {
        Span<byte> given = stackalloc byte[Digits];
        if (code.Length != Digits || !Encoding.ASCII.TryGetBytes(code, given, out var length) || length != Digits)
            return null;
        long? found = null;
        for (var step = StepAt(now) - 1; step <= StepAt(now) + 1; step++)   // all, whichever it is
            if (CryptographicOperations.FixedTimeEquals(given, Encoding.ASCII.GetBytes(Code(secret, step))))
                found = step;
        return found;
    }

    /// <summary>How a secret is typed into an app.</summary>
    public static string ToBase32(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder();
        for (var bit = 0; bit < bytes.Length * 8; bit += 5)
        {
            var pair = bytes[bit / 8] << 8 | (bit / 8 + 1 < bytes.Length ? bytes[bit / 8 + 1] : 0);
            text.Append(Alphabet[pair >> (11 - (bit % 8)) & 31]);
        }
        return text.ToString();
    }

    /// <returns>Null if it is no such text.</returns>
    public static byte[]? FromBase32(string text)
    {
        var bytes = new byte[text.Length * 5 / 8];
        var (value, bits, length) = (0, 0, 0);
        foreach (var letter in text)
        {
            if (Alphabet.IndexOf(char.ToUpperInvariant(letter), StringComparison.Ordinal) is var five && five < 0)
                return null;
            (value, bits) = ((value << 5 | five) & 0xFFF, bits + 5);
            if (bits >= 8)
                bytes[length++] = (byte)(value >> (bits -= 8));
        }
        return bytes;
    }

    /// <summary>What apps read from a QR code.</summary>
    public static string Uri(string issuer, string account, ReadOnlySpan<byte> secret)
        => $"otpauth://totp/{System.Uri.EscapeDataString(issuer)}:{System.Uri.EscapeDataString(account)}?secret={ToBase32(secret)}&issuer={System.Uri.EscapeDataString(issuer)}";
}
