using System.Security.Cryptography;
using System.Text.Json;
using Flowstone.Audit;
using Flowstone.Data;
using Flowstone.Permissions;
using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Credentials;

/// <param name="Key">Names it where it came from.</param>
/// <param name="Owner">Null: whose it was is not here.</param>
sealed record CredentialOrigin(string Key, Id<User>? Owner, bool Active);

/// <summary>Keeps credentials. Each call does what its actor may (docs/credentials.md); plaintext comes out of <see cref="RevealAsync"/> alone.</summary>
public sealed partial class CredentialRepository
{
    const string SecretColumn = "credential_versions.secret";

    readonly TenantDatabase database;
    readonly AccessRule access;
    readonly SecretSealer secrets;
    readonly TimeProvider clock;

    internal CredentialRepository(TenantDatabase database, AccessRule access, SecretSealer secrets, TimeProvider clock)
        => (this.database, this.access, this.secrets, this.clock) = (database, access, secrets, clock);

    SealedPlace PlaceOf(Id<CredentialVersion> version) => new(database.TenantId, SecretColumn, version.Value);

    /// <summary>Seals and stores a credential.</summary>
    /// <exception cref="InvalidInputException">The secret does not fit its type, or is larger than 64 KB, or the team is none that the actor may give it to.</exception>
    /// <exception cref="AccessDeniedException">The actor's role only reads.</exception>
    /// <exception cref="UnavailableException">There is no master key.</exception>
    public async Task<Credential> CreateAsync(NewCredential request, CancellationToken cancellationToken = default)
    {
        var plain = CredentialShape.Check(request.Type, request.Secret);
        if (request.ExpiresAt <= clock.Now())
            throw new InvalidInputException("expiresAt", "has passed.");
        return await CreateAsync(request, plain, origin: null, cancellationToken);
    }

    /// <summary>Seals and stores one that another system had, as it was there.</summary>
    /// <param name="plain">The secret; it is wiped.</param>
    internal async Task<Credential> CreateAsync(NewCredential request, byte[] plain, CredentialOrigin? origin, CancellationToken cancellationToken)
    {
        Text.Require("name", request.Name, 255);
        Text.Check("description", request.Description, 2000);
        await access.RequireAsync(AccessLevel.Write, cancellationToken);
        if (request.TeamId is { } team && !await access.MayAsync(TeamRole.Member, team, cancellationToken))
            throw new InvalidInputException("teamId", "is not a team that you may give credentials to.");
        var now = clock.Now();
        var credential = new Credential
        {
            TenantId = database.TenantId,
            Id = Id<Credential>.New(clock),
            Name = request.Name,
            Description = request.Description,
            Type = request.Type,
            Visibility = request.Visibility ?? (request.TeamId is null ? Visibility.Private : Visibility.Team),
            OwnerId = origin is null ? access.Actor.UserId : origin.Owner,
            TeamId = request.TeamId,
            Active = origin?.Active ?? true,
            ExpiresAt = request.ExpiresAt?.ToUniversalTime(),
            Version = 1,
            CreatedAt = now,
            UpdatedAt = now,
        };
        const string Insert = """
            insert into flowstone.credentials (tenant_id, id, name, description, type, visibility, owner_id, team_id, active, expires_at, version, created_at, updated_at, import_key)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $11, $9, 1, $10, $10, $12)
            """;
        const string InsertVersion = """
            changed as (
                insert into flowstone.credential_versions (tenant_id, id, credential_id, number, secret, author_id, created_at) values ($1, $2, $3, 1, $4, $5, $6) returning number)
            """;
        var version = Id<CredentialVersion>.New(clock);
        await StoreAsync(version, plain, (secret, guard) => database.ExecuteAsync(
        [
            guard,
            (Insert, [P(credential.Id), P(credential.Name), P(credential.Description), P(EnumText<CredentialType>.Of(credential.Type)), P(EnumText<Visibility>.Of(credential.Visibility)),
                P(credential.OwnerId), P(credential.TeamId), P(credential.ExpiresAt), P(now), P(credential.Active), P(origin?.Key)]),
            Audited(InsertVersion, [P(version), P(credential.Id), P(secret), P(access.Actor.UserId), P(now)], origin is null ? "CREDENTIAL_CREATED" : "CREDENTIAL_IMPORTED", credential.Id),
        ], cancellationToken), cancellationToken);
        return credential;
    }

