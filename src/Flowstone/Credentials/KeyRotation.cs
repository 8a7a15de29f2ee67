using System.Diagnostics.Metrics;
using System.Security.Cryptography;
using Flowstone.Audit;
using Flowstone.Data;
using Flowstone.Tenancy;
using Microsoft.EntityFrameworkCore;
using static Flowstone.Data.Sql;

namespace Flowstone.Credentials;

/// <summary>How gently values are sealed anew.</summary>
/// <param name="BatchSize">Values in one transaction, 1 to 1,000.</param>
/// <param name="Pause">After each batch.</param>
public sealed record RotationPace(int BatchSize = 200, TimeSpan Pause = default);

/// <summary>Values of one column of one tenant that are sealed with one data key.</summary>
/// <param name="Column">Table and column.</param>
public sealed record SealedValues(Id<Tenant> TenantId, string Column, Id<DataKey> KeyId, DataKeyState Key, long Values);

public enum DataKeyState
{
    /// <summary>It seals.</summary>
    Current,

    /// <summary>It only opens: a rotation has not come here yet.</summary>
    Retired,

    /// <summary>What it sealed is lost, as somebody wanted.</summary>
    Destroyed,

    /// <summary>The tenant has no such key: the value was changed.</summary>
    Unknown,
}

/// <param name="Keys">All data keys that are not destroyed.</param>
/// <param name="Values">What is sealed, by tenant, column and key.</param>
public sealed record KeyReport(IReadOnlyList<DataKey> Keys, IReadOnlyList<SealedValues> Values)
{
    /// <summary>Values that are sealed with neither a key which seals now, nor one that was destroyed.</summary>
    public long Behind => Values.Where(v => v.Key is DataKeyState.Retired or DataKeyState.Unknown).Sum(v => v.Values);
}

/// <summary>
/// Rotates keys while everybody goes on: what was sealed with an older key opens until its values are sealed with the current one. May be stopped and begun again at
/// any moment, and run in several processes: a value is only replaced where it is still what was read.
/// </summary>
public sealed class KeyRotation
{
    static readonly Counter<long> resealed = new Meter("Flowstone").CreateCounter<long>("flowstone.keys.resealed", "{value}", "Values that a rotation has sealed anew.");

    readonly Database app;
    readonly TenantDirectory tenants;
    readonly IKeyRing? ring;
    readonly MasterKeys masters;
    readonly SecretSealer secrets;
    readonly TimeProvider clock;

    internal KeyRotation(Database app, TenantDirectory tenants, IKeyRing? ring, MasterKeys masters, SecretSealer secrets, TimeProvider clock)
        => (this.app, this.tenants, this.ring, this.masters, this.secrets, this.clock) = (app, tenants, ring, masters, secrets, clock);

    /// <summary>Wraps all data keys with the current master key: at once, however many values they seal. Afterwards no older master key is needed for them.</summary>
    /// <returns>How many were wrapped anew.</returns>
    /// <exception cref="UnavailableException">There is no master key, or an older one is missing.</exception>
    public async Task<int> RewrapAsync(CancellationToken cancellationToken = default)
    {
        const string List = "select id, master_key_id, wrapped_key from flowstone.data_keys where tenant_id = $1 and master_key_id <> $2 and destroyed_at is null";
        const string Rewrap = "update flowstone.data_keys set master_key_id = $3, wrapped_key = $4 where tenant_id = $1 and id = $2 and wrapped_key = $5";
        var keys = ring ?? throw new UnavailableException(KeySource.NeedsKey);
        await masters.RegisterAsync(cancellationToken);
        var current = await keys.CurrentIdAsync(cancellationToken);
        var done = 0;
        var all = await tenants.ListAsync(cancellationToken);
        foreach (var tenant in all)
        {
            var old = new List<(Id<DataKey> Id, string Master, byte[] Wrapped)>();
            await app.TransactAsync($"{tenant.Id}", [new(List, P(tenant.Id), P(current))], row => old.Add((new(row.GetGuid(0)), row.GetString(1), row.GetFieldValue<byte[]>(2))), cancellationToken);
            foreach (var (id, master, wrapped) in old)
            {
                var place = new DataKeyPlace(tenant.Id, id);
                var key = await keys.UnwrapAsync(master, place, wrapped, cancellationToken);
                var anew = await keys.WrapAsync(place, key, cancellationToken);
                CryptographicOperations.ZeroMemory(key);
                done += (await app.TransactAsync($"{tenant.Id}", [new(Rewrap, P(tenant.Id), P(id), P(current), P(anew), P(wrapped))], read: null, cancellationToken))[0];
            }
        }
        // A start asks for those that are listed: what wraps nothing any more is not missed.
        const string Unlist = """
            delete from flowstone.master_keys m where m.id <> $1 and not exists (
                   select from flowstone.data_keys k where k.tenant_id = any($2) and k.master_key_id = m.id and k.destroyed_at is null)
            """;
        await app.TransactAsync(string.Join(',', all.Select(tenant => tenant.Id)), [new(Unlist, P(current), P(all.Select(tenant => tenant.Id.Value).ToArray()))], read: null, cancellationToken);
        return done;
    }

