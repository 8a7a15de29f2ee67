using System.Security.Cryptography;
using Flowstone.Credentials;
using Flowstone.Data;
using Flowstone.Tenancy;
using Microsoft.AspNetCore.Identity;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Users;

/// <summary>Who is signed in.</summary>
public sealed record SignedInUser(Id<Tenant> TenantId, Id<User> UserId, UserRole Role, string Email);

/// <summary>A session that was opened just now.</summary>
/// <param name="Token">A secret: only its hash is stored.</param>
/// <param name="ExpiresAt">When it ends, however much it is used.</param>
/// <param name="Device">A secret for the client to keep, and to send along with later sign-ins: others' wrong passwords do not lock it out.</param>
public sealed record NewSession(string Token, DateTimeOffset ExpiresAt, string Device)
{
    /// <summary>Without the secrets: this ends up in logs.</summary>
    public override string ToString() => $"{nameof(NewSession)} {{ {nameof(ExpiresAt)} = {ExpiresAt:O} }}";
}

/// <summary>Passwords in, session tokens out. Only hashes of either are stored.</summary>
public sealed class SignIn
{
    /// <summary>How long a session lasts at most.</summary>
    public static readonly TimeSpan SessionLength = TimeSpan.FromDays(7);

    /// <summary>How long a session lasts that is not used.</summary>
    public static readonly TimeSpan IdleLength = TimeSpan.FromDays(2);

    readonly Database app;
    readonly SecretSealer secrets;
    readonly LoginAttempts.Limits limits;
    readonly TimeProvider clock;

    internal SignIn(Database app, SecretSealer secrets, LoginAttempts.Limits limits, TimeProvider clock) => (this.app, this.secrets, this.limits, this.clock) = (app, secrets, limits, clock);

    /// <summary>What <see cref="NewUser.PasswordHash"/> takes. Slow on purpose.</summary>
    /// <exception cref="InvalidInputException">Too short or too long.</exception>
    public static string HashPassword(string password)
    {
        if (password.Length is < Passwords.Shortest or > Passwords.Longest)
            throw new InvalidInputException("password", "must have 8 to 1,000 characters.");
        return Passwords.Hash(password);
    }

    /// <param name="source">Where it comes from; null is one place for all who do not say.</param>
    /// <param name="code">Of the authenticator app, or a recovery code; for users who have turned that on.</param>
    /// <returns>Null: the address is unknown, the password or the code wrong, or the user not active. Which, is not told, nor by the time it takes.</returns>
    /// <exception cref="CodeRequiredException">The password is right, and a code is needed with it.</exception>
    /// <exception cref="TooManyAttemptsException">The password was not looked at. Told alike for addresses that are nobody's.</exception>
    public async Task<NewSession?> WithPasswordAsync(string email, string password, SignInSource? source = null, string? code = null, CancellationToken cancellationToken = default)
    {
        if (password.Length > Passwords.Longest || email.Length > 1000 || !Text.IsStorable(email))
            return null;
        source ??= new();
        var now = clock.Now();
        var (account, tenant, user) = await FindAccountAsync(email, cancellationToken);
        var attempt = await LoginAttempts.TakeAsync(app, limits, tenant, account, user, source, now, cancellationToken);
        var verified = Passwords.Verify(attempt.PasswordHash, password);
        if (verified == PasswordVerificationResult.Failed || user is not { } who)
            return null;
        SecondFactor? factor = null;
        if (attempt.TotpSecret is { } secret)
        {
            if (string.IsNullOrEmpty(code))
            {
                await app.TransactAsync(tenant.ToString(), [LoginAttempts.Undone(tenant, account, attempt)], read: null, cancellationToken);
                throw new CodeRequiredException();
            }
            factor = await SecondFactor.CheckAsync(secrets, tenant, who, secret, code, now, cancellationToken);
            if (factor is null)
                return null;
        }
        var hash = verified == PasswordVerificationResult.SuccessRehashNeeded ? Passwords.Hash(password) : attempt.PasswordHash!;
        return await OpenAsync(tenant, who, source with { Device = attempt.KnownDevice ? source.Device : null }, (attempt.PasswordHash!, hash, attempt.TotpSecret),
            [.. factor?.Use(tenant, who) ?? [], .. LoginAttempts.Succeeded(tenant, account, attempt)], cancellationToken);
    }

