using Flowstone.Data;
using Flowstone.Tenancy;
using static Flowstone.Data.Sql;

namespace Flowstone.Executions;

/// <param name="Seen">Objects old enough to be looked at.</param>
/// <param name="Deleted">Those that no payload referred to.</param>
public sealed record PayloadSweep(long Seen, long Deleted);

/// <summary>
/// Deletes objects to which no payload refers: what retention left behind, and what was put for a write that never came. Safe while others
/// write, because it looks only at days that have passed by more than the grace period, and a writer names objects of its own day alone.
/// </summary>
public sealed class PayloadSweeper
{
    const int AtOnce = 500;

    readonly Database app;
    readonly TenantDirectory tenants;
    readonly TimeProvider clock;
    readonly ObjectStore? objects;
    readonly TimeSpan after;

    internal PayloadSweeper(Database app, TenantDirectory tenants, TimeProvider clock, ObjectStore? objects, TimeSpan after)
        => (this.app, this.tenants, this.clock, this.objects, this.after) = (app, tenants, clock, objects, after);

    /// <summary>One round over all tenants of this database; what is another's in the store is left alone.</summary>
    public async Task<PayloadSweep> SweepAsync(CancellationToken cancellationToken = default)
    {
        var (seen, deleted) = (0L, 0L);
        if (objects is null)
            return new PayloadSweep(0, 0);
        var before = DateOnly.FromDateTime((clock.Now() - after).UtcDateTime);   // a day is over when the next has begun
        foreach (var tenant in await tenants.ListAsync(cancellationToken))
        {
            var keys = new List<ObjectKey>(AtOnce);
            await foreach (var key in objects.ListAsync(tenant.Id, before, cancellationToken))
            {
                keys.Add(key);
                if (keys.Count == AtOnce)
                    await SweepAsync(tenant.Id, keys);
            }
            await SweepAsync(tenant.Id, keys);
        }
        return new PayloadSweep(seen, deleted);

        async Task SweepAsync(Id<Tenant> tenant, List<ObjectKey> keys)
        {
            const string Referred = "select distinct object_key from flowstone.payloads where tenant_id = $1 and object_key = any($2)";
            var referred = new HashSet<string>(StringComparer.Ordinal);
            if (keys.Count > 0)
                await app.TransactAsync(tenant.ToString(), [new Statement(Referred, P(tenant), P(keys.Select(key => key.Text).ToArray()))], row => referred.Add(row.GetString(0)), cancellationToken);
            foreach (var key in keys.Where(key => !referred.Contains(key.Text)))
            {
                await objects.DeleteAsync(key, cancellationToken);
                deleted++;
            }
            seen += keys.Count;
            keys.Clear();
        }
    }
}
