using System.Diagnostics;

namespace Flowstone.Tests.EmbeddedPostgres;

/// <summary>A folder for one test's cluster, removed at its end; a server that the test left running in it is killed.</summary>
sealed class TestFolder : IAsyncDisposable
{
    readonly string root = System.IO.Path.Combine(System.IO.Path.GetTempPath(), "flowstone-test-" + System.IO.Path.GetRandomFileName());

    public TestFolder(string name = "postgres") => Path = System.IO.Path.Combine(root, name);

    public string Path { get; }
    public string Data => System.IO.Path.Combine(Path, "data");

    /// <summary>Nothing waits for the disk, but it is not a throw-away: most tests are about what stays.</summary>
    public EmbeddedPostgresOptions Options => new()
    {
        Folder = Path,
        Settings = new Dictionary<string, string> { ["fsync"] = "off", ["shared_buffers"] = "16MB" },
    };

    /// <summary>A folder with a stopped cluster in it.</summary>
    public static async Task<TestFolder> WithClusterAsync(string name = "postgres")
    {
        var folder = new TestFolder(name);
        await ClusterTemplate.CopyToAsync(folder.Path);
        return folder;
    }

    public Task<Flowstone.EmbeddedPostgres> StartAsync() => Flowstone.EmbeddedPostgres.StartAsync(Options);

    public int? ServerPid => Postmaster.Read(Data)?.Pid;

    public bool ServerRuns => ServerPid is { } pid && ServerProcesses.IsPostgres(pid);

    /// <summary>kill -9, as by the kernel when memory runs out.</summary>
    public int KillServer()
    {
        var pid = ServerPid!.Value;
        using var server = Process.GetProcessById(pid);
        server.Kill();
        SpinWait.SpinUntil(() => !ServerProcesses.IsPostgres(pid));
        return pid;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var pid in await ServerProcesses.ListAsync(Data, CancellationToken.None))
            try
            {
                using var left = Process.GetProcessById(pid);
                left.Kill();
            }
            catch (ArgumentException)
            {
                // It has ended by itself.
            }
        if (Directory.Exists(root))
            Directory.Delete(root, recursive: true);
    }
}
