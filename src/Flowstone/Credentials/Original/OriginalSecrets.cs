using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Flowstone.Credentials.Original;

/// <summary>Opens the secrets of the original system, for the importer alone. It had two layouts, with a key each, both from ENCRYPTION_KEY.</summary>
/// <param name="salt">Of the second layout; null for the original's, "salt".</param>
sealed class OriginalSecrets(string encryptionKey, string? salt = null) : IDisposable
{
    const string First = "IV:tag:cipher", Second = "v1:IV:cipher:tag";
    const int KeyLength = 32, TagLength = 16;

    // Each is made when a value of its layout comes: scrypt takes long, so it is done once for all values.
    readonly Lazy<byte[]> padded = new(() => Padded(encryptionKey));
    readonly Lazy<byte[]> derived = new(() => Derived(encryptionKey, salt ?? "salt"));

    /// <summary>Opens a single value. For many an instance derives the key once.</summary>
    /// <inheritdoc cref="Open(string)"/>
    public static JsonElement Open(string value, string encryptionKey, string? salt = null)
    {
        using var secrets = new OriginalSecrets(encryptionKey, salt);
        return secrets.Open(value);
    }

    /// <exception cref="CredentialSealException">It is of neither layout, was changed or cut, belongs to another key, or holds no JSON.</exception>
    public JsonElement Open(string value) => value.Split(':') switch
    {
        ["v1", var nonce, var cipher, var tag] => Open(Second, derived, nonce, cipher, tag),
        ["v1", ..] => throw CredentialSealException.OfOriginal(Second, "does not open: it has not four parts."),
        [var nonce, var tag, var cipher] => Open(First, padded, nonce, cipher, tag),
        _ => throw CredentialSealException.OfOriginal("(unknown)", $"does not open: it is neither {First} nor {Second}."),
    };

    public void Dispose()
    {
        foreach (var key in (Lazy<byte[]>[])[padded, derived])
            if (key.IsValueCreated)
                CryptographicOperations.ZeroMemory(key.Value);
    }

    static JsonElement Open(string layout, Lazy<byte[]> key, string nonceHex, string cipherHex, string tagHex)
    {
        var nonce = Bytes(layout, "IV", nonceHex);
        if (nonce.Length != 16 && (layout == First || nonce.Length != 12))
            throw CredentialSealException.OfOriginal(layout, $"does not open: its IV has {nonce.Length} bytes.");
        var tag = Bytes(layout, "tag", tagHex);
        if (tag.Length != TagLength)   // a shorter one would be guessed sooner
            throw CredentialSealException.OfOriginal(layout, $"does not open: its tag has {tag.Length} bytes.");
        var cipher = Bytes(layout, "cipher", cipherHex);

        var secret = AnyNonceGcm.Open(key.Value, nonce, cipher, tag)
            ?? throw CredentialSealException.OfOriginal(layout, "does not open: it was changed, or sealed with another key or salt.");
        try
        {
            return JsonElement.Parse(secret);
        }
        catch (JsonException)
        {
            throw CredentialSealException.OfOriginal(layout, "opens, and what it holds is not JSON.");
        }
        finally
        {
            CryptographicOperations.ZeroMemory(secret);
        }
    }

    static byte[] Bytes(string layout, string part, string hex)
    {
        var bytes = new byte[hex.Length / 2];
        return hex.Length % 2 == 0 && Convert.FromHexString(hex, bytes, out _, out _) == OperationStatus.Done ? bytes
            : throw CredentialSealException.OfOriginal(layout, $"does not open: its {part} is not hexadecimal.");
    }

    // JavaScript's key.padEnd(32, '0').slice(0, 32), as UTF-8. Node refuses more than 32 bytes, so no value can have been sealed with them.
    static byte[] Padded(string encryptionKey)
    {
        var key = Encoding.UTF8.GetBytes(encryptionKey.PadRight(KeyLength, '0')[..KeyLength]);
        return key.Length == KeyLength ? key
            : throw CredentialSealException.OfOriginal(First, "is not of this key: one with other characters than ASCII among its first 32 never worked there.");
    }

    // The costs are the defaults of Node's scrypt.
    static byte[] Derived(string encryptionKey, string salt) => Scrypt.Derive(Encoding.UTF8.GetBytes(encryptionKey), Encoding.UTF8.GetBytes(salt), 16_384, 8, 1, KeyLength);
}