    public async Task<Credential?> FindAsync(Id<Credential> id, CancellationToken cancellationToken = default)
    {
        var reachable = await access.CredentialsAsync(cancellationToken);
        return await database.ReadAsync(db => reachable(db).SingleOrDefaultAsync(c => c.Id == id, cancellationToken));
    }

    /// <summary>A page of those that the actor may know of, newest first, continuing below <paramref name="before"/>.</summary>
    public async Task<List<Credential>> ListAsync(CredentialFilter filter, Id<Credential>? before, int limit, CancellationToken cancellationToken = default)
    {
        var reachable = await access.CredentialsAsync(cancellationToken);
        return await database.ReadAsync(db =>
        {
            var page = Matching(reachable(db), filter);
            if (before is { } last)
                page = page.Where(c => c.Id < last);
            return page.OrderByDescending(c => c.Id).Take(limit).ToListAsync(cancellationToken);
        });
    }

    /// <summary>Those of these ids that the actor may know of; what is no id is left out.</summary>
    internal async Task<List<Credential>> FindManyAsync(IEnumerable<string> ids, CancellationToken cancellationToken)
    {
        var asked = ids.Select(id => Guid.TryParse(id, out var guid) ? new Id<Credential>(guid) : default).Where(id => id != default).ToList();
        if (asked.Count == 0)
            return [];
        var reachable = await access.CredentialsAsync(cancellationToken);
        return await database.ReadAsync(db => reachable(db).Where(c => asked.Contains(c.Id)).OrderBy(c => c.Id).ToListAsync(cancellationToken));
    }

    /// <summary>Those of this name that the actor may know of.</summary>
    internal async Task<List<Credential>> FindNamesakesAsync(string name, CancellationToken cancellationToken)
    {
        var reachable = await access.CredentialsAsync(cancellationToken);
        return await database.ReadAsync(db => reachable(db).Where(c => c.Name == name).Take(100).ToListAsync(cancellationToken));
    }

    /// <summary>How many there are of those that the actor may know of.</summary>
    public async Task<int> CountAsync(CredentialFilter filter, CancellationToken cancellationToken = default)
    {
        var reachable = await access.CredentialsAsync(cancellationToken);
        return await database.ReadAsync(db => Matching(reachable(db), filter).CountAsync(cancellationToken));
    }

    IQueryable<Credential> Matching(IQueryable<Credential> credentials, CredentialFilter filter)
    {
        var now = clock.Now();
        if (filter.Type is { } type)
            credentials = credentials.Where(c => c.Type == type);
        if (filter.Active is { } active)
            credentials = credentials.Where(c => c.Active == active);
        if (filter.Expired is { } expired)
            credentials = credentials.Where(c => (c.ExpiresAt != null && c.ExpiresAt <= now) == expired);
        if (filter.OwnerId is { } owner)
            credentials = credentials.Where(c => c.OwnerId == owner);
        if (filter.Search is { Length: > 0 } search)
        {
            var pattern = Like.Containing(search);
            credentials = credentials.Where(c => EF.Functions.ILike(c.Name, pattern, Like.Escape) || EF.Functions.ILike(c.Description!, pattern, Like.Escape));
        }
        return credentials;
    }

    /// <summary>Of those that the actor may know of.</summary>
    public async Task<CredentialFigures> StatisticsAsync(CancellationToken cancellationToken = default)
    {
        var reachable = await access.CredentialsAsync(cancellationToken);
        var now = clock.Now();
        var groups = await database.ReadAsync(db => reachable(db).GroupBy(c => new { c.Type, c.Active, Expired = c.ExpiresAt != null && c.ExpiresAt <= now })
            .Select(g => new { g.Key.Type, g.Key.Active, g.Key.Expired, Count = g.Count() }).ToListAsync(cancellationToken));
        return new CredentialFigures(groups.Sum(g => g.Count), groups.Where(g => g.Active && !g.Expired).Sum(g => g.Count), groups.Where(g => !g.Active).Sum(g => g.Count),
            groups.Where(g => g.Expired).Sum(g => g.Count), groups.GroupBy(g => g.Type).ToDictionary(g => g.Key, g => g.Sum(one => one.Count)));
    }

