using System.Text;
using System.Text.RegularExpressions;

namespace Flowstone;

/// <summary>postgresql.conf and pg_hba.conf, written anew at each start, so that the options are all there is to know.</summary>
static partial class ClusterConfiguration
{
    // Each has its option, and the rest of this project relies on it.
    static readonly string[] Reserved =
        ["port", "listen_addresses", "unix_socket_directories", "data_directory", "hba_file", "logging_collector", "external_pid_file"];

    /// <exception cref="ArgumentException">A setting that an option is for, or one that no configuration file can hold.</exception>
    public static void Check(EmbeddedPostgresOptions options)
    {
        foreach (var (name, value) in options.Settings)
            if (Reserved.Contains(name.ToLowerInvariant()))
                throw new ArgumentException($"The setting {name} is not for Settings: use Folder, TcpPort and the other options.", nameof(options));
            else if (!SettingName().IsMatch(name) || value.Any(char.IsControl))
                throw new ArgumentException($"The setting \"{name}\" has a name or value that postgresql.conf cannot hold.", nameof(options));
        if (options.TcpPort is < 1 or > 65535)
            throw new ArgumentException($"TcpPort is {options.TcpPort}; it must be 1 to 65535, or null for no TCP.", nameof(options));
    }

    public static async Task WriteAsync(
        ClusterFolder folder, EmbeddedPostgresOptions options, string socketFolder, PostgresBinaries binaries, CancellationToken cancellationToken)
    {
        var settings = new Dictionary<string, string>(Common, StringComparer.OrdinalIgnoreCase);
        Add(options.Profile is EmbeddedPostgresProfile.ThrowAway ? ThrowAway : Durable);
        settings["shared_buffers"] = SharedBuffers();
        settings["port"] = Port(options).ToString();
        settings["listen_addresses"] = options.TcpPort is null ? "" : "127.0.0.1";
        settings["unix_socket_directories"] = socketFolder;
        if (await SupportsLz4Async(folder, binaries, cancellationToken))
            settings["default_toast_compression"] = "lz4";
        Add(options.Settings);

        var text = new StringBuilder("# Written at each start. Set your own in EmbeddedPostgresOptions.Settings, or by ALTER SYSTEM.\n");
        foreach (var (name, value) in settings)
            text.Append($"{name} = '{value.Replace("\\", "\\\\").Replace("'", "''")}'\n");
        await ReplaceAsync(Path.Combine(folder.Data, "postgresql.conf"), text.ToString(), cancellationToken);
        await ReplaceAsync(Path.Combine(folder.Data, "pg_hba.conf"), Access(options), cancellationToken);

        void Add(IReadOnlyDictionary<string, string> more)
        {
            foreach (var (name, value) in more)
                settings[name] = value;
        }
    }

    /// <summary>Without TCP the port is only part of the socket's name, and each cluster has its own socket folder.</summary>
    public static int Port(EmbeddedPostgresOptions options) => options.TcpPort ?? 5432;

    static readonly Dictionary<string, string> Common = new()
    {
        ["max_connections"] = "100",
        ["max_wal_size"] = "2GB",   // a bulk load on the default of 1 GB is all checkpoints
        ["jit"] = "off",            // compiling costs more than our short statements take
        ["timezone"] = "UTC",
        ["log_timezone"] = "UTC",
        ["log_min_messages"] = "warning",
        ["log_line_prefix"] = "%m [%p] %q%u@%d ",
        ["default_text_search_config"] = "pg_catalog.english",
    };

    // The defaults of PostgreSQL, stated, because everything rests on them. wal_level replica: pg_basebackup works.
    static readonly Dictionary<string, string> Durable = new()
    {
        ["fsync"] = "on",
        ["synchronous_commit"] = "on",
        ["full_page_writes"] = "on",
        ["wal_level"] = "replica",
    };

    static readonly Dictionary<string, string> ThrowAway = new()
    {
        ["fsync"] = "off",
        ["synchronous_commit"] = "off",
        ["full_page_writes"] = "off",
        ["wal_level"] = "minimal",
        ["max_wal_senders"] = "0",
    };

    // An eighth of the memory (a container's, if it has a limit), at most 256 MB: the machine is for other programs too.
    static string SharedBuffers()
        => Math.Clamp(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 8 >> 20, 32, 256) + "MB";

    // Trust on the socket: its folder is mode 0700 and of the OS user who owns the data files, so whoever can
    // connect could read the files as well; a password would only have to be stored beside them.
    static string Access(EmbeddedPostgresOptions options) => $"""
        # Written at each start by Flowstone.EmbeddedPostgres.
        local all         all trust
        local replication all trust
        {(options.TcpPort is null ? "" : "host all all 127.0.0.1/32 scram-sha-256")}

        """;

    // A build of PostgreSQL without lz4 would refuse to start.
    static async Task<bool> SupportsLz4Async(ClusterFolder folder, PostgresBinaries binaries, CancellationToken cancellationToken)
        => (await ClusterUser.Current.RunAsync(binaries["postgres"],
            ["-D", folder.Data, "-c", "config_file=/dev/null", "-c", "default_toast_compression=lz4", "-C", "default_toast_compression"],
            folder.Path, cancellationToken)).ExitCode == 0;

    // The folder belongs to another user when we are root, who must not be led elsewhere by a link put in the file's place:
    // CreateNew follows none. And a reader sees the old text or the new.
    static async Task ReplaceAsync(string path, string text, CancellationToken cancellationToken)
    {
        var partial = path + ".partial";
        File.Delete(partial);
        await using (var file = new StreamWriter(new FileStream(partial, FileMode.CreateNew)))
            await file.WriteAsync(text.AsMemory(), cancellationToken);
        File.Move(partial, path, overwrite: true);
    }

    [GeneratedRegex("^[A-Za-z_][A-Za-z0-9_.]*$")]
    private static partial Regex SettingName();
}
