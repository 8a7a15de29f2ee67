using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.Options;

namespace Flowstone.Users;

/// <summary>Hashes of passwords: PBKDF2-SHA512; imported ones of bcrypt are verified, too, and replaced at the next sign-in.</summary>
static class Passwords
{
    public const int Shortest = 8, Longest = 1000;

    // The count is OWASP's for PBKDF2-SHA512.
    static readonly PasswordHasher<object> hasher = new(Options.Create(new PasswordHasherOptions { IterationCount = 210_000 }));

    // Verified where there is no user, so that the answer takes as long as for one who is there.
    static readonly string nobody = Hash(Convert.ToHexString(RandomNumberGenerator.GetBytes(16)));

    public static string Hash(string password) => hasher.HashPassword(hasher, password);

    /// <param name="hash">Null where there is no user or no password: fails, and takes as long.</param>
    public static PasswordVerificationResult Verify(string? hash, string password)
    {
        if (password.Length > Longest)
            return PasswordVerificationResult.Failed;
        if (hash is not null && Bcrypt.IsHash(hash))
            return Bcrypt.Verify(hash, password) ? PasswordVerificationResult.SuccessRehashNeeded : PasswordVerificationResult.Failed;
        var verified = hasher.VerifyHashedPassword(hasher, hash ?? nobody, password);
        return hash is null ? PasswordVerificationResult.Failed : verified;
    }

    /// <summary>Whether <see cref="Verify"/> can do something with it.</summary>
    public static bool IsHash(string text)
    {
        if (Bcrypt.IsHash(text))
            return true;
        Span<byte> bytes = stackalloc byte[512];
        return text.Length < 500 && Convert.TryFromBase64String(text, bytes, out var length) && length > 45
            && bytes[0] is 0 or 1 && (bytes[0] == 0 || BinaryPrimitives.ReadUInt32BigEndian(bytes[5..]) <= MostIterations);
    }

    // Whoever brings more wants to keep the server busy.
    const uint MostIterations = 2_000_000;
}

/// <summary>bcrypt, as other platforms have kept passwords: by the C library's crypt. It takes 72 bytes.</summary>
static class Bcrypt
{
    // A cost of 15 takes seconds: whoever brings more wants to keep the server busy.
    const int HighestCost = 15;

    public static bool IsHash(string hash) => hash is ['$', '2', 'a' or 'b' or 'y', '$', _, _, '$', ..] && hash.Length == 60
        && int.TryParse(hash.AsSpan(4, 2), NumberStyles.None, CultureInfo.InvariantCulture, out var cost) && cost is >= 4 and <= HighestCost && Ascii.IsValid(hash);

    /// <exception cref="UnavailableException">The system has no libcrypt.</exception>
    public static bool Verify(string hash, string password)
    {
        if (password.Contains('\0', StringComparison.Ordinal))
            return false;   // where C's text ends
        var (scratch, size) = ((nint)0, 0);
        try
        {
            var computed = Marshal.PtrToStringAnsi(crypt_ra(Encoding.UTF8.GetBytes(password + '\0'), Encoding.ASCII.GetBytes(hash + '\0'), ref scratch, ref size));
            return computed is not null && CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(computed), Encoding.ASCII.GetBytes(hash));
        }
        catch (Exception error) when (error is DllNotFoundException or EntryPointNotFoundException)
        {
            throw new UnavailableException("The password is kept as bcrypt, and this system has no libcrypt.so.1 to verify it: install libcrypt1.", error);
        }
        finally
        {
            if (scratch != 0)
                free(scratch);
        }
    }

#pragma warning disable SYSLIB1054, IDE1006   // generated marshalling needs unsafe code; the names are C's
    [DllImport("libcrypt.so.1"), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    static extern nint crypt_ra(byte[] phrase, byte[] setting, ref nint data, ref int size);

    [DllImport("libc"), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    static extern void free(nint memory);
#pragma warning restore SYSLIB1054, IDE1006
}
