using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Flowstone.Benchmarks.Runs;
using Flowstone.Executions;
using Flowstone.Tenancy;

namespace Flowstone.Benchmarks.Backlog;

/// <summary>
/// How long a new tenant waits for its first claim while 32 workers are busy with another's backlog. Who starts is another store, as in
/// another process: the workers' store learns of it only through the database.
/// </summary>
static class NewTenants
{
    const int Tenants = 20, Workers = 32;

    public static async Task<string> MeasureAsync(RunsDatabase database, int pool)
    {
        var claimed = new ConcurrentDictionary<Id<Tenant>, TaskCompletionSource>();
        await using var workers = database.Store(pool);
        await using var starter = database.Store(pool: 2);
        using var over = new CancellationTokenSource();
        var done = 0;
        var busy = Enumerable.Range(0, Workers).Select(_ => Task.Run(WorkAsync)).ToArray();
        await Task.Delay(TimeSpan.FromSeconds(2));

        var (before, watch) = (done, Stopwatch.StartNew());
        var waits = new List<TimeSpan>();
        for (var i = 0; i < Tenants; i++)
        {
            var tenant = await starter.Tenants.CreateAsync($"new-{i}", $"New tenant {i}");
            var scope = starter.Tenant(tenant.Id, Actor.System("benchmark"));
            var workflow = await RunsDatabase.CreateWorkflowAsync(scope);
            var first = claimed[tenant.Id] = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            await scope.Executions.StartAsync(new NewExecution { WorkflowId = workflow });
            var started = Stopwatch.GetTimestamp();
            await first.Task.WaitAsync(TimeSpan.FromMinutes(1));
            waits.Add(Stopwatch.GetElapsedTime(started));
            await Task.Delay(TimeSpan.FromSeconds(0.5));
        }
        var perSecond = (done - before) / watch.Elapsed.TotalSeconds;
        await over.CancelAsync();
        await Task.WhenAll(busy);
        waits.Sort();
        return string.Create(CultureInfo.InvariantCulture,
            $"First claim of a new tenant's execution, while {Workers} workers do {perSecond:N0} jobs a second of the backlog: median {waits[Tenants / 2].TotalMilliseconds:N0} ms, longest of {Tenants} {waits[^1].TotalMilliseconds:N0} ms.");

        async Task WorkAsync()
        {
            while (!over.IsCancellationRequested)
                foreach (var run in await workers.Queue.ClaimAsync(new ClaimRequest { Worker = "bench", Limit = 1 }))
                {
                    if (claimed.TryGetValue(run.Lease.TenantId, out var first))
                        first.TrySetResult();
                    await workers.Queue.FinishAsync(run.Lease, new ExecutionOutcome { Status = ExecutionStatus.Success });
                    Interlocked.Increment(ref done);
                }
        }
    }
}
