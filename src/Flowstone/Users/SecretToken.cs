using System.Buffers;
using System.Buffers.Text;
using System.Security.Cryptography;
using Flowstone.Tenancy;

namespace Flowstone.Users;

/// <summary>
/// What is given to somebody once and stored as a hash only: the tenant, so that its look-up touches one tenant, and 256 random bits.
/// They need no slow hash: nobody guesses them.
/// </summary>
static class SecretToken
{
    const int SecretBytes = 32;

    public static (string Token, byte[] Hash) New(Id<Tenant> tenant)
    {
        var token = new byte[16 + SecretBytes];
        tenant.Value.TryWriteBytes(token);
        RandomNumberGenerator.Fill(token.AsSpan(16));
        return (Base64Url.EncodeToString(token), Hash(token));
    }

    /// <returns>False for anything that was never one; whether it is one, the database knows.</returns>
    public static bool TryRead(string token, out Id<Tenant> tenant, out byte[] hash)
    {
        Span<byte> bytes = stackalloc byte[16 + SecretBytes];
        var read = Base64Url.DecodeFromChars(token, bytes, out _, out var length) == OperationStatus.Done && length == bytes.Length;   // TryDecode… throws
        (tenant, hash) = read ? (new Id<Tenant>(new Guid(bytes[..16])), Hash(bytes)) : (default, []);
        return read;
    }

    static byte[] Hash(ReadOnlySpan<byte> token) => SHA256.HashData(token[16..]);
}
