using Flowstone.Data;
using Flowstone.Executions;
using Flowstone.Tenancy;
using Flowstone.Tests;
using Npgsql;

[assembly: AssemblyFixture(typeof(TestDatabase))]

namespace Flowstone.Tests;

/// <summary>One throw-away PostgreSQL with one migrated database for the whole run. Every test brings a tenant of its own.</summary>
public sealed class TestDatabase : IAsyncLifetime
{
    const string Template = "flowstone_migrated";   // nobody works in it

    string name = "flowstone_test";

    Flowstone.EmbeddedPostgres postgres = null!;
    int copies;

    internal NpgsqlDataSource Source { get; private set; } = null!;

    public string Binaries => postgres.Binaries;

    public async ValueTask InitializeAsync()
    {
        postgres = await Flowstone.EmbeddedPostgres.StartThrowAwayAsync(new Dictionary<string, string>
        {
            ["shared_preload_libraries"] = "pg_stat_statements",   // CanaryTests
            ["max_connections"] = "500",                           // a machine of many cores runs many tests at once, and some have a pool of their own
        });
        await ExecuteAsync("postgres", $"create database {Template}");
        await new DatabaseInstaller(SuperuserConnectionString(Template)).RunAsync();
        await ExecuteAsync("postgres", $"create database {name} template {Template}");
        var options = new FlowstoneOptions { ConnectionString = AppConnectionString(), PoolMax = 20, PoolMin = 0 };
        Source = FlowstoneStore.Connect(options);
    }

    public async ValueTask DisposeAsync()
    {
        await Source.DisposeAsync();
        await postgres.DisposeAsync();
    }

    public string AppConnectionString(string? database = null) => postgres.ConnectionString(database ?? name, TenantPolicies.Login) + ";Connection Idle Lifetime=10;Connection Pruning Interval=5";   // pools outlive their tests

    public string SuperuserConnectionString(string? database = null) => postgres.ConnectionString(database ?? name) + ";Pooling=false";

    /// <summary>A tenant of its own, with a clock that stands still until it is moved.</summary>
    public async Task<TestTenant> NewTenantAsync() => await TestTenant.CreateAsync(Source, null);

    internal async Task<TestTenant> NewTenantAsync(PayloadSettings settings) => await TestTenant.CreateAsync(Source, settings);

    internal async Task<TestTenant> NewTenantAsync(Flowstone.Credentials.IKeyRing keys) => await TestTenant.CreateAsync(Source, null, keys);

    /// <summary>A migrated database of its own, for what crosses tenants. Dropped with the cluster.</summary>
    public async Task<string> NewDatabaseAsync()
    {
        var copy = $"copy_{Interlocked.Increment(ref copies)}";
        await ExecuteAsync("postgres", $"create database {copy} template {Template}");
        return copy;
    }

    /// <summary>The same with a database of its own, which no other test's jobs tidy up.</summary>
    public async Task<TestDatabase> AloneAsync()
    {
        var alone = new TestDatabase { postgres = postgres, name = await NewDatabaseAsync() };
        alone.Source = FlowstoneStore.Connect(new FlowstoneOptions { ConnectionString = alone.AppConnectionString(), PoolMax = 8, PoolMin = 0 });
        return alone;
    }

    /// <summary>Runs SQL as the superuser, past every policy.</summary>
    public async Task ExecuteAsync(string? database, string sql)
    {
        await using var connection = new NpgsqlConnection(SuperuserConnectionString(database));
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>One value, as the superuser sees it.</summary>
    public async Task<T> ScalarAsync<T>(string sql, params NpgsqlParameter[] parameters)
    {
        await using var connection = new NpgsqlConnection(SuperuserConnectionString());
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        command.Parameters.AddRange(parameters);
        return (T)(await command.ExecuteScalarAsync())!;
    }
}