    /// <summary>Retires the tenants' data keys, so that from now on others seal, and seals with those what the retired ones have sealed.</summary>
    /// <param name="only">One tenant; null is all.</param>
    /// <param name="progress">Told how many values were sealed anew, after each batch.</param>
    /// <param name="by">For the audit trail; null is a job.</param>
    /// <returns>How many values were sealed anew.</returns>
    /// <exception cref="CredentialSealException">A value does not open: it is left as it is. All others were sealed anew.</exception>
    public async Task<long> RotateAsync(
        Id<Tenant>? only = null, RotationPace? pace = null, IProgress<long>? progress = null, Actor? by = null, CancellationToken cancellationToken = default)
    {
        foreach (var tenant in await TenantsAsync(only, cancellationToken))
            await BeginAsync(tenant, by ?? Actor.System("key rotation"), cancellationToken);
        return await ResealAsync(only, pace, progress, cancellationToken);
    }

    /// <summary>Retires the tenant's data key, and leaves the rest to <see cref="ResealAsync"/>. Entered in the audit trail.</summary>
    public async Task BeginAsync(Id<Tenant> tenant, Actor by, CancellationToken cancellationToken = default)
    {
        // Waits for those who are just storing what they sealed with it: they hold the key for share.
        const string Retire = "changed as (update flowstone.data_keys set retired_at = $2 where tenant_id = $1 and retired_at is null and destroyed_at is null returning id)";
        await ChangeAsync(tenant, Retire, by, "DATA_KEYS_ROTATED", cancellationToken);
    }

    /// <summary>From now on what is sealed with a retired key is refused, but payloads: nothing is, so it would have been put there from an old copy. Entered in the audit trail.</summary>
    /// <returns>How many keys were closed.</returns>
    /// <exception cref="ConflictException">Something is still sealed with one: rotate first.</exception>
    public async Task<int> CloseAsync(Id<Tenant> tenant, Actor by, CancellationToken cancellationToken = default)
    {
        const string Close = "changed as (update flowstone.data_keys set closed_at = $2 where tenant_id = $1 and retired_at is not null and closed_at is null and destroyed_at is null returning id)";
        return (await ReportAsync(tenant, cancellationToken)).Behind is > 0 and var behind
            ? throw new ConflictException($"{behind:N0} values are sealed with older keys: rotate first (flowstone keys rotate --resume).")
            : await ChangeAsync(tenant, Close, by, "DATA_KEYS_CLOSED", cancellationToken);
    }

    /// <param name="change">Its $2 is the time.</param>
    async Task<int> ChangeAsync(Id<Tenant> tenant, string change, Actor by, string action, CancellationToken cancellationToken)
    {
        var changed = new List<Id<DataKey>>();
        var (sql, parameters) = AuditEntry.With(change, [P(clock.Now())], clock, by, action, tenant.Value);
        await app.TransactAsync($"{tenant}", [new Statement(sql, [P(tenant), .. parameters])], row => changed.Add(new(row.GetGuid(0))), cancellationToken);
        foreach (var key in changed)
            secrets.Keys.Forget(new(tenant, key));
        return changed.Count;
    }

