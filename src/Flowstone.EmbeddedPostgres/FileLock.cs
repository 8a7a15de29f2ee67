namespace Flowstone;

/// <summary>
/// Locks between processes that the kernel releases when their holder dies, kill -9 included: a .NET file opened with
/// FileShare.None holds flock(LOCK_EX), one with FileShare.Read holds LOCK_SH, and children do not inherit it.
/// </summary>
static class FileLock
{
    /// <summary>Held until disposed; null when another holds it.</summary>
    public static FileStream? TryExclusive(string path) => Try(path, FileShare.None);

    /// <summary>Held together with other shared ones until disposed; null when another holds it exclusively.</summary>
    public static FileStream? TryShared(string path) => Try(path, FileShare.Read);

    static FileStream? Try(string path, FileShare share)
    {
        try
        {
            // Only read: root may have made the file, and the cluster's own user must be able to lock it later.
            var file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.Read, share, bufferSize: 0);
            if (!WasDeleted(file))
                return file;
            file.Dispose();
            return null;
        }
        catch (IOException busy) when (busy.HResult is 11 or 35)   // EWOULDBLOCK on Linux and on macOS
        {
            return null;
        }
    }

    // The last to leave a throw-away cluster deletes the file that we were about to lock: such a lock protects nothing.
    static bool WasDeleted(FileStream file)
        => OperatingSystem.IsLinux()
            ? new FileInfo($"/proc/self/fd/{file.SafeFileHandle.DangerousGetHandle()}").LinkTarget?.EndsWith(" (deleted)", StringComparison.Ordinal) is true
            : !File.Exists(file.Name);
}
