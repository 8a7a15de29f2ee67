using System.CommandLine;
using Flowstone.Credentials;
using Flowstone.Data;
using Flowstone.Tenancy;
using Microsoft.Extensions.DependencyInjection;

namespace Flowstone.Cli;

/// <summary>A store that a command works with, and the PostgreSQL behind it if that is Flowstone's own.</summary>
sealed class OpenStore : IAsyncDisposable
{
    public const string DatabaseName = "flowstone";

    readonly EmbeddedPostgres? postgres;

    OpenStore(FlowstoneOptions options, EmbeddedPostgres? postgres, int connections)
    {
        (Options, this.postgres) = (options, postgres);
        Options.PoolMax = PoolMax ?? connections;
        Store = new FlowstoneStore(Microsoft.Extensions.Options.Options.Create(Options), TimeProvider.System);
    }

    static int? PoolMax => int.TryParse(Environment.GetEnvironmentVariable("DATABASE_POOL_MAX"), out var max) && max > 0 ? max : null;

    public FlowstoneOptions Options { get; }
    public FlowstoneStore Store { get; }

    /// <summary>Flowstone's own PostgreSQL; null where a database was given.</summary>
    public EmbeddedPostgres? Postgres => postgres;

    /// <summary>
    /// Opens the database that was given, which must be ready; or starts Flowstone's own (joining one that runs already) and brings its
    /// schema up to date.
    /// </summary>
    /// <param name="connections">At most so many, unless DATABASE_POOL_MAX says otherwise.</param>
    public static async Task<OpenStore> OpenAsync(ParseResult arguments, CancellationToken cancellationToken, int connections = 10)
    {
        if (GivenDatabase(arguments) is { } given)
        {
            var open = new OpenStore(OptionsFor(given), postgres: null, connections);
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
            var options = OptionsFor(postgres.ConnectionString(DatabaseName, TenantPolicies.Login));
            if (!KeySource.IsSet(options))
                options.KeyFile = MakeKeyFile(arguments);
            var open = new OpenStore(options, postgres, connections);
            if (await open.Store.Health.CheckAsync(cancellationToken) is { IsReady: false })
                await InstallAsync(postgres, cancellationToken);
            if (await open.Store.Health.CheckAsync(cancellationToken) is { IsSafe: false } status)
                throw new UnavailableException(string.Join(Environment.NewLine, status.Problems));
            return open;
        }
        catch
        {
            await postgres.DisposeAsync();
            throw;
        }
    }

    /// <summary>The options of the environment, for this database.</summary>
    public static FlowstoneOptions OptionsFor(string connectionString)
    {
        var options = FlowstoneServices.FromEnvironment();
        options.ConnectionString = connectionString;
        return options;
    }

    /// <summary>The key file beside Flowstone's own PostgreSQL.</summary>
    public static string KeyFileOf(ParseResult arguments) => Path.Combine(DataFolder(arguments), "master.key");

    static string MakeKeyFile(ParseResult arguments)
    {
        var path = KeyFileOf(arguments);
        if (KeyFile.Create(path))
            Output.Note($"Made a master key in {path}. Keep a copy of it elsewhere: without it, the secrets in this database are lost.");
        return path;
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
        var tenant = slug == StoreOptions.DefaultTenant ? await DefaultTenantAsync(cancellationToken)
            : (await Store.Tenants.FindAsync(slug, cancellationToken))?.Id
            ?? throw new InvalidInputException("--tenant", $"there is no tenant '{slug}'. See: flowstone tenant list");
        return Store.Tenant(tenant, Actor.System("flowstone command line"));
    }

    public async Task<Id<Tenant>> DefaultTenantAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            if (await Store.Tenants.FindAsync(StoreOptions.DefaultTenant, cancellationToken) is { } tenant)
                return tenant.Id;
            try
            {
                return (await Store.Tenants.CreateAsync(StoreOptions.DefaultTenant, "Default", cancellationToken)).Id;
            }
            catch (ConflictException)
            {
                // Another command made it at the same moment: find it.
            }
        }
    }

    /// <summary>Starts Flowstone's own PostgreSQL again whenever it died, until cancelled. Nothing to do for a database that was given.</summary>
    public async Task KeepPostgresAliveAsync(CancellationToken cancellationToken)
    {
        while (postgres is not null && !cancellationToken.IsCancellationRequested)
        {
            try
            {
                await Task.Delay(TimeSpan.FromSeconds(1), cancellationToken);
                if (await postgres.RestartIfDeadAsync(cancellationToken))
                    Output.Note("PostgreSQL had died and was started again.");
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (EmbeddedPostgresException error)
            {
                Output.Error(error.Message);   // a full disk, say: try again, it may pass
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Store.DisposeAsync();
        if (postgres is not null)
            await postgres.DisposeAsync();
    }
}
