using Flowstone.Data;
using Flowstone.Tenancy;
using static Flowstone.Data.Sql;

namespace Flowstone.Users;

/// <summary>Deletes sessions and tokens that have ended, devices that were not used for a year, and failed sign-ins that no longer count: also of addresses that are nobody's.</summary>
public sealed class SignInSweep
{
    // At once, so that no statement holds many locks for long.
    const int RowsAtOnce = 1000;
    const int TenantsAtOnce = 100;

    static readonly string[] statements =
    [
        Delete("user_sessions", "s.expires_at <= $2 or s.last_used_at <= $3"),
        Delete("user_tokens", "s.expires_at <= $2 and $3 is not null"),
        Delete("user_devices", "s.last_used_at <= $2 - interval '365 days' and $3 is not null"),
        Delete("login_failures", "s.at <= $2 - interval '1 day' and $3 is not null"),
    ];

    readonly Database app;
    readonly TenantDirectory tenants;
    readonly TimeProvider clock;

    internal SignInSweep(Database app, TenantDirectory tenants, TimeProvider clock) => (this.app, this.tenants, this.clock) = (app, tenants, clock);

    static string Delete(string table, string ended) => $"""
        delete from flowstone.{table} where ctid = any(array(
            select s.ctid from flowstone.{table} s where s.tenant_id = any($1) and ({ended}) limit {RowsAtOnce} for update skip locked)) and tenant_id = any($1)
        """;

    /// <summary>Several processes may do it at once.</summary>
    /// <returns>How many rows went.</returns>
    public async Task<long> RunAsync(CancellationToken cancellationToken = default)
    {
        var swept = 0L;
        var now = clock.Now();
        foreach (var chunk in (await tenants.ListAsync(cancellationToken)).Select(tenant => tenant.Id).Prepend(default).Chunk(TenantsAtOnce))
            foreach (var statement in statements)
                for (var rows = RowsAtOnce; rows == RowsAtOnce; swept += rows)
                    rows = (await app.TransactAsync(string.Join(',', chunk), [new Statement(statement, P(Array.ConvertAll(chunk, id => id.Value)), P(now), P(now - SignIn.IdleLength))],
                        read: null, cancellationToken))[0];
        return swept;
    }
}
