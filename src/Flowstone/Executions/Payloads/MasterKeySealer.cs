using System.Collections.Concurrent;
using System.Security.Cryptography;
using Flowstone.Credentials;
using Flowstone.Tenancy;

namespace Flowstone.Executions;

/// <summary>
/// AES-256-GCM. Format: 1 (version), the master key's id (8 bytes), nonce (12), what is encrypted, tag (16). A master key gives each tenant
/// keys of its own by HKDF, and those each execution one, so that random nonces never come near to their limit of 2^32 per key. The current
/// master key seals; any that is here opens.
/// </summary>
sealed class MasterKeySealer(LocalKeyRing ring) : PayloadSealer
{
    public const string NeedsKey = "needs a local master key: set FLOWSTONE_KEY_FILE or FLOWSTONE_MASTER_KEY (docs/credentials.md). A key of AWS KMS does not seal payloads.";

    const byte Version = 1;
    const int IdLength = LocalKey.IdLength, NonceLength = 12, TagLength = 16, HeaderLength = 1 + IdLength + NonceLength;
    const int MostTenants = 65_536;

    readonly ConcurrentDictionary<(LocalKey Master, Id<Tenant> Tenant), (byte[] Sealing, byte[] Naming)> keys = new();

    public override byte[] Name(Id<Tenant> tenantId, Id<Execution> executionId, ReadOnlySpan<byte> content)
        => HMACSHA256.HashData(KeysOf(ring.Current, tenantId).Naming, (ReadOnlySpan<byte>)[.. Bytes(executionId.Value), .. content])[..16];

    public override byte[] Seal(PayloadPlace place, ReadOnlySpan<byte> body) => Seal(place, body, RandomNumberGenerator.GetBytes(NonceLength));

    internal byte[] Seal(PayloadPlace place, ReadOnlySpan<byte> body, byte[] nonce)
    {
        var master = ring.Current;
        var result = new byte[HeaderLength + body.Length + TagLength];
        result[0] = Version;
        master.IdBytes.CopyTo(result.AsSpan(1));
        nonce.CopyTo(result, 1 + IdLength);
        using var aes = Cipher(master, place);
        aes.Encrypt(nonce, body, result.AsSpan(HeaderLength, body.Length), result.AsSpan(HeaderLength + body.Length), Bound(master, place));
        return result;
    }

    public override byte[] Open(PayloadPlace place, ReadOnlySpan<byte> body)
    {
        if (body.Length < HeaderLength + TagLength || body[0] != Version)
            throw Damaged(place);
        var sealedWith = body.Slice(1, IdLength);
        var master = ring.Find(sealedWith)
            ?? throw new UnavailableException($"The payload is sealed with the master key {Convert.ToHexStringLower(sealedWith)}, and this process has {ring.Current.Id}. {KeySource.PutBack}");
        var result = new byte[body.Length - HeaderLength - TagLength];
        using var aes = Cipher(master, place);
        try
        {
            aes.Decrypt(body.Slice(1 + IdLength, NonceLength), body[HeaderLength..^TagLength], body[^TagLength..], result, Bound(master, place));
        }
        catch (AuthenticationTagMismatchException error)
        {
            throw Damaged(place, error);
        }
        return result;
    }

    AesGcm Cipher(LocalKey master, PayloadPlace place)
        => new(HKDF.Expand(HashAlgorithmName.SHA256, KeysOf(master, place.TenantId).Sealing, 32, Bytes(place.ExecutionId.Value)), TagLength);

    // Everything that a row could be swapped with: another tenant's, column's, execution's or payload's.
    static byte[] Bound(LocalKey master, PayloadPlace place)
        => [.. "flowstone.payloads.body"u8, Version, .. master.IdBytes, .. Bytes(place.TenantId.Value), .. Bytes(place.ExecutionId.Value), .. place.Hash.Span];

    (byte[] Sealing, byte[] Naming) KeysOf(LocalKey master, Id<Tenant> tenant)
    {
        if (keys.TryGetValue((master, tenant), out var known))
            return known;
        if (keys.Count >= MostTenants)
            keys.Clear();
        return keys[(master, tenant)] = (master.Derive("flowstone payloads 1 ", tenant), master.Derive("flowstone payload names 1 ", tenant));
    }

    static byte[] Bytes(Guid value) => value.ToByteArray(bigEndian: true);

    static PayloadDamagedException Damaged(PayloadPlace place, Exception? cause = null)
        => new($"Payload {Convert.ToHexStringLower(place.Hash.Span)} of execution {place.ExecutionId} does not open: it was changed, or it belongs to another row.", cause);
}
