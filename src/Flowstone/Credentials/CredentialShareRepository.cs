using System.Text.Json;
using Flowstone.Audit;
using Flowstone.Data;
using Flowstone.Permissions;
using Flowstone.Tenancy;
using Flowstone.Users;
using Microsoft.EntityFrameworkCore;
using static Flowstone.Data.Sql;

namespace Flowstone.Credentials;

/// <summary>Shares credentials with users. For whoever has the right SHARE, and no more than they have themselves.</summary>
public sealed class CredentialShareRepository
{
    readonly TenantDatabase database;
    readonly AccessRule access;
    readonly TimeProvider clock;

    internal CredentialShareRepository(TenantDatabase database, AccessRule access, TimeProvider clock) => (this.database, this.access, this.clock) = (database, access, clock);

    /// <summary>With whom the credential is shared, expired shares among them; longest first.</summary>
    /// <exception cref="NotFoundException">There is no such credential, or the actor may not know of it.</exception>
    /// <exception cref="AccessDeniedException">The actor may not share it.</exception>
    public async Task<List<CredentialShare>> ListAsync(Id<Credential> credential, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(CredentialRight.Share, credential, cancellationToken);
        var shares = await database.ReadAsync(db => db.Set<CredentialShare>().Where(s => s.CredentialId == credential).OrderBy(s => s.SharedAt).ThenBy(s => s.UserId).ToListAsync(cancellationToken));
        return shares.Count > 0 || await CredentialExistsAsync(credential, cancellationToken) ? shares : throw new NotFoundException("Credential", credential);
    }

    /// <summary>Shares the credential, or changes the share that the user has; what was used stays counted.</summary>
    /// <param name="expiresAt">Null is never.</param>
    /// <param name="maxUses">How often it gives the plaintext, all in all; null is without limit.</param>
    /// <exception cref="NotFoundException">There is no such credential or user, or the actor may not know of it.</exception>
    /// <exception cref="AccessDeniedException">The actor may not share it, or has not all of these rights.</exception>
    /// <exception cref="InvalidInputException">No right is given, the time has passed, or fewer uses than were used.</exception>
    public async Task<CredentialShare> SetAsync(
        Id<Credential> credential, Id<User> user, IReadOnlyCollection<CredentialRight> rights, DateTimeOffset? expiresAt = null, int? maxUses = null, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(CredentialRight.Share, credential, cancellationToken);
        if (user == access.Actor.UserId)
            await access.RequireAdministratorAsync(cancellationToken);   // or whoever has a share until tomorrow would keep it
        var own = await access.RightsAsync(credential, cancellationToken);
        if (rights.FirstOrDefault(right => !own.Contains(right), CredentialRight.Read) is var missing and not CredentialRight.Read)
            throw new AccessDeniedException($"You cannot give {EnumText<CredentialRight>.Of(missing)}: you do not have it.");
        var now = clock.Now();
        if (rights.Count == 0)
            throw new InvalidInputException("rights", "is empty; at least one is needed.");
        if (expiresAt <= now)
            throw new InvalidInputException("expiresAt", "has passed.");
        if (maxUses < 1)
            throw new InvalidInputException("maxUses", "must be at least 1.");

        // Whoever has a share cannot make that of somebody who has more smaller: only ADMIN changes what gives more than one has.
        const string Set = """
            changed as (
                insert into flowstone.credential_shares as s (tenant_id, credential_id, user_id, rights, expires_at, max_uses, uses, shared_by, shared_at)
                select c.tenant_id, c.id, u.id, $4, $5, $6, 0, $7, $8 from flowstone.credentials c join flowstone.users u on u.tenant_id = c.tenant_id
                 where c.tenant_id = $1 and c.id = $2 and u.id = $3
                on conflict (tenant_id, credential_id, user_id) do update
                      set rights = excluded.rights, expires_at = excluded.expires_at, max_uses = excluded.max_uses, shared_by = excluded.shared_by
                    where s.rights <@ $9 and s.uses <= coalesce(excluded.max_uses, s.uses)
                returning s.shared_at, s.uses)
            """;
        var given = rights.Distinct().Order().ToArray();
        var details = JsonSerializer.SerializeToElement(new { userId = user, rights = given, expiresAt, maxUses }, FlowstoneJson.Options);
        var shared = await database.QueryAsync(
            [AuditEntry.With(Set, [P(credential), P(user), P(Texts(given)), P(expiresAt?.ToUniversalTime()), P(maxUses), P(access.Actor.UserId), P(now), P(Texts(own))],
                clock, access.Actor, "CREDENTIAL_SHARED", credential.Value, details)], row => (At: row.GetFieldValue<DateTimeOffset>(0), Uses: row.GetInt32(1)), cancellationToken);
        if (shared is not [var stored])
            throw await WhyNotAsync(credential, user, maxUses, cancellationToken);
        return new CredentialShare
        {
            TenantId = database.TenantId,
            CredentialId = credential,
            UserId = user,
            Rights = given,
            ExpiresAt = expiresAt?.ToUniversalTime(),
            MaxUses = maxUses,
            Uses = stored.Uses,
            SharedBy = access.Actor.UserId,
            SharedAt = stored.At,
        };
    }

