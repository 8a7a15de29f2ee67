using System.Security.Cryptography;
using System.Text;
using Flowstone.Tenancy;

namespace Flowstone.Users;

/// <summary>Codes that replace the authenticator, each once.</summary>
static class RecoveryCodes
{
    public const int Count = 10;
    const int Letters = 16;

    // ASP.NET Core Identity's codes have 45 bits, ours 80: slow enough for the former.
    const int Iterations = 20_000;

    /// <summary>As <c>7kq2-…</c>: without letters that look alike.</summary>
    public static IReadOnlyList<string> New() => [.. Enumerable.Range(0, Count).Select(_ => string.Join('-', RandomNumberGenerator.GetString("abcdefghijkmnpqrstuvwxyz23456789", Letters).Chunk(4).Select(four => new string(four))))];

    /// <summary>Of one user, so that equal codes of two are not seen.</summary>
    public static byte[] Hash(Id<Tenant> tenant, Id<User> user, string code)
        => Rfc2898DeriveBytes.Pbkdf2(Encoding.UTF8.GetBytes(code.Replace("-", "", StringComparison.Ordinal).Replace(" ", "", StringComparison.Ordinal).ToUpperInvariant()),
            (byte[])[.. tenant.Value.ToByteArray(), .. user.Value.ToByteArray()], Iterations, HashAlgorithmName.SHA512, 32);

    /// <summary>Whether it can be one: others need not be hashed.</summary>
    public static bool IsCode(string code) => code.Length is >= 10 and <= 40;
}
