using System.ComponentModel;
using System.Data.Common;

namespace Flowstone;

/// <summary>
/// A private PostgreSQL from the machine's own binaries, for development and tests: a cluster in a folder, on a Unix socket.
/// Processes that start the same folder share one server; the last one to leave stops it. See docs/embedded-postgres.md.
/// </summary>
public sealed class EmbeddedPostgres : IAsyncDisposable
{
    readonly ClusterFolder folder;
    readonly PostgresBinaries binaries;
    readonly FileStream use;
    readonly EmbeddedPostgresOptions options;
    readonly Lock gate = new();
    Task? leaving;

    EmbeddedPostgres(ClusterFolder folder, PostgresBinaries binaries, FileStream use, EmbeddedPostgresOptions options, Postmaster server, bool joined)
    {
        (this.folder, this.binaries, this.use, this.options, Joined) = (folder, binaries, use, options, joined);
        (SocketFolder, Port) = (server.SocketFolder, server.Port);
    }

    /// <summary>The cluster's folder, with symbolic links resolved.</summary>
    public string Folder => folder.Path;

    /// <summary>The folder of the Unix socket: the "host" of libpq and Npgsql.</summary>
    public string SocketFolder { get; }

    /// <summary>5432 unless TCP was asked for: without TCP it is only part of the socket's name.</summary>
    public int Port { get; }

    /// <summary>Version of the binaries, for instance 15.18.</summary>
    public Version Version => binaries.Version;

    /// <summary>Whether the server already ran, started by another process or another instance in this one.</summary>
    public bool Joined { get; }

    /// <summary>The server's log. The one before it, if any, has the suffix <c>.1</c>.</summary>
    public string LogFile => folder.Log.File;

    /// <summary>The folder of pg_dump, psql and the other programs, of the server's own version.</summary>
    public string Binaries => binaries.Folder;

    /// <summary>Starts the cluster, or joins it where it already runs. The first start makes it (initdb).</summary>
    /// <exception cref="EmbeddedPostgresException">It did not work; the message says why and what to do.</exception>
    /// <exception cref="ArgumentException">An option has a value that can not work.</exception>
    public static async Task<EmbeddedPostgres> StartAsync(EmbeddedPostgresOptions options, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(options.Folder);
        ClusterConfiguration.Check(options);
        var folder = ClusterFolder.At(options.Folder);
        try
        {
            using var change = await PrepareAndLockAsync(folder, options.StartTimeout, cancellationToken);
            CheckProfile(folder, options.Profile);
            var binaries = await PostgresBinaries.FindAsync(options.Binaries, folder.MajorVersion(), cancellationToken);
            var use = folder.MarkUsed();
            try
            {
                return await JoinOrStartAsync(folder, binaries, use, options, cancellationToken);
            }
            catch
            {
                await LeaveAsync(folder, binaries, use);
                throw;
            }
        }
        catch (Exception cause) when (cause is IOException or UnauthorizedAccessException or Win32Exception)
        {
            throw EmbeddedPostgresException.From(folder.Path, cause);
        }
    }

    /// <summary>
    /// Starts a new <see cref="EmbeddedPostgresProfile.ThrowAway"/> cluster in a folder of its own among the temporary files,
    /// and first removes those that killed processes left there.
    /// </summary>
    /// <inheritdoc cref="StartAsync" path="/exception"/>
    public static Task<EmbeddedPostgres> StartThrowAwayAsync(CancellationToken cancellationToken = default)
        => StartThrowAwayAsync(new Dictionary<string, string>(), cancellationToken);

    /// <inheritdoc cref="StartThrowAwayAsync(CancellationToken)"/>
    /// <param name="settings">As <see cref="EmbeddedPostgresOptions.Settings"/>.</param>
    public static async Task<EmbeddedPostgres> StartThrowAwayAsync(
        IReadOnlyDictionary<string, string> settings, CancellationToken cancellationToken = default)
    {
        var parent = await ThrowAwayFolders.PrepareAsync(cancellationToken);
        await ThrowAwayFolders.SweepAsync(parent, cancellationToken);
        return await StartAsync(new EmbeddedPostgresOptions
        {
            Folder = Path.Combine(parent, Path.GetRandomFileName()),
            Profile = EmbeddedPostgresProfile.ThrowAway,
            Settings = settings,
        }, cancellationToken);
    }

    /// <summary>For Npgsql: the Unix socket, no password (the socket's folder is closed to other OS users).</summary>
    public string ConnectionString(string database = "postgres", string user = "postgres")
        => new DbConnectionStringBuilder
        {
            ["Host"] = SocketFolder,
            ["Port"] = Port,
            ["Username"] = user,
            ["Database"] = database,
        }.ConnectionString;

    /// <summary>Starts the server again if it died: for a long-lived program that calls this now and then. Its connection string stays true.</summary>
    /// <returns>True if it had died and was started; false if it runs, also where another process was faster.</returns>
    /// <exception cref="EmbeddedPostgresException">It does not start; the message says why and what to do.</exception>
    public async Task<bool> RestartIfDeadAsync(CancellationToken cancellationToken = default)
    {
        try
        {
            if (ServerProcesses.IsPostgres(Postmaster.Read(folder.Data)?.Pid ?? 0))
                return false;
            using var change = await folder.LockForChangeAsync(options.StartTimeout, cancellationToken);
            var control = new ServerControl(folder, binaries);
            if (change is null || await control.FindRunningAsync(options.StartTimeout, cancellationToken) is not null)
                return false;
            await StartServerAsync(control, folder, binaries, options, cancellationToken);
            return true;
        }
        catch (Exception cause) when (cause is IOException or UnauthorizedAccessException or Win32Exception)
        {
            throw EmbeddedPostgresException.From(folder.Path, cause);
        }
    }

