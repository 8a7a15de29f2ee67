using System.Security.Cryptography;

namespace Flowstone.Credentials;

/// <summary>
/// A data key in memory. Who has it holds it, and disposes it when done; when the last holder has, the cache being one, the key is wiped.
/// </summary>
sealed class SealingKey : IDisposable
{
    public const int Length = 32;

    readonly byte[] key;

    // An AesGcm serves one thread at a time, and costs as much to make as to use.
    readonly AesGcm?[] idle = new AesGcm?[Environment.ProcessorCount];
    int holders = 1;

    /// <param name="key">Is the new object's from here on: it is wiped with it.</param>
    public SealingKey(Id<DataKey> id, byte[] key)
    {
        (Id, this.key) = (id, key);
        idle[0] = new AesGcm(key, Seal.TagLength);   // refuses a length that is none, before anybody relies on it
    }

    public Id<DataKey> Id { get; }

    /// <summary>Whether only payloads may still be sealed with it.</summary>
    public bool IsClosed { get; init; }

    /// <summary>A key for another purpose, which says nothing about this one.</summary>
    public byte[] Derive(ReadOnlySpan<byte> purpose)
    {
        var derived = new byte[Length];
        HKDF.Expand(HashAlgorithmName.SHA256, key, derived, purpose);
        return derived;
    }

    /// <returns>False if it is wiped already.</returns>
    public bool TryHold()
    {
        for (var seen = Volatile.Read(ref holders); seen > 0;)
        {
            var found = Interlocked.CompareExchange(ref holders, seen + 1, seen);
            if (found == seen)
                return true;
            seen = found;
        }
        return false;
    }

    /// <summary>Ends one hold.</summary>
    public void Dispose()
    {
        if (Interlocked.Decrement(ref holders) != 0)
            return;
        foreach (var cipher in idle)
            cipher?.Dispose();
        CryptographicOperations.ZeroMemory(key);
    }

    public AesGcm Rent()
    {
        for (var i = 0; i < idle.Length; i++)
            if (Interlocked.Exchange(ref idle[i], null) is { } cipher)
                return cipher;
        return new AesGcm(key, Seal.TagLength);
    }

    public void Return(AesGcm cipher)
    {
        for (var i = 0; i < idle.Length; i++)
            if (Interlocked.CompareExchange(ref idle[i], cipher, null) is null)
                return;
        cipher.Dispose();
    }
}