    /// <summary>Whether it could be used now.</summary>
    /// <exception cref="NotFoundException">There is no such credential, or the actor may not know of it.</exception>
    public async Task<CredentialValidity> ValidityAsync(Id<Credential> id, CancellationToken cancellationToken = default)
        => await FindAsync(id, cancellationToken) is not { } found ? throw new NotFoundException("Credential", id)
            : found.ExpiresAt <= clock.Now() ? CredentialValidity.Expired : found.Active ? CredentialValidity.Valid : CredentialValidity.Inactive;

    /// <summary>The workflows whose newest version names the credential in a node; of those that the actor may know of.</summary>
    /// <exception cref="NotFoundException">There is no such credential, or the actor may not know of it.</exception>
    public async Task<IReadOnlyDictionary<Id<Workflow>, string>> UsedByAsync(Id<Credential> id, CancellationToken cancellationToken = default)
    {
        await RequireToKnowAsync(id, cancellationToken);
        var reach = await access.RowsAsync(next: 3, cancellationToken);
        return (await database.SearchAsync($"""
            select w.id, w.name from flowstone.workflow_references r join flowstone.workflows w on w.tenant_id = r.tenant_id and w.id = r.workflow_id
             where r.tenant_id = $1 and w.tenant_id = $1 and r.kind = 'CREDENTIAL' and r.value = $2 and w.deleted_at is null{reach.Sql}
            """, [P(id.ToString()), .. reach.Parameters], row => (Id: new Id<Workflow>(row.GetGuid(0)), Name: row.GetString(1)), cancellationToken))
            .ToDictionary(row => row.Id, row => row.Name);
    }

    /// <summary>Changes what is no secret.</summary>
    /// <exception cref="NotFoundException">There is no such credential, or the actor may not know of it.</exception>
    /// <exception cref="AccessDeniedException">The actor may not edit it; for its visibility, not administer it.</exception>
    public async Task<Credential> UpdateAsync(Id<Credential> id, CredentialChanges changes, CancellationToken cancellationToken = default)
    {
        if (changes.Name is not null)
            Text.Require("name", changes.Name, 255);
        Text.Check("description", changes.Description, 2000);
        if (changes.NeverExpires && changes.ExpiresAt is not null)
            throw new InvalidInputException("neverExpires", "cannot be with expiresAt.");
        await access.RequireAsync(changes.Visibility is null ? CredentialRight.Edit : CredentialRight.Admin, id, cancellationToken);
        const string Update = """
            changed as (
                update flowstone.credentials set name = coalesce($3, name), description = coalesce($4, description), visibility = coalesce($5, visibility), active = coalesce($6, active),
                       expires_at = case when $8 then null else coalesce($7, expires_at) end, updated_at = $9
                 where tenant_id = $1 and id = $2 returning version)
            """;
        await ChangeAsync(Update, [P(id), P(changes.Name), P(changes.Description), P(changes.Visibility is { } visibility ? EnumText<Visibility>.Of(visibility) : null), P(changes.Active),
            P(changes.ExpiresAt?.ToUniversalTime()), P(changes.NeverExpires), P(clock.Now())], "CREDENTIAL_UPDATED", id, cancellationToken);
        return await FindAsync(id, cancellationToken) ?? throw new NotFoundException("Credential", id);
    }

    /// <summary>Gives it another secret, from now on used; those before are kept as versions.</summary>
    /// <param name="basedOn">The version that was edited; null replaces whatever came meanwhile.</param>
    /// <returns>The number of the new version.</returns>
    /// <exception cref="NotFoundException">There is no such credential, or the actor may not know of it.</exception>
    /// <exception cref="AccessDeniedException">The actor may not edit it.</exception>
    /// <exception cref="ConflictException">Another version came after <paramref name="basedOn"/>.</exception>
    /// <exception cref="InvalidInputException">The secret does not fit its type.</exception>
    public async Task<int> SetSecretAsync(Id<Credential> id, JsonElement secret, int? basedOn = null, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(CredentialRight.Edit, id, cancellationToken);
        var type = (await FindAsync(id, cancellationToken) ?? throw new NotFoundException("Credential", id)).Type;
        return await AppendAsync(id, CredentialShape.Check(type, secret), basedOn, "CREDENTIAL_SECRET_SET", cancellationToken);
    }

