namespace Flowstone;

/// <summary>The folder of one cluster: what lies where, who may use it, who uses it now.</summary>
sealed class ClusterFolder
{
    ClusterFolder(string path) => Path = path;

    /// <summary>Absolute and free of symbolic links: two spellings of a folder are one cluster.</summary>
    public string Path { get; }

    public string Data => System.IO.Path.Combine(Path, "data");
    public string ThrowAwayMark => System.IO.Path.Combine(Path, "throw-away");
    public ServerLog Log => new(System.IO.Path.Combine(Path, "postgres.log"));

    /// <summary>Whether a process has got as far as locking it: what was only just made must not be taken for abandoned.</summary>
    public bool IsBegun => File.Exists(ChangeLock);

    // Whoever starts or stops the cluster holds this one alone; whoever uses it holds the other one with the others.
    // So nobody can join between "I was the last" and the stop.
    string ChangeLock => System.IO.Path.Combine(Path, "change.lock");
    string UseLock => System.IO.Path.Combine(Path, "use.lock");

    public static ClusterFolder At(string path) => new(WithoutLinks(System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(path))));

    /// <summary>The major version of the data in it; null when there are none yet.</summary>
    public int? MajorVersion()
        => File.Exists(System.IO.Path.Combine(Data, "PG_VERSION"))
            ? int.Parse(File.ReadAllText(System.IO.Path.Combine(Data, "PG_VERSION")).Split('.')[0])
            : null;

    /// <summary>Makes the folder if needed, and makes sure that it is the cluster's alone.</summary>
    public async Task PrepareAsync(CancellationToken cancellationToken)
    {
        if (OperatingSystem.IsWindows())
            throw new PlatformNotSupportedException("The embedded PostgreSQL needs Linux or macOS: it rests on Unix sockets, owners and locks.");
        var user = ClusterUser.Current;
        var parent = System.IO.Path.GetDirectoryName(Path) ?? throw new EmbeddedPostgresException($"{Path} cannot be a cluster's folder. Name one below it.");
        await FolderAccess.CheckReachableAsync(parent, user, cancellationToken);
        if (!Directory.Exists(Path))
        {
            Directory.CreateDirectory(parent);
            Directory.CreateDirectory(Path, FolderAccess.OwnerOnly);
        }
        await FolderAccess.TakeAsync(Path, user, cancellationToken);
        var strange = !IsBegun && Directory.EnumerateFileSystemEntries(Path).Any();
        if (strange && !IsBegun)   // asked again: another process may have begun meanwhile
            throw new EmbeddedPostgresException(
                $"The folder {Path} holds files that are not of a cluster of ours. Name a folder of its own, for instance {Path}/postgres.");
        File.SetUnixFileMode(Path, FolderAccess.OwnerOnly);
    }

    /// <summary>Waits until nobody else starts or stops the cluster. Null when the folder is gone.</summary>
    public async Task<FileStream?> LockForChangeAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        FileStream? taken = null;
        if (await Poll.UntilAsync(() => (taken = TryLockForChange()) is not null || !Directory.Exists(Path), limit, cancellationToken))
            return taken;
        throw new EmbeddedPostgresException(
            $"Another process has been starting or stopping the cluster in {Path} for {limit.TotalSeconds:0} s. "
            + "Look at its log, end it if it hangs (its lock ends with it), or raise StartTimeout.");
    }

    public FileStream? TryLockForChange()
    {
        try
        {
            return FileLock.TryExclusive(ChangeLock);
        }
        catch (DirectoryNotFoundException)
        {
            return null;
        }
    }

    /// <summary>Marks this process as a user, until disposed. Only under the change lock.</summary>
    public FileStream MarkUsed()
        => FileLock.TryShared(UseLock) ?? throw new EmbeddedPostgresException($"{UseLock} is locked by a program other than Flowstone. End it.");

    /// <summary>Whether any process uses the cluster. Only under the change lock.</summary>
    public bool IsUsed()
    {
        using var alone = FileLock.TryExclusive(UseLock);
        return alone is null;
    }

    /// <summary>Deletes everything. Only under the change lock, whose file goes last: a waiting process notices.</summary>
    public void Delete()
    {
        foreach (var entry in new DirectoryInfo(Path).EnumerateFileSystemInfos().Where(entry => entry.FullName != ChangeLock))
            if (entry is DirectoryInfo { LinkTarget: null } folder)
                folder.Delete(recursive: true);
            else
                entry.Delete();
        File.Delete(ChangeLock);
        try
        {
            Directory.Delete(Path);
        }
        catch (IOException)
        {
            // A process that waited has already begun a new cluster here.
        }
    }

    static string WithoutLinks(string path)
    {
        if (System.IO.Path.GetDirectoryName(path) is not { } parent)
            return path;
        var here = System.IO.Path.Combine(WithoutLinks(parent), System.IO.Path.GetFileName(path));
        return Directory.Exists(here) && Directory.ResolveLinkTarget(here, returnFinalTarget: true) is { } target
            ? WithoutLinks(target.FullName)
            : here;
    }
}
