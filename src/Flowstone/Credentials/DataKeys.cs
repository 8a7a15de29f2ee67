using System.Security.Cryptography;
using Flowstone.Data;
using Flowstone.Tenancy;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Credentials;

/// <summary>How long and how often data keys are used. The defaults are for everybody; tests have smaller ones.</summary>
/// <param name="Uses">How often a key may seal: random nonces allow 2^32, and it is cut long before.</param>
/// <param name="BlockOfUses">So many are written down at a time; what a process took and did not use when it ends is lost.</param>
/// <param name="Cached">Keys in memory at most.</param>
sealed record DataKeyLimits(long Uses = 1L << 31, int BlockOfUses = 1 << 20, int Cached = 10_000)
{
    /// <summary>When a key is read again: so long another process's retiring or destroying one may go unnoticed.</summary>
    public TimeSpan GoodFor { get; init; } = TimeSpan.FromMinutes(5);
}

/// <summary>The tenants' data keys: which one seals now, and which one opens a value.</summary>
sealed class DataKeys : IDisposable
{
    /// <summary>
    /// Goes before the statement that stores what was sealed with the key. Held for share, so that whoever retires it comes before this, which then refuses the transaction,
    /// or after it is stored, and finds it.
    /// </summary>
    public static (string Sql, NpgsqlParameter[] Parameters) Guard(Id<DataKey> key)
        => ("select 1 / count(*) from (select from flowstone.data_keys k where k.tenant_id = $1 and k.id = $2 and k.retired_at is null and k.destroyed_at is null for share) k", [P(key)]);

    // Whoever has the turn asks the database; who comes meanwhile for the same tenant finds the answer in memory.
    readonly SemaphoreSlim[] turns = [.. Enumerable.Range(0, 64).Select(_ => new SemaphoreSlim(1, 1))];

    readonly Database app;
    readonly IKeyRing ring;
    readonly MasterKeys masters;
    readonly TimeProvider clock;
    readonly DataKeyLimits limits;
    readonly KeyCache cache;

    public DataKeys(Database app, IKeyRing ring, MasterKeys masters, TimeProvider clock, DataKeyLimits? limits = null)
    {
        (this.app, this.ring, this.masters, this.clock, this.limits) = (app, ring, masters, clock, limits ?? new());
        cache = new(this.limits, clock);
    }

    readonly record struct StoredKey(Id<DataKey> Id, WrappedKey Wrapped);

    /// <summary>The key that seals now, which is made if there is none. Dispose it when done.</summary>
    /// <param name="uses">How many values are about to be sealed with it.</param>
    public async ValueTask<SealingKey> CurrentAsync(Id<Tenant> tenant, int uses, CancellationToken cancellationToken)
    {
        if (cache.TryUse(tenant, uses) is { } known)
            return known;
        var turn = TurnOf(tenant);
        await turn.WaitAsync(cancellationToken);
        try
        {
            return cache.TryUse(tenant, uses) ?? await LoadCurrentAsync(tenant, uses, cancellationToken);
        }
        finally
        {
            turn.Release();
        }
    }

    /// <summary>The key that a value is sealed with. Dispose it when done.</summary>
    /// <param name="along">The key as it is stored, if it came with the value's row: saves asking for it.</param>
    /// <exception cref="CredentialSealException">The tenant has no such key, or no longer.</exception>
    public async ValueTask<SealingKey> GetAsync(SealedPlace place, Id<DataKey> id, WrappedKey? along, CancellationToken cancellationToken)
    {
        var key = new DataKeyPlace(place.TenantId, id);
        if (along is { Bytes: null })
            cache.Forget(key);   // the row knows better: it was destroyed since
        if (cache.TryHold(key) is { } known)
            return known;
        var turn = TurnOf(place.TenantId);
        await turn.WaitAsync(cancellationToken);
        try
        {
            if (cache.TryHold(key) is { } meanwhile)
                return meanwhile;
            var stored = along ?? (await FindAsync(key, cancellationToken))?.Wrapped
                ?? throw CredentialSealException.At(place, $"is sealed with the data key {id}, which this tenant does not have.");
            return stored.Bytes is null ? throw CredentialSealException.At(place, $"is sealed with the data key {id}, which was destroyed: it is lost for ever.")
                : Remember(key, await UnwrapAsync(key, stored, cancellationToken));
        }
        finally
        {
            turn.Release();
        }
    }

    /// <summary>This process reads the key anew before it uses it again. Others do within <see cref="DataKeyLimits.GoodFor"/>.</summary>
    public void Forget(DataKeyPlace place) => cache.Forget(place);

    public void Dispose() => cache.Dispose();

