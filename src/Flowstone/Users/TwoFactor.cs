using Flowstone.Credentials;
using Flowstone.Data;
using Flowstone.Permissions;
using Flowstone.Tenancy;
using Microsoft.AspNetCore.Identity;
using static Flowstone.Data.Sql;

namespace Flowstone.Users;

/// <summary>What an authenticator app needs.</summary>
/// <param name="Secret">To be typed in, 32 letters; not shown again.</param>
/// <param name="Uri">The same, to be shown as a QR code.</param>
public sealed record NewAuthenticator(string Secret, string Uri)
{
    /// <summary>Without the secret: this ends up in logs.</summary>
    public override string ToString() => nameof(NewAuthenticator);
}

/// <param name="Enabled">Whether a code is asked for at sign-in.</param>
/// <param name="RecoveryCodes">How many are left.</param>
public sealed record TwoFactorStatus(bool Enabled, int RecoveryCodes);

/// <summary>The password was right, and a code of the authenticator, or a recovery code, is needed with it.</summary>
public sealed class CodeRequiredException() : FlowstoneException("A code is needed: of the authenticator app, or a recovery code.");

/// <summary>The second factor of users: codes of an authenticator app. Its secret is sealed; a code is good once.</summary>
public sealed class TwoFactor
{
    const string SecretColumn = "user_logins.totp_secret";

    readonly TenantDatabase database;
    readonly Database app;
    readonly AccessRule access;
    readonly SecretSealer secrets;
    readonly LoginAttempts.Limits limits;
    readonly TimeProvider clock;

    internal TwoFactor(TenantDatabase database, Database app, AccessRule access, SecretSealer secrets, LoginAttempts.Limits limits, TimeProvider clock)
        => (this.database, this.app, this.access, this.secrets, this.limits, this.clock) = (database, app, access, secrets, limits, clock);

    internal static SealedPlace PlaceOf(Id<Tenant> tenant, Id<User> user) => new(tenant, SecretColumn, user.Value);

    /// <exception cref="AccessDeniedException">It is another user.</exception>
    /// <exception cref="NotFoundException">This tenant has no such user.</exception>
    public async Task<TwoFactorStatus> StatusAsync(Id<User> user, CancellationToken cancellationToken = default)
    {
        await access.RequireSelfAsync(user, cancellationToken);
        const string Status = """
            select totp_confirmed_at is not null, (select count(*)::int from flowstone.user_recovery_codes c where c.tenant_id = $1 and c.user_id = $2)
              from flowstone.user_logins where tenant_id = $1 and user_id = $2
            """;
        return (await database.QueryAsync(Status, [P(user)], row => new TwoFactorStatus(row.GetBoolean(0), row.GetInt32(1)), cancellationToken)).SingleOrDefault()
            ?? throw new NotFoundException("User", user);
    }

    /// <summary>Makes a secret for an authenticator app. Nothing changes at sign-in before <see cref="ConfirmAsync"/>.</summary>
    /// <param name="password">The user's, so that nobody who has the session alone locks them out; not looked at where they have none.</param>
    /// <param name="issuer">What the app shows beside the address.</param>
    /// <returns>Null if the password is wrong.</returns>
    /// <exception cref="TooManyAttemptsException">The password was not looked at.</exception>
    /// <exception cref="AccessDeniedException">It is another user: nobody else may see the secret.</exception>
    /// <exception cref="ConflictException">There is an authenticator already: turn it off first.</exception>
    /// <exception cref="UnavailableException">No master key is configured.</exception>
    public async Task<NewAuthenticator?> BeginAsync(Id<User> user, string password, string issuer = "Flowstone", CancellationToken cancellationToken = default)
    {
        await RequireInPersonAsync(user, cancellationToken);
        const string Begin = "update flowstone.user_logins set totp_secret = $3, totp_step = 0 where tenant_id = $1 and user_id = $2 and totp_confirmed_at is null";
        var secret = System.Security.Cryptography.RandomNumberGenerator.GetBytes(Totp.SecretLength);
        var (_, _, email, hash) = await FindAsync(user, cancellationToken);
        var attempt = await TakeAttemptAsync(user, cancellationToken);
        if (hash is not null && Passwords.Verify(hash, password) == PasswordVerificationResult.Failed)
            return null;
        await app.TransactAsync(database.TenantId.ToString(), [LoginAttempts.Undone(database.TenantId, AccountOf(user), attempt)], read: null, cancellationToken);
        var changed = await secrets.StoreAsync(PlaceOf(database.TenantId, user), secret, (value, guard) => database.ExecuteAsync([guard, (Begin, [P(user), P(value)])], cancellationToken), cancellationToken);
        if (changed[1] == 0)
            throw new ConflictException("There is an authenticator already. To use another, turn it off first.");
        return new NewAuthenticator(Totp.ToBase32(secret), Totp.Uri(issuer, email, secret));
    }

