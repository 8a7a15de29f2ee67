using System.Collections.Concurrent;
using Flowstone.Data;
using Flowstone.Tenancy;
using static Flowstone.Data.Sql;

namespace Flowstone.Users;

/// <summary>
/// Knows users by their API keys, and how often each may be used. A server takes the requests of an hour in shares, so that the limit holds
/// over all servers together and yet not every request writes; what it took and did not use is lost when it stops.
/// </summary>
public sealed class ApiKeys
{
    internal const string Beginning = "fs_";
    internal const int PrefixLength = 11;   // fs_ and eight characters

    // A share is a fiftieth of the hour's requests.
    const int Shares = 50;

    readonly Database app;
    readonly TimeProvider clock;
    readonly ConcurrentDictionary<Id<ApiKey>, Share> shares = new();

    sealed class Share
    {
        /// <summary>Whoever holds it takes the next share: those who come meanwhile use that.</summary>
        public SemaphoreSlim Turn { get; } = new(1, 1);

        public DateTimeOffset Hour;
        public int Left;
    }

    internal ApiKeys(Database app, TimeProvider clock) => (this.app, this.clock) = (app, clock);

    /// <summary>Counts a request by the key.</summary>
    /// <returns>Null: it is nobody's, has expired, or its user is not active.</returns>
    /// <exception cref="RateLimitException">It was used too often this hour.</exception>
    public async Task<ApiKeyUser?> FindAsync(string key, CancellationToken cancellationToken = default)
    {
        if (!key.StartsWith(Beginning, StringComparison.Ordinal) || key.Length <= PrefixLength || !SecretToken.TryRead(key[(PrefixLength + 1)..], out var tenant, out var hash))
            return null;
        const string Find = """
            select k.id, k.scopes, k.rate_limit, u.id, u.role, u.email from flowstone.api_keys k join flowstone.users u on u.tenant_id = k.tenant_id and u.id = k.user_id
             where k.tenant_id = $1 and k.key_hash = $2 and k.prefix = $3 and coalesce(k.expires_at, 'infinity') > $4 and u.status = 'ACTIVE'
            """;
        ApiKeyUser? found = null;
        var perHour = 0;
        await app.TransactAsync(tenant.ToString(), [new Statement(Find, P(tenant), P(hash), P(key[..PrefixLength]), P(clock.Now()))], row =>
        {
            perHour = row.GetInt32(2);
            found = new(new(row.GetGuid(0)), new SignedInUser(tenant, new(row.GetGuid(3)), EnumText<UserRole>.Parse(row.GetString(4)), row.GetString(5)),
                [.. row.GetFieldValue<string[]>(1).Select(EnumText<ApiScope>.Parse)]);
        }, cancellationToken);
        if (found is not null)
            await CountAsync(tenant, found.KeyId, perHour, cancellationToken);
        return found;
    }

    async Task CountAsync(Id<Tenant> tenant, Id<ApiKey> key, int perHour, CancellationToken cancellationToken)
    {
        var now = clock.Now();
        var hour = new DateTimeOffset(now.Year, now.Month, now.Day, now.Hour, 0, 0, TimeSpan.Zero);
        var share = shares.GetOrAdd(key, _ => new Share());
        if (TryUse(share, hour))
            return;
        await share.Turn.WaitAsync(cancellationToken);
        try
        {
            if (!TryUse(share, hour))
                await TakeAsync(tenant, key, perHour, share, hour, now, cancellationToken);
        }
        finally
        {
            share.Turn.Release();
        }
    }

    async Task TakeAsync(Id<Tenant> tenant, Id<ApiKey> key, int perHour, Share share, DateTimeOffset hour, DateTimeOffset now, CancellationToken cancellationToken)
    {
        const string Take = """
            with taken as (
                insert into flowstone.api_key_uses as u (tenant_id, key_id, hour, taken) values ($1, $2, $3, least($4, $5))
                on conflict (tenant_id, key_id) do update
                      set hour = $3, taken = case when u.hour = $3 then u.taken else 0 end + least($4, $5 - case when u.hour = $3 then u.taken else 0 end)
                    where u.hour < $3 or (u.hour = $3 and u.taken < $5)
                returning u.taken),
            used as (update flowstone.api_keys k set last_used_at = $6 from taken where k.tenant_id = $1 and k.id = $2)
            select taken from taken
            """;
        var wanted = Math.Max(1, perHour / Shares);
        var taken = 0;
        await app.TransactAsync(tenant.ToString(), [new Statement(Take, P(tenant), P(key), P(hour), P(wanted), P(perHour), P(now))], row => taken = row.GetInt32(0), cancellationToken);
        if (taken == 0)
            throw new RateLimitException(perHour, hour.AddHours(1) - now);

        // All are of one size but the last.
        var got = taken < perHour || perHour % wanted == 0 ? wanted : perHour % wanted;
        lock (share)
        {
            if (share.Hour != hour)
                (share.Hour, share.Left) = (hour, 0);
            share.Left += got - 1;   // this request is one of them
        }
    }

    static bool TryUse(Share share, DateTimeOffset hour)
    {
        lock (share)
        {
            if (share.Hour != hour || share.Left == 0)
                return false;
            share.Left--;
            return true;
        }
    }
}
