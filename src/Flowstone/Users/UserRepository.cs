using System.Net.Mail;
using System.Text.Json;
using Flowstone.Credentials;
using Flowstone.Data;
using Flowstone.Permissions;
using Flowstone.Tenancy;
using Flowstone.Workflows;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Users;

/// <summary>Which users to list; what is null does not restrict.</summary>
public sealed record UserFilter
{
    public UserRole? Role { get; init; }
    public UserStatus? Status { get; init; }

    /// <summary>Whether the address was verified.</summary>
    public bool? Verified { get; init; }

    /// <summary>A part of the e-mail address or of the name, without regard to case: <c>ann@</c>, <c>ann smi</c>.</summary>
    public string? Search { get; init; }
}

/// <param name="ByStatus">A status that nobody has is absent.</param>
/// <param name="ByRole">A role that nobody has is absent.</param>
public sealed record UserFigures(int Total, int Verified, IReadOnlyDictionary<UserStatus, int> ByStatus, IReadOnlyDictionary<UserRole, int> ByRole);

/// <param name="Workflows">The ten that were changed last and are not archived.</param>
/// <param name="ApiKeys">Those that have not expired.</param>
/// <param name="Credentials">Those that are active, a hundred at most.</param>
public sealed record UserOverview(User User, IReadOnlyList<OwnedWorkflow> Workflows, IReadOnlyList<Credential> Credentials, IReadOnlyList<UserTeam> Teams, IReadOnlyList<ApiKey> ApiKeys);

public sealed record OwnedWorkflow(Id<Workflow> Id, string Name, WorkflowStatus Status, DateTimeOffset UpdatedAt);

public sealed record UserTeam(Id<Team> Id, string Name, TeamRole Role);

/// <param name="Failures">From all places and devices.</param>
/// <param name="LockedUntil">When the last of the locks and delays ends; null if there is none.</param>
public sealed record LoginFailures(int Failures, DateTimeOffset? LockedUntil);

/// <summary>Keeps the users of a tenant. All users may know of each other; administrators change them, and each their own profile.</summary>
public sealed partial class UserRepository
{
    /// <summary>Settings are shallow; a reader of JSON gives up at 64.</summary>
    const int MaxPreferencesDepth = 32;

    readonly TenantDatabase database;
    readonly AccessRule access;
    readonly LoginAttempts.Limits limits;
    readonly TimeProvider clock;

    internal UserRepository(TenantDatabase database, AccessRule access, LoginAttempts.Limits limits, TimeProvider clock) => (this.database, this.access, this.limits, this.clock) = (database, access, limits, clock);

    /// <exception cref="ConflictException">The e-mail address is taken, in this tenant or another.</exception>
    public async Task<User> CreateAsync(NewUser request, CancellationToken cancellationToken = default)
        => await CreateManyAsync([request], cancellationToken) is [var user] ? user : throw new ConflictException("The e-mail address is already taken.");

    /// <summary>Makes many users in one statement. Whose address is taken, by another user or earlier in the list, is left out.</summary>
    /// <param name="requests">At most 10,000.</param>
    /// <returns>Those that were made, in the order of the list.</returns>
    /// <exception cref="InvalidInputException">One breaks a rule; nothing was stored.</exception>
    public async Task<IReadOnlyList<User>> CreateManyAsync(IReadOnlyList<NewUser> requests, CancellationToken cancellationToken = default)
    {
        await access.RequireAdministratorAsync(cancellationToken);
        if (requests.Count > 10_000)
            throw new InvalidInputException("requests", "must be at most 10,000 at once.");
        const string Create = """
            with given as materialized (
                select * from unnest($2, $3, $4, $5, $6, $7, $8, $9, $10) with ordinality g (id, email, first_name, last_name, role, status, time_zone, language, password_hash, number)),
            addresses as (
                insert into flowstone.user_emails (tenant_id, user_id, email_hash) select $1, id, flowstone.email_hash(email) from given order by number
                on conflict (email_hash) do nothing returning user_id),
            made as (
                insert into flowstone.users (tenant_id, id, email, first_name, last_name, role, status, time_zone, language, preferences, created_at, updated_at)
                select $1, id, email, first_name, last_name, role, status, time_zone, language, '{}', $11, $11 from given join addresses on user_id = id returning id),
            logins as (
                insert into flowstone.user_logins (tenant_id, user_id, password_hash) select $1, id, password_hash from given join addresses on user_id = id)
            select id from made
            """;
        if (requests.FirstOrDefault(r => r.PasswordHash is { } hash && !Passwords.IsHash(hash)) is not null)
            throw new InvalidInputException("passwordHash", "is neither of SignIn.HashPassword nor of bcrypt.");
        var users = requests.Select(Make).ToList();
        var made = (await database.QueryAsync(Create,
        [
            Column(u => u.Id.Value), Column(u => u.Email), Column(u => u.FirstName), Column(u => u.LastName), Column(u => EnumText<UserRole>.Of(u.Role)), Column(u => EnumText<UserStatus>.Of(u.Status)), Column(u => u.TimeZone),
            Column(u => u.Language), P(requests.Select(r => r.PasswordHash).ToArray()), P(clock.Now()),
        ], row => new Id<User>(row.GetGuid(0)), cancellationToken)).ToHashSet();
        return [.. users.Where(user => made.Contains(user.Id))];

        NpgsqlParameter Column<T>(Func<User, T> pick) => P(users.Select(pick).ToArray());
    }

