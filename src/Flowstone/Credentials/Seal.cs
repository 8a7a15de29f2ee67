using System.Security.Cryptography;
using System.Text;

namespace Flowstone.Credentials;

/// <summary>
/// The format of a sealed value: 1 (version), the data key's id (16 bytes, big-endian), nonce (12), what is encrypted, tag (16). AES-256-GCM.
/// The tag covers the version, the key and the place as well, so that a value moved to another row, column or tenant does not open.
/// </summary>
static class Seal
{
    public const byte Version = 1;
    public const int NonceLength = 12, TagLength = 16, HeaderLength = 1 + 16 + NonceLength, Overhead = HeaderLength + TagLength;

    const int LongestColumn = 128;

    public static byte[] Close(SealingKey key, SealedPlace place, ReadOnlySpan<byte> secret)
    {
        Span<byte> nonce = stackalloc byte[NonceLength];
        Nonces.Fill(nonce);
        return Close(key, place, secret, nonce);
    }

    /// <param name="nonce">Never twice with one key. For test vectors.</param>
    public static byte[] Close(SealingKey key, SealedPlace place, ReadOnlySpan<byte> secret, ReadOnlySpan<byte> nonce)
    {
        Span<byte> bound = stackalloc byte[1 + (3 * 16) + LongestColumn];
        bound = Bound(bound, key.Id, place);
        var result = new byte[Overhead + secret.Length];
        bound[..17].CopyTo(result);
        nonce.CopyTo(result.AsSpan(17));
        var cipher = key.Rent();
        cipher.Encrypt(nonce, secret, result.AsSpan(HeaderLength, secret.Length), result.AsSpan(HeaderLength + secret.Length), bound);
        key.Return(cipher);
        return result;
    }

    /// <param name="key">The one that <see cref="KeyOf"/> names.</param>
    /// <exception cref="CredentialSealException">It was changed, or belongs elsewhere.</exception>
    public static byte[] Open(SealingKey key, SealedPlace place, ReadOnlySpan<byte> value)
    {
        if (KeyOf(place, value) != key.Id)
            throw CredentialSealException.At(place, $"is not sealed with the data key {key.Id}.");
        Span<byte> bound = stackalloc byte[1 + (3 * 16) + LongestColumn];
        bound = Bound(bound, key.Id, place);
        var result = new byte[value.Length - Overhead];
        var cipher = key.Rent();
        try
        {
            cipher.Decrypt(value[17..HeaderLength], value[HeaderLength..^TagLength], value[^TagLength..], result, bound);
        }
        catch (AuthenticationTagMismatchException error)
        {
            throw CredentialSealException.At(place, $"does not open with its data key {key.Id}: it was changed, or it belongs to another row.", error);
        }
        finally
        {
            key.Return(cipher);
        }
        return result;
    }

    /// <summary>The data key that opens it, as the value says: nothing is verified yet.</summary>
    /// <exception cref="CredentialSealException">It is none of our values.</exception>
    public static Id<DataKey> KeyOf(SealedPlace place, ReadOnlySpan<byte> value)
    {
        if (value.Length > 0 && value[0] != Version)
            throw CredentialSealException.At(place, $"has the format {value[0]}, which this version does not know: it was changed, or written by a newer version.");
        return value.Length >= Overhead ? new Id<DataKey>(new Guid(value[1..17], bigEndian: true))
            : throw CredentialSealException.At(place, $"has {value.Length} bytes, and none has less than {Overhead}: it was cut.");
    }

    // All but the last part have one length, so no two places give the same bytes.
    static Span<byte> Bound(Span<byte> bytes, Id<DataKey> key, SealedPlace place)
    {
        bytes[0] = Version;
        key.Value.TryWriteBytes(bytes[1..], bigEndian: true, out _);
        place.TenantId.Value.TryWriteBytes(bytes[17..], bigEndian: true, out _);
        place.RowId.TryWriteBytes(bytes[33..], bigEndian: true, out _);
        return bytes[..(49 + Encoding.UTF8.GetBytes(place.Column, bytes[49..]))];
    }
}