    /// <summary>Goes on with what was begun and left by a process that ended. The server does it every ten minutes.</summary>
    /// <inheritdoc cref="RotateAsync"/>
    public async Task<long> ResumeAsync(RotationPace? pace = null, CancellationToken cancellationToken = default)
    {
        // ix_data_keys_unfinished
        const string Find = """
            select distinct k.tenant_id from flowstone.data_keys k
             where k.tenant_id = any($1) and k.retired_at is not null and k.resealed_at is null and k.destroyed_at is null
            """;
        var unfinished = new List<Id<Tenant>>();
        foreach (var chunk in ring is null ? [] : (await tenants.ListAsync(cancellationToken)).Select(tenant => tenant.Id).Chunk(100))
            await app.TransactAsync(string.Join(',', chunk), [new(Find, P(Array.ConvertAll(chunk, id => id.Value)))], row => unfinished.Add(new(row.GetGuid(0))), cancellationToken);
        var done = 0L;
        foreach (var tenant in unfinished)
            done += await ResealAsync(tenant, pace, progress: null, cancellationToken);
        return done;
    }

    /// <summary>Seals with the tenants' current data keys what older ones have sealed: goes on with a rotation that was stopped.</summary>
    /// <inheritdoc cref="RotateAsync"/>
    public async Task<long> ResealAsync(Id<Tenant>? only = null, RotationPace? pace = null, IProgress<long>? progress = null, CancellationToken cancellationToken = default)
    {
        pace ??= new();
        if (pace.BatchSize is < 1 or > 1000)
            throw new InvalidInputException("batchSize", "must be 1 to 1,000.");
        var done = 0L;
        var broken = new List<CredentialSealException>();
        foreach (var tenant in await TenantsAsync(only, cancellationToken))
        {
            var (retired, brokenBefore) = (new List<Guid>(), broken.Count);
            await app.TransactAsync($"{tenant}", [new(Retired, P(tenant))], row => retired.Add(row.GetGuid(0)), cancellationToken);
            foreach (var column in SealedColumns.All)
            {
                Guid? next = Guid.Empty;
                while (next is { } from)
                {
                    (next, var sealedAnew) = await ResealBatchAsync(tenant, column, from, pace.BatchSize, broken, cancellationToken);
                    done += sealedAnew;
                    if (sealedAnew > 0)
                        progress?.Report(done);
                    resealed.Add(sealedAnew);
                    if (next is not null && pace.Pause > TimeSpan.Zero)
                        await Task.Delay(pace.Pause, clock, cancellationToken);
                }
            }
            if (broken.Count == brokenBefore)
                await app.TransactAsync($"{tenant}", [new(Finish, P(tenant), P(clock.Now()), P(retired.ToArray()))], read: null, cancellationToken);
        }
        return broken.Count == 0 ? done : throw broken[0];
    }

    // Whoever stores with a retired key is refused, so one that was retired before the first look seals nothing any more.
    const string Retired = "select id from flowstone.data_keys where tenant_id = $1 and retired_at is not null and resealed_at is null and destroyed_at is null";
    const string Finish = "update flowstone.data_keys set resealed_at = $2 where tenant_id = $1 and id = any($3)";

