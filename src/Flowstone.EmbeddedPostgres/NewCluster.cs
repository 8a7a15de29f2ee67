namespace Flowstone;

/// <summary>initdb, in a way that an interruption cannot spoil.</summary>
static class NewCluster
{
    /// <summary>Makes the data folder. Only under the change lock.</summary>
    public static async Task MakeAsync(
        ClusterFolder folder, PostgresBinaries binaries, EmbeddedPostgresProfile profile, CancellationToken cancellationToken)
    {
        RemovePartial(folder);

        // Under its own name only when whole. A random name, because the initdb of a killed process may still be writing to its own.
        var partial = Path.Combine(folder.Path, $"data.partial.{Path.GetRandomFileName()}");
        var made = await InitAsync("C.UTF-8");
        if (made.Output.Contains("invalid locale name", StringComparison.Ordinal))   // macOS; sorts by code point as well
            made = await InitAsync("C");
        if (made.ExitCode != 0)
        {
            RemovePartial(folder);
            throw EmbeddedPostgresException.From($"initdb could not make a cluster in {folder.Path}.", made.Output);
        }
        Directory.Move(partial, folder.Data);

        Task<Finished> InitAsync(string locale)
            => ClusterUser.Current.RunAsync(binaries["initdb"],
                ["--pgdata", partial, "--username=postgres", "--encoding=UTF8", $"--locale={locale}", "--lc-messages=C", "--data-checksums",
                 "--auth-local=trust", "--auth-host=reject", "--no-instructions", .. profile is EmbeddedPostgresProfile.ThrowAway ? ["--no-sync"] : (string[])[]],
                folder.Path, cancellationToken);
    }

    static void RemovePartial(ClusterFolder folder)
    {
        foreach (var left in Directory.EnumerateDirectories(folder.Path, "data.partial*"))
            try
            {
                Directory.Delete(left, recursive: true);
            }
            catch (IOException)
            {
                // The initdb of a killed process is still adding files. It is in nobody's way; the next start tries again.
            }
    }
}
