using System.Security.Cryptography;
using System.Text;
using Flowstone.Executions;
using Flowstone.Tenancy;

namespace Flowstone.Credentials;

/// <summary>Where a sealed secret lies: it opens there and nowhere else.</summary>
/// <param name="Column">Table and column.</param>
public readonly record struct SealedPlace(Id<Tenant> TenantId, string Column, Guid RowId);

/// <summary>A sealed secret cannot be opened: it was changed, or belongs elsewhere.</summary>
public sealed class CredentialSealException(string message, Exception? cause = null) : FlowstoneException(message, cause);

/// <summary>Encrypts secrets of rows: AES-256-GCM under a key of the tenant's, with the place bound in. Format: 1 (version), the key's id (8 bytes), nonce (12), ciphertext, tag (16).</summary>
public sealed class SecretSealer
{
    const byte Version = 1;
    const int IdLength = 8, NonceLength = 12, TagLength = 16, HeaderLength = 1 + IdLength + NonceLength;

    readonly byte[]? master;
    readonly byte[] id;

    internal SecretSealer(byte[]? master)
    {
        this.master = master;
        id = master is null ? [] : HKDF.DeriveKey(HashAlgorithmName.SHA256, master, IdLength, info: "flowstone key id 1"u8.ToArray());
    }

    internal static SecretSealer Of(FlowstoneOptions options) => new(MasterKeySealer.KeyOf(options));

    /// <exception cref="UnavailableException">No master key is configured.</exception>
    public ValueTask<byte[]> SealAsync(SealedPlace place, ReadOnlyMemory<byte> secret, CancellationToken cancellationToken = default)
    {
        var result = new byte[HeaderLength + secret.Length + TagLength];
        result[0] = Version;
        id.CopyTo(result, 1);
        RandomNumberGenerator.Fill(result.AsSpan(1 + IdLength, NonceLength));
        using var aes = Cipher(place);
        aes.Encrypt(result.AsSpan(1 + IdLength, NonceLength), secret.Span, result.AsSpan(HeaderLength, secret.Length), result.AsSpan(HeaderLength + secret.Length), Bound(place));
        return new(result);
    }

    /// <exception cref="CredentialSealException">It was changed, belongs elsewhere, or was sealed with another key.</exception>
    /// <exception cref="UnavailableException">No master key is configured.</exception>
    public ValueTask<byte[]> OpenAsync(SealedPlace place, ReadOnlyMemory<byte> sealedValue, CancellationToken cancellationToken = default)
    {
        var value = sealedValue.Span;
        using var aes = Cipher(place);
        if (value.Length < HeaderLength + TagLength || value[0] != Version || !value.Slice(1, IdLength).SequenceEqual(id))
            throw Damaged(place, null);
        var result = new byte[value.Length - HeaderLength - TagLength];
        try
        {
            aes.Decrypt(value.Slice(1 + IdLength, NonceLength), value[HeaderLength..^TagLength], value[^TagLength..], result, Bound(place));
        }
        catch (AuthenticationTagMismatchException error)
        {
            throw Damaged(place, error);
        }
        return new(result);
    }

    AesGcm Cipher(SealedPlace place) => new(HKDF.DeriveKey(HashAlgorithmName.SHA256, master ?? throw new UnavailableException($"Secrets cannot be sealed without a key: {MasterKeySealer.NeedsKey}"), 32,
        info: [.. "flowstone secrets 1 "u8, .. place.TenantId.Value.ToByteArray(bigEndian: true)]), TagLength);

    byte[] Bound(SealedPlace place) => [Version, .. id, .. place.TenantId.Value.ToByteArray(bigEndian: true), .. place.RowId.ToByteArray(bigEndian: true), .. Encoding.UTF8.GetBytes(place.Column)];

    static CredentialSealException Damaged(SealedPlace place, Exception? cause) => new($"{place.Column} of {place.RowId} does not open: it was changed, it belongs to another row, or it was sealed with another key.", cause);
}
