using System.Security.Cryptography;
using System.Text;
using Flowstone.Tenancy;

namespace Flowstone.Credentials;

/// <summary>A master key of a key file or the environment. It encrypts nothing itself: each purpose has a key of its own, per tenant, by HKDF.</summary>
sealed class LocalKey
{
    public const int IdLength = 8;

    const int Length = 32, FewestDistinctBytes = 16;

    readonly byte[] master;
    readonly byte[] id;

    public LocalKey(byte[] master)
    {
        this.master = master;
        id = HKDF.DeriveKey(HashAlgorithmName.SHA256, master, IdLength, info: "flowstone key id 1"u8.ToArray());
        Id = Convert.ToHexStringLower(id);
    }

    /// <summary>Names the key in messages and in what is sealed; says nothing about it.</summary>
    public string Id { get; }

    public ReadOnlySpan<byte> IdBytes => id;

    public byte[] Derive(string purpose, Id<Tenant> tenant)
        => HKDF.DeriveKey(HashAlgorithmName.SHA256, master, 32, info: [.. Encoding.ASCII.GetBytes(purpose), .. tenant.Value.ToByteArray(bigEndian: true)]);

    /// <param name="setting">Where it comes from, for the message.</param>
    /// <exception cref="InvalidInputException">It is none, or one that can be guessed.</exception>
    public static LocalKey Parse(string setting, string text)
    {
        var key = new byte[Length + 1];
        if (!Convert.TryFromBase64String(text.Trim(), key, out var length) || length != Length)
            throw new InvalidInputException(setting, $"must hold 32 bytes in base64. {KeySource.Mend}");
        key = key[..Length];
        return Weakness(key) is { } weakness ? throw new InvalidInputException(setting, $"holds {weakness}: it can be guessed. {KeySource.Mend}") : new(key);
    }

    // None of these befalls 32 random bytes in the life of the universe.
    static string? Weakness(byte[] key)
    {
        for (var period = 1; period <= Length / 2; period++)
            if (key.AsSpan(period).SequenceEqual(key.AsSpan(0, Length - period)))
                return period == 1 ? "the same byte 32 times" : $"a pattern of {period} bytes again and again";
        if (Enumerable.Range(2, Length - 2).All(i => (byte)(key[i] - key[i - 1]) == (byte)(key[1] - key[0])))
            return "bytes that are counted";
        if (key.All(b => b is >= 0x20 and < 0x7F))
            return "a text and no random bytes";
        return key.Distinct().Count() < FewestDistinctBytes ? $"less than {FewestDistinctBytes} different bytes" : null;
    }
}