    User Make(NewUser request)
    {
        CheckProfile(request.Email, request.FirstName, request.LastName, request.TimeZone, request.Language);
        var now = clock.Now();
        return new User
        {
            TenantId = database.TenantId,
            Id = Id<User>.New(clock),
            Email = request.Email.Trim(),
            FirstName = request.FirstName,
            LastName = request.LastName,
            Role = request.Role,
            Status = request.Status,
            TimeZone = request.TimeZone,
            Language = request.Language,
            Preferences = JsonElement.Parse("{}"),
            CreatedAt = now,
            UpdatedAt = now,
        };
    }

    public async Task<User?> FindAsync(Id<User> id, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(AccessLevel.Read, cancellationToken);
        return await database.ReadAsync(db => db.Set<User>().SingleOrDefaultAsync(u => u.Id == id, cancellationToken));
    }

    /// <summary>The tenant's user with this address, without regard to case.</summary>
    public async Task<User?> FindByEmailAsync(string email, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(AccessLevel.Read, cancellationToken);
        var found = await database.QueryAsync(
            "select user_id from flowstone.user_emails where tenant_id = $1 and email_hash = flowstone.email_hash($2)",
            [P(email.Trim())], row => new Id<User>(row.GetGuid(0)), cancellationToken);
        return found is [var id] ? await FindAsync(id, cancellationToken) : null;
    }

    /// <summary>A page, newest first, continuing below <paramref name="before"/>.</summary>
    public async Task<List<User>> ListAsync(UserFilter filter, Id<User>? before, int limit, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(AccessLevel.Read, cancellationToken);
        return await database.ReadAsync(db =>
        {
            var page = Matching(db, database.TenantId, filter);
            if (before is { } last)
                page = page.Where(u => u.Id < last);
            return page.OrderByDescending(u => u.Id).Take(limit).ToListAsync(cancellationToken);
        });
    }

    /// <summary>How many there are, exactly.</summary>
    public async Task<int> CountAsync(UserFilter filter, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(AccessLevel.Read, cancellationToken);
        return await database.ReadAsync(db => Matching(db, database.TenantId, filter).CountAsync(cancellationToken));
    }

    static IQueryable<User> Matching(FlowstoneDb db, Id<Tenant> tenant, UserFilter filter)
    {
        // Behind a policy "contains" is of no use to an index, so a function of the owner's looks into it, for this tenant alone.
        const string Found = """
            select u.* from flowstone.find_users({0}, {1}) f (id) join flowstone.users u on u.id = f.id where u.tenant_id = {0}
            """;
        var users = filter.Search is { Length: > 0 } search ? db.Set<User>().FromSqlRaw(Found, tenant.Value, Like.Containing(search)) : db.Set<User>();
        if (filter.Role is { } role)
            users = users.Where(u => u.Role == role);
        if (filter.Status is { } status)
            users = users.Where(u => u.Status == status);
        if (filter.Verified is { } verified)
            users = users.Where(u => u.EmailVerifiedAt != null == verified);
        return users;
    }

    /// <summary>How many users there are, by status, role and whether their address is verified.</summary>
    public async Task<UserFigures> StatisticsAsync(CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(AccessLevel.Read, cancellationToken);
        const string Count = "select status, role, email_verified_at is not null, count(*)::int from flowstone.users where tenant_id = $1 group by 1, 2, 3";
        var groups = await database.QueryAsync(Count, [],
            row => (Status: EnumText<UserStatus>.Parse(row.GetString(0)), Role: EnumText<UserRole>.Parse(row.GetString(1)), Verified: row.GetBoolean(2), Users: row.GetInt32(3)), cancellationToken);
        return new UserFigures(groups.Sum(g => g.Users), groups.Where(g => g.Verified).Sum(g => g.Users),
            groups.GroupBy(g => g.Status).ToDictionary(g => g.Key, g => g.Sum(one => one.Users)), groups.GroupBy(g => g.Role).ToDictionary(g => g.Key, g => g.Sum(one => one.Users)));
    }

