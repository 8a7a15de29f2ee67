using Flowstone.Data;
using Flowstone.Executions;
using Flowstone.Tenancy;
using Flowstone.Users;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Flowstone;

/// <summary>The way in: one per process and database. Everything of a tenant is reached through <see cref="Tenant"/>.</summary>
public sealed class FlowstoneStore : IAsyncDisposable
{
    readonly NpgsqlDataSource app;
    readonly NpgsqlDataSource worker;
    readonly TimeProvider clock;
    readonly NodeOrdinals nodes = new();

    public FlowstoneStore(IOptions<FlowstoneOptions> options, TimeProvider clock)
        : this(Connect(options.Value, TenantPolicies.AppRole), Connect(options.Value, TenantPolicies.WorkerRole), clock)
    {
    }

    internal FlowstoneStore(NpgsqlDataSource app, NpgsqlDataSource worker, TimeProvider clock)
    {
        (this.app, this.worker, this.clock) = (app, worker, clock);
        Tenants = new TenantDirectory(app, worker, clock);
        SignIn = new SignIn(app, clock);
        Queue = new ExecutionQueue(app, worker, clock, nodes);
        Health = new DatabaseHealth(app);
    }

    /// <summary>Finds and makes tenants.</summary>
    public TenantDirectory Tenants { get; }

    /// <summary>Turns an e-mail address and a password into a session, and a session's token into its user.</summary>
    public SignIn SignIn { get; }

    /// <summary>Hands out executions to workers and takes back what they did, for all tenants.</summary>
    public ExecutionQueue Queue { get; }

    /// <summary>Whether the database can be used, and if not, why.</summary>
    public DatabaseHealth Health { get; }

    /// <summary>The repositories of one tenant, on behalf of one actor. Cheap: make one per request.</summary>
    public TenantScope Tenant(Id<Tenant> id, Actor actor) => new(new TenantDatabase(app, id), actor, clock, nodes);

    /// <summary>Closes the connections.</summary>
    public async ValueTask DisposeAsync()
    {
        await app.DisposeAsync();
        await worker.DisposeAsync();
    }

    internal static NpgsqlDataSource Connect(FlowstoneOptions options, string role)
    {
        var settings = DatabaseUrl.Parse(options.ConnectionString);
        settings.MinPoolSize = role == TenantPolicies.AppRole ? Math.Min(options.PoolMin, options.PoolMax) : 0;
        settings.MaxPoolSize = options.PoolMax;
        settings.CommandTimeout = (int)Math.Ceiling(options.CommandTimeout.TotalSeconds);
        settings.MaxAutoPrepare = 64;
        settings.AutoPrepareMinUsages = 2;
        settings.ApplicationName ??= role;

        // Whoever signs in works as the role: with somebody else's name, the server switches as the session begins.
        if (settings.Username != role)
            settings.Options = $"{settings.Options} -c role={role}".TrimStart();
        return NpgsqlDataSource.Create(settings);
    }
}