    /// <summary>Ends a share; whoever has it may, too.</summary>
    /// <returns>False if there was none.</returns>
    /// <exception cref="NotFoundException">There is no such credential, or the actor may not know of it.</exception>
    /// <exception cref="AccessDeniedException">The actor may not share it, or the share gives more than the actor has.</exception>
    public async Task<bool> DeleteAsync(Id<Credential> credential, Id<User> user, CancellationToken cancellationToken = default)
    {
        var self = user == access.Actor.UserId;
        await access.RequireAsync(self ? CredentialRight.Read : CredentialRight.Share, credential, cancellationToken);
        if (self)
            await access.RequireSelfAsync(user, cancellationToken);
        var own = self ? Enum.GetValues<CredentialRight>() : await access.RightsAsync(credential, cancellationToken);
        const string Delete = "changed as (delete from flowstone.credential_shares where tenant_id = $1 and credential_id = $2 and user_id = $3 and rights <@ $4 returning uses)";
        var details = JsonSerializer.SerializeToElement(new { userId = user }, FlowstoneJson.Options);
        var ended = await database.QueryAsync(
            [AuditEntry.With(Delete, [P(credential), P(user), P(Texts(own))], clock, access.Actor, "CREDENTIAL_UNSHARED", credential.Value, details)], row => row.GetInt32(0), cancellationToken);
        return ended.Count > 0 || (await FindAsync(credential, user, cancellationToken) is null ? false : throw MoreThanOwn());
    }

    async Task<FlowstoneException> WhyNotAsync(Id<Credential> credential, Id<User> user, int? maxUses, CancellationToken cancellationToken)
        => !await CredentialExistsAsync(credential, cancellationToken) ? new NotFoundException("Credential", credential)
            : await FindAsync(credential, user, cancellationToken) is not { } share ? new NotFoundException("User", user)
            : share.Uses > maxUses ? new InvalidInputException("maxUses", $"is less than the {share.Uses} uses that there were.") : MoreThanOwn();

    Task<CredentialShare?> FindAsync(Id<Credential> credential, Id<User> user, CancellationToken cancellationToken)
        => database.ReadAsync(db => db.Set<CredentialShare>().SingleOrDefaultAsync(s => s.CredentialId == credential && s.UserId == user, cancellationToken));

    Task<bool> CredentialExistsAsync(Id<Credential> credential, CancellationToken cancellationToken)
        => database.ReadAsync(db => db.Set<Credential>().AnyAsync(c => c.Id == credential, cancellationToken));

    static string[] Texts(IEnumerable<CredentialRight> rights) => [.. rights.Select(EnumText<CredentialRight>.Of)];

    static AccessDeniedException MoreThanOwn() => new("The share gives more than you have: its owner or an administrator can change it.");
}
