namespace Flowstone;

/// <summary>Starts and stops the server of a cluster. Only under the change lock.</summary>
sealed record ServerControl(ClusterFolder Folder, PostgresBinaries Binaries)
{
    static readonly TimeSpan FastShutdown = TimeSpan.FromSeconds(30);
    static readonly TimeSpan ImmediateShutdown = TimeSpan.FromSeconds(10);
    static readonly TimeSpan OrphansEndThemselves = TimeSpan.FromSeconds(2);

    /// <summary>The server that runs, once it is ready; null when none does.</summary>
    public async Task<Postmaster?> FindRunningAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        // Its starter, or its stopper, was killed midway: we hold the lock that they held.
        Postmaster? server = null;
        await Poll.UntilAsync(
            async () => (server = await FindPostmasterAsync(cancellationToken)) is null or { IsReady: true }, limit, cancellationToken);
        return server is null or { IsReady: true } ? server
            : throw EmbeddedPostgresException.From(
                $"The server in {Folder.Path} (process {server.Pid}) is not ready after {limit.TotalSeconds:0} s; it says \"{server.Status}\". Wait, or raise StartTimeout.",
                await Folder.Log.TailAsync(0, cancellationToken));
    }

    /// <summary>After kill -9 of the postmaster: waits for its orphans, which still use the shared memory, and clears its pid file.</summary>
    public async Task RecoverAsync(CancellationToken cancellationToken)
    {
        if (Postmaster.Read(Folder.Data) is not { } gone)
            return;
        if (await gone.AnswersAsync(cancellationToken))
            throw new EmbeddedPostgresException(
                $"A server answers in {gone.SocketFolder}, but is no process of this machine that we can see: a container runs it on the same folder. Stop it there first.");

        await EndOrphansAsync(cancellationToken);
        if (OperatingSystem.IsLinux())   // where we have seen that nobody is left; elsewhere PostgreSQL decides
            Postmaster.Forget(Folder.Data);
    }

    async Task EndOrphansAsync(CancellationToken cancellationToken)
    {
        List<int> orphans = [];
        foreach (var signal in (string[])["QUIT", "KILL"])
        {
            if (await Poll.UntilAsync(
                async () => (orphans = await ServerProcesses.ListAsync(Folder.Data, cancellationToken)).Count == 0, OrphansEndThemselves, cancellationToken))
                break;
            // One in a long statement would notice only at its end that its postmaster died.
            foreach (var pid in orphans)
                await PgCtlAsync(["kill", signal, pid.ToString()], cancellationToken);
        }
        await Poll.UntilAsync(
            async () => (await ServerProcesses.ListAsync(Folder.Data, cancellationToken)).Count == 0, OrphansEndThemselves, cancellationToken);
    }

    /// <summary>Starts the server and returns once it takes connections.</summary>
    public async Task<Postmaster> StartAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        Folder.Log.Rotate();
        var logged = Folder.Log.Length;
        // pg_ctl detaches the server into a session of its own (it outlives us, and Ctrl-C does not reach it) and fails when
        // it dies; but it looks for "ready" only every 100 ms, so we look ourselves. Relative names, because it uses a shell.
        var pgCtl = PgCtlAsync(
            ["start", "-D", "data", "-l", "postgres.log", "-s", "-w", "-t", $"{Math.Ceiling(limit.TotalSeconds):0}"], CancellationToken.None);
        var (ready, died) = (false, false);
        try
        {
            await Poll.UntilAsync(() => IsReady() || pgCtl.IsCompleted, limit, cancellationToken);
            ready = IsReady();
            if (ready)
                return Postmaster.Read(Folder.Data)!;
            died = pgCtl.IsCompleted;
        }
        finally
        {
            if (!ready)
            {
                await Poll.UntilAsync(() => pgCtl.IsCompleted || Postmaster.Read(Folder.Data) is not null, OrphansEndThemselves, CancellationToken.None);
                await StopAsync(immediately: false, CancellationToken.None);
            }
        }
        throw EmbeddedPostgresException.From(
            died
                ? $"PostgreSQL {Binaries.Version} did not start in {Folder.Path}."
                : $"PostgreSQL {Binaries.Version} in {Folder.Path} was not ready within {limit.TotalSeconds:0} s and was stopped again. After a crash it may need longer: raise StartTimeout.",
            await Folder.Log.TailAsync(logged, CancellationToken.None));
    }

    /// <summary>
    /// Stops the server if it runs: open transactions are rolled back, committed ones are kept.
    /// Where it was killed, ends its orphans: one has been seen to wait for ever for a lock of its dead postmaster.
    /// </summary>
    /// <param name="immediately">Without writing memory to disk first; the next start then recovers as after a crash.</param>
    public async Task StopAsync(bool immediately, CancellationToken cancellationToken)
    {
        if (await FindPostmasterAsync(cancellationToken) is null)
        {
            if (Postmaster.Read(Folder.Data) is not null)   // a server that stops in order removes its file
                await EndOrphansAsync(cancellationToken);
            return;
        }
        if (!immediately && await StopAsync("fast", FastShutdown, cancellationToken))
            return;
        if (!immediately)
            await Folder.Log.NoteAsync($"the fast shutdown took more than {FastShutdown.TotalSeconds:0} s; stopping immediately, the next start recovers");
        if (!await StopAsync("immediate", ImmediateShutdown, cancellationToken))
            throw EmbeddedPostgresException.From(
                $"The server in {Folder.Path} (process {Postmaster.Read(Folder.Data)?.Pid}) does not stop. End it with kill -9; the next start recovers the data.",
                await Folder.Log.TailAsync(0, cancellationToken));
    }

    async Task<bool> StopAsync(string mode, TimeSpan limit, CancellationToken cancellationToken)
    {
        if (await FindPostmasterAsync(cancellationToken) is not { } server)
            return true;
        await PgCtlAsync(["stop", "-D", "data", "-m", mode, "-W", "-s"], cancellationToken);
        return await Poll.UntilAsync(() => !ServerProcesses.IsPostgres(server.Pid), limit, cancellationToken);
    }

    // Without asking who wrote it: the file of the server before was removed.
    bool IsReady() => Postmaster.Read(Folder.Data) is { IsReady: true };

    Task<Postmaster?> FindPostmasterAsync(CancellationToken cancellationToken) => ServerProcesses.FindPostmasterAsync(Folder.Data, cancellationToken);

    Task<Finished> PgCtlAsync(string[] arguments, CancellationToken cancellationToken)
        => ClusterUser.Current.RunAsync(Binaries["pg_ctl"], arguments, Folder.Path, cancellationToken);
}
