using Flowstone.Credentials;
using Flowstone.Tenancy;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Flowstone.Executions;

/// <summary>
/// Adds up statistics every few seconds, sweeps what was needed for a while every ten minutes, ends rotations of keys that were begun, and deletes once a day what is past its
/// time, in the trash too. Runs with every server and every worker: any number of them at once.
/// </summary>
public sealed partial class MaintenanceJob(FlowstoneStore store, TimeProvider clock, ILogger<MaintenanceJob> logger) : BackgroundService
{
    static readonly TimeSpan FoldEvery = TimeSpan.FromSeconds(10);
    static readonly TimeSpan SweepEvery = TimeSpan.FromMinutes(10);
    static readonly TimeSpan RetainEvery = TimeSpan.FromDays(1);
    static readonly TimeSpan AfterFailure = TimeSpan.FromMinutes(1);

    static readonly RotationPace gently = new(Pause: TimeSpan.FromMilliseconds(20));

    // A week's partition goes on the day after its last execution is past its time.
    static readonly TimeSpan patience = TimeSpan.FromDays(8);

    public async Task<RetentionReport> RetainOnceAsync(CancellationToken cancellationToken = default)
    {
        var report = await store.Retention.RunAsync(patience: patience, cancellationToken: cancellationToken);
        if (report.Executions > 0 || report.Partitions.Count > 0)
            Retained(report.Executions, report.Partitions.Count);
        return report;
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(
        RepeatAsync("Statistics", FoldEvery, FoldEvery, cancellation => store.Statistics.RunAsync(cancellation), stoppingToken),
        RepeatAsync("Sweeping", SweepEvery, SweepEvery, cancellation => store.Retention.SweepAsync(cancellation), stoppingToken),
        RepeatAsync("Sweeping of sign-ins", SweepEvery, SweepEvery, cancellation => store.SignInSweep.RunAsync(cancellation), stoppingToken),
        RepeatAsync("Deactivating expired credentials", SweepEvery, SweepEvery, DeactivateExpiredAsync, stoppingToken),
        RepeatAsync("Indexing of workflows", FoldEvery, SweepEvery, cancellation => store.WorkflowIndex.RunAsync(cancellation), stoppingToken),
        RepeatAsync("Rotation of keys", SweepEvery, SweepEvery, cancellation => store.KeyRotation.ResumeAsync(gently, cancellation), stoppingToken),
        RepeatAsync("Retention", TimeSpan.FromMinutes(10), RetainEvery, RetainOnceAsync, stoppingToken),
        RepeatAsync("Forgetting old due times", TimeSpan.FromMinutes(10), RetainEvery, cancellation => store.Schedules.ForgetAsync(cancellationToken: cancellation), stoppingToken),
        RepeatAsync("Emptying the trash", TimeSpan.FromMinutes(10), RetainEvery, cancellation => store.Trash.PurgeAsync(cancellationToken: cancellation), stoppingToken));

    async Task DeactivateExpiredAsync(CancellationToken cancellationToken)
    {
        foreach (var chunk in (await store.Tenants.ListAsync(cancellationToken)).Select(tenant => tenant.Id).Chunk(100))
            foreach (var tenant in await CredentialRepository.TenantsWithExpiredAsync(store.App, chunk, clock.Now(), cancellationToken))
                await store.Tenant(tenant, Actor.System("maintenance")).Credentials.DeactivateExpiredAsync(cancellationToken);
    }

    async Task RepeatAsync(string what, TimeSpan first, TimeSpan interval, Func<CancellationToken, Task> work, CancellationToken stoppingToken)
    {
        for (var pause = first * Random.Shared.NextDouble(); ;)   // so that many servers do not come at once
        {
            await Task.Delay(pause, clock, stoppingToken);
            pause = interval * (0.9 + (0.2 * Random.Shared.NextDouble()));
            try
            {
                await work(stoppingToken);
            }
            catch (Exception error) when (!stoppingToken.IsCancellationRequested)   // whatever it is, the next run may succeed
            {
                Failed(what, error.Message);
                pause = pause < AfterFailure ? pause : AfterFailure;
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Retention deleted {Executions} execution(s), {Partitions} week(s) among them as a whole.")]
    partial void Retained(long executions, int partitions);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{What} failed, and will be tried again: {Reason}")]
    partial void Failed(string what, string reason);
}
