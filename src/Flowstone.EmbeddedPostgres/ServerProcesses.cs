using System.Diagnostics;
using System.Globalization;

namespace Flowstone;

/// <summary>Which processes of the machine belong to a data folder.</summary>
static class ServerProcesses
{
    /// <summary>The server of this data folder, if it runs now.</summary>
    public static async Task<Postmaster?> FindPostmasterAsync(string data, CancellationToken cancellationToken)
        => Postmaster.Read(data) is { } server && await BelongsToAsync(data, server.Pid, cancellationToken) ? server : null;

    /// <summary>Every process of this data folder, with or without a postmaster. On Linux only; empty elsewhere.</summary>
    public static async Task<List<int>> ListAsync(string data, CancellationToken cancellationToken)
    {
        var found = new List<int>();
        if (OperatingSystem.IsLinux())
            foreach (var folder in Directory.EnumerateDirectories("/proc"))
                if (int.TryParse(Path.GetFileName(folder), CultureInfo.InvariantCulture, out var pid) && await BelongsToAsync(data, pid, cancellationToken))
                    found.Add(pid);
        return found;
    }

    /// <summary>Whether there is a process of that id, of the program postgres, and not just its zombie.</summary>
    public static bool IsPostgres(int pid)
    {
        try
        {
            if (!OperatingSystem.IsLinux())
                return Process.GetProcessById(pid).ProcessName == "postgres";
            var stat = File.ReadAllText($"/proc/{pid}/stat");   // "4711 (postgres) S 1 …"
            return stat.Contains("(postgres) ", StringComparison.Ordinal) && !stat.Contains("(postgres) Z", StringComparison.Ordinal);
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException or ArgumentException or InvalidOperationException)
        {
            return false;
        }
    }

    // The id alone proves nothing, since it may have been reused. But the data folder is the working folder of all its processes.
    static async Task<bool> BelongsToAsync(string data, int pid, CancellationToken cancellationToken)
    {
        if (!IsPostgres(pid))
            return false;
        if (!OperatingSystem.IsLinux())
            return true;
        var cwd = $"/proc/{pid}/cwd";
        if (new FileInfo(cwd).LinkTarget is { } folder)
            return folder == data;
        // A container's root may not look at another user's processes (it lacks CAP_SYS_PTRACE), but that user may.
        var read = await ClusterUser.Current.RunAsync("readlink", [cwd], "/", cancellationToken);
        return read.Output.TrimEnd('\n') == data;
    }
}