    /// <summary>From now on a code is asked for at sign-in. All other sessions of the user end.</summary>
    /// <param name="code">Of the app, to show that it works.</param>
    /// <param name="exceptToken">The token of the session that goes on.</param>
    /// <returns>The recovery codes, which are stored as hashes only; null if the code is not right.</returns>
    /// <exception cref="ConflictException">It is on already, or was not begun.</exception>
    /// <exception cref="TooManyAttemptsException">The code was not looked at.</exception>
    public Task<IReadOnlyList<string>?> ConfirmAsync(Id<User> user, string code, string? exceptToken = null, CancellationToken cancellationToken = default)
        => WithCodeAsync(user, code, confirmed: false, """
            update flowstone.user_logins set totp_confirmed_at = $3, totp_step = $4, security_stamp = $5
             where tenant_id = $1 and user_id = $2 and totp_secret = $6 and totp_step < $4 and totp_confirmed_at is null
            """, exceptToken, cancellationToken);

    /// <summary>Replaces the recovery codes.</summary>
    /// <returns>Null if the code is not right.</returns>
    /// <exception cref="ConflictException">It is not on.</exception>
    /// <exception cref="TooManyAttemptsException">The code was not looked at.</exception>
    public Task<IReadOnlyList<string>?> NewRecoveryCodesAsync(Id<User> user, string code, string? exceptToken = null, CancellationToken cancellationToken = default)
        => WithCodeAsync(user, code, confirmed: true, """
            update flowstone.user_logins set totp_confirmed_at = coalesce(totp_confirmed_at, $3), totp_step = $4, security_stamp = $5
             where tenant_id = $1 and user_id = $2 and totp_secret = $6 and totp_step < $4 and totp_confirmed_at is not null
            """, exceptToken, cancellationToken);

    async Task<IReadOnlyList<string>?> WithCodeAsync(Id<User> user, string code, bool confirmed, string change, string? exceptToken, CancellationToken cancellationToken)
    {
        await RequireInPersonAsync(user, cancellationToken);
        var (secret, isConfirmed, _, _) = await FindAsync(user, cancellationToken);
        if (secret is null || isConfirmed != confirmed)
            throw new ConflictException(confirmed ? "Two-factor sign-in is not on." : secret is null ? "Ask for a secret first." : "Two-factor sign-in is on already.");
        var attempt = await TakeAttemptAsync(user, cancellationToken);
        if (Totp.FindStep(await secrets.OpenAsync(PlaceOf(database.TenantId, user), secret, cancellationToken), code, clock.Now()) is not { } step)
            return null;
        var codes = RecoveryCodes.New();
        var hashes = codes.Select(one => RecoveryCodes.Hash(database.TenantId, user, one)).ToArray();
        byte[] kept = exceptToken is not null && SecretToken.TryRead(exceptToken, out _, out var hash) ? hash : [];
        return await ChangeAsync(user, attempt,
        [
            Statement.Guarded(change, P(database.TenantId), P(user), P(clock.Now()), P(step), P(Id<User>.New(clock)), P(secret)),
            .. ReplaceCodes(database.TenantId, user, hashes),
            new("delete from flowstone.user_sessions where tenant_id = $1 and user_id = $2 and token_hash <> $3", P(database.TenantId), P(user), P(kept)),
            new("delete from flowstone.user_devices where tenant_id = $1 and user_id = $2", P(database.TenantId), P(user)),   // each has guesses of its own
        ], cancellationToken) ? codes : null;
    }

    /// <summary>Turns it off.</summary>
    /// <param name="code">Of the app, or a recovery code. Null: an administrator does it for a user who has lost both.</param>
    /// <returns>False if the code is not right.</returns>
    /// <exception cref="AccessDeniedException">No code, and the actor is not another administrator.</exception>
    /// <exception cref="NotFoundException">This tenant has no such user.</exception>
    /// <exception cref="TooManyAttemptsException">The code was not looked at.</exception>
    public async Task<bool> DisableAsync(Id<User> user, string? code, CancellationToken cancellationToken = default)
    {
        const string Disable = """
            update flowstone.user_logins set totp_secret = null, totp_confirmed_at = null, totp_step = 0, security_stamp = $3 where tenant_id = $1 and user_id = $2
            """;
        List<Statement> statements = [Statement.Guarded(Disable, P(database.TenantId), P(user), P(Id<User>.New(clock))), .. ReplaceCodes(database.TenantId, user, [])];
        if (code is null)
        {
            await access.RequireAdministratorAsync(cancellationToken);
            if (access.Actor.UserId == user)
                throw new AccessDeniedException("Your own needs a code: of the app, or a recovery code.");
            return await ChangeAsync(user, null, statements, cancellationToken) ? true : throw new NotFoundException("User", user);
        }
        await RequireInPersonAsync(user, cancellationToken);
        var (secret, _, _, _) = await FindAsync(user, cancellationToken);
        if (secret is null)
            return true;
        var attempt = await TakeAttemptAsync(user, cancellationToken);
        if (await SecondFactor.CheckAsync(secrets, database.TenantId, user, secret, code, clock.Now(), cancellationToken) is not { } factor)
            return false;
        return await ChangeAsync(user, attempt, [.. factor.Use(database.TenantId, user), .. statements], cancellationToken);
    }

