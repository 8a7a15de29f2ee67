using System.CommandLine;
using Flowstone.Data;
using Flowstone.Tenancy;

namespace Flowstone.Cli;

/// <summary>A store that a command works with, and the PostgreSQL behind it if that is Flowstone's own.</summary>
sealed class OpenStore : IAsyncDisposable
{
    public const string DatabaseName = "flowstone";

    readonly EmbeddedPostgres? postgres;

    OpenStore(string connectionString, EmbeddedPostgres? postgres)
    {
        (ConnectionString, this.postgres) = (connectionString, postgres);
        Options = new FlowstoneOptions { ConnectionString = connectionString, PoolMax = PoolMax };
        Store = new FlowstoneStore(Microsoft.Extensions.Options.Options.Create(Options), TimeProvider.System);
    }

    static int PoolMax => int.TryParse(Environment.GetEnvironmentVariable("DATABASE_POOL_MAX"), out var max) && max > 0 ? max : 10;

    public string ConnectionString { get; }
    public FlowstoneOptions Options { get; }
    public FlowstoneStore Store { get; }

    /// <summary>Flowstone's own PostgreSQL; null where a database was given.</summary>
    public EmbeddedPostgres? Postgres => postgres;

    /// <summary>
    /// Opens the database that was given, which must be ready; or starts Flowstone's own (joining one that runs already) and brings its
    /// schema up to date.
    /// </summary>
    public static async Task<OpenStore> OpenAsync(ParseResult arguments, CancellationToken cancellationToken)
    {
        if (GivenDatabase(arguments) is { } given)
        {
            var open = new OpenStore(given, postgres: null);
            if (await open.Store.Health.CheckAsync(cancellationToken) is { IsReady: false } status)
            {
                await open.DisposeAsync();
                throw new UnavailableException(string.Join(Environment.NewLine, status.Problems));
            }
            return open;
        }
        var postgres = await StartOwnAsync(arguments, cancellationToken);
        try
        {
            var open = new OpenStore(postgres.ConnectionString(DatabaseName, TenantPolicies.Login), postgres);
            if (await open.Store.Health.CheckAsync(cancellationToken) is { IsReady: false })
                await InstallAsync(postgres, cancellationToken);
            return open;
        }
        catch
        {
            await postgres.DisposeAsync();
            throw;
        }
    }

    /// <summary>The database named by <c>--database</c> or <c>DATABASE_URL</c>.</summary>
    public static string? GivenDatabase(ParseResult arguments)
    {
        var given = arguments.GetValue(StoreOptions.Database) ?? Environment.GetEnvironmentVariable("DATABASE_URL");
        return string.IsNullOrWhiteSpace(given) ? null : given;
    }

    public static async Task<EmbeddedPostgres> StartOwnAsync(ParseResult arguments, CancellationToken cancellationToken)
        => await EmbeddedPostgres.StartAsync(new EmbeddedPostgresOptions { Folder = Path.Combine(DataFolder(arguments), "postgres") }, cancellationToken);

    /// <summary>Makes the database if it is not there, and its schema current.</summary>
    public static async Task InstallAsync(EmbeddedPostgres postgres, CancellationToken cancellationToken)
    {
        await DatabaseInstaller.CreateDatabaseAsync(postgres.ConnectionString() + ";Pooling=false", DatabaseName, cancellationToken);
        await new DatabaseInstaller(postgres.ConnectionString(DatabaseName) + ";Pooling=false").RunAsync(cancellationToken);
    }

    public static string DataFolder(ParseResult arguments)
        => Path.GetFullPath(arguments.GetValue(StoreOptions.Data)?.FullName ?? Environment.GetEnvironmentVariable("FLOWSTONE_DATA") ?? DefaultFolder());

    static string DefaultFolder() => Environment.UserName == "root"
        ? "/var/lib/flowstone"
        : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify), "flowstone");

    /// <summary>The tenant of <c>--tenant</c>. The default one is made when it is first needed, so that a single company need not think of tenants.</summary>
    public async Task<TenantScope> TenantAsync(ParseResult arguments, CancellationToken cancellationToken)
    {
        var slug = arguments.GetValue(StoreOptions.Tenant)!;
        var tenant = await Store.Tenants.FindAsync(slug, cancellationToken);
        if (tenant is null && slug == StoreOptions.DefaultTenant)
            tenant = await Store.Tenants.CreateAsync(slug, "Default", cancellationToken);
        if (tenant is null)
            throw new InvalidInputException("--tenant", $"there is no tenant '{slug}'. See: flowstone tenant list");
        return Store.Tenant(tenant.Id, Actor.System("flowstone command line"));
    }

    public async ValueTask DisposeAsync()
    {
        await Store.DisposeAsync();
        if (postgres is not null)
            await postgres.DisposeAsync();
    }
}
