namespace Flowstone;

/// <summary>Where a private PostgreSQL keeps its files, and what it is for.</summary>
public sealed record EmbeddedPostgresOptions
{
    /// <summary>
    /// A folder of its own: made if missing, refused if it holds anything else. It has data, log, socket and locks
    /// (docs/embedded-postgres.md, "Folder"). Processes that name the same folder share one cluster.
    /// </summary>
    public required string Folder { get; init; }

    /// <summary>
    /// The folder with <c>postgres</c>, <c>initdb</c> and <c>pg_ctl</c>. Null takes <c>FLOWSTONE_POSTGRES_BIN</c>,
    /// or else the newest on the machine, or the one of the cluster's own major version once there is a cluster.
    /// </summary>
    public string? Binaries { get; init; }

    /// <summary>What may be lost, and when. Default <see cref="EmbeddedPostgresProfile.Durable"/>.</summary>
    public EmbeddedPostgresProfile Profile { get; init; }

    /// <summary>
    /// Listen on 127.0.0.1 as well, with passwords (scram-sha-256; set them by <c>alter role</c>).
    /// Null, the default: no TCP at all, only the Unix socket.
    /// </summary>
    public int? TcpPort { get; init; }

    /// <summary>
    /// More settings of postgresql.conf, by name; they win over the profile's. They count when this process starts
    /// the cluster, not when it joins one that runs. Not for paths, port and addresses: those are options above.
    /// </summary>
    public IReadOnlyDictionary<string, string> Settings { get; init; } = new Dictionary<string, string>();

    /// <summary>
    /// How long to wait until the cluster is ready, crash recovery included, and for other processes
    /// that are starting or stopping it. Default 60 s.
    /// </summary>
    public TimeSpan StartTimeout { get; init; } = TimeSpan.FromSeconds(60);
}

/// <summary>What a cluster is for.</summary>
public enum EmbeddedPostgresProfile
{
    /// <summary>A commit that returned survives a crash of program, server and machine; the folder stays.</summary>
    Durable,

    /// <summary>
    /// For tests: nothing waits for the disk, so a crash of the machine ruins the data, and the folder is
    /// deleted when the last process leaves. Refused for a folder that was made durable, and the other way round.
    /// </summary>
    ThrowAway,
}
