using System.Net;
using System.Net.Sockets;

namespace Flowstone.Tests.EmbeddedPostgres;

public sealed class JoiningTests
{
    [Fact]
    public async Task The_server_runs_until_the_last_of_two_processes_leaves()
    {
        await using var folder = await TestFolder.WithClusterAsync();
        var postgres = await folder.StartAsync();
        using var other = await OtherProcess.StartAsync(folder.Path);
        Assert.Equal("joined", other.FirstLine);

        await postgres.StopAsync();
        Assert.True(folder.ServerRuns);

        await other.LeaveAsync();
        Assert.False(folder.ServerRuns);
    }

    [Fact]
    public async Task A_cluster_whose_only_process_was_killed_is_joined_and_stopped_by_the_next()
    {
        await using var folder = await TestFolder.WithClusterAsync();
        using var other = await OtherProcess.StartAsync(folder.Path);
        Assert.Equal("started", other.FirstLine);
        await other.KillAsync();
        Assert.True(folder.ServerRuns);

        await using (var postgres = await folder.StartAsync())
            Assert.True(postgres.Joined);
        Assert.False(folder.ServerRuns);
    }

    [Fact]
    public async Task Many_may_come_and_go_at_once()
    {
        await using var folder = await TestFolder.WithClusterAsync();
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            await using var postgres = await folder.StartAsync();
            Assert.Equal("1", await postgres.AskAsync("select 1"));
        })));
        Assert.False(folder.ServerRuns);
    }

    [Fact]
    public async Task Two_spellings_of_a_folder_are_one_cluster()
    {
        await using var folder = await TestFolder.WithClusterAsync();
        await using var postgres = await folder.StartAsync();
        var link = Path.Combine(Path.GetDirectoryName(folder.Path)!, "link");
        Directory.CreateSymbolicLink(link, folder.Path);

        await using var same = await Flowstone.EmbeddedPostgres.StartAsync(folder.Options with { Folder = link + "/" });
        Assert.True(same.Joined);
    }

    [Fact]
    public async Task Asking_for_another_TCP_port_than_the_running_one_is_refused()
    {
        await using var folder = await TestFolder.WithClusterAsync();
        await using var postgres = await folder.StartAsync();

        var error = await Assert.ThrowsAsync<EmbeddedPostgresException>(
            () => Flowstone.EmbeddedPostgres.StartAsync(folder.Options with { TcpPort = 54329 }));
        Assert.Contains("without TCP", error.Message);
        Assert.Equal("1", await postgres.AskAsync("select 1"));
    }

    [Fact]
    public async Task TCP_that_was_asked_for_wants_a_password()
    {
        await using var folder = await TestFolder.WithClusterAsync();
        await using var postgres = await Flowstone.EmbeddedPostgres.StartAsync(folder.Options with { TcpPort = FreePort() });
        await postgres.AskAsync("alter role postgres password 'secret'");

        Assert.Equal("127.0.0.1", await postgres.AskAsync("show listen_addresses"));
        await AskByTcpAsync("Password=secret");
        var refused = await Assert.ThrowsAsync<Npgsql.PostgresException>(() => AskByTcpAsync("Password=wrong"));
        Assert.Equal(Npgsql.PostgresErrorCodes.InvalidPassword, refused.SqlState);

        async Task AskByTcpAsync(string password)
        {
            await using var connection = new Npgsql.NpgsqlConnection($"Host=127.0.0.1;Port={postgres.Port};Username=postgres;Pooling=false;{password}");
            await connection.OpenAsync();
        }
    }

    static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
