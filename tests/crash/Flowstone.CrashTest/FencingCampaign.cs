using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Flowstone.Tenancy;
using Flowstone.Workflows;

namespace Flowstone.CrashTest;

/// <summary>64 workers in 16 processes finish many empty executions, while processes are paused beyond the lease and killed: each is finished exactly once, under its newest fencing number.</summary>
sealed class FencingCampaign(CampaignOptions options)
{
    const int Processes = 16, WorkersEach = 4;

    static readonly TimeSpan lease = TimeSpan.FromSeconds(2);
    static readonly TimeSpan betweenPauses = TimeSpan.FromSeconds(1.5);
    static readonly TimeSpan betweenKills = TimeSpan.FromSeconds(2.5);

    readonly AcknowledgedWrites writes = new();
    readonly ConcurrentDictionary<int, WorkerProcess> processes = new();
    int kills, pauses;

    /// <returns>Whether each was finished exactly once.</returns>
    public async Task<bool> RunAsync(CancellationToken stop)
    {
        await using var stage = await Stage.OpenAsync(stop);
        var (tenant, workflow) = await stage.NewTenantAsync("fencing");
        var began = Stopwatch.StartNew();
        await StartAsync(tenant, workflow);
        var started = began.Elapsed;

        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var working = Enumerable.Range(0, Processes).Select(i => WorkAsync(i, stage, tenant.TenantId, over.Token)).ToArray();
        var disturbing = new[]
        {
            RepeatAsync(betweenPauses, PauseAsync, over.Token), RepeatAsync(betweenKills, KillAsync, over.Token),
        };
        while (await stage.NumberAsync("select count(*) from flowstone.execution_queue where tenant_id = $1", tenant.TenantId.Value) > 0)
            await Task.Delay(500, stop);
        await over.CancelAsync();
        await Task.WhenAll(working);
        await Task.WhenAll(disturbing);
        return await JudgeAsync(stage, tenant.TenantId.Value, started, began.Elapsed - started);
    }

    async Task StartAsync(TenantScope tenant, Workflow workflow)
    {
        var next = 0;
        await Task.WhenAll(Enumerable.Range(0, 256).Select(async _ =>
        {
            while (Interlocked.Increment(ref next) <= options.Count)
                await tenant.Executions.StartAsync(new() { WorkflowId = workflow.Id, MaxAttempts = 1000 });
        }));
    }

    /// <summary>One place for a process: when it was killed, the next one comes.</summary>
    async Task WorkAsync(int place, Stage stage, Id<Tenant> tenant, CancellationToken stop)
    {
        var settings = new WorkerSettings
        {
            Database = stage.ConnectionString, Tenant = tenant, Name = $"fencing-{place}", Lease = lease, Workers = WorkersEach, Concurrency = 8, Empty = true, Break = options.Break,
        };
        while (!stop.IsCancellationRequested)
        {
            await using var process = WorkerProcess.Start(settings, writes);
            processes[place] = process;
            var exited = process.ExitedAsync();
            await Task.WhenAny(exited, Task.Delay(Timeout.Infinite, stop));
            if (!exited.IsCompleted)
                await process.StopAsync();
        }
    }

    static async Task RepeatAsync(TimeSpan every, Func<Task> disturb, CancellationToken stop)
    {
        var under = new List<Task>();
        while (!stop.IsCancellationRequested)
        {
            await Task.WhenAny(Task.Delay(every * (0.5 + Random.Shared.NextDouble()), stop));
            under.Add(disturb());
        }
        await Task.WhenAll(under);
    }

    async Task PauseAsync()
    {
        if (Any() is { Working.IsCompleted: true } process && await process.PauseAsync(lease + TimeSpan.FromSeconds(1)))
            Interlocked.Increment(ref pauses);
    }

    Task KillAsync()
    {
        if (Any() is { Working.IsCompleted: true } process)
        {
            process.Kill();
            Interlocked.Increment(ref kills);
        }
        return Task.CompletedTask;
    }

    WorkerProcess? Any() => processes.GetValueOrDefault(Random.Shared.Next(Processes));

    async Task<bool> JudgeAsync(Stage stage, Guid tenant, TimeSpan starting, TimeSpan working)
    {
        var rows = (await stage.QueryAsync("select id, status, claims from flowstone.executions where tenant_id = $1",
            row => (Id: row.GetGuid(0), Status: row.GetString(1), Claims: row.GetInt32(2)), tenant)).ToDictionary(row => row.Id);
        var ends = writes.Writes.Where(write => write.Kind == 'F').ToList();
        var counted = await stage.NumberAsync("select coalesce(sum(executions), 0)::bigint from flowstone.execution_deltas where tenant_id = $1", tenant);
        var rules = new (string Rule, long Found)[]
        {
            ("executions lost", options.Count - rows.Count),
            ("executions not finished", rows.Values.Count(row => row.Status != "SUCCESS")),
            ("finished twice", ends.GroupBy(write => write.Execution).Count(group => group.Count() > 1)),
            ("finished under an old fence", ends.Count(write => rows[write.Execution].Claims != write.Fence)),
            ("late writes accepted", writes.Count('L') + await stage.NumberAsync("select count(*) from flowstone.node_executions where tenant_id = $1", tenant)),
            ("counted wrongly by the statistics", Math.Abs(counted - options.Count)),
        };
        Line("executions", $"{rows.Count:N0}, started in {starting.TotalSeconds:N0} s, finished in {working.TotalSeconds:N0} s ({rows.Count / working.TotalSeconds:N0}/s)");
        Line("workers", $"{Processes * WorkersEach} in {Processes} processes, lease {lease.TotalSeconds:N0} s");
        Line("kills, pauses beyond the lease", $"{kills}, {pauses}");
        Line("claimed more than once", $"{rows.Values.Count(row => row.Claims > 1):N0}, at most {rows.Values.Max(row => row.Claims)} times");
        Line("ends acknowledged", $"{ends.Count:N0}");
        Line("late writes refused", $"{writes.Count('R'):N0}");
        foreach (var (rule, found) in rules)
            Line(rule, $"{found:N0}{(found > 0 ? "   MISMATCH" : "")}");
        return Array.TrueForAll(rules, rule => rule.Found == 0);

        static void Line(string name, string value) => Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name,-42} {value}"));
    }
}
