namespace Flowstone.Executions;

/// <summary>
/// Names a payload of an execution. A short JSON value is its own name, which saves a row for every number and every "ok";
/// others are named by their hash.
/// </summary>
public sealed class PayloadRef : IEquatable<PayloadRef>
{
    // The first byte tells which: what follows is a hash of 16 bytes, or the JSON value itself.
    const byte Hashed = 0, Inline = 1;
    internal const int LongestInline = 64;

    PayloadRef(byte[] stored) => Stored = stored;

    /// <summary>As the column keeps it.</summary>
    internal byte[] Stored { get; }

    /// <summary>The key in <c>payloads</c>; null if the payload is inline.</summary>
    internal byte[]? Hash => Stored[0] == Hashed ? Stored[1..] : null;

    internal bool IsInline => Stored[0] == Inline;

    /// <summary>The payload itself, if it is so short that it needs no row; else null.</summary>
    public PayloadBody? Value => Stored[0] == Inline ? new PayloadBody(Stored.AsMemory(1)) : null;

    internal static PayloadRef Of(PayloadBody body, bool inline)
        => inline && body is { Bytes.Length: <= LongestInline, ContentType: PayloadBody.JsonType, WholeSizeBytes: null } ? new([Inline, .. body.Bytes.Span]) : Of(body.Hash);

    internal static PayloadRef Of(byte[] hash) => new([Hashed, .. hash]);

    internal static PayloadRef FromStored(byte[] stored)
        => stored is [Hashed, ..] and { Length: 17 } or [Inline, ..] and { Length: <= 1 + LongestInline }
            ? new(stored) : throw new InvalidInputException("payload", "is not the name of a payload.");

    /// <summary>Reads what <see cref="ToString"/> wrote.</summary>
    public static PayloadRef Parse(string text)
        => text.Length is >= 2 and <= 2 * (1 + LongestInline) && text.Length % 2 == 0 && text.All(char.IsAsciiHexDigitLower)
            ? FromStored(Convert.FromHexString(text)) : throw new InvalidInputException("payload", "must be a payload's name, in hexadecimal digits in lower case.");

    /// <summary>Hexadecimal digits in lower case.</summary>
    public override string ToString() => Convert.ToHexStringLower(Stored);

    public bool Equals(PayloadRef? other) => other is not null && Stored.AsSpan().SequenceEqual(other.Stored);
    public override bool Equals(object? obj) => Equals(obj as PayloadRef);
    public override int GetHashCode()
    {
        var hash = new HashCode();
        hash.AddBytes(Stored);
        return hash.ToHashCode();
    }
}
