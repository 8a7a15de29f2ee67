namespace Flowstone.Tests.EmbeddedPostgres;

public sealed class StartAndStopTests
{
    [Fact]
    public async Task What_was_committed_is_there_after_a_stop_and_a_start()
    {
        await using var folder = new TestFolder();
        await using (var first = await folder.StartAsync())
        {
            Assert.False(first.Joined);
            await first.AskAsync("create table kept as select 42 as answer");
        }
        Assert.False(folder.ServerRuns);

        await using var second = await folder.StartAsync();
        Assert.Equal("42", await second.AskAsync("select answer from kept"));
        Assert.StartsWith(second.Version.ToString(), await second.AskAsync("show server_version"));
        Assert.True(File.Exists(Path.Combine(second.Binaries, "pg_dump")));
    }

    [Fact]
    public async Task A_durable_cluster_waits_for_the_disk_and_checks_its_pages()
    {
        await using var folder = new TestFolder();
        await using var postgres = await Flowstone.EmbeddedPostgres.StartAsync(new EmbeddedPostgresOptions { Folder = folder.Path });

        foreach (var setting in (string[])["fsync", "synchronous_commit", "full_page_writes", "data_checksums"])
            Assert.Equal("on", await postgres.AskAsync($"show {setting}"));
        Assert.Equal("UTF8", await postgres.AskAsync("show server_encoding"));
        Assert.Equal("UTC", await postgres.AskAsync("show timezone"));
    }

    [Fact]
    public async Task Nobody_but_the_owner_can_connect()
    {
        await using var folder = await TestFolder.WithClusterAsync();
        await using var postgres = await folder.StartAsync();

        Assert.Equal("", await postgres.AskAsync("show listen_addresses"));
        Assert.Equal("", await postgres.AskAsync("select coalesce(inet_server_addr()::text, '')"));
        foreach (var path in (string[])[folder.Path, folder.Data, postgres.SocketFolder])
            Assert.Equal(FolderAccess.OwnerOnly, File.GetUnixFileMode(path));
    }

    [Fact]
    public async Task Stopping_twice_and_stopping_what_is_dead_already_are_fine()
    {
        await using var folder = await TestFolder.WithClusterAsync();
        var postgres = await folder.StartAsync();
        folder.KillServer();

        await postgres.StopAsync();
        await postgres.StopAsync();
        await postgres.DisposeAsync();
        Assert.Empty(await ServerProcesses.ListAsync(folder.Data, CancellationToken.None));
    }

    [Fact]
    public async Task Stopping_after_the_folder_was_deleted_is_fine()
    {
        await using var folder = await TestFolder.WithClusterAsync();
        var postgres = await folder.StartAsync();
        folder.KillServer();
        await folder.DisposeAsync();   // with what is left of the server

        await postgres.DisposeAsync();
        Assert.False(Directory.Exists(folder.Path));
    }

    [Fact]
    public async Task A_cancelled_start_leaves_no_server()
    {
        await using var folder = await TestFolder.WithClusterAsync();
        using var cancelled = new CancellationTokenSource();
        var starting = Flowstone.EmbeddedPostgres.StartAsync(folder.Options, cancelled.Token);
        await cancelled.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => starting);
        Assert.False(folder.ServerRuns);
        await using var again = await folder.StartAsync();
        Assert.False(again.Joined);
    }

    [Fact]
    public async Task The_environments_PG_variables_are_not_for_this_cluster()
    {
        Environment.SetEnvironmentVariable("PGDATA", "/nowhere");
        Environment.SetEnvironmentVariable("PGPORT", "1");
        try
        {
            await using var folder = await TestFolder.WithClusterAsync();
            await using var postgres = await folder.StartAsync();
            Assert.Equal(folder.Data, await postgres.AskAsync("show data_directory"));
        }
        finally
        {
            Environment.SetEnvironmentVariable("PGDATA", null);
            Environment.SetEnvironmentVariable("PGPORT", null);
        }
    }

    [Fact]
    public void A_connection_string_holds_odd_names()
    {
        var text = new System.Data.Common.DbConnectionStringBuilder { ["Database"] = "a;b=\"c'" }.ConnectionString;
        Assert.Equal("a;b=\"c'", new Npgsql.NpgsqlConnectionStringBuilder(text).Database);
    }
}
