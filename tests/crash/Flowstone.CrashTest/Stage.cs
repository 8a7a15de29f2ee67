using System.Text.Json;
using Flowstone.Data;
using Flowstone.Tenancy;
using Flowstone.Workflows;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Flowstone.CrashTest;

/// <summary>A PostgreSQL of its own with Flowstone's schema, and a table for effects beside it.</summary>
sealed class Stage : IAsyncDisposable
{
    const string DatabaseName = "flowstone";

    /// <summary>Of this campaign.</summary>
    public static readonly string MasterKey = Convert.ToBase64String(System.Security.Cryptography.RandomNumberGenerator.GetBytes(32));

    readonly EmbeddedPostgres postgres;
    readonly DirectoryInfo folder;
    readonly NpgsqlDataSource superuser;

    Stage(EmbeddedPostgres postgres, DirectoryInfo folder)
    {
        (this.postgres, this.folder) = (postgres, folder);
        ConnectionString = postgres.ConnectionString(DatabaseName, TenantPolicies.Login);
        superuser = NpgsqlDataSource.Create(postgres.ConnectionString(DatabaseName) + ";Maximum Pool Size=4;Command Timeout=300");
        Store = Open();
    }

    public string ConnectionString { get; }
    public FlowstoneStore Store { get; private set; }
    public string Folder => folder.FullName;

    FlowstoneStore Open() => new(Options.Create(new FlowstoneOptions { ConnectionString = ConnectionString, PoolMax = 6, MasterKey = MasterKey }), TimeProvider.System);

    /// <summary>After PostgreSQL died: without the connections that broke.</summary>
    public async Task ReconnectAsync()
    {
        superuser.Clear();
        await Store.DisposeAsync();
        Store = Open();
    }

    public static async Task<Stage> OpenAsync(CancellationToken cancellationToken)
    {
        var folder = Directory.CreateTempSubdirectory("flowstone-crash-");
        if (!OperatingSystem.IsWindows())
            folder.UnixFileMode |= UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;   // PostgreSQL runs as a user of its own
        var postgres = await EmbeddedPostgres.StartAsync(new EmbeddedPostgresOptions { Folder = Path.Combine(folder.FullName, "postgres") }, cancellationToken);
        await DatabaseInstaller.CreateDatabaseAsync(postgres.ConnectionString() + ";Pooling=false", DatabaseName, cancellationToken);
        await new DatabaseInstaller(postgres.ConnectionString(DatabaseName) + ";Pooling=false").RunAsync(cancellationToken);
        var stage = new Stage(postgres, folder);
        await stage.ExecuteAsync($"""
            create table public.crash_effects (tenant_id uuid, execution_id uuid, ordinal int, node int, value text);
            grant select, insert on public.crash_effects to {TenantPolicies.Login}
            """);
        return stage;
    }

    public async Task<(TenantScope Tenant, Workflow Workflow)> NewTenantAsync(string slug)
    {
        var tenant = await Store.Tenants.CreateAsync(slug, slug);
        var scope = Store.Tenant(tenant.Id, Actor.System("crash test"));
        return (scope, await scope.Workflows.CreateAsync(new NewWorkflow { Definition = Chain.Definition() }));
    }

    public static JsonElement Input(int ordinal) => JsonSerializer.SerializeToElement(new { ordinal });

    public void KillPostgres() => Posix.Kill(int.Parse(File.ReadLines(Path.Combine(postgres.Folder, "data", "postmaster.pid")).First(), System.Globalization.CultureInfo.InvariantCulture));

    public Task<bool> RestartPostgresAsync(CancellationToken cancellationToken) => postgres.RestartIfDeadAsync(cancellationToken);

    async Task ExecuteAsync(string sql)
    {
        await using var command = superuser.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>As the superuser, past every policy.</summary>
    public async Task<List<T>> QueryAsync<T>(string sql, Func<NpgsqlDataReader, T> read, params object[] parameters)
    {
        await using var command = superuser.CreateCommand(sql);
        foreach (var parameter in parameters)
            command.Parameters.Add(new NpgsqlParameter { Value = parameter });
        await using var reader = await command.ExecuteReaderAsync();
        var rows = new List<T>();
        while (await reader.ReadAsync())
            rows.Add(read(reader));
        return rows;
    }

    public async Task<long> NumberAsync(string sql, params object[] parameters) => (await QueryAsync(sql, row => row.GetInt64(0), parameters))[0];

    public async ValueTask DisposeAsync()
    {
        await superuser.DisposeAsync();
        await Store.DisposeAsync();
        await postgres.DisposeAsync();
        folder.Delete(recursive: true);
    }
}