    /// <summary>A user with what is theirs. For the user and for administrators.</summary>
    /// <exception cref="NotFoundException">This tenant has no such user.</exception>
    /// <exception cref="AccessDeniedException">It is another user.</exception>
    public async Task<UserOverview> OverviewAsync(Id<User> id, CancellationToken cancellationToken = default)
    {
        await access.RequireSelfAsync(id, cancellationToken);
        var now = clock.Now();
        return await database.ReadAsync(async db => new UserOverview(
            await db.Set<User>().SingleOrDefaultAsync(u => u.Id == id, cancellationToken) ?? throw new NotFoundException("User", id),
            await db.Set<Workflow>().Where(w => w.OwnerId == id && w.DeletedAt == null && w.Status != WorkflowStatus.Archived).OrderByDescending(w => w.UpdatedAt).ThenByDescending(w => w.Id)
                .Take(10).Select(w => new OwnedWorkflow(w.Id, w.Name, w.Status, w.UpdatedAt)).ToListAsync(cancellationToken),
            await db.Set<Credential>().Where(c => c.OwnerId == id && c.Active).OrderByDescending(c => c.Id).Take(100).ToListAsync(cancellationToken),
            await (from m in db.Set<TeamMember>() join t in db.Set<Team>() on new { m.TenantId, Id = m.TeamId } equals new { t.TenantId, t.Id }
                   where m.UserId == id orderby t.Name, t.Id select new UserTeam(t.Id, t.Name, m.Role)).ToListAsync(cancellationToken),
            await db.Set<ApiKey>().Where(k => k.UserId == id && (k.ExpiresAt == null || k.ExpiresAt > now)).OrderByDescending(k => k.Id).ToListAsync(cancellationToken)));
    }

    /// <summary>The failed sign-ins of a user that still count.</summary>
    /// <exception cref="NotFoundException">This tenant has no such user.</exception>
    public async Task<LoginFailures> LoginFailuresAsync(Id<User> id, CancellationToken cancellationToken = default)
    {
        await access.RequireAdministratorAsync(cancellationToken);
        const string Failures = """
            select coalesce(sum(f.failures) filter (where f.source <> ''::bytea and f.at > $3 - $4), 0)::int, max(f.retry_at) filter (where f.retry_at > $3)
              from flowstone.users u left join flowstone.login_failures f on f.tenant_id = u.tenant_id and f.account = flowstone.email_hash(u.email)
             where u.tenant_id = $1 and u.id = $2 group by u.id
            """;
        return (await database.QueryAsync(Failures, [P(id), P(clock.Now()), P(limits.Lock)], row => new LoginFailures(row.GetInt32(0), row.Get<DateTimeOffset?>(1)), cancellationToken)).SingleOrDefault()
            ?? throw new NotFoundException("User", id);
    }

    /// <summary>Forgets the failed sign-ins of a user, so that nothing is locked any more. A suspension stays.</summary>
    /// <exception cref="NotFoundException">This tenant has no such user.</exception>
    public async Task UnlockAsync(Id<User> id, CancellationToken cancellationToken = default)
    {
        await access.RequireAdministratorAsync(cancellationToken);
        var user = await FindAsync(id, cancellationToken) ?? throw new NotFoundException("User", id);
        await database.ExecuteAsync("delete from flowstone.login_failures where tenant_id = $1 and account = flowstone.email_hash($2)", [P(user.Email)], cancellationToken);
    }

