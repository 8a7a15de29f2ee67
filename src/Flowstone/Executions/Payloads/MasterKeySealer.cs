using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Flowstone.Tenancy;

namespace Flowstone.Executions;

/// <summary>
/// AES-256-GCM. Format: 1 (version), the key's id (8 bytes), nonce (12), what is encrypted, tag (16). The master key gives each tenant keys of
/// its own by HKDF, and those each execution one, so that random nonces never come near to their limit of 2^32 per key.
/// </summary>
sealed class MasterKeySealer : PayloadSealer
{
    public const string NeedsKey = "set FLOWSTONE_KEY_FILE to a file with 32 bytes in base64 (openssl rand -base64 32), or FLOWSTONE_MASTER_KEY to the same.";

    const byte Version = 1;
    const int IdLength = 8, NonceLength = 12, TagLength = 16, HeaderLength = 1 + IdLength + NonceLength;
    const int MostTenants = 65_536;

    readonly byte[] master;
    readonly byte[] id;
    readonly ConcurrentDictionary<Id<Tenant>, (byte[] Sealing, byte[] Naming)> tenants = new();

    public MasterKeySealer(byte[] master)
    {
        this.master = master;
        id = HKDF.DeriveKey(HashAlgorithmName.SHA256, master, IdLength, info: "flowstone key id 1"u8.ToArray());
    }

    /// <summary>Names the key in messages and in what is sealed; says nothing about it.</summary>
    public string KeyId => Convert.ToHexStringLower(id);

    /// <returns>Null if no key is set.</returns>
    /// <exception cref="InvalidInputException">There is a key, but it is not 32 bytes in base64, or its file cannot be read.</exception>
    public static MasterKeySealer? Of(FlowstoneOptions options) => KeyOf(options) is { } key ? new(key) : null;

    /// <inheritdoc cref="Of"/>
    public static byte[]? KeyOf(FlowstoneOptions options)
    {
        if (options.KeyFile is { Length: > 0 } file)
            return Decode("FLOWSTONE_KEY_FILE", Read(file));
        return options.MasterKey is { Length: > 0 } text ? Decode("FLOWSTONE_MASTER_KEY", text) : null;

        static string Read(string file)
        {
            try
            {
                return File.ReadAllText(file);
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                throw new InvalidInputException("FLOWSTONE_KEY_FILE", $"{file} cannot be read: {error.Message}");
            }
        }

        static byte[] Decode(string setting, string text)
        {
            var key = new byte[33];
            return Convert.TryFromBase64String(text.Trim(), key, out var length) && length == 32
                ? key[..32] : throw new InvalidInputException(setting, "must hold 32 bytes in base64: openssl rand -base64 32");
        }
    }

    public override byte[] Name(Id<Tenant> tenantId, Id<Execution> executionId, ReadOnlySpan<byte> content)
        => HMACSHA256.HashData(KeysOf(tenantId).Naming, (ReadOnlySpan<byte>)[.. Bytes(executionId.Value), .. content])[..16];

    public override byte[] Seal(PayloadPlace place, ReadOnlySpan<byte> body) => Seal(place, body, RandomNumberGenerator.GetBytes(NonceLength));

    internal byte[] Seal(PayloadPlace place, ReadOnlySpan<byte> body, byte[] nonce)
    {
        var result = new byte[HeaderLength + body.Length + TagLength];
        result[0] = Version;
        id.CopyTo(result, 1);
        nonce.CopyTo(result, 1 + IdLength);
        using var aes = Cipher(place);
        aes.Encrypt(nonce, body, result.AsSpan(HeaderLength, body.Length), result.AsSpan(HeaderLength + body.Length), Bound(place));
        return result;
    }

    public override byte[] Open(PayloadPlace place, ReadOnlySpan<byte> body)
    {
        if (body.Length < HeaderLength + TagLength || body[0] != Version)
            throw Damaged(place);
        var sealedWith = body.Slice(1, IdLength);
        if (!sealedWith.SequenceEqual(id))
            throw new UnavailableException($"The payload is sealed with the key {Convert.ToHexStringLower(sealedWith)}, and this process has {KeyId}: {NeedsKey}");
        var result = new byte[body.Length - HeaderLength - TagLength];
        using var aes = Cipher(place);
        try
        {
            aes.Decrypt(body.Slice(1 + IdLength, NonceLength), body[HeaderLength..^TagLength], body[^TagLength..], result, Bound(place));
        }
        catch (AuthenticationTagMismatchException error)
        {
            throw Damaged(place, error);
        }
        return result;
    }

    AesGcm Cipher(PayloadPlace place)
        => new(HKDF.Expand(HashAlgorithmName.SHA256, KeysOf(place.TenantId).Sealing, 32, Bytes(place.ExecutionId.Value)), TagLength);

    // Everything that a row could be swapped with: another tenant's, column's, execution's or payload's.
    byte[] Bound(PayloadPlace place)
        => [.. "flowstone.payloads.body"u8, Version, .. id, .. Bytes(place.TenantId.Value), .. Bytes(place.ExecutionId.Value), .. place.Hash.Span];

    (byte[] Sealing, byte[] Naming) KeysOf(Id<Tenant> tenant)
    {
        if (tenants.TryGetValue(tenant, out var keys))
            return keys;
        if (tenants.Count >= MostTenants)
            tenants.Clear();
        return tenants[tenant] = (Derive("flowstone payloads 1 "), Derive("flowstone payload names 1 "));

        byte[] Derive(string purpose) => HKDF.DeriveKey(HashAlgorithmName.SHA256, master, 32, info: [.. Encoding.ASCII.GetBytes(purpose), .. Bytes(tenant.Value)]);
    }

    static byte[] Bytes(Guid value) => value.ToByteArray(bigEndian: true);

    static PayloadDamagedException Damaged(PayloadPlace place, Exception? cause = null)
        => new($"Payload {Convert.ToHexStringLower(place.Hash.Span)} of execution {place.ExecutionId} does not open: it was changed, or it belongs to another row.", cause);
}
