using System.Diagnostics;

namespace Flowstone.Tests.EmbeddedPostgres;

public sealed class FolderTests
{
    [Fact]
    public async Task A_long_path_gets_a_short_socket_which_is_removed_at_the_end()
    {
        await using var folder = await TestFolder.WithClusterAsync(string.Join('/', Enumerable.Repeat("a-folder-with-a-long-name", 5)));
        string socket;
        await using (var postgres = await folder.StartAsync())
        {
            socket = postgres.SocketFolder;
            Assert.False(socket.StartsWith(folder.Path, StringComparison.Ordinal));
            Assert.Equal(FolderAccess.OwnerOnly, File.GetUnixFileMode(socket));
            Assert.Equal("1", await postgres.AskAsync("select 1"));
        }
        Assert.False(Directory.Exists(socket));
    }

    [Fact]
    public async Task A_path_may_hold_what_shells_and_connection_strings_dislike()
    {
        await using var folder = new TestFolder("it's $HOME, \"quoted\"; `x` ünï=1");
        await using var postgres = await folder.StartAsync();
        Assert.Equal(folder.Data, await postgres.AskAsync("show data_directory"));
    }

    [Fact]
    public async Task A_socket_folder_that_somebody_else_made_is_refused()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only root can make a folder for somebody else");
        await using var folder = new TestFolder(new string('x', 100));
        var socket = SocketFolder.For(ClusterFolder.At(folder.Path), 5432);
        Directory.CreateDirectory(socket);
        try
        {
            await ChownAsync("nobody", socket);
            var error = await Assert.ThrowsAsync<EmbeddedPostgresException>(folder.StartAsync);
            Assert.Contains($"{socket} should be", error.Message);
            Assert.Contains("belongs to nobody", error.Message);
        }
        finally
        {
            Directory.Delete(socket, recursive: true);
        }
    }

    [Fact]
    public async Task A_folder_of_another_OS_user_is_refused()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only root can make a folder for somebody else");
        await using var folder = new TestFolder();
        Directory.CreateDirectory(folder.Path);
        await ChownAsync("nobody", folder.Path);

        var error = await Assert.ThrowsAsync<EmbeddedPostgresException>(folder.StartAsync);
        Assert.Contains("belongs to OS user nobody", error.Message);
        Assert.Contains("chown -R postgres", error.Message);
    }

    [Fact]
    public async Task A_folder_with_other_files_is_refused_and_left_as_it_was()
    {
        await using var folder = new TestFolder();
        Directory.CreateDirectory(folder.Path);
        var mode = File.GetUnixFileMode(folder.Path);
        await File.WriteAllTextAsync(Path.Combine(folder.Path, "thesis.txt"), "years of work");
        await ChownAsync(ClusterUser.Current.Name, folder.Path);

        var error = await Assert.ThrowsAsync<EmbeddedPostgresException>(folder.StartAsync);
        Assert.Contains("Name a folder of its own", error.Message);
        Assert.Equal(mode, File.GetUnixFileMode(folder.Path));
        Assert.Single(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    [Fact]
    public async Task A_folder_that_the_clusters_user_cannot_reach_is_refused()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only root runs the cluster as somebody else");
        await using var folder = new TestFolder("closed/within/postgres");
        var closed = Path.GetFullPath(Path.Combine(folder.Path, "../.."));
        Directory.CreateDirectory(closed, FolderAccess.OwnerOnly);

        var error = await Assert.ThrowsAsync<EmbeddedPostgresException>(folder.StartAsync);
        Assert.Contains($"cannot enter {closed} on the way", error.Message);
        Assert.Contains($"chmod o+x {closed}", error.Message);
        Assert.Empty(Directory.EnumerateFileSystemEntries(closed));
    }

    [Fact]
    public async Task A_setting_that_has_an_option_is_refused()
    {
        await using var folder = new TestFolder();
        var options = folder.Options with { Settings = new Dictionary<string, string> { ["listen_addresses"] = "*" } };
        await Assert.ThrowsAsync<ArgumentException>(() => Flowstone.EmbeddedPostgres.StartAsync(options));
    }

    static async Task ChownAsync(string user, string path)
    {
        using var chown = Process.Start("chown", [user, path]);
        await chown.WaitForExitAsync();
        Assert.Equal(0, chown.ExitCode);
    }
}
