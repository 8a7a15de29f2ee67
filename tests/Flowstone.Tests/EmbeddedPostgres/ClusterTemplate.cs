using System.Diagnostics;
using Flowstone.Tests.EmbeddedPostgres;

[assembly: AssemblyFixture(typeof(ClusterTemplate))]

namespace Flowstone.Tests.EmbeddedPostgres;

/// <summary>
/// A stopped cluster to copy: initdb takes over a second of processor time, a copy 50 ms.
/// Made when the first test asks for it, deleted at the end of the run.
/// </summary>
public sealed class ClusterTemplate : IAsyncDisposable
{
    static readonly TestFolder Folder = new();
    static readonly Lazy<Task> Made = new(async () => await (await Folder.StartAsync()).StopAsync());

    internal static async Task CopyToAsync(string folder)
    {
        await Made.Value;
        Directory.CreateDirectory(Path.GetDirectoryName(folder)!);
        using var copy = Process.Start("cp", ["-a", "--", Folder.Path, folder]);   // with owners and modes
        await copy.WaitForExitAsync();
        Assert.Equal(0, copy.ExitCode);
    }

    public ValueTask DisposeAsync() => Folder.DisposeAsync();
}