    /// <summary>Makes a version's secret the one that is used, as a new version.</summary>
    /// <returns>Its number.</returns>
    /// <exception cref="NotFoundException">There is no such credential or version, or the actor may not know of it.</exception>
    /// <exception cref="AccessDeniedException">The actor may not edit it.</exception>
    public async Task<int> RestoreAsync(Id<Credential> id, int number, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(CredentialRight.Edit, id, cancellationToken);
        var found = await database.QueryAsync("select id, secret from flowstone.credential_versions where tenant_id = $1 and credential_id = $2 and number = $3", [P(id), P(number)],
            row => (Id: new Id<CredentialVersion>(row.GetGuid(0)), Secret: row.GetFieldValue<byte[]>(1)), cancellationToken);
        if (found is not [var version])
            throw new NotFoundException("Version", number);
        return await AppendAsync(id, await secrets.OpenAsync(PlaceOf(version.Id), version.Secret, cancellationToken), basedOn: null, "CREDENTIAL_RESTORED", cancellationToken);
    }

    async Task<int> AppendAsync(Id<Credential> id, byte[] plain, int? basedOn, string action, CancellationToken cancellationToken)
    {
        // The row's lock puts those who come at once in order.
        const string Append = """
            bumped as (
                update flowstone.credentials set version = version + 1, updated_at = $7 where tenant_id = $1 and id = $2 and version = coalesce($3, version) returning version),
            changed as (
                insert into flowstone.credential_versions (tenant_id, id, credential_id, number, secret, author_id, created_at) select $1, $4, $2, version, $5, $6, $7 from bumped returning number)
            """;
        var version = Id<CredentialVersion>.New(clock);
        var made = new List<int>();
        await StoreAsync(version, plain, (secret, guard) => database.ExecuteAsync(
            [guard, Audited(Append, [P(id), P(basedOn), P(version), P(secret), P(access.Actor.UserId), P(clock.Now())], action, id)], row => made.Add(row.GetInt32(0)), cancellationToken), cancellationToken);
        return made is [var number] ? number
            : await FindAsync(id, cancellationToken) is { } now ? throw new ConflictException($"Version {now.Version} came after version {basedOn}: read it and decide.") : throw new NotFoundException("Credential", id);
    }

    /// <summary>A page of versions, newest first, continuing below <paramref name="before"/>; never their secrets.</summary>
    /// <exception cref="NotFoundException">There is no such credential, or the actor may not know of it.</exception>
    public async Task<List<CredentialVersionSummary>> VersionsAsync(Id<Credential> id, int? before, int limit, CancellationToken cancellationToken = default)
    {
        await RequireToKnowAsync(id, cancellationToken);
        return await database.ReadAsync(db =>
        {
            var page = db.Set<CredentialVersion>().Where(v => v.CredentialId == id);
            if (before is { } last)
                page = page.Where(v => v.Number < last);
            return page.OrderByDescending(v => v.Number).Take(limit).Select(v => new CredentialVersionSummary(v.Number, v.AuthorId, v.CreatedAt)).ToListAsync(cancellationToken);
        });
    }

    /// <summary>Deletes it with all its versions and shares.</summary>
    /// <returns>False if there was no such credential, or the actor may not know of it.</returns>
    /// <exception cref="AccessDeniedException">The actor may not delete it.</exception>
    public async Task<bool> DeleteAsync(Id<Credential> id, CancellationToken cancellationToken = default)
    {
        if (await FindAsync(id, cancellationToken) is null)
            return false;
        await access.RequireAsync(CredentialRight.Delete, id, cancellationToken);
        return (await ChangeAsync("changed as (delete from flowstone.credentials where tenant_id = $1 and id = $2 returning version)", [P(id)], "CREDENTIAL_DELETED", id, cancellationToken)).Count > 0;
    }

