using System.Buffers;
using System.Buffers.Text;
using System.Security.Cryptography;
using Flowstone.Data;
using Flowstone.Tenancy;
using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.Options;
using static Flowstone.Data.Sql;

namespace Flowstone.Users;

/// <summary>Who is signed in.</summary>
public sealed record SignedInUser(Id<Tenant> TenantId, Id<User> UserId, UserRole Role, string Email);

/// <summary>Passwords in, session tokens out. Only hashes of either are stored.</summary>
public sealed class SignIn
{
    /// <summary>A token is the tenant, so that its look-up touches one tenant, and a secret of 256 bits.</summary>
    const int SecretBytes = 32;

    /// <summary>How long a session lasts.</summary>
    public static readonly TimeSpan SessionLength = TimeSpan.FromDays(7);

    // PBKDF2-SHA512; the count is OWASP's for it.
    static readonly PasswordHasher<object> hasher = new(Options.Create(new PasswordHasherOptions { IterationCount = 210_000 }));

    // Verified where there is no user, so that the answer takes as long as for one who is there.
    static readonly string nobody = hasher.HashPassword(hasher, Convert.ToHexString(RandomNumberGenerator.GetBytes(16)));

    readonly Database app;
    readonly TimeProvider clock;

    internal SignIn(Database app, TimeProvider clock) => (this.app, this.clock) = (app, clock);

    /// <summary>What <see cref="NewUser.PasswordHash"/> takes. Slow on purpose.</summary>
    /// <exception cref="InvalidInputException">Too short or too long.</exception>
    public static string HashPassword(string password)
    {
        if (password.Length is < 8 or > 1000)
            throw new InvalidInputException("password", "must have 8 to 1,000 characters.");
        return hasher.HashPassword(hasher, password);
    }

    /// <returns>The session's token, or null: the address is unknown, the password wrong, or the user not active. Which, is not told.</returns>
    public async Task<string?> WithPasswordAsync(string email, string password, CancellationToken cancellationToken = default)
    {
        if (password.Length > 1000 || !Text.IsStorable(email))
            return null;
        (Id<Tenant> Tenant, Id<User> User)? found = null;
        await app.TransactAsync(tenants: null, [new Statement("select tenant_id, user_id from flowstone.find_email($1)", P(email.Trim()))],
            row => found = (new(row.GetGuid(0)), new(row.GetGuid(1))), cancellationToken);
        string? hash = null;
        if (found is { } user)
        {
            const string Login = """
                select l.password_hash from flowstone.user_logins l join flowstone.users u on u.tenant_id = l.tenant_id and u.id = l.user_id
                 where l.tenant_id = $1 and l.user_id = $2 and u.status = 'ACTIVE'
                """;
            await app.TransactAsync(user.Tenant.ToString(), [new Statement(Login, P(user.Tenant), P(user.User))],
                row => hash = row.Get<string>(0), cancellationToken);
        }
        var verified = hasher.VerifyHashedPassword(hasher, hash ?? nobody, password) != PasswordVerificationResult.Failed;
        return verified && hash is not null ? await OpenAsync(found!.Value.Tenant, found.Value.User, cancellationToken) : null;
    }

    /// <summary>A session for a user whose identity is already sure, such as the operator of this machine.</summary>
    /// <returns>The session's token.</returns>
    public async Task<string> OpenAsync(Id<Tenant> tenant, Id<User> user, CancellationToken cancellationToken = default)
    {
        var token = new byte[16 + SecretBytes];
        tenant.Value.TryWriteBytes(token);
        RandomNumberGenerator.Fill(token.AsSpan(16));
        const string Insert = "insert into flowstone.user_sessions (tenant_id, token_hash, user_id, created_at, expires_at) values ($1, $2, $3, $4, $5)";
        const string Forget = "delete from flowstone.user_sessions where tenant_id = $1 and user_id = $2 and expires_at <= $3";
        const string Note = "update flowstone.user_logins set last_login_at = $3 where tenant_id = $1 and user_id = $2";
        var now = clock.Now();
        await app.TransactAsync(tenant.ToString(),
            [new Statement(Insert, P(tenant), P(Hash(token)), P(user), P(now), P(now + SessionLength)), new Statement(Note, P(tenant), P(user), P(now)), new Statement(Forget, P(tenant), P(user), P(now))],
            read: null, cancellationToken);
        return Base64Url.EncodeToString(token);
    }

    /// <summary>Whose token it is; null if nobody's, expired, or of a user who is no longer active.</summary>
    public async Task<SignedInUser?> FindAsync(string token, CancellationToken cancellationToken = default)
    {
        if (!TryRead(token, out var tenant, out var hash))
            return null;
        const string Find = """
            select u.id, u.role, u.email from flowstone.user_sessions s join flowstone.users u on u.tenant_id = s.tenant_id and u.id = s.user_id
             where s.tenant_id = $1 and s.token_hash = $2 and s.expires_at > $3 and u.status = 'ACTIVE'
            """;
        SignedInUser? user = null;
        await app.TransactAsync(tenant.ToString(), [new Statement(Find, P(tenant), P(hash), P(clock.Now()))],
            row => user = new SignedInUser(tenant, new(row.GetGuid(0)), EnumText<UserRole>.Parse(row.GetString(1)), row.GetString(2)), cancellationToken);
        return user;
    }

    /// <summary>Ends the session; nothing happens if it had ended.</summary>
    public async Task SignOutAsync(string token, CancellationToken cancellationToken = default)
    {
        if (TryRead(token, out var tenant, out var hash))
            await app.TransactAsync(tenant.ToString(),
                [new Statement("delete from flowstone.user_sessions where tenant_id = $1 and token_hash = $2", P(tenant), P(hash))], read: null, cancellationToken);
    }

    static bool TryRead(string token, out Id<Tenant> tenant, out byte[] hash)
    {
        Span<byte> bytes = stackalloc byte[16 + SecretBytes];
        var read = Base64Url.DecodeFromChars(token, bytes, out _, out var length) == OperationStatus.Done && length == bytes.Length; // TryDecode… throws
        (tenant, hash) = read ? (new Id<Tenant>(new Guid(bytes[..16])), Hash(bytes)) : (default, []);
        return read;
    }

    static byte[] Hash(ReadOnlySpan<byte> token) => SHA256.HashData(token[16..]);
}