    /// <summary>Address, role and status are changed by administrators, the rest by the user, too.</summary>
    /// <exception cref="NotFoundException">This tenant has no such user.</exception>
    /// <exception cref="AccessDeniedException">It is another user's profile, or not the profile alone.</exception>
    /// <exception cref="ConflictException">The new e-mail address is taken, or the tenant would be left without an active administrator.</exception>
    public async Task<User> UpdateAsync(Id<User> id, UserChanges changes, CancellationToken cancellationToken = default)
    {
        if (changes is { Email: null, Role: null, Status: null })
            await access.RequireSelfAsync(id, cancellationToken);
        else
            await access.RequireAdministratorAsync(cancellationToken);
        CheckProfile(changes.Email, changes.FirstName, changes.LastName, changes.TimeZone, changes.Language);
        CheckPreferences(changes.Preferences);
        var (role, status) = (changes.Role is { } r ? EnumText<UserRole>.Of(r) : null, changes.Status is { } s ? EnumText<UserStatus>.Of(s) : null);
        List<(string, NpgsqlParameter[])> statements =
        [
            (LockLogin, [P(id)]),
            .. role is null && status is null ? [] : new (string, NpgsqlParameter[])[] { (LockAdministrators, []) },
            (Allowed, [P(id), P(role), P(status)]),
            ("""
             update flowstone.users u set email = coalesce($3, email), email_verified_at = case when $3 is null then email_verified_at end, first_name = coalesce($4, first_name), last_name = coalesce($5, last_name),
                    role = coalesce($6, role), status = coalesce($7, status), time_zone = coalesce($8, time_zone),
                    language = coalesce($9, language), preferences = coalesce($10, preferences), updated_at = $11
              where tenant_id = $1 and id = $2
             """,
             [P(id), P(changes.Email?.Trim()), P(changes.FirstName), P(changes.LastName),
              P(role), P(status),
              P(changes.TimeZone), P(changes.Language), Json(changes.Preferences is { } preferences ? JsonBytes.Of(preferences) : null), P(clock.Now())]),
        ];
        if (changes.Status is not (null or UserStatus.Active) || changes.Role is not null)
        {
            // Or a later ACTIVE would open them again. A sign-in that is under way has locked the row, or will find the status.
            statements.Add(("update flowstone.user_logins set security_stamp = $3 where tenant_id = $1 and user_id = $2", [P(id), P(Id<User>.New(clock))]));
            statements.Add(("delete from flowstone.user_sessions where tenant_id = $1 and user_id = $2", [P(id)]));
        }
        if (changes.Role is not (null or UserRole.Admin))
            statements.Add(("delete from flowstone.api_keys where tenant_id = $1 and user_id = $2 and 'WORK' = any(scopes)", [P(id)]));   // an administrator's to give, and to have
        if (changes.Email is { } email)
            statements.AddRange(ChangeAddress(id, email.Trim(), Id<User>.New(clock)));
        try
        {
            await database.ExecuteAsync(statements, cancellationToken);
        }
        catch (ConflictException error) when (PostgresErrors.IsRefusal(error))
        {
            throw await FindAsync(id, cancellationToken) is null ? new NotFoundException("User", id) : LastAdministrator();
        }
        return await FindAsync(id, cancellationToken) ?? throw new NotFoundException("User", id);
    }

    /// <summary>What a new address brings with it; <c>$1</c> is the tenant.</summary>
    internal static (string Sql, NpgsqlParameter[] Parameters)[] ChangeAddress(Id<User> id, string email, Id<User> stamp) =>
    [
        ("delete from flowstone.user_tokens where tenant_id = $1 and user_id = $2", [P(id)]),   // they were sent to the old one
        ("delete from flowstone.user_emails where tenant_id = $1 and user_id = $2", [P(id)]),
        ("update flowstone.user_logins set security_stamp = $3 where tenant_id = $1 and user_id = $2", [P(id), P(stamp)]),
        ("insert into flowstone.user_emails (tenant_id, user_id, email_hash) select tenant_id, id, flowstone.email_hash($3) from flowstone.users where tenant_id = $1 and id = $2", [P(id), P(email)]),
    ];

    /// <summary>Makes a token to be sent to the user's address, for <see cref="SignIn.VerifyEmailAsync"/> or <see cref="SignIn.ResetPasswordAsync"/>. It replaces an earlier one.</summary>
    /// <returns>A secret: only its hash is stored.</returns>
    /// <exception cref="NotFoundException">This tenant has no such user.</exception>
    /// <exception cref="AccessDeniedException">Only administrators may, and the platform, which sends it.</exception>
    public async Task<string> CreateTokenAsync(Id<User> id, TokenPurpose purpose, CancellationToken cancellationToken = default)
    {
        await access.RequireAdministratorAsync(cancellationToken);
        const string Create = """
            insert into flowstone.user_tokens (tenant_id, token_hash, user_id, purpose, created_at, expires_at)
            select tenant_id, $3, id, $4, $5, $6 from flowstone.users where tenant_id = $1 and id = $2
            on conflict (tenant_id, user_id, purpose) do update set token_hash = excluded.token_hash, created_at = excluded.created_at, expires_at = excluded.expires_at
            """;
        var (token, hash) = SecretToken.New(database.TenantId);
        var now = clock.Now();
        return await database.ExecuteAsync(Create, [P(id), P(hash), P(EnumText<TokenPurpose>.Of(purpose)), P(now), P(now + Lifetime(purpose))], cancellationToken) == 1
            ? token : throw new NotFoundException("User", id);
    }

