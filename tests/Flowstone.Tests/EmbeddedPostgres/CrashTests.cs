using Npgsql;

namespace Flowstone.Tests.EmbeddedPostgres;

public sealed class CrashTests
{
    [Fact]
    public async Task After_kill_9_of_the_server_the_next_start_has_every_commit()
    {
        await using var folder = await TestFolder.WithClusterAsync();
        var postgres = await folder.StartAsync();
        await postgres.AskAsync("create table kept as select 42 as answer");
        folder.KillServer();

        await using var next = await folder.StartAsync();
        Assert.False(next.Joined);
        Assert.Equal("42", await next.AskAsync("select answer from kept"));
        await postgres.DisposeAsync();
        Assert.Equal("42", await next.AskAsync("select answer from kept"));
    }

    [Fact]
    public async Task A_host_restarts_a_killed_server_in_its_place()
    {
        await using var folder = await TestFolder.WithClusterAsync();
        await using var postgres = await folder.StartAsync();
        await postgres.AskAsync("create table kept as select 42 as answer");
        Assert.False(await postgres.RestartIfDeadAsync());
        folder.KillServer();

        var restarted = await Task.WhenAll(postgres.RestartIfDeadAsync(), postgres.RestartIfDeadAsync());

        Assert.Single(restarted, r => r);
        Assert.Equal("42", await postgres.AskAsync("select answer from kept"));
    }

    [Fact]
    public async Task A_start_ends_the_busy_orphans_of_a_killed_server()
    {
        await using var folder = await TestFolder.WithClusterAsync();
        await using var postgres = await folder.StartAsync();
        await using var connection = new NpgsqlConnection(postgres.ConnectionString() + ";Pooling=false");
        await connection.OpenAsync();
        // A backend that only computes does not look whether its postmaster lives.
        await using var busy = new NpgsqlCommand("select count(*) from (select generate_series(1, 2000000000)) as streamed", connection);
        var running = busy.ExecuteScalarAsync();
        await Task.Delay(100);
        folder.KillServer();
        Assert.NotEmpty(await ServerProcesses.ListAsync(folder.Data, CancellationToken.None));

        await using var next = await folder.StartAsync();
        Assert.False(next.Joined);
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => running);
        Assert.Equal("1", await next.AskAsync("select 1"));
    }

    [Theory]
    [InlineData("2147483000")]   // nobody's
    [InlineData("1")]            // a running process, but no server
    [InlineData("self")]
    [InlineData("server of another cluster")]
    public async Task A_stale_pid_file_is_no_obstacle(string pid)
    {
        await using var folder = await TestFolder.WithClusterAsync();
        await using var another = await TestFolder.WithClusterAsync();
        await using var anothers = await another.StartAsync();
        var number = pid switch { "self" => Environment.ProcessId.ToString(), "server of another cluster" => another.ServerPid.ToString(), _ => pid };
        await File.WriteAllTextAsync(Path.Combine(folder.Data, "postmaster.pid"),
            $"{number}\n{folder.Data}\n1700000000\n5432\n{folder.Path}/socket\n\n  123 456\nready   \n");

        await using var postgres = await folder.StartAsync();
        Assert.False(postgres.Joined);
        Assert.Equal(folder.Data, await postgres.AskAsync("show data_directory"));
    }

    [Fact]
    public async Task An_interrupted_initdb_is_begun_anew()
    {
        await using var folder = new TestFolder();
        await OtherProcess.KillWhenAsync(folder.Path, () => Directory.Exists(folder.Path)
            && Directory.EnumerateDirectories(folder.Path, "data.partial*").Any(partial => File.Exists(Path.Combine(partial, "PG_VERSION"))));
        Assert.False(Directory.Exists(folder.Data));

        await using var postgres = await folder.StartAsync();
        Assert.Equal("1", await postgres.AskAsync("select 1"));
    }

    [Fact]
    public async Task A_failed_start_shows_what_the_server_logged()
    {
        await using var folder = new TestFolder();
        var error = await Assert.ThrowsAsync<EmbeddedPostgresException>(() => Flowstone.EmbeddedPostgres.StartAsync(
            folder.Options with { Settings = new Dictionary<string, string> { ["shared_buffers"] = "many" } }));

        Assert.Contains("invalid value for parameter \"shared_buffers\"", error.Message);
        Assert.Contains("EmbeddedPostgresOptions.Settings", error.Message);
        await using var corrected = await folder.StartAsync();
        Assert.Equal("1", await corrected.AskAsync("select 1"));
    }

    [Fact]
    public void A_full_disk_is_named()
        => Assert.Contains("The disk is full", EmbeddedPostgresException.From("It did not start.",
            "FATAL:  could not write to file \"pg_wal/xlogtemp.42\": No space left on device").Message);

    [Fact]
    public async Task A_big_log_is_set_aside_once()
    {
        await using var folder = await TestFolder.WithClusterAsync();
        await using (var first = await folder.StartAsync())
            Assert.True(File.Exists(first.LogFile));
        var log = Path.Combine(folder.Path, "postgres.log");
        await File.WriteAllTextAsync(log, new string('x', (10 << 20) + 1));

        await using var postgres = await folder.StartAsync();
        Assert.True(new FileInfo(log + ".1").Length > 10 << 20);
        Assert.True(new FileInfo(postgres.LogFile).Length < 10 << 20);
    }
}
