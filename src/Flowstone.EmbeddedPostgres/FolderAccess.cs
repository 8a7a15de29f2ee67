namespace Flowstone;

/// <summary>Who may enter, and who owns. PostgreSQL is strict about both, and trust on the socket rests on them.</summary>
static class FolderAccess
{
    public const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    /// <summary>As root: can the cluster's user come as far as this folder, or the nearest one that exists?</summary>
    public static async Task CheckReachableAsync(string folder, ClusterUser user, CancellationToken cancellationToken)
    {
        if (!user.IsAnother || await CanEnterAsync(Existing(folder)))
            return;

        var known = await ClusterUser.RunAsSelfAsync("id", ["-u", user.Name], "/", cancellationToken);
        if (known.ExitCode != 0)
            throw new EmbeddedPostgresException(
                $"PostgreSQL does not run as root, and there is no OS user {user.Name} to run it as. Run as an ordinary user, or make one: useradd --system {user.Name}");

        var root = await user.RunAsync("test", ["-x", "/"], "/", cancellationToken);
        if (root.ExitCode != 0)   // not the folder is the obstacle: setpriv is, for instance BusyBox's, which cannot change the user
            throw EmbeddedPostgresException.From($"PostgreSQL does not run as root, and no program can be started as OS user {user.Name}. "
                + "Run as an ordinary user, or install setpriv of util-linux.", root.Output);

        var closed = Existing(folder);
        while (System.IO.Path.GetDirectoryName(closed) is { } parent && !await CanEnterAsync(parent))
            closed = parent;
        throw new EmbeddedPostgresException(
            $"PostgreSQL does not run as root, so the cluster runs as OS user {user.Name}, who cannot enter {closed} on the way to {folder}. "
            + $"Choose a folder elsewhere (for instance /var/lib/flowstone/postgres), allow it with: chmod o+x {closed}, or run as an ordinary user.");

        async Task<bool> CanEnterAsync(string path)
            => (await user.RunAsync("test", ["-x", path], "/", cancellationToken)).ExitCode == 0;
    }

    /// <summary>Makes sure that the cluster's user owns the folder; gives it to him when it is root's and empty.</summary>
    public static async Task TakeAsync(string folder, ClusterUser user, CancellationToken cancellationToken)
    {
        // In this order: once another process has put its lock there, the folder has its owner.
        var empty = user.IsAnother && !Directory.EnumerateFileSystemEntries(folder).Any();
        var (_, owner) = await ClusterUser.OwnerOfAsync(folder, cancellationToken);
        if (empty && owner == "root")
        {
            await ClusterUser.RunAsSelfAsync("chown", ["-h", $"{user.Name}:", "--", folder], "/", cancellationToken);
            (_, owner) = await ClusterUser.OwnerOfAsync(folder, cancellationToken);
        }
        if (owner != user.Name)
            throw new EmbeddedPostgresException(
                $"The folder {folder} belongs to OS user {owner}, and the cluster runs as {user.Name}. Name another folder"
                + $"{(user.IsAnother || owner == "root" ? "" : $", run as {owner}")}, or, if it is a cluster of ours, give it over: chown -R {user.Name} {folder}");
    }

    /// <summary>Makes a folder that only the cluster's user can enter, and refuses one that somebody else put there.</summary>
    public static async Task MakePrivateAsync(string folder, ClusterUser user, CancellationToken cancellationToken)
    {
        // mkdir as that user, because in a shared folder like /tmp only mkdir itself can tell "made" from "was there".
        var made = await user.RunAsync("mkdir", ["-m", "700", "--", folder], "/", cancellationToken);
        if (made.ExitCode == 0)
            return;
        if (!Directory.Exists(folder))
            throw EmbeddedPostgresException.From($"The folder {folder} cannot be made by OS user {user.Name} (TMPDIR names the folder for temporary files).", made.Output);
        var (mode, owner) = await ClusterUser.OwnerOfAsync(folder, cancellationToken);
        if (mode != "700" || owner != user.Name)
            throw new EmbeddedPostgresException(
                $"The folder {folder} should be {user.Name}'s alone, but belongs to {owner} with mode {mode}: whoever made it could read the data. "
                + $"Find out who did, and remove it; or set TMPDIR to another folder.");
    }

    static string Existing(string folder)
    {
        while (!Directory.Exists(folder))
            folder = System.IO.Path.GetDirectoryName(folder)!;
        return folder;
    }
}
