using System.Security.Cryptography;
using System.Text;
using Flowstone.Credentials;
using Flowstone.Data;
using Flowstone.Tenancy;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.Options;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Users.Identity;

/// <summary>
/// ASP.NET Core Identity's view of the users: the same rows, hashes, locks and tokens as the server's own sign-in. An update is one transaction that
/// succeeds only if what it changes is still as it was read. What Identity asks about failures is answered for the place of the request.
/// </summary>
sealed class FlowstoneUserStore(FlowstoneStore store, TimeProvider clock, IHttpContextAccessor http, IOptions<FlowstoneIdentityOptions> options, IOptions<IdentityOptions> identity, IdentityErrorDescriber errors)
    : IUserPasswordStore<FlowstoneUser>, IUserEmailStore<FlowstoneUser>, IUserSecurityStampStore<FlowstoneUser>, IUserLockoutStore<FlowstoneUser>, IUserTwoFactorStore<FlowstoneUser>,
        IUserAuthenticatorKeyStore<FlowstoneUser>, IUserTwoFactorRecoveryCodeStore<FlowstoneUser>, IUserLoginStore<FlowstoneUser>
{
    readonly Database app = store.App;

    public async Task<IdentityResult> CreateAsync(FlowstoneUser user, CancellationToken cancellationToken)
    {
        var tenant = user.TenantId ?? (await store.Tenants.FindAsync(options.Value.Tenant, cancellationToken)
            ?? throw new InvalidOperationException($"There is no tenant '{options.Value.Tenant}' for users who register: make it, or set {nameof(FlowstoneIdentityOptions)}.{nameof(FlowstoneIdentityOptions.Tenant)}.")).Id;
        try
        {
            var made = await Users(tenant).CreateAsync(new NewUser
            {
                Email = user.Email ?? "",
                FirstName = user.FirstName,
                LastName = user.LastName,
                TimeZone = user.TimeZone,
                Language = user.Language,
                PasswordHash = user.PasswordHash,
                Status = identity.Value.SignIn is { RequireConfirmedEmail: false, RequireConfirmedAccount: false } ? UserStatus.Active : UserStatus.PendingVerification,
            }, cancellationToken);
            var verified = user.EmailVerifiedAt;
            Take(user, (await LoadAsync(tenant, made.Id, cancellationToken))!);
            if (verified is null)
                return IdentityResult.Success;
            user.EmailVerifiedAt = verified;   // by whoever signed them in elsewhere
            return await UpdateAsync(user, cancellationToken);
        }
        catch (ConflictException)
        {
            return IdentityResult.Failed(errors.DuplicateEmail(user.Email!));
        }
        catch (InvalidInputException error)
        {
            return Failed(error);
        }
    }

    public async Task<IdentityResult> UpdateAsync(FlowstoneUser user, CancellationToken cancellationToken)
    {
        const string UpdateUser = """
            update flowstone.users set email = $3, email_verified_at = $4, first_name = $5, last_name = $6, time_zone = $7, language = $8, updated_at = $9,
                   status = case when status = 'PENDING_VERIFICATION' and $4 is not null then 'ACTIVE' else status end
             where tenant_id = $1 and id = $2 and email = $10 and email_verified_at is not distinct from $11
               and (first_name, last_name, time_zone, language) is not distinct from ($12::text, $13::text, $14::text, $15::text)
            """;
        const string UpdateLogin = """
            update flowstone.user_logins set password_hash = $3, security_stamp = $4, totp_secret = $5, totp_confirmed_at = $6, totp_step = case when totp_secret is not distinct from $5 then totp_step else 0 end
             where tenant_id = $1 and user_id = $2 and (password_hash, security_stamp, totp_secret, totp_confirmed_at) is not distinct from ($7::text, $8::uuid, $9::bytea, $10::timestamptz)
            """;
        var (tenant, id, was, now) = (user.TenantId!.Value, user.Id!.Value, user.Stored, clock.Now());
        try
        {
            UserRepository.CheckProfile(user.Email ?? "", user.FirstName, user.LastName, user.TimeZone, user.Language);
            List<Statement> statements =
            [
                Statement.Guarded(UpdateUser, P(tenant), P(id), P(user.Email!.Trim()), P(user.EmailVerifiedAt), P(user.FirstName), P(user.LastName), P(user.TimeZone), P(user.Language), P(now),
                    P(was.Email), P(was.EmailVerifiedAt), P(was.FirstName), P(was.LastName), P(was.TimeZone), P(was.Language)),
                Statement.Guarded(UpdateLogin, P(tenant), P(id), P(user.PasswordHash), P(user.SecurityStamp), P(user.TotpSecret), P(user.TotpConfirmedAt),
                    P(was.PasswordHash), P(was.SecurityStamp), P(was.TotpSecret), P(was.TotpConfirmedAt)),
            ];
            if (user.TotpSecret is { } secret && user.TotpSecret != was.TotpSecret)
                statements.Insert(0, KeyGuard(tenant, id, secret));
            if (user.Email.Trim() != was.Email)
                statements.AddRange(UserRepository.ChangeAddress(id, user.Email.Trim(), Id<User>.New(clock)).Select(change => new Statement(change.Sql, [P(tenant), .. change.Parameters])));
            if (user.EmailVerifiedAt is not null && was.EmailVerifiedAt is null)
                statements.Add(Delete("user_tokens", "purpose = 'VERIFY_EMAIL'"));
            if (user.PasswordHash != was.PasswordHash)
                statements.Add(Delete("user_tokens", "purpose = 'RESET_PASSWORD'"));
            if (user.PasswordHash != was.PasswordHash || user.TotpConfirmedAt != was.TotpConfirmedAt)
                statements.AddRange([Delete("user_sessions", "true"), Delete("user_devices", "true")]);
            // Read back while the rows are locked: what somebody else stores next is not taken for what this one has seen.
            statements.Add(new Statement(Load, P(tenant), P(id)));
            FlowstoneUser? stored = null;
            await app.TransactAsync(tenant.ToString(), statements, row => stored = row.FieldCount == 1 ? null : Read(tenant, id, row), cancellationToken);
            Take(user, stored!);
            return IdentityResult.Success;
        }
        catch (ConflictException error)
        {
            return IdentityResult.Failed(PostgresErrors.IsRefusal(error) ? errors.ConcurrencyFailure() : errors.DuplicateEmail(user.Email!));
        }
        catch (InvalidInputException error)
        {
            return Failed(error);
        }

        Statement Delete(string table, string which) => new($"delete from flowstone.{table} where tenant_id = $1 and user_id = $2 and {which}", P(tenant), P(id));
    }

    // Where the key was retired since, which another process may not have heard: Identity tells its caller to try again.
    Statement KeyGuard(Id<Tenant> tenant, Id<User> user, byte[] secret)
    {
        var key = Seal.KeyOf(TwoFactor.PlaceOf(tenant, user), secret);
        store.Secrets.Keys.Forget(new(tenant, key));
        var (sql, parameters) = DataKeys.Guard(key);
        return new(sql, [P(tenant), .. parameters]);
    }

    public async Task<IdentityResult> DeleteAsync(FlowstoneUser user, CancellationToken cancellationToken)
    {
        try
        {
            await Users(user.TenantId!.Value).DeleteAsync(user.Id!.Value, cancellationToken: cancellationToken);
            return IdentityResult.Success;
        }
        catch (Exception error) when (error is ConflictException or InvalidInputException)
        {
            return Failed(error);
        }
    }

    public async Task<FlowstoneUser?> FindByIdAsync(string userId, CancellationToken cancellationToken)
        => FlowstoneUser.TryParseId(userId, out var tenant, out var user) ? await LoadAsync(tenant, user, cancellationToken) : null;

    public Task<FlowstoneUser?> FindByNameAsync(string normalizedUserName, CancellationToken cancellationToken) => FindByEmailAsync(normalizedUserName, cancellationToken);

    public Task<FlowstoneUser?> FindByEmailAsync(string normalizedEmail, CancellationToken cancellationToken)
        => Text.IsStorable(normalizedEmail) ? FindAsync(new Statement("select tenant_id, user_id from flowstone.find_email($1)", P(normalizedEmail)), cancellationToken) : Task.FromResult<FlowstoneUser?>(null);

    public Task<FlowstoneUser?> FindByLoginAsync(string loginProvider, string providerKey, CancellationToken cancellationToken)
        => FindAsync(new Statement("select tenant_id, user_id from flowstone.find_external_login($1)", P(LoginHash(loginProvider, providerKey))), cancellationToken);

    async Task<FlowstoneUser?> FindAsync(Statement directory, CancellationToken cancellationToken)
    {
        (Id<Tenant> Tenant, Id<User> User)? found = null;
        await app.TransactAsync(tenants: null, [directory], row => found = (new(row.GetGuid(0)), new(row.GetGuid(1))), cancellationToken);
        return found is { } one ? await LoadAsync(one.Tenant, one.User, cancellationToken) : null;
    }

    const string Load = """
        select u.email, u.email_verified_at, u.first_name, u.last_name, u.time_zone, u.language, u.role, u.status, l.password_hash, l.security_stamp, l.totp_secret, l.totp_confirmed_at, flowstone.email_hash(u.email)
          from flowstone.users u join flowstone.user_logins l on l.tenant_id = u.tenant_id and l.user_id = u.id where u.tenant_id = $1 and u.id = $2 and l.tenant_id = $1
        """;

    async Task<FlowstoneUser?> LoadAsync(Id<Tenant> tenant, Id<User> user, CancellationToken cancellationToken)
    {
        FlowstoneUser? loaded = null;
        await app.TransactAsync(tenant.ToString(), [new Statement(Load, P(tenant), P(user))], row => loaded = Read(tenant, user, row), cancellationToken);
        return loaded;
    }

    static FlowstoneUser Read(Id<Tenant> tenant, Id<User> user, NpgsqlDataReader row)
    {
        var loaded = new FlowstoneUser
        {
            TenantId = tenant,
            Id = user,
            Email = row.GetString(0),
            EmailVerifiedAt = row.Get<DateTimeOffset?>(1),
            FirstName = row.Get<string>(2),
            LastName = row.Get<string>(3),
            TimeZone = row.GetString(4),
            Language = row.GetString(5),
            Role = EnumText<UserRole>.Parse(row.GetString(6)),
            Status = EnumText<UserStatus>.Parse(row.GetString(7)),
            PasswordHash = row.Get<string>(8),
            SecurityStamp = row.Get<Guid?>(9),
            TotpSecret = row.Get<byte[]>(10),
            TotpConfirmedAt = row.Get<DateTimeOffset?>(11),
            Account = row.GetFieldValue<byte[]>(12),
        };
        loaded.Stored = loaded.Copy();
        return loaded;
    }

    /// <summary>Identity goes on with the object that it gave: it is what is stored now, so that another change cannot bring back what was.</summary>
    static void Take(FlowstoneUser user, FlowstoneUser stored)
    {
        (user.TenantId, user.Id, user.Email, user.EmailVerifiedAt, user.FirstName, user.LastName) = (stored.TenantId, stored.Id, stored.Email, stored.EmailVerifiedAt, stored.FirstName, stored.LastName);
        (user.TimeZone, user.Language, user.Role, user.Status, user.Account) = (stored.TimeZone, stored.Language, stored.Role, stored.Status, stored.Account);
        (user.PasswordHash, user.SecurityStamp, user.TotpSecret, user.TotpConfirmedAt) = (stored.PasswordHash, stored.SecurityStamp, stored.TotpSecret, stored.TotpConfirmedAt);
        user.Stored = stored.Copy();
    }

    UserRepository Users(Id<Tenant> tenant) => store.Tenant(tenant, Actor.System("identity")).Users;

    static IdentityResult Failed(Exception error) => IdentityResult.Failed(new IdentityError { Code = error.GetType().Name.Replace("Exception", "", StringComparison.Ordinal), Description = error.Message });

    // Names and addresses: one and the same, compared by the database without regard to case.
    public Task<string> GetUserIdAsync(FlowstoneUser user, CancellationToken cancellationToken)
        => Task.FromResult(user is { TenantId: { } tenant, Id: { } id } ? FlowstoneUser.IdOf(tenant, id) : "");

    public Task<string?> GetUserNameAsync(FlowstoneUser user, CancellationToken cancellationToken) => Task.FromResult(user.Email);
    public Task SetUserNameAsync(FlowstoneUser user, string? userName, CancellationToken cancellationToken) => SetEmailAsync(user, userName, cancellationToken);
    public Task<string?> GetNormalizedUserNameAsync(FlowstoneUser user, CancellationToken cancellationToken) => Task.FromResult(user.Email);
    public Task SetNormalizedUserNameAsync(FlowstoneUser user, string? normalizedName, CancellationToken cancellationToken) => Task.CompletedTask;
    public Task<string?> GetEmailAsync(FlowstoneUser user, CancellationToken cancellationToken) => Task.FromResult(user.Email);
    public Task<string?> GetNormalizedEmailAsync(FlowstoneUser user, CancellationToken cancellationToken) => Task.FromResult(user.Email);
    public Task SetNormalizedEmailAsync(FlowstoneUser user, string? normalizedEmail, CancellationToken cancellationToken) => Task.CompletedTask;
    public Task<bool> GetEmailConfirmedAsync(FlowstoneUser user, CancellationToken cancellationToken) => Task.FromResult(user.EmailVerifiedAt is not null);

    public Task SetEmailAsync(FlowstoneUser user, string? email, CancellationToken cancellationToken)
    {
        if (!string.Equals(user.Email, email, StringComparison.OrdinalIgnoreCase))
            user.EmailVerifiedAt = null;
        user.Email = email;
        return Task.CompletedTask;
    }

    public Task SetEmailConfirmedAsync(FlowstoneUser user, bool confirmed, CancellationToken cancellationToken)
    {
        user.EmailVerifiedAt = confirmed ? user.EmailVerifiedAt ?? clock.Now() : null;
        return Task.CompletedTask;
    }

    public Task<string?> GetPasswordHashAsync(FlowstoneUser user, CancellationToken cancellationToken) => Task.FromResult(user.PasswordHash);
    public Task<bool> HasPasswordAsync(FlowstoneUser user, CancellationToken cancellationToken) => Task.FromResult(user.PasswordHash is not null);

    public Task SetPasswordHashAsync(FlowstoneUser user, string? passwordHash, CancellationToken cancellationToken)
    {
        user.PasswordHash = passwordHash;
        return Task.CompletedTask;
    }

    // Identity wants one of every user; until it changes for the first time it is the empty one.
    public Task<string?> GetSecurityStampAsync(FlowstoneUser user, CancellationToken cancellationToken) => Task.FromResult<string?>((user.SecurityStamp ?? Guid.Empty).ToString("N"));

    public Task SetSecurityStampAsync(FlowstoneUser user, string stamp, CancellationToken cancellationToken)
    {
        user.SecurityStamp = new Guid(SHA256.HashData(Encoding.UTF8.GetBytes(stamp)).AsSpan(0, 16));   // Identity's is base32 of 160 bits
        return Task.CompletedTask;
    }

    /// <summary>Counts an attempt to sign in, from where the request comes.</summary>
    /// <exception cref="TooManyAttemptsException">The password, or the code, must not be looked at.</exception>
    public Task<LoginAttempts.Attempt> TakeAttemptAsync(FlowstoneUser user, CancellationToken cancellationToken)
        => LoginAttempts.TakeAsync(app, store.Limits, user.TenantId!.Value, user.Account, user.Id, SignInDevice.Source(http.HttpContext), clock.Now(), cancellationToken);

    /// <summary>After the right password that a code must follow: the attempt was none, and what failed before still counts.</summary>
    public Task UncountAttemptAsync(FlowstoneUser user, LoginAttempts.Attempt attempt, CancellationToken cancellationToken)
        => app.TransactAsync(user.TenantId.ToString(), [LoginAttempts.Undone(user.TenantId!.Value, user.Account, attempt)], read: null, cancellationToken);

    /// <summary>After the right password, and code.</summary>
    public Task SucceedAttemptAsync(FlowstoneUser user, LoginAttempts.Attempt attempt, CancellationToken cancellationToken)
        => app.TransactAsync(user.TenantId.ToString(), [.. LoginAttempts.Succeeded(user.TenantId!.Value, user.Account, attempt)], read: null, cancellationToken);

    /// <summary>From now on the browser is one from which the user has signed in. A cookie that somebody else put there does not become one.</summary>
    public async Task SignedInAsync(FlowstoneUser user, HttpContext context, CancellationToken cancellationToken)
    {
        const string Known = "select 1 from flowstone.user_devices where tenant_id = $1 and user_id = $2 and device_hash = $3";
        const string Note = "update flowstone.user_logins set last_login_at = $3 where tenant_id = $1 and user_id = $2";
        var (tenant, known, now) = (user.TenantId!.Value, false, clock.Now());
        var source = SignInDevice.Source(context);
        await app.TransactAsync(tenant.ToString(),
            [new(Known, P(tenant), P(user.Id), P(LoginAttempts.DeviceHash(source))), new(Note, P(tenant), P(user.Id), P(now))], _ => known = true, cancellationToken);
        var device = SignInDevice.Keep(context, known ? source.Device : null, now);
        await app.TransactAsync(tenant.ToString(), SignIn.Remember(tenant, user.Id!.Value, device, now), read: null, cancellationToken);
    }

    public async Task<DateTimeOffset?> GetLockoutEndDateAsync(FlowstoneUser user, CancellationToken cancellationToken) => (await FailuresAsync(user, cancellationToken)).LockedUntil;

    public async Task<int> GetAccessFailedCountAsync(FlowstoneUser user, CancellationToken cancellationToken) => (await FailuresAsync(user, cancellationToken)).Failures;

    Task<LoginFailures> FailuresAsync(FlowstoneUser user, CancellationToken cancellationToken)
        => LoginAttempts.FailuresAsync(app, store.Limits, user.TenantId!.Value, user.Account, user.Id!.Value, SignInDevice.Source(http.HttpContext), clock.Now(), cancellationToken);

    public async Task<int> IncrementAccessFailedCountAsync(FlowstoneUser user, CancellationToken cancellationToken)
    {
        try
        {
            await TakeAttemptAsync(user, cancellationToken);
        }
        catch (TooManyAttemptsException)
        {
            // Locked: that is what the next one is told.
        }
        return await GetAccessFailedCountAsync(user, cancellationToken);
    }

    public Task ResetAccessFailedCountAsync(FlowstoneUser user, CancellationToken cancellationToken)
        => LoginAttempts.ClearAsync(app, user.TenantId!.Value, user.Account, user.Id!.Value, SignInDevice.Source(http.HttpContext), cancellationToken);

    public Task<bool> GetLockoutEnabledAsync(FlowstoneUser user, CancellationToken cancellationToken) => Task.FromResult(true);
    public Task SetLockoutEnabledAsync(FlowstoneUser user, bool enabled, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <remarks>Only opens the lock: to keep somebody out, set <see cref="UserStatus.Suspended"/>, which no success and no end of a lock undoes.</remarks>
    public async Task SetLockoutEndDateAsync(FlowstoneUser user, DateTimeOffset? lockoutEnd, CancellationToken cancellationToken)
    {
        if (lockoutEnd > clock.Now())
            throw new NotSupportedException("A user is kept out by the status: UserRepository.UpdateAsync(id, new() { Status = UserStatus.Suspended }).");
        await Users(user.TenantId!.Value).UnlockAsync(user.Id!.Value, cancellationToken);
    }

    public Task<bool> GetTwoFactorEnabledAsync(FlowstoneUser user, CancellationToken cancellationToken) => Task.FromResult(user.TotpConfirmedAt is not null);

    public Task SetTwoFactorEnabledAsync(FlowstoneUser user, bool enabled, CancellationToken cancellationToken)
    {
        if (enabled && user.TotpSecret is null)
            throw new InvalidOperationException("There is no authenticator yet: UserManager.ResetAuthenticatorKeyAsync makes one.");
        user.TotpConfirmedAt = enabled ? user.TotpConfirmedAt ?? clock.Now() : null;
        return Task.CompletedTask;
    }

    public async Task<string?> GetAuthenticatorKeyAsync(FlowstoneUser user, CancellationToken cancellationToken)
        => user.TotpSecret is { } secret ? Totp.ToBase32(await store.Secrets.OpenAsync(TwoFactor.PlaceOf(user.TenantId!.Value, user.Id!.Value), secret, cancellationToken)) : null;

    public async Task SetAuthenticatorKeyAsync(FlowstoneUser user, string key, CancellationToken cancellationToken)
        => user.TotpSecret = await store.Secrets.SealAsync(TwoFactor.PlaceOf(user.TenantId!.Value, user.Id!.Value), Totp.FromBase32(key) ?? throw new ArgumentException("is not base32", nameof(key)), cancellationToken);

    /// <summary>Whether it is a code of the authenticator that was not used before; from now on it was.</summary>
    public async Task<bool> UseCodeAsync(FlowstoneUser user, string code, CancellationToken cancellationToken)
    {
        if (user.TotpSecret is not { } secret || Totp.FindStep(await store.Secrets.OpenAsync(TwoFactor.PlaceOf(user.TenantId!.Value, user.Id!.Value), secret, cancellationToken), code, clock.Now()) is not { } step)
            return false;
        const string Use = "update flowstone.user_logins set totp_step = $3 where tenant_id = $1 and user_id = $2 and totp_step < $3 and totp_secret = $4";
        return (await app.TransactAsync(user.TenantId.ToString(), [new(Use, P(user.TenantId), P(user.Id), P(step), P(secret))], read: null, cancellationToken))[0] == 1;
    }

    public Task ReplaceCodesAsync(FlowstoneUser user, IEnumerable<string> recoveryCodes, CancellationToken cancellationToken)
        => app.TransactAsync(user.TenantId.ToString(),
            [.. TwoFactor.ReplaceCodes(user.TenantId!.Value, user.Id!.Value, [.. recoveryCodes.Select(code => RecoveryCodes.Hash(user.TenantId.Value, user.Id.Value, code))])], read: null, cancellationToken);

    public async Task<bool> RedeemCodeAsync(FlowstoneUser user, string code, CancellationToken cancellationToken)
        => RecoveryCodes.IsCode(code) && (await app.TransactAsync(user.TenantId.ToString(),
            [new("delete from flowstone.user_recovery_codes where tenant_id = $1 and user_id = $2 and code_hash = $3", P(user.TenantId), P(user.Id), P(RecoveryCodes.Hash(user.TenantId!.Value, user.Id!.Value, code)))],
            read: null, cancellationToken))[0] == 1;

    public async Task<int> CountCodesAsync(FlowstoneUser user, CancellationToken cancellationToken)
    {
        var count = 0;
        await app.TransactAsync(user.TenantId.ToString(), [new("select count(*)::int from flowstone.user_recovery_codes where tenant_id = $1 and user_id = $2", P(user.TenantId), P(user.Id))],
            row => count = row.GetInt32(0), cancellationToken);
        return count;
    }

    public async Task AddLoginAsync(FlowstoneUser user, UserLoginInfo login, CancellationToken cancellationToken)
    {
        // The user is held, so that one who is being deleted gets none.
        const string Add = """
            insert into flowstone.user_external_logins (login_hash, tenant_id, user_id, provider, provider_key, display_name)
            select $3, u.tenant_id, u.id, $4, $5, $6 from flowstone.users u where u.tenant_id = $1 and u.id = $2 for key share
            """;
        await app.TransactAsync(user.TenantId.ToString(),
            [new(Add, P(user.TenantId), P(user.Id), P(LoginHash(login.LoginProvider, login.ProviderKey)), P(login.LoginProvider), P(login.ProviderKey), P(login.ProviderDisplayName))], read: null, cancellationToken);
    }

    public Task RemoveLoginAsync(FlowstoneUser user, string loginProvider, string providerKey, CancellationToken cancellationToken)
        => app.TransactAsync(user.TenantId.ToString(),
            [new("delete from flowstone.user_external_logins where tenant_id = $1 and user_id = $2 and login_hash = $3", P(user.TenantId), P(user.Id), P(LoginHash(loginProvider, providerKey)))], read: null, cancellationToken);

    public async Task<IList<UserLoginInfo>> GetLoginsAsync(FlowstoneUser user, CancellationToken cancellationToken)
    {
        var logins = new List<UserLoginInfo>();
        await app.TransactAsync(user.TenantId.ToString(),
            [new("select provider, provider_key, display_name from flowstone.user_external_logins where tenant_id = $1 and user_id = $2 order by provider, provider_key", P(user.TenantId), P(user.Id))],
            row => logins.Add(new(row.GetString(0), row.GetString(1), row.Get<string>(2))), cancellationToken);
        return logins;
    }

    static byte[] LoginHash(string provider, string key) => SHA256.HashData(Encoding.UTF8.GetBytes($"{provider}\0{key}"));

    public void Dispose()
    {
        // The store's connections are everybody's.
    }
}