    internal static IEnumerable<Statement> ReplaceCodes(Id<Tenant> tenant, Id<User> user, byte[][] hashes) =>
    [
        new("delete from flowstone.user_recovery_codes where tenant_id = $1 and user_id = $2", P(tenant), P(user)),
        new("insert into flowstone.user_recovery_codes (tenant_id, user_id, code_hash) select $1, $2, hash from unnest($3) hash", P(tenant), P(user), P(hashes)),
    ];

    async Task<bool> ChangeAsync(Id<User> user, LoginAttempts.Attempt? attempt, IReadOnlyList<Statement> statements, CancellationToken cancellationToken)
    {
        try
        {
            await app.TransactAsync(database.TenantId.ToString(), [.. statements, .. attempt is { } taken ? LoginAttempts.Succeeded(database.TenantId, AccountOf(user), taken) : []], read: null, cancellationToken);
            return true;
        }
        catch (ConflictException error) when (PostgresErrors.IsRefusal(error))
        {
            return false;   // the code was used meanwhile, or another secret came
        }
    }

    async Task<(byte[]? Secret, bool Confirmed, string Email, string? PasswordHash)> FindAsync(Id<User> user, CancellationToken cancellationToken)
    {
        const string Find = """
            select l.totp_secret, l.totp_confirmed_at is not null, u.email, l.password_hash from flowstone.user_logins l join flowstone.users u on u.tenant_id = l.tenant_id and u.id = l.user_id
             where l.tenant_id = $1 and l.user_id = $2
            """;
        return await database.QueryAsync(Find, [P(user)], row => (row.Get<byte[]>(0), row.GetBoolean(1), row.GetString(2), row.Get<string>(3)), cancellationToken) is [var found]
            ? found : throw new NotFoundException("User", user);
    }

    // Counted apart from sign-ins: whoever has the session alone can try, and nobody else.
    Task<LoginAttempts.Attempt> TakeAttemptAsync(Id<User> user, CancellationToken cancellationToken)
        => LoginAttempts.TakeAsync(app, limits, database.TenantId, AccountOf(user), null, new SignInSource("two-factor"), clock.Now(), cancellationToken);

    static byte[] AccountOf(Id<User> user) => user.Value.ToByteArray();

    async Task RequireInPersonAsync(Id<User> user, CancellationToken cancellationToken)
    {
        await access.RequireSelfAsync(user, cancellationToken);
        if (access.Actor.UserId != user)
            throw new AccessDeniedException("Only the user may do this.");
    }
}

/// <summary>A code that is right, and what makes it wrong from now on.</summary>
readonly record struct SecondFactor(long? Step, byte[]? RecoveryCode, byte[] Secret)
{
    /// <returns>Null if the code is not right. Whether it was used before, the statements of <see cref="Use"/> find out.</returns>
    public static async Task<SecondFactor?> CheckAsync(
        SecretSealer secrets, Id<Tenant> tenant, Id<User> user, byte[] sealedSecret, string code, DateTimeOffset now, CancellationToken cancellationToken)
    {
        if (Totp.FindStep(await secrets.OpenAsync(TwoFactor.PlaceOf(tenant, user), sealedSecret, cancellationToken), code.Trim(), now) is { } step)
            return new(step, null, sealedSecret);
        return RecoveryCodes.IsCode(code) ? new(null, RecoveryCodes.Hash(tenant, user, code), sealedSecret) : null;
    }

    /// <summary>To be in the transaction of what the code is for: a code that was used, or is none, makes it fail.</summary>
    public IEnumerable<Statement> Use(Id<Tenant> tenant, Id<User> user) =>
    [
        Step is { } step
            ? Statement.Guarded("update flowstone.user_logins set totp_step = $3 where tenant_id = $1 and user_id = $2 and totp_step < $3 and totp_secret = $4", P(tenant), P(user), P(step), P(Secret))
            : Statement.Guarded("delete from flowstone.user_recovery_codes where tenant_id = $1 and user_id = $2 and code_hash = $3", P(tenant), P(user), P(RecoveryCode!)),
    ];
}
