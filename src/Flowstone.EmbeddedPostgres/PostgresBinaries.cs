using System.Text.RegularExpressions;

namespace Flowstone;

/// <summary>A folder with PostgreSQL's programs, and their version.</summary>
sealed partial record PostgresBinaries(string Folder, Version Version)
{
    const int OldestMajor = 15;
    static readonly string[] Needed = ["postgres", "initdb", "pg_ctl"];

    public string this[string program] => Path.Combine(Folder, program);

    /// <summary>The folder asked for, or the environment's, or else the best on this machine.</summary>
    /// <param name="clusterMajor">The major version of an existing cluster, which only the same version can open.</param>
    public static Task<PostgresBinaries> FindAsync(string? asked, int? clusterMajor, CancellationToken cancellationToken)
    {
        asked ??= Environment.GetEnvironmentVariable("FLOWSTONE_POSTGRES_BIN") is { Length: > 0 } folder ? folder : null;
        if (asked is not null && !HasPrograms(asked))
            throw new EmbeddedPostgresException(
                $"The folder {asked} has no PostgreSQL programs ({string.Join(", ", Needed)}). Name the right one in "
                + $"EmbeddedPostgresOptions.Binaries or FLOWSTONE_POSTGRES_BIN, or leave both out and {Install(clusterMajor)}.");
        return ChooseAsync(asked is null ? InstalledFolders() : [asked], clusterMajor, cancellationToken);
    }

    /// <summary>The newest of these folders, or the newest of the cluster's own major version.</summary>
    public static async Task<PostgresBinaries> ChooseAsync(
        IEnumerable<string> folders, int? clusterMajor, CancellationToken cancellationToken)
    {
        var found = (await Task.WhenAll(folders.Where(HasPrograms).Select(RealFolder).Distinct().Select(folder => ReadAsync(folder, cancellationToken))))
            .OfType<PostgresBinaries>().OrderByDescending(binaries => binaries.Version).ToList();
        if (found.FirstOrDefault(binaries => binaries.Version.Major == (clusterMajor ?? found[0].Version.Major)) is { } best
            && best.Version.Major >= OldestMajor)
            return best;

        var list = string.Join(", ", found.Select(binaries => $"{binaries.Version} in {binaries.Folder}"));
        throw new EmbeddedPostgresException((clusterMajor, found.Count) switch
        {
            ( >= OldestMajor, > 0) => $"This cluster's data are of PostgreSQL {clusterMajor}, and only that version can open them. Found: {list}. "
                + $"Please {Install(clusterMajor)}, or start with an empty folder and restore a backup there.",
            (null, > 0) => $"PostgreSQL {OldestMajor} or later is needed. Found: {list}. Please {Install(null)}.",
            (null or >= OldestMajor, 0) => $"No PostgreSQL is installed here (looked in PATH, /usr/lib/postgresql and Homebrew). "
                + $"Please {Install(clusterMajor)}, or name its folder in FLOWSTONE_POSTGRES_BIN.",
            _ => $"This cluster's data are of PostgreSQL {clusterMajor}; {OldestMajor} or later is needed{(list is "" ? "" : $" (found: {list})")}. "
                + $"Dump them with version {clusterMajor}, {Install(null)}, and restore into an empty folder.",
        });
    }

    static bool HasPrograms(string folder) => Needed.All(program => File.Exists(Path.Combine(folder, program)));

    // A folder in PATH may have links to some of the programs only; pg_dump and the rest lie beside the real ones.
    static string RealFolder(string folder)
        => File.ResolveLinkTarget(Path.Combine(folder, "postgres"), returnFinalTarget: true) is FileInfo { DirectoryName: { } real } && HasPrograms(real)
            ? real
            : folder;

    static async Task<PostgresBinaries?> ReadAsync(string folder, CancellationToken cancellationToken)
    {
        var said = await ClusterUser.RunAsSelfAsync(Path.Combine(folder, "postgres"), ["--version"], "/", cancellationToken);
        return VersionPattern().Match(said.Output) is { Success: true } match   // "postgres (PostgreSQL) 15.18 (Debian …)", "19beta1"
            ? new PostgresBinaries(folder, new Version(int.Parse(match.Groups[1].Value), match.Groups[2].Length > 0 ? int.Parse(match.Groups[2].Value) : 0))
            : null;
    }

    static IEnumerable<string> InstalledFolders() =>
    [
        .. (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries),
        .. Below("/usr/lib/postgresql", "*"),             // Debian, Ubuntu
        .. Below("/usr", "pgsql-*"),                      // PostgreSQL's own packages for Red Hat
        .. Below("/opt/homebrew/opt", "postgresql@*"),    // Homebrew on Apple silicon
        .. Below("/usr/local/opt", "postgresql@*"),       // Homebrew on Intel
    ];

    static IEnumerable<string> Below(string folder, string pattern)
        => Directory.Exists(folder) ? Directory.EnumerateDirectories(folder, pattern).Select(found => Path.Combine(found, "bin")) : [];

    static string Install(int? major)
        => OperatingSystem.IsMacOS() ? $"install it with: brew install postgresql@{major ?? 17}"
            : File.Exists("/etc/debian_version") ? $"install it with: apt-get install postgresql{(major is null ? "" : $"-{major}")}"
            : $"install the package postgresql{major}-server (or postgresql{major}) with your system's package manager";

    [GeneratedRegex(@"\) (\d+)(?:\.(\d+))?")]
    private static partial Regex VersionPattern();
}