    /// <summary>Leaves the cluster. The last one to leave stops it, and deletes it if it is a throw-away. Again does nothing.</summary>
    /// <param name="cancellationToken">Ends only the waiting: what was begun goes on.</param>
    /// <exception cref="EmbeddedPostgresException">The server does not stop; the message names its process.</exception>
    public Task StopAsync(CancellationToken cancellationToken = default)
    {
        lock (gate)
            leaving ??= LeaveAsync();
        return leaving.WaitAsync(cancellationToken);
    }

    /// <inheritdoc cref="StopAsync" path="/summary"/>
    public async ValueTask DisposeAsync() => await StopAsync();

    async Task LeaveAsync()
    {
        await using var released = use;   // whatever happens: else nobody after us would be the last
        using var change = await folder.LockForChangeAsync(TimeSpan.FromMinutes(1), CancellationToken.None);
        if (change is not null)   // else somebody deleted the folder; its server notices within a minute and ends
            await LeaveAsync(folder, binaries, use);
    }

    // Under the change lock, so nobody joins between the question and the stop.
    static async Task LeaveAsync(ClusterFolder folder, PostgresBinaries binaries, FileStream use)
    {
        await use.DisposeAsync();
        if (folder.IsUsed())
            return;
        var throwAway = File.Exists(folder.ThrowAwayMark);
        var server = Postmaster.Read(folder.Data);
        await new ServerControl(folder, binaries).StopAsync(immediately: throwAway, CancellationToken.None);
        if (server is not null && Path.GetDirectoryName(server.SocketFolder) != folder.Path && Directory.Exists(server.SocketFolder))
            Directory.Delete(server.SocketFolder, recursive: true);
        if (throwAway)
            folder.Delete();
    }

    static async Task<FileStream> PrepareAndLockAsync(ClusterFolder folder, TimeSpan limit, CancellationToken cancellationToken)
    {
        while (true)   // until the last user of a throw-away cluster does not delete it under our hands
            try
            {
                await folder.PrepareAsync(cancellationToken);
                if (await folder.LockForChangeAsync(limit, cancellationToken) is { } taken)
                    return taken;
            }
            catch (Exception deleted) when (deleted is FileNotFoundException or DirectoryNotFoundException)
            {
                cancellationToken.ThrowIfCancellationRequested();
            }
    }

    static async Task<EmbeddedPostgres> JoinOrStartAsync(
        ClusterFolder folder, PostgresBinaries binaries, FileStream use, EmbeddedPostgresOptions options, CancellationToken cancellationToken)
    {
        var control = new ServerControl(folder, binaries);
        if (await control.FindRunningAsync(options.StartTimeout, cancellationToken) is { } running)
            return options.TcpPort is null || (running.Port == options.TcpPort && running.ListenAddress != "")
                ? new EmbeddedPostgres(folder, binaries, use, options, running, joined: true)
                : throw new EmbeddedPostgresException(
                    $"The cluster in {folder.Path} already runs (process {running.Pid}) {(running.ListenAddress == "" ? "without TCP" : $"on TCP port {running.Port}")}, "
                    + $"and port {options.TcpPort} was asked for. Ask for the same, or end the programs that use it first.");

        if (folder.MajorVersion() is null)
            await MakeAsync(folder, binaries, options.Profile, cancellationToken);
        var started = await StartServerAsync(control, folder, binaries, options, cancellationToken);
        return new EmbeddedPostgres(folder, binaries, use, options, started, joined: false);
    }

    static async Task<Postmaster> StartServerAsync(
        ServerControl control, ClusterFolder folder, PostgresBinaries binaries, EmbeddedPostgresOptions options, CancellationToken cancellationToken)
    {
        await control.RecoverAsync(cancellationToken);
        var socketFolder = Flowstone.SocketFolder.For(folder, ClusterConfiguration.Port(options));
        await Flowstone.SocketFolder.PrepareAsync(socketFolder, cancellationToken);
        await ClusterConfiguration.WriteAsync(folder, options, socketFolder, binaries, cancellationToken);
        return await control.StartAsync(options.StartTimeout, cancellationToken);
    }

    static async Task MakeAsync(ClusterFolder folder, PostgresBinaries binaries, EmbeddedPostgresProfile profile, CancellationToken cancellationToken)
    {
        // Before the data, so that no data exist without saying what they are.
        if (profile is EmbeddedPostgresProfile.ThrowAway)
            await File.WriteAllTextAsync(folder.ThrowAwayMark, "Deleted when the last process leaves.\n", cancellationToken);
        else
            File.Delete(folder.ThrowAwayMark);
        await NewCluster.MakeAsync(folder, binaries, profile, cancellationToken);
    }

    static void CheckProfile(ClusterFolder folder, EmbeddedPostgresProfile profile)
    {
        if (folder.MajorVersion() is null || File.Exists(folder.ThrowAwayMark) == profile is EmbeddedPostgresProfile.ThrowAway)
            return;
        throw new EmbeddedPostgresException(profile is EmbeddedPostgresProfile.ThrowAway
            ? $"The cluster in {folder.Path} is durable; a throw-away one would delete it at the end. Name another folder."
            : $"The cluster in {folder.Path} is a throw-away: it is deleted when its last process leaves. Name another folder.");
    }
}