    /// <returns>Where the next batch begins; null at the end.</returns>
    async Task<(Guid? Last, int Sealed)> ResealBatchAsync(Id<Tenant> tenant, SealedColumn column, Guid after, int size, List<CredentialSealException> broken, CancellationToken cancellationToken)
    {
        var key = column.Key[0];
        var rows = new List<(Guid Id, byte[] Value)>();
        await app.TransactAsync($"{tenant}",
        [
            new($"""
                select v.{key}, v.{column.Column} from flowstone.{column.Table} v
                 where v.tenant_id = $1 and v.{key} > $2 and substring(v.{column.Column} from 2 for 16) in (
                       select uuid_send(k.id) from flowstone.data_keys k where k.tenant_id = $1 and k.retired_at is not null and k.destroyed_at is null)
                 order by v.{key} limit $3
                """, P(tenant), P(after), P(size)),
        ], row => rows.Add((row.GetGuid(0), row.GetFieldValue<byte[]>(1))), cancellationToken);
        if (rows.Count == 0)
            return (null, 0);
        var anew = new List<(Guid Id, byte[] Old, byte[] New)>();
        Id<DataKey> current;
        using (var sealing = await secrets.Keys.CurrentAsync(tenant, rows.Count, cancellationToken))
        {
            current = sealing.Id;
            foreach (var (id, value) in rows)
            {
                var place = new SealedPlace(tenant, column.Name, id);
                try
                {
                    var plain = await secrets.OpenAsync(place, value, cancellationToken);
                    anew.Add((id, value, Seal.Close(sealing, place, plain)));
                    CryptographicOperations.ZeroMemory(plain);
                }
                catch (CredentialSealException error)
                {
                    broken.Add(error);
                }
            }
        }
        var (guard, parameters) = DataKeys.Guard(current);
        try
        {
            var changed = await app.TransactAsync($"{tenant}",
            [
                new(guard, [P(tenant), .. parameters]),
                new($"""
                    update flowstone.{column.Table} v set {column.Column} = n.anew from unnest($2, $3, $4) n (id, old, anew)
                     where v.tenant_id = $1 and v.{key} = n.id and v.{column.Column} = n.old
                    """, P(tenant), P(anew.ConvertAll(row => row.Id).ToArray()), P(anew.ConvertAll(row => row.Old).ToArray()), P(anew.ConvertAll(row => row.New).ToArray())),
            ], read: null, cancellationToken);
            return (rows[^1].Id, changed[1]);
        }
        catch (ConflictException error) when (PostgresErrors.IsRefusal(error))
        {
            secrets.Keys.Forget(new(tenant, current));   // another process has retired it: once more, with the next
            return (after, 0);
        }
    }

    /// <summary>Which keys there are, and what they seal: proves that nothing is left on an older one.</summary>
    /// <param name="only">One tenant; null is all.</param>
    public async Task<KeyReport> ReportAsync(Id<Tenant>? only = null, CancellationToken cancellationToken = default)
    {
        var (keys, values) = (new List<DataKey>(), new List<SealedValues>());
        foreach (var tenant in await TenantsAsync(only, cancellationToken))
        {
            await using var db = new FlowstoneDb(FlowstoneDbOptions.For(app.Source), tenant);
            var own = await db.Set<DataKey>().OrderBy(k => k.Id).ToDictionaryAsync(k => k.Id, cancellationToken);
            keys.AddRange(own.Values.Where(k => k.DestroyedAt is null));
            foreach (var column in SealedColumns.All)
                await app.TransactAsync($"{tenant}",
                [
                    new($"""
                        select case when octet_length(v.{column.Column}) >= 17 then encode(substring(v.{column.Column} from 2 for 16), 'hex')::uuid end as key_id, count(*) from flowstone.{column.Table} v
                         where v.tenant_id = $1 and v.{column.Column} is not null group by 1 order by 1
                        """, P(tenant)),
                ], row =>
                {
                    var id = new Id<DataKey>(row.Get<Guid>(0));
                    var state = !own.TryGetValue(id, out var key) ? DataKeyState.Unknown
                        : key.DestroyedAt is not null ? DataKeyState.Destroyed : key.RetiredAt is not null ? DataKeyState.Retired : DataKeyState.Current;
                    values.Add(new(tenant, column.Name, id, state, row.GetInt64(1)));
                }, cancellationToken);
        }
        return new KeyReport(keys, values);
    }

    /// <summary>Destroys the tenant's data keys: all its secrets are lost, for ever, in backups too that do not hold the keys. Entered in the audit trail.</summary>
    /// <param name="by">Who does it.</param>
    /// <returns>How many keys were destroyed.</returns>
    public async Task<int> DestroyAsync(Id<Tenant> tenant, Actor by, CancellationToken cancellationToken = default)
    {
        const string Destroy = "changed as (update flowstone.data_keys set wrapped_key = null, destroyed_at = $2 where tenant_id = $1 and destroyed_at is null returning id)";
        return await ChangeAsync(tenant, Destroy, by, "DATA_KEYS_DESTROYED", cancellationToken);
    }

    async Task<IReadOnlyList<Id<Tenant>>> TenantsAsync(Id<Tenant>? only, CancellationToken cancellationToken)
        => only is { } one ? [one] : [.. (await tenants.ListAsync(cancellationToken)).Select(tenant => tenant.Id)];
}