    /// <summary>Notes that it was used by somebody who has the plaintext already.</summary>
    /// <exception cref="NotFoundException">There is no such credential, or the actor may not know of it.</exception>
    /// <exception cref="AccessDeniedException">The actor may not use it.</exception>
    public async Task MarkUsedAsync(Id<Credential> id, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(CredentialRight.Use, id, cancellationToken);
        await database.ExecuteAsync("update flowstone.credentials set last_used_at = $3 where tenant_id = $1 and id = $2 and (last_used_at is null or last_used_at <= $3 - interval '1 minute')",
            [P(id), P(clock.Now())], cancellationToken);
    }

    /// <summary>Deactivates those whose time has passed, up to a thousand; the server does it every ten minutes. For administrators and jobs.</summary>
    /// <returns>How many.</returns>
    public async Task<int> DeactivateExpiredAsync(CancellationToken cancellationToken = default)
    {
        await access.RequireAdministratorAsync(cancellationToken);
        const string Find = "select id from flowstone.credentials where tenant_id = $1 and active and expires_at <= $2 order by expires_at limit 1000";
        const string Deactivate = $"""
            with ended as (
                update flowstone.credentials c set active = false, updated_at = $3 where c.tenant_id = $1 and c.id = any($2) and c.active and c.expires_at <= $3 returning c.id)
            insert into flowstone.audit_entries ({AuditEntry.Columns})
            select $1, e.entry, $3, $5, $6, 'CREDENTIAL_EXPIRED', ended.id, jsonb_build_object() from ended join unnest($2, $4) e (id, entry) on e.id = ended.id
            """;
        var now = clock.Now();
        var found = await database.QueryAsync(Find, [P(now)], row => row.GetGuid(0), cancellationToken);
        return found.Count == 0 ? 0 : await database.ExecuteAsync(Deactivate,
            [P(found.ToArray()), P(now), P(found.Select(_ => Id<AuditEntry>.New(clock).Value).ToArray()), P(access.Actor.UserId), P(Text.Fit(access.Actor.Name, AuditEntry.MaxActorLength))], cancellationToken);
    }

    /// <summary>Those for which <see cref="DeactivateExpiredAsync"/> has something to do: asked for many at once.</summary>
    internal static async Task<IReadOnlyList<Id<Tenant>>> TenantsWithExpiredAsync(Database app, Id<Tenant>[] among, DateTimeOffset now, CancellationToken cancellationToken)
    {
        const string Find = "select distinct tenant_id from flowstone.credentials where tenant_id = any($1) and active and expires_at <= $2";
        var found = new List<Id<Tenant>>();
        await app.TransactAsync(string.Join(',', among), [new Statement(Find, P(Array.ConvertAll(among, id => id.Value)), P(now))], row => found.Add(new(row.GetGuid(0))), cancellationToken);
        return found;
    }

    /// <summary>What names the imported ones where they came from.</summary>
    internal async Task<HashSet<string>> ImportKeysAsync(CancellationToken cancellationToken)
        => [.. await database.QueryAsync("select import_key from flowstone.credentials where tenant_id = $1 and import_key is not null", [], row => row.GetString(0), cancellationToken)];

    async Task RequireToKnowAsync(Id<Credential> id, CancellationToken cancellationToken) => _ = await FindAsync(id, cancellationToken) ?? throw new NotFoundException("Credential", id);

    async Task StoreAsync(Id<CredentialVersion> version, byte[] plain, Func<byte[], (string Sql, NpgsqlParameter[] Parameters), Task<int[]>> store, CancellationToken cancellationToken)
    {
        try
        {
            await secrets.StoreAsync(PlaceOf(version), plain, store, cancellationToken);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(plain);
        }
    }

    /// <returns>The numbers that it returned; none where nothing was changed, and then nothing is audited.</returns>
    Task<List<int>> ChangeAsync(string changes, NpgsqlParameter[] parameters, string action, Id<Credential> id, CancellationToken cancellationToken)
        => database.QueryAsync([Audited(changes, parameters, action, id)], row => row.GetInt32(0), cancellationToken);

    (string Sql, NpgsqlParameter[] Parameters) Audited(string changes, NpgsqlParameter[] parameters, string action, Id<Credential> id)
        => AuditEntry.With(changes, parameters, clock, access.Actor, action, id.Value);
}
