namespace Flowstone;

/// <summary>Where throw-away clusters live, and the removal of those whose processes were killed.</summary>
static class ThrowAwayFolders
{
    /// <summary>One per OS user: nobody can delete another user's.</summary>
    public static string Parent => Path.Combine(Path.GetTempPath(), $"flowstone-throwaway-{ClusterUser.Current.Name}");

    public static async Task<string> PrepareAsync(CancellationToken cancellationToken)
    {
        await FolderAccess.MakePrivateAsync(Parent, ClusterUser.Current, cancellationToken);
        return Parent;
    }

    /// <summary>Stops and deletes what nobody uses. What resists is left for the next time.</summary>
    public static async Task SweepAsync(string parent, CancellationToken cancellationToken)
    {
        foreach (var path in Directory.EnumerateDirectories(parent))
            try
            {
                await RemoveIfAbandonedAsync(ClusterFolder.At(path), cancellationToken);
            }
            catch (Exception resists) when (resists is IOException or UnauthorizedAccessException or EmbeddedPostgresException)
            {
                // A new cluster must not fail for an old one's sake.
            }
    }

    static async Task RemoveIfAbandonedAsync(ClusterFolder folder, CancellationToken cancellationToken)
    {
        if (!folder.IsBegun)
            return;
        using var change = folder.TryLockForChange();
        if (change is null || folder.IsUsed())
            return;
        if (Postmaster.Read(folder.Data) is not null)
            await new ServerControl(folder, await PostgresBinaries.FindAsync(null, folder.MajorVersion(), cancellationToken))
                .StopAsync(immediately: true, cancellationToken);
        folder.Delete();
    }
}