    /// <summary>Whether it is a token of the user for this, which what it is for deletes.</summary>
    internal static async Task<bool> IsTokenAsync(Database app, Id<Tenant> tenant, Id<User> user, TokenPurpose purpose, string token, DateTimeOffset now)
    {
        const string Find = "select 1 from flowstone.user_tokens where tenant_id = $1 and token_hash = $2 and user_id = $3 and purpose = $4 and expires_at > $5";
        var found = false;
        if (SecretToken.TryRead(token, out var home, out var hash) && home == tenant)
            await app.TransactAsync(tenant.ToString(), [new(Find, P(tenant), P(hash), P(user), P(EnumText<TokenPurpose>.Of(purpose)), P(now))], _ => found = true, default);
        return found;
    }

    /// <summary>How long a token is good.</summary>
    public static TimeSpan Lifetime(TokenPurpose purpose) => purpose == TokenPurpose.ResetPassword ? TimeSpan.FromHours(1) : TimeSpan.FromDays(1);

    /// <summary>Gives a password to a user who has none.</summary>
    /// <param name="hash">Of <see cref="SignIn.HashPassword"/>.</param>
    /// <returns>False if the user has one, or is not there.</returns>
    internal async Task<bool> SetFirstPasswordAsync(Id<User> id, string hash, CancellationToken cancellationToken)
        => await database.ExecuteAsync("update flowstone.user_logins set password_hash = $3 where tenant_id = $1 and user_id = $2 and password_hash is null",
            [P(id), P(hash)], cancellationToken) == 1;

    // First, as a sign-in does.
    const string LockLogin = "select 1 from flowstone.user_logins where tenant_id = $1 and user_id = $2 for no key update";

    // One change among the administrators at a time, in a statement of its own: the next one's snapshot then sees what the one before did.
    const string LockAdministrators = "select 1 from flowstone.users where tenant_id = $1 and role = 'ADMIN' and status = 'ACTIVE' order by id for no key update";

    // Divides by zero where the change may not be: then nothing of it is stored.
    const string Allowed = $"""
        select 1 / count(*) from flowstone.users u
         where u.tenant_id = $1 and u.id = $2 and ((coalesce($3, 'ADMIN') = 'ADMIN' and coalesce($4, 'ACTIVE') = 'ACTIVE') or {AnotherAdministrator})
        """;

    // Unless the user is no administrator, there must be another.
    const string AnotherAdministrator = """
        (u.role <> 'ADMIN' or u.status <> 'ACTIVE' or exists (
            select from flowstone.users a where a.tenant_id = $1 and a.id <> $2 and a.role = 'ADMIN' and a.status = 'ACTIVE'))
        """;

    Task<bool> AnotherAdministratorAsync(Id<User> id, CancellationToken cancellationToken)
        => database.ReadAsync(db => db.Set<User>().AnyAsync(u => u.Id != id && u.Role == UserRole.Admin && u.Status == UserStatus.Active, cancellationToken));

    static ConflictException LastAdministrator() => new("The tenant needs an active administrator: make somebody else one first.");

    static void CheckPreferences(JsonElement? preferences)
    {
        if (preferences is not { } value)
            return;
        var errors = new FieldErrors(1);
        if (errors.Expect("", value, JsonValueKind.Object) is not null)
            StorableJson.Check(value, errors, MaxPreferencesDepth);
        if (errors.All is [var error])
            throw new InvalidInputException("preferences", $"{error.Field} {error.Message}".TrimStart());
    }

    internal static void CheckProfile(string? email, string? firstName, string? lastName, string? timeZone, string? language)
    {
        if (email is not null && (!MailAddress.TryCreate(email.Trim(), out var address) || address.Address != email.Trim()))
            throw new InvalidInputException("email", "is not an e-mail address.");
        Text.Check("email", email, 320);
        Text.Check("firstName", firstName, 255);
        Text.Check("lastName", lastName, 255);
        if (timeZone is not null && !TimeZoneInfo.TryFindSystemTimeZoneById(timeZone, out _))
            throw new InvalidInputException("timeZone", "is not a time zone such as Europe/Berlin.");
        Text.Check("language", language, 16);
    }
}
