using Flowstone.Data;
using Npgsql;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Flowstone.Benchmarks;

/// <summary>
/// The PostgreSQL that everybody is measured on: a cluster of its own that is deleted at the end, or the one of <c>--database</c>.
/// Everybody reaches it over TCP on the loopback interface, as a program on another machine would, and with the same settings.
/// </summary>
sealed class BenchmarkServer : IAsyncDisposable
{
    public const string Login = "flowstone";
    const string Password = "benchmark";   // of a throw-away cluster that listens on 127.0.0.1 only

    /// <summary>A small production server; nothing is traded for durability.</summary>
    static readonly Dictionary<string, string> Settings = new()
    {
        ["shared_buffers"] = "2GB",
        ["synchronous_commit"] = "on",
        ["fsync"] = "on",
        ["full_page_writes"] = "on",
        ["wal_level"] = "replica",
        ["max_wal_size"] = "8GB",
        ["checkpoint_timeout"] = "30min",   // rounds are too short to share checkpoints fairly: one is made between them
        ["max_connections"] = "300",
    };

    readonly EmbeddedPostgres? postgres;
    readonly NpgsqlConnectionStringBuilder server;
    readonly FileStream? mine;
    readonly PosixSignalRegistration[] signals;

    BenchmarkServer(NpgsqlConnectionStringBuilder server, EmbeddedPostgres? postgres, FileStream? mine)
    {
        (this.server, this.postgres, this.mine) = (server, postgres, mine);
        signals = [PosixSignalRegistration.Create(PosixSignal.SIGINT, End), PosixSignalRegistration.Create(PosixSignal.SIGTERM, End)];
    }

    // Whoever stops a benchmark need not find its server still running.
    void End(PosixSignalContext signal)
    {
        signal.Cancel = true;
        postgres?.StopAsync().Wait(TimeSpan.FromSeconds(10));
        Environment.Exit(1);
    }

    /// <summary>Owner of everything, past every policy.</summary>
    public string Superuser(string database) => With(database, server.Username!, server.Password);

    /// <summary>What Flowstone signs in as.</summary>
    public string Application(string database) => With(database, Login, Password);

    /// <summary>For programs in other languages.</summary>
    public Uri Url(string database) => new($"postgresql://{server.Username}:{server.Password}@{server.Host}:{server.Port}/{database}");

    public static async Task<BenchmarkServer> StartAsync(string? database)
    {
        if (database is not null)
            return new BenchmarkServer(DatabaseUrl.Parse(database), postgres: null, mine: null);
        var parent = Path.Combine(Path.GetTempPath(), "flowstone-bench");
        Directory.CreateDirectory(parent);
        await SweepAsync(parent);
        var folder = Path.Combine(parent, Path.GetRandomFileName());
        var mine = new FileStream(folder + ".lock", FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
        var port = FreePort();
        var postgres = await EmbeddedPostgres.StartAsync(new EmbeddedPostgresOptions
        {
            Folder = folder,
            Profile = EmbeddedPostgresProfile.ThrowAway,
            TcpPort = port,
            Settings = Settings,
        });
        await RunAsync(postgres.ConnectionString() + ";Pooling=false", $"alter role postgres password '{Password}'");
        var server = new NpgsqlConnectionStringBuilder { Host = "127.0.0.1", Port = port, Username = "postgres", Password = Password };
        return new BenchmarkServer(server, postgres, mine);
    }

    /// <summary>A new database with Flowstone's schema.</summary>
    public async Task CreateFlowstoneDatabaseAsync(string name)
    {
        await CreateDatabaseAsync(name);
        await new DatabaseInstaller(Superuser(name)).RunAsync();
        await ExecuteAsync(name, $"alter role {Login} password '{Password}'");
    }

    /// <summary>A new database of somebody else's.</summary>
    public async Task CreatePeerDatabaseAsync(string name, string? schema)
    {
        await CreateDatabaseAsync(name);
        if (schema is not null)
            await ExecuteAsync(name, schema);
    }

    async Task CreateDatabaseAsync(string name)
    {
        await DatabaseInstaller.DropDatabaseAsync(Superuser("postgres"), name);
        await DatabaseInstaller.CreateDatabaseAsync(Superuser("postgres"), name);
    }

    public Task CheckpointAsync() => ExecuteAsync("postgres", "checkpoint");

    /// <summary>As the superuser, past every policy.</summary>
    public Task ExecuteAsync(string database, string sql) => RunAsync(Superuser(database), sql);

    public async Task<T> ScalarAsync<T>(string database, string sql)
    {
        await using var connection = new NpgsqlConnection(Superuser(database));
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        return (T)(await command.ExecuteScalarAsync())!;
    }

    public Task<string> DescribeAsync()
        => ScalarAsync<string>("postgres", """
            select concat_ws(', ', split_part(version(), ' on ', 1), (select string_agg(name || ' ' || current_setting(name), ', ' order by name)
              from unnest(array['shared_buffers', 'synchronous_commit', 'fsync', 'full_page_writes', 'max_wal_size']) name))
            """);

    /// <summary>What the server has done so far.</summary>
    public async Task<(double Commits, double WalBytes, TimeSpan Server)> CountersAsync()
    {
        await using var connection = new NpgsqlConnection(Superuser("postgres"));
        await connection.OpenAsync();
        // Transactions that wrote: pg_stat_database would tell of them ten seconds late.
        await using var command = new NpgsqlCommand(
            "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')", connection);
        await using var reader = await command.ExecuteReaderAsync();
        await reader.ReadAsync();
        return (reader.GetInt64(0), (double)reader.GetDecimal(1), Machine.PostgresTime(connection.ProcessID));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var signal in signals)
            signal.Dispose();
        NpgsqlConnection.ClearAllPools();
        if (postgres is not null)
            await postgres.DisposeAsync();
        if (mine is not null)
            await mine.DisposeAsync();
    }

    string With(string database, string user, string? password) => new NpgsqlConnectionStringBuilder(server.ConnectionString)
    {
        Database = database,
        Username = user,
        Password = password,
        Pooling = false,
        CommandTimeout = 0,
    }.ConnectionString;

    static async Task RunAsync(string connectionString, string sql)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        await command.ExecuteNonQueryAsync();
    }

    // A benchmark that was killed leaves its server behind: join it, and leave it as the last one, which stops and deletes it.
    static async Task SweepAsync(string parent)
    {
        foreach (var folder in Directory.EnumerateDirectories(parent).Where(folder => !File.Exists(folder + ".lock") || IsFree(folder + ".lock")))
        {
            try
            {
                await using (await EmbeddedPostgres.StartAsync(new EmbeddedPostgresOptions { Folder = folder, Profile = EmbeddedPostgresProfile.ThrowAway }))
                    Console.Error.WriteLine($"Removing what an earlier benchmark left in {folder}.");
                File.Delete(folder + ".lock");
            }
            catch (EmbeddedPostgresException)
            {
                // It resists, or another benchmark is removing it: it is not in the way.
            }
        }
    }

    static bool IsFree(string file)
    {
        try
        {
            using var taken = new FileStream(file, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
