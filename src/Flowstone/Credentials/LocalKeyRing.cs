using System.Security.Cryptography;

namespace Flowstone.Credentials;

/// <summary>
/// Master keys in this process's memory. A wrapped key is 1 (version), nonce (12), the key encrypted, tag (16): AES-256-GCM under a key that
/// HKDF derives from the master for the tenant, bound to master, tenant and data key.
/// </summary>
/// <param name="keys">The first one wraps; the others only unwrap.</param>
sealed class LocalKeyRing(IReadOnlyList<LocalKey> keys) : IKeyRing
{
    const byte Version = 1;
    const int NonceLength = 12, TagLength = 16, Overhead = 1 + NonceLength + TagLength;

    public LocalKey Current => keys[0];

    public IReadOnlyList<LocalKey> Keys => keys;

    public LocalKey? Find(ReadOnlySpan<byte> id)
    {
        foreach (var key in keys)
            if (key.IdBytes.SequenceEqual(id))
                return key;
        return null;
    }

    public ValueTask<string> CurrentIdAsync(CancellationToken cancellationToken = default) => new(Current.Id);

    public bool Has(string masterKeyId) => keys.Any(key => key.Id == masterKeyId);

    public ValueTask<byte[]> WrapAsync(DataKeyPlace place, ReadOnlyMemory<byte> key, CancellationToken cancellationToken = default)
    {
        var result = new byte[Overhead + key.Length];
        result[0] = Version;
        var nonce = result.AsSpan(1, NonceLength);
        RandomNumberGenerator.Fill(nonce);
        using var cipher = Cipher(Current, place);
        cipher.Encrypt(nonce, key.Span, result.AsSpan(1 + NonceLength, key.Length), result.AsSpan(result.Length - TagLength), Bound(Current, place));
        return new(result);
    }

    public ValueTask<byte[]> UnwrapAsync(string masterKeyId, DataKeyPlace place, ReadOnlyMemory<byte> wrapped, CancellationToken cancellationToken = default)
    {
        var master = keys.FirstOrDefault(key => key.Id == masterKeyId)
            ?? throw new UnavailableException($"The data key {place.Id} is wrapped by the master key {masterKeyId}, which this process does not have. {KeySource.PutBack}");
        var bytes = wrapped.Span;
        var result = new byte[Math.Max(0, bytes.Length - Overhead)];
        using var cipher = Cipher(master, place);
        try
        {
            if (bytes.Length < Overhead || bytes[0] != Version)
                throw new CryptographicException();
            cipher.Decrypt(bytes.Slice(1, NonceLength), bytes[(1 + NonceLength)..^TagLength], bytes[^TagLength..], result, Bound(master, place));
        }
        catch (CryptographicException error)
        {
            throw CredentialSealException.OfKey(place, $"does not open with its master key {masterKeyId}: it was changed, or it belongs to another row.", error);
        }
        return new(result);
    }

    static AesGcm Cipher(LocalKey master, DataKeyPlace place)
    {
        var key = master.Derive("flowstone data keys 1 ", place.TenantId);
        var cipher = new AesGcm(key, TagLength);
        CryptographicOperations.ZeroMemory(key);
        return cipher;
    }

    static byte[] Bound(LocalKey master, DataKeyPlace place)
        => [.. "flowstone.data_keys.wrapped_key"u8, Version, .. master.IdBytes, .. place.TenantId.Value.ToByteArray(bigEndian: true), .. place.Id.Value.ToByteArray(bigEndian: true)];
}
