using System.Text.RegularExpressions;
using Flowstone.Data;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Tenancy;

/// <summary>Finds and makes tenants. For operators and jobs; nothing here is for a tenant's own users.</summary>
public sealed partial class TenantDirectory
{
    readonly Database app;
    readonly Database worker;
    readonly TimeProvider clock;

    internal TenantDirectory(Database app, Database worker, TimeProvider clock)
        => (this.app, this.worker, this.clock) = (app, worker, clock);

    /// <param name="slug">Lower-case letters, digits and hyphens, at most 63, unique.</param>
    /// <exception cref="ConflictException">The slug is taken.</exception>
    public async Task<Tenant> CreateAsync(string slug, string name, CancellationToken cancellationToken = default)
    {
        if (!Slug().IsMatch(slug))
            throw new InvalidInputException("slug", "must be 1 to 63 lower-case letters, digits and hyphens, and not begin with a hyphen.");
        Text.Require("name", name, 255);
        var id = Id<Tenant>.New(clock);
        var tenant = new Tenant { Id = id, Slug = slug, Name = name, ShardKey = ShardKeys.Choose(id), CreatedAt = clock.Now() };
        const string Insert = "insert into flowstone.tenants (id, slug, name, shard_key, created_at) values ($1, $2, $3, $4, $5)";
        await app.TransactAsync(tenant.Id.ToString(),
            [new Statement(Insert, P(tenant.Id), P(slug), P(name), P(tenant.ShardKey), P(tenant.CreatedAt))], read: null, cancellationToken);
        return tenant;
    }

    public async Task<Tenant?> FindAsync(string slug, CancellationToken cancellationToken = default)
        => (await QueryAsync("where slug = $1", [P(slug)], cancellationToken)).SingleOrDefault();

    /// <summary>All tenants, by slug.</summary>
    public Task<List<Tenant>> ListAsync(CancellationToken cancellationToken = default) => QueryAsync("order by slug", [], cancellationToken);

    async Task<List<Tenant>> QueryAsync(string rest, NpgsqlParameter[] parameters, CancellationToken cancellationToken)
    {
        var rows = new List<Tenant>();
        await worker.TransactAsync(tenants: null, [new Statement($"select id, slug, name, shard_key, created_at from flowstone.tenants {rest}", parameters)],
            row => rows.Add(new Tenant
            {
                Id = new(row.GetGuid(0)),
                Slug = row.GetString(1),
                Name = row.GetString(2),
                ShardKey = row.GetGuid(3),
                CreatedAt = row.GetFieldValue<DateTimeOffset>(4),
            }), cancellationToken);
        return rows;
    }

    [GeneratedRegex("^[a-z0-9][a-z0-9-]{0,62}$")]
    private static partial Regex Slug();
}
