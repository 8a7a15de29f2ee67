using System.Security.Cryptography;
using System.Text.Json;
using Flowstone.Audit;
using Flowstone.Data;
using Flowstone.Executions;
using Flowstone.Permissions;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Credentials;

public sealed partial class CredentialRepository
{
    // $2 the user, $3 the time or null, $4 the credential, $5 the version or null, $6 whether the actor may use all, $7 now; then an audit entry. A share that counts is
    // taken only where no other way leads there, and its row's lock keeps the count exact. Nothing is written unless the secret is given.
    static readonly string Reveal = $"""
        with found as materialized (
            select c.id, c.type, c.version, $6 or {AccessRule.MayUse} as free from flowstone.credentials c
             where c.tenant_id = $1 and c.id = $4 and c.active and coalesce(c.expires_at, 'infinity') > coalesce($3, now())),
        chosen as materialized (
            select v.id, v.number, v.secret, f.type, f.free, k.master_key_id, k.wrapped_key, k.closed_at is not null as closed from found f
              join flowstone.credential_versions v on v.tenant_id = $1 and v.credential_id = $4 and v.number = coalesce($5, f.version)
              left join flowstone.data_keys k on k.tenant_id = $1 and k.id = case when octet_length(v.secret) >= 17 then encode(substring(v.secret from 2 for 16), 'hex')::uuid end),
        counted as (
            update flowstone.credential_shares s set uses = s.uses + 1 from chosen
             where s.tenant_id = $1 and s.credential_id = $4 and s.user_id = $2 and not chosen.free and s.rights && array['USE', 'ADMIN']
               and coalesce(s.expires_at, 'infinity') > coalesce($3, now()) and s.uses < s.max_uses
            returning 1),
        given as materialized (select * from chosen where free or exists (select from counted)),
        audited as (insert into flowstone.audit_entries ({AuditEntry.Columns}) select $1, $8, $9, $10, $11, $12, $13, $14 from given),
        used as (
            update flowstone.credentials c set last_used_at = $7 from given
             where c.tenant_id = $1 and c.id = $4 and (c.last_used_at is null or c.last_used_at <= $7 - interval '1 minute'))
        select id, number, secret, type, master_key_id, wrapped_key, closed from given
        """;

    sealed record Given(Id<CredentialVersion> VersionId, int Number, byte[] Secret, CredentialType Type, WrappedKey? Along);

    static Given Read(NpgsqlDataReader row) => new(new(row.GetGuid(0)), row.GetInt32(1), row.GetFieldValue<byte[]>(2), EnumText<CredentialType>.Parse(row.GetString(3)),
        row.Get<string>(4) is { } master ? new WrappedKey(master, row.Get<byte[]>(5), row.GetBoolean(6)) : null);

    ValueTask<byte[]> OpenAsync(Given given, CancellationToken cancellationToken) => secrets.OpenAsync(PlaceOf(given.VersionId), given.Secret, given.Along, evenIfClosed: false, cancellationToken);

    /// <summary>The plaintext: for those who may use the credential, while it is active and has not expired. An audit entry is written with it, in one round trip.</summary>
    /// <param name="version">An older one than that which is used now.</param>
    /// <param name="purpose">What for; kept in the audit entry.</param>
    /// <exception cref="NotFoundException">There is no such credential or version, or the actor may not know of it.</exception>
    /// <exception cref="AccessDeniedException">The actor may not use it, or not any more: the share's uses are used up.</exception>
    /// <exception cref="ConflictException">It is inactive, or has expired.</exception>
    /// <exception cref="CredentialSealException">What is stored was changed, or sealed with a key that is gone. The row stays as it is.</exception>
    /// <exception cref="UnavailableException">There is no master key, or it cannot be used now.</exception>
    public async Task<RevealedCredential> RevealAsync(Id<Credential> id, int? version = null, string? purpose = null, CancellationToken cancellationToken = default)
    {
        Text.Check("purpose", purpose, 500);
        var all = await access.ReachesAllAsync(CredentialRight.Use, cancellationToken);
        var details = JsonSerializer.SerializeToElement(new { version, purpose }, FlowstoneJson.Options);
        var found = await database.QueryAsync(Reveal,
            [P(access.Actor.UserId), P(ExecutionRepository.DatabaseNow(clock)), P(id), P(version), P(all), P(clock.Now()), .. AuditEntry.Values(clock, access.Actor, "CREDENTIAL_REVEALED", id.Value, details)],
            Read, cancellationToken);
        if (found is not [var given])
            throw await WhyNotAsync(id, version, cancellationToken);
        var plain = await OpenAsync(given, cancellationToken);
        try
        {
            return new RevealedCredential(id, given.Type, given.Number, JsonElement.Parse(plain));
        }
        finally
        {
            CryptographicOperations.ZeroMemory(plain);
        }
    }

    async Task<FlowstoneException> WhyNotAsync(Id<Credential> id, int? version, CancellationToken cancellationToken)
    {
        try
        {
            await access.RequireAsync(CredentialRight.Use, id, cancellationToken);
        }
        catch (FlowstoneException refused)
        {
            return refused;
        }
        if (await FindAsync(id, cancellationToken) is not { } credential)
            return new NotFoundException("Credential", id);
        return credential.ExpiresAt <= clock.Now() ? new ConflictException($"The credential expired at {credential.ExpiresAt:u}.")
            : !credential.Active ? new ConflictException("The credential is inactive.")
            : version is { } number && (number < 1 || number > credential.Version) ? new NotFoundException("Version", number)
            : new AccessDeniedException("The uses that were shared with you are used up. Ask its owner for more.");
    }
}