    /// <summary>The hash of the address, and whose it is: the tenant of zeros if nobody's.</summary>
    async Task<(byte[] Account, Id<Tenant> Tenant, Id<User>? User)> FindAccountAsync(string email, CancellationToken cancellationToken)
    {
        (byte[], Id<Tenant>, Id<User>?) found = default;
        const string Find = "select flowstone.email_hash($1), f.tenant_id, f.user_id from (select) one left join flowstone.find_email($1) f on true";
        await app.TransactAsync(tenants: null, [new Statement(Find, P(email.Trim()))],
            row => found = (row.GetFieldValue<byte[]>(0), new(row.Get<Guid>(1)), row.Get<Guid?>(2) is { } user ? new Id<User>(user) : null), cancellationToken);
        return found;
    }

    /// <summary>A session for a user whose identity is already sure, such as the operator of this machine.</summary>
    /// <exception cref="NotFoundException">There is no such active user.</exception>
    public async Task<NewSession> OpenAsync(Id<Tenant> tenant, Id<User> user, SignInSource? source = null, CancellationToken cancellationToken = default)
        => await OpenAsync(tenant, user, (source ?? new()) with { Device = null }, null, [], cancellationToken) ?? throw new NotFoundException("User", user);

    /// <param name="password">The hash that the password was verified by, the one that it has from now on, and the authenticator's secret that was asked; null where nothing was asked for.</param>
    /// <returns>Null if either was changed meanwhile, a code was used before, or the user is not active.</returns>
    async Task<NewSession?> OpenAsync(
        Id<Tenant> tenant, Id<User> user, SignInSource source, (string Verified, string Current, byte[]? Secret)? password, IEnumerable<Statement> also, CancellationToken cancellationToken)
    {
        // First, and it locks the row: whoever changes the password or suspends the user comes before or after, and then ends this session, too.
        const string Note = """
            update flowstone.user_logins set last_login_at = $3, password_hash = coalesce($5, password_hash)
             where tenant_id = $1 and user_id = $2 and ($4 is null or (password_hash = $4 and case when totp_confirmed_at is null then $6 is null else totp_secret = $6 end))
            """;
        const string Insert = """
            insert into flowstone.user_sessions (tenant_id, token_hash, user_id, created_at, expires_at, last_used_at, address, agent)
            select u.tenant_id, $2, u.id, $4, $5, $4, $6, $7 from flowstone.users u where u.tenant_id = $1 and u.id = $3 and u.status = 'ACTIVE'
            """;
        const string ForgetSessions = "delete from flowstone.user_sessions where tenant_id = $1 and user_id = $2 and (expires_at <= $3 or last_used_at <= $4)";
        var now = clock.Now();
        var (token, hash) = SecretToken.New(tenant);
        var device = source.Device ?? Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));
        try
        {
            await app.TransactAsync(tenant.ToString(),
            [
                Statement.Guarded(Note, P(tenant), P(user), P(now), P(password?.Verified), P(password?.Current), P(password?.Secret)),
                .. also,
                Statement.Guarded(Insert, P(tenant), P(hash), P(user), P(now), P(now + SessionLength), P(Text.Fit(source.Address, 64)), P(Text.Fit(source.Agent, SignInSource.MaxAgentLength))),
                .. Remember(tenant, user, device, now),
                new Statement(ForgetSessions, P(tenant), P(user), P(now), P(now - IdleLength)),
            ], read: null, cancellationToken);
        }
        catch (ConflictException error) when (PostgresErrors.IsRefusal(error))
        {
            return null;
        }
        return new NewSession(token, now + SessionLength, device);
    }

    /// <summary>Notes a device from which the user has signed in. The twenty that were used last are kept: each has guesses of its own.</summary>
    internal static Statement[] Remember(Id<Tenant> tenant, Id<User> user, string device, DateTimeOffset now)
    {
        const string Remember = """
            insert into flowstone.user_devices as d (tenant_id, user_id, device_hash, last_used_at) values ($1, $2, $3, $4)
            on conflict (tenant_id, user_id, device_hash) do update set last_used_at = excluded.last_used_at
            """;
        const string Forget = """
            delete from flowstone.user_devices d where d.tenant_id = $1 and d.user_id = $2 and (d.last_used_at <= $3 or d.device_hash not in (
                   select k.device_hash from flowstone.user_devices k where k.tenant_id = $1 and k.user_id = $2 order by k.last_used_at desc, k.device_hash = $4 desc, k.device_hash limit 20))
            """;
        var hash = LoginAttempts.DeviceHash(new(Device: device));
        return [new(Remember, P(tenant), P(user), P(hash), P(now)), new(Forget, P(tenant), P(user), P(now - TimeSpan.FromDays(365)), P(hash))];
    }

    /// <summary>Whose token it is; null if nobody's, expired, unused for too long, or of a user who is no longer active.</summary>
    public async Task<SignedInUser?> FindAsync(string token, CancellationToken cancellationToken = default)
    {
        if (!SecretToken.TryRead(token, out var tenant, out var hash))
            return null;
        const string Find = """
            with found as materialized (
                select u.id, u.role, u.email, s.last_used_at from flowstone.user_sessions s join flowstone.users u on u.tenant_id = s.tenant_id and u.id = s.user_id
                 where s.tenant_id = $1 and s.token_hash = $2 and s.expires_at > $3 and s.last_used_at > $4 and u.status = 'ACTIVE'),
            used as (
                update flowstone.user_sessions s set last_used_at = $3 from found
                 where s.tenant_id = $1 and s.token_hash = $2 and found.last_used_at <= $3 - interval '1 minute')
            select id, role, email from found
            """;
        SignedInUser? user = null;
        var now = clock.Now();
        await app.TransactAsync(tenant.ToString(), [new Statement(Find, P(tenant), P(hash), P(now), P(now - IdleLength))],
            row => user = new SignedInUser(tenant, new(row.GetGuid(0)), EnumText<UserRole>.Parse(row.GetString(1)), row.GetString(2)), cancellationToken);
        return user;
    }

    /// <summary>Ends the session; nothing happens if it had ended.</summary>
    public async Task SignOutAsync(string token, CancellationToken cancellationToken = default)
    {
        if (SecretToken.TryRead(token, out var tenant, out var hash))
            await app.TransactAsync(tenant.ToString(),
                [new Statement("delete from flowstone.user_sessions where tenant_id = $1 and token_hash = $2", P(tenant), P(hash))], read: null, cancellationToken);
    }

    /// <summary>Sets a new password and ends all sessions of the user; the answer is a new one.</summary>
    /// <returns>Null if the current password is wrong.</returns>
    /// <exception cref="TooManyAttemptsException">The password was not looked at.</exception>
    /// <exception cref="InvalidInputException">The new password is too short, too long, or the old one.</exception>
    public async Task<NewSession?> ChangePasswordAsync(SignedInUser who, string current, string password, SignInSource? source = null, CancellationToken cancellationToken = default)
    {
        source ??= new();
        var hash = HashPassword(password);
        var (account, tenant, user) = await FindAccountAsync(who.Email, cancellationToken);
        if (tenant != who.TenantId || user != who.UserId)
            return null;   // the address was changed meanwhile
        var attempt = await LoginAttempts.TakeAsync(app, limits, tenant, account, user, source, clock.Now(), cancellationToken);
        if (Passwords.Verify(attempt.PasswordHash, current) == PasswordVerificationResult.Failed)
            return null;
        if (current == password)
            throw new InvalidInputException("password", "is the old one.");
        return await OpenAsync(tenant, who.UserId, source with { Device = attempt.KnownDevice ? source.Device : null },
            (attempt.PasswordHash!, hash, attempt.TotpSecret), [.. LoginAttempts.Succeeded(tenant, account, attempt), .. EndAll(tenant, hash, Id<User>.New(clock))], cancellationToken);
    }

    /// <summary>Sets a new password by a token of <see cref="UserRepository.CreateTokenAsync"/>, and ends all sessions of the user, who then signs in with it.</summary>
    /// <returns>False if the token is nobody's, was used, replaced, or has expired.</returns>
    /// <exception cref="InvalidInputException">The password is too short or too long; the token stays good.</exception>
    public async Task<bool> ResetPasswordAsync(string token, string password, CancellationToken cancellationToken = default)
    {
        const string Reset = """
            with who as (
                delete from flowstone.user_tokens where tenant_id = $1 and token_hash = $2 and purpose = 'RESET_PASSWORD' and expires_at > $3 returning user_id)
            update flowstone.user_logins l set password_hash = $4 from who where l.tenant_id = $1 and l.user_id = who.user_id returning 1
            """;
        if (!SecretToken.TryRead(token, out var tenant, out _))
            return false;   // before the slow part
        var hash = HashPassword(password);
        return await RedeemAsync(Reset, token, [P(hash)], EndAll(tenant, hash, Id<User>.New(clock)), cancellationToken);
    }

    /// <summary>Notes that the user reads mail at their address, by a token of <see cref="UserRepository.CreateTokenAsync"/>; who waited for that is active then.</summary>
    /// <returns>False if the token is nobody's, was used, replaced, or has expired.</returns>
    public async Task<bool> VerifyEmailAsync(string token, CancellationToken cancellationToken = default)
    {
        const string Verify = """
            with who as (
                delete from flowstone.user_tokens where tenant_id = $1 and token_hash = $2 and purpose = 'VERIFY_EMAIL' and expires_at > $3 returning user_id)
            update flowstone.users u set email_verified_at = $3, updated_at = $3, status = case u.status when 'PENDING_VERIFICATION' then 'ACTIVE' else u.status end
              from who where u.tenant_id = $1 and u.id = who.user_id returning 1
            """;
        return await RedeemAsync(Verify, token, [], [], cancellationToken);
    }

    /// <summary>In one transaction with what the token is for. Whoever comes second gets nothing.</summary>
    async Task<bool> RedeemAsync(string statement, string token, NpgsqlParameter[] more, Statement[] then, CancellationToken cancellationToken)
    {
        if (!SecretToken.TryRead(token, out var tenant, out var hash))
            return false;
        var redeemed = false;
        await app.TransactAsync(tenant.ToString(), [new Statement(statement, [P(tenant), P(hash), P(clock.Now()), .. more]), .. then], _ => redeemed = true, cancellationToken);
        return redeemed;
    }

    // Of the user who has this password now, if anybody: whoever had the old one may have any of them. In statements of their own, which see all
    // that was there when the login was locked.
    internal static Statement[] EndAll(Id<Tenant> tenant, string hash, Id<User> stamp) =>
    [
        new("update flowstone.user_logins set security_stamp = $3 where tenant_id = $1 and password_hash = $2", P(tenant), P(hash), P(stamp)),
        new("delete from flowstone.user_sessions s using flowstone.user_logins l where s.tenant_id = $1 and l.tenant_id = $1 and l.user_id = s.user_id and l.password_hash = $2", P(tenant), P(hash)),
        new("delete from flowstone.user_devices d using flowstone.user_logins l where d.tenant_id = $1 and l.tenant_id = $1 and l.user_id = d.user_id and l.password_hash = $2", P(tenant), P(hash)),
        new("delete from flowstone.user_tokens t using flowstone.user_logins l where t.tenant_id = $1 and l.tenant_id = $1 and l.user_id = t.user_id and l.password_hash = $2 and t.purpose = 'RESET_PASSWORD'", P(tenant), P(hash)),
    ];
}