    async Task<SealingKey> LoadCurrentAsync(Id<Tenant> tenant, int uses, CancellationToken cancellationToken)
    {
        var (id, left) = cache.LeftOf(tenant);
        if (left >= uses && await FindAsync(new(tenant, id), cancellationToken, current: true) is { } still)
            return Remember(new(tenant, id), await UnwrapAsync(new(tenant, id), still.Wrapped, cancellationToken), left - uses);

        long block = Math.Max(limits.BlockOfUses, uses);
        for (var tries = 0; tries < 20; tries++)
        {
            var (place, key) = await TakeAsync(tenant, block, cancellationToken) is { } taken
                ? (new DataKeyPlace(tenant, taken.Id), await UnwrapAsync(new(tenant, taken.Id), taken.Wrapped, cancellationToken))
                : await MakeAsync(tenant, block, cancellationToken);
            if (key is not null)
                return Remember(place, key, block - uses + (place.Id == id ? left : 0));
        }
        throw new UnavailableException("The tenant's data key changes again and again; nothing was sealed: try again.");
    }

    SealingKey Remember(DataKeyPlace place, SealingKey key, long? currentWith = null)
    {
        cache.Add(place, key, currentWith);
        return key;
    }

    // uq_data_keys_current. Guarded, so that all processes together never take more than there are.
    const string Take = """
        update flowstone.data_keys set uses = uses + $2
         where tenant_id = $1 and retired_at is null and destroyed_at is null and uses <= $3 - $2
        returning id, master_key_id, wrapped_key, false
        """;

    async Task<StoredKey?> TakeAsync(Id<Tenant> tenant, long block, CancellationToken cancellationToken)
    {
        StoredKey? taken = null;
        await app.TransactAsync(tenant.ToString(), [new(Take, P(tenant), P(block), P(limits.Uses))], row => taken = Read(row), cancellationToken);
        return taken;
    }

    /// <summary>Retires a key that is used up and makes the next one; or, if another process was faster, takes that one's.</summary>
    /// <returns>No key: others have used that one up as well.</returns>
    async Task<(DataKeyPlace, SealingKey?)> MakeAsync(Id<Tenant> tenant, long block, CancellationToken cancellationToken)
    {
        // The three see each other's work as they follow, and another process's where they had to wait for it.
        const string Retire = """
            update flowstone.data_keys set retired_at = $4
             where tenant_id = $1 and retired_at is null and destroyed_at is null and uses > $3 - $2
            """;
        const string Insert = """
            insert into flowstone.data_keys (tenant_id, id, master_key_id, wrapped_key, created_at, uses) values ($1, $2, $3, $4, $5, 0)
            on conflict (tenant_id) where retired_at is null and destroyed_at is null do nothing
            """;
        await masters.RegisterAsync(cancellationToken);
        var (place, now) = (new DataKeyPlace(tenant, Id<DataKey>.New(clock)), clock.Now());
        var bytes = RandomNumberGenerator.GetBytes(SealingKey.Length);
        var master = await ring.CurrentIdAsync(cancellationToken);
        var wrapped = await ring.WrapAsync(place, bytes, cancellationToken);
        StoredKey? taken = null;
        await app.TransactAsync(tenant.ToString(), [
            new(Retire, P(tenant), P(block), P(limits.Uses), P(now)),
            new(Insert, P(tenant), P(place.Id), P(master), P(wrapped), P(now)),
            new(Take, P(tenant), P(block), P(limits.Uses))], row => taken = Read(row), cancellationToken);
        if (taken?.Id == place.Id)
            return (place, new SealingKey(place.Id, bytes));
        CryptographicOperations.ZeroMemory(bytes);
        return taken is { } theirs ? (place with { Id = theirs.Id }, await UnwrapAsync(place with { Id = theirs.Id }, theirs.Wrapped, cancellationToken))
            : (place, null);
    }

    async Task<StoredKey?> FindAsync(DataKeyPlace place, CancellationToken cancellationToken, bool current = false)
    {
        const string Find = """
            select id, master_key_id, wrapped_key, closed_at is not null from flowstone.data_keys
             where tenant_id = $1 and id = $2 and (not $3 or (retired_at is null and destroyed_at is null))
            """;
        StoredKey? found = null;
        await app.TransactAsync(place.TenantId.ToString(), [new(Find, P(place.TenantId), P(place.Id), P(current))], row => found = Read(row), cancellationToken);
        return found;
    }

    async Task<SealingKey> UnwrapAsync(DataKeyPlace place, WrappedKey wrapped, CancellationToken cancellationToken)
        => new(place.Id, await ring.UnwrapAsync(wrapped.MasterKeyId, place, wrapped.Bytes, cancellationToken)) { IsClosed = wrapped.IsClosed };

    static StoredKey Read(NpgsqlDataReader row) => new(new(row.GetGuid(0)), new(row.GetString(1), row.Get<byte[]>(2), row.GetBoolean(3)));

    SemaphoreSlim TurnOf(Id<Tenant> tenant) => turns[(uint)tenant.GetHashCode() % turns.Length];
}
