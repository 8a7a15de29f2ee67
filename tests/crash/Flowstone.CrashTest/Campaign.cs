using System.Diagnostics;
using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;

namespace Flowstone.CrashTest;

/// <summary>
/// Kills workers, server and PostgreSQL while executions of the chain run, lets the rest come to its end, runs as many undisturbed, and
/// compares. The rules: docs/workers.md, "The kill campaign".
/// </summary>
sealed class Campaign(CampaignOptions options)
{
    const int Ahead = 24;   // executions that wait for a worker or are with one
    const int LateWrites = 30;   // of fewer nothing is learnt; each execution that is lost tries six

    static readonly TimeSpan lease = TimeSpan.FromSeconds(1.5);
    static readonly TimeSpan toReach = TimeSpan.FromSeconds(60);
    static readonly TimeSpan noProgress = TimeSpan.FromMinutes(1);
    static readonly TimeSpan stuckAfter = TimeSpan.FromSeconds(5);

    readonly Random random = new(options.Seed);
    readonly Disturbances disturbances = new();
    readonly AcknowledgedWrites writes = new();
    readonly Stopwatch postgresUp = Stopwatch.StartNew();
    readonly Stopwatch survivorUp = new();
    IEnumerator<KillPoint> points = null!;
    int begun;

    /// <returns>Whether nothing was found.</returns>
    public async Task<bool> RunAsync(CancellationToken stop)
    {
        points = KillPoint.All(random).GetEnumerator();
        await using var stage = await Stage.OpenAsync(stop);
        var (tenant, workflow) = await stage.NewTenantAsync("disturbed");
        const string Email = "crash@example.test", Password = "Crash-test-1234567";
        await tenant.Users.CreateAsync(new NewUser { Email = Email, Role = UserRole.Admin, PasswordHash = SignIn.HashPassword(Password) }, stop);
        await using var server = new ServerProcess(stage.ConnectionString, Email, Password);
        await server.StartAsync(stop);

        var began = Stopwatch.StartNew();
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        using var watched = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var around = new[] { FeedAsync(server, workflow, over.Token), DisturbAsync(stage, server, over.Token) };
        var watching = WatchAsync(stage, tenant.TenantId, watched.Token);
        var killing = Task.WhenAll(Enumerable.Range(0, options.Workers).Select(i => KillWorkersAsync(i, stage, tenant.TenantId, stop)));
        var sleeping = SleepAsync(Settings(stage, tenant.TenantId, "sleeper"), killing);
        await Task.WhenAll(SurviveAsync(Settings(stage, tenant.TenantId, "survivor"), sleeping), sleeping);
        await over.CancelAsync();
        await Task.WhenAll(around);

        var disturbed = began.Elapsed;
        await stage.ReconnectAsync();
        await LetThemFinishAsync(stage, tenant.TenantId, Settings(stage, tenant.TenantId, "last") with { Concurrency = 16 }, writes);
        await watched.CancelAsync();
        await watching;
        await server.KillAsync();

        var reference = await RunUndisturbedAsync(stage, tenant);
        var verdict = await Verdict.FindAsync(stage, tenant.TenantId.Value, reference.Value, writes, disturbances);
        verdict.Print(Console.Out, disturbances, disturbed, began.Elapsed);
        return verdict.IsClean;
    }

    WorkerSettings Settings(Stage stage, Id<Tenant> tenant, string name)
        => new() { Database = stage.ConnectionString, Tenant = tenant, Name = name, Lease = lease, Break = options.Break };

