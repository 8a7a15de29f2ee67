namespace Flowstone.Tests.EmbeddedPostgres;

public sealed class ThrowAwayTests
{
    [Fact]
    public async Task It_waits_for_no_disk_and_is_gone_at_the_end()
    {
        string folder;
        await using (var postgres = await Flowstone.EmbeddedPostgres.StartThrowAwayAsync(new Dictionary<string, string> { ["max_connections"] = "7" }))
        {
            folder = postgres.Folder;
            Assert.Equal("off", await postgres.AskAsync("show fsync"));
            Assert.Equal("7", await postgres.AskAsync("show max_connections"));
        }
        Assert.False(Directory.Exists(folder));
    }

    [Fact]
    public async Task The_next_one_removes_what_a_killed_process_left_and_nothing_else()
    {
        await using var used = await Flowstone.EmbeddedPostgres.StartThrowAwayAsync();
        var abandoned = Path.Combine(ThrowAwayFolders.Parent, Path.GetRandomFileName());
        await using (var once = await Flowstone.EmbeddedPostgres.StartAsync(
            new EmbeddedPostgresOptions { Folder = abandoned, Profile = EmbeddedPostgresProfile.ThrowAway }))
        {
            using var other = await OtherProcess.StartAsync(abandoned, EmbeddedPostgresProfile.ThrowAway);
            Assert.Equal("joined", other.FirstLine);
            await once.StopAsync();
            await other.KillAsync();
        }
        var server = Postmaster.Read(Path.Combine(abandoned, "data"))!.Pid;
        Assert.True(ServerProcesses.IsPostgres(server));

        await using var next = await Flowstone.EmbeddedPostgres.StartThrowAwayAsync();
        Assert.False(Directory.Exists(abandoned));
        Assert.False(ServerProcesses.IsPostgres(server));
        Assert.Equal("1", await used.AskAsync("select 1"));
    }

    [Fact]
    public async Task A_durable_folder_cannot_be_thrown_away()
    {
        await using var folder = await TestFolder.WithClusterAsync();
        var error = await Assert.ThrowsAsync<EmbeddedPostgresException>(
            () => Flowstone.EmbeddedPostgres.StartAsync(folder.Options with { Profile = EmbeddedPostgresProfile.ThrowAway }));
        Assert.Contains("is durable", error.Message);
        Assert.True(Directory.Exists(folder.Data));
    }

    [Fact]
    public async Task A_throw_away_cannot_be_taken_for_durable()
    {
        await using var postgres = await Flowstone.EmbeddedPostgres.StartThrowAwayAsync();
        var error = await Assert.ThrowsAsync<EmbeddedPostgresException>(
            () => Flowstone.EmbeddedPostgres.StartAsync(new EmbeddedPostgresOptions { Folder = postgres.Folder }));
        Assert.Contains("is a throw-away", error.Message);
    }

    [Fact]
    public async Task Several_users_of_one_folder_may_come_while_the_last_deletes_it()
    {
        await using var folder = new TestFolder();
        var options = folder.Options with { Profile = EmbeddedPostgresProfile.ThrowAway };
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            for (var i = 0; i < 2; i++)
            {
                await using var postgres = await Flowstone.EmbeddedPostgres.StartAsync(options);
                Assert.Equal("1", await postgres.AskAsync("select 1"));
            }
        })));
        Assert.False(Directory.Exists(folder.Path));
    }
}