    /// <summary>One place for a worker: when it has died at its point, the next one comes with the next point.</summary>
    async Task KillWorkersAsync(int place, Stage stage, Id<Tenant> tenant, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested && TryNext(out var point))
        {
            await using var worker = WorkerProcess.Start(Settings(stage, tenant, $"crash-{place}") with { Die = point.Boundary is null ? null : point }, writes);
            var dies = worker.ExitedAsync();
            if (point.Boundary is null)
            {
                await Task.WhenAny(worker.Working, Task.Delay(toReach, stop));
                await Task.Delay(TimeSpan.FromMilliseconds(Random.Shared.Next(1500)), CancellationToken.None);
            }
            else
                await Task.WhenAny(dies, Task.Delay(toReach, stop));
            if (!dies.IsCompleted)
                point = new KillPoint(0, null);   // it did not come there in time: here, then
            worker.Kill();
            await dies;
            disturbances.Died(point);
        }
    }

    bool TryNext(out KillPoint point)
    {
        lock (points)
        {
            // The server's and PostgreSQL's deaths are of the same number.
            var others = 2 * (options.Count / options.OthersEvery);
            point = null!;
            if (begun >= options.Count - others)
                return false;
            begun++;
            points.MoveNext();
            point = points.Current;
            return true;
        }
    }

    /// <summary>Keeps some executions ahead of the workers. An answer that did not come leaves an execution that may be there or not; its ordinal is not used again.</summary>
    async Task FeedAsync(ServerProcess server, Workflow workflow, CancellationToken stop)
    {
        for (var ordinal = 0; !stop.IsCancellationRequested;)
        {
            if (writes.Starts.Count - writes.Finished > Ahead)
            {
                await Task.Delay(20, CancellationToken.None);
                continue;
            }
            if (await server.StartExecutionAsync(workflow.Id.Value, Stage.Input(ordinal), CancellationToken.None) is { } execution)
                writes.Started(execution, ordinal);
            else
                await Task.Delay(100, CancellationToken.None);
            ordinal++;
        }
    }

    /// <summary>Kills PostgreSQL and the server.</summary>
    async Task DisturbAsync(Stage stage, ServerProcess server, CancellationToken stop)
    {
        for (var seen = 0; !stop.IsCancellationRequested;)
        {
            await Task.Delay(20, CancellationToken.None);
            for (var kills = Volatile.Read(ref begun); seen < kills; seen++)
            {
                if (seen % options.OthersEvery == options.OthersEvery / 2)
                    await KillPostgresAsync(stage);
                if (seen % options.OthersEvery == options.OthersEvery - 1)
                {
                    await server.KillAsync();
                    disturbances.ServerDied();
                    await server.StartAsync(CancellationToken.None);
                }
            }
        }
    }

    async Task KillPostgresAsync(Stage stage)
    {
        await Task.Delay(Random.Shared.Next(300), CancellationToken.None);
        stage.KillPostgres();
        disturbances.PostgresDied();
        postgresUp.Reset();
        while (!await stage.RestartPostgresAsync(CancellationToken.None))
            await Task.Delay(20, CancellationToken.None);
        postgresUp.Start();
    }

    /// <summary>Looks for executions whose lease has run out and that nobody takes. While PostgreSQL was away, nobody could.</summary>
    async Task WatchAsync(Stage stage, Id<Tenant> tenant, CancellationToken stop)
    {
        var stuck = new HashSet<Guid>();
        for (var told = Stopwatch.StartNew(); !stop.IsCancellationRequested;)
        {
            await Task.Delay(200, CancellationToken.None);
            if (told.Elapsed > TimeSpan.FromSeconds(30))
            {
                await Console.Error.WriteLineAsync($"{disturbances.Kills:N0} of {options.Count:N0} kills, {writes.Finished:N0} executions finished");
                told.Restart();
            }
            if (Math.Min(postgresUp.ElapsedMilliseconds, survivorUp.ElapsedMilliseconds) < (lease + stuckAfter).TotalMilliseconds)
                continue;
            try
            {
                // As often as this campaign kills, no execution is a dead letter.
                await stage.QueryAsync("update flowstone.execution_queue set max_attempts = 1000 where tenant_id = $1 and max_attempts = 10", row => 0, tenant.Value);
                foreach (var (execution, since) in await stage.QueryAsync(
                    "select execution_id, clock_timestamp() - visible_at from flowstone.execution_queue where tenant_id = $1 and worker is not null and visible_at < clock_timestamp()",
                    row => (row.GetGuid(0), row.GetFieldValue<TimeSpan>(1)), tenant.Value))
                {
                    if (since > disturbances.LongestTakeOver)
                        disturbances.LongestTakeOver = since;
                    if (since <= stuckAfter || !stuck.Add(execution))
                        continue;
                    disturbances.Stuck.Add($"{execution}, {since.TotalSeconds:N1} s after its lease, at kill {disturbances.Kills}, PostgreSQL up for {postgresUp.Elapsed.TotalSeconds:N0} s");
                    if (stuck.Count == 1)
                        disturbances.Stuck.AddRange(await stage.QueryAsync(
                            "select concat_ws(' ', pid, application_name, state, wait_event_type, wait_event, clock_timestamp() - state_change, left(query, 60)) from pg_stat_activity where backend_type = 'client backend'",
                            row => row.GetString(0)));
                }
            }
            catch (Npgsql.NpgsqlException)
            {
                // It died just now.
            }
        }
    }

    static async Task LetThemFinishAsync(Stage stage, Id<Tenant> tenant, WorkerSettings settings, AcknowledgedWrites writes)
    {
        await using var worker = WorkerProcess.Start(settings, writes);
        var fewest = long.MaxValue;
        for (var progress = Stopwatch.StartNew(); fewest > 0 && progress.Elapsed < noProgress; await Task.Delay(100))
        {
            if (await stage.NumberAsync("select count(*) from flowstone.execution_queue where tenant_id = $1", tenant.Value) is var left && left >= fewest)
                continue;
            fewest = left;
            progress.Restart();
        }
        await worker.StopAsync();
    }

    /// <summary>Never dies, so that there is somebody to take over what the dead leave.</summary>
    async Task SurviveAsync(WorkerSettings settings, Task until)
    {
        await using var worker = WorkerProcess.Start(settings, writes);
        await Task.WhenAny(worker.Working, until);
        survivorUp.Start();
        await until;
        survivorUp.Reset();
        await worker.StopAsync();
    }

    /// <summary>
    /// Never dies, but is paused for longer than its lease again and again, and then tries to write as if nothing had happened: until nobody is killed any more, and
    /// enough was tried.
    /// </summary>
    async Task SleepAsync(WorkerSettings settings, Task until)
    {
        await using var worker = WorkerProcess.Start(settings, writes);
        await Task.WhenAny(worker.Working, until);
        var enough = options.Break is Sabotage.Transaction or Sabotage.Journal ? 0 : LateWrites;   // those are found without
        for (var waiting = new Stopwatch(); !until.IsCompleted || (writes.Count('R') + writes.Count('L') < enough && waiting.Elapsed < noProgress);)
        {
            if (until.IsCompleted)
                waiting.Start();
            if (await worker.PauseAsync((lease * 1.5) + TimeSpan.FromSeconds(0.5)))
                disturbances.Paused();
            await Task.Delay(TimeSpan.FromSeconds(1 + (2 * Random.Shared.NextDouble())));
        }
        await worker.StopAsync();
    }

    /// <summary>The executions that there are, once more, and nobody disturbs them.</summary>
    async Task<Id<Tenant>> RunUndisturbedAsync(Stage stage, TenantScope disturbed)
    {
        var (tenant, workflow) = await stage.NewTenantAsync("undisturbed");
        var ordinals = await stage.QueryAsync("select distinct ordinal from crash_effects where tenant_id = $1", row => row.GetInt32(0), disturbed.TenantId.Value);
        // Those of which nothing is there are missing here as well: the verdict counts them.
        foreach (var chunk in ordinals.Concat(writes.Starts.Values).Distinct().Chunk(64))
            await Task.WhenAll(chunk.Select(ordinal => tenant.Executions.StartAsync(new() { WorkflowId = workflow.Id, Input = Executions.PayloadBody.Json(Stage.Input(ordinal)) })));
        await LetThemFinishAsync(stage, tenant.TenantId, Settings(stage, tenant.TenantId, "undisturbed") with { Concurrency = 16, Lease = TimeSpan.FromSeconds(30), Break = Sabotage.None }, new AcknowledgedWrites());
        return tenant.TenantId;
    }
}
