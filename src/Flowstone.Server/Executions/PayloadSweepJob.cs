using Flowstone.Executions;

namespace Flowstone.Server.Executions;

/// <summary>Deletes objects to which no payload refers any more.</summary>
public sealed partial class PayloadSweepJob(FlowstoneStore store, ILogger<PayloadSweepJob> logger) : BackgroundService
{
    static readonly TimeSpan Interval = TimeSpan.FromHours(6);

    public async Task<PayloadSweep> RunOnceAsync(CancellationToken cancellationToken = default)
    {
        var sweep = await store.PayloadSweeper.SweepAsync(cancellationToken);
        if (sweep.Deleted > 0)
            Swept(sweep.Deleted, sweep.Seen);
        return sweep;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (true)
        {
            await Task.Delay(Interval * (0.9 + (0.2 * Random.Shared.NextDouble())), stoppingToken);   // so that many servers do not come at once
            try
            {
                await RunOnceAsync(stoppingToken);
            }
            catch (Exception error) when (!stoppingToken.IsCancellationRequested)   // nothing depends on it: the next round may succeed
            {
                Failed(error.Message);
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Deleted {Deleted} of {Seen} old object(s): no payload refers to them.")]
    partial void Swept(long deleted, long seen);

    [LoggerMessage(Level = LogLevel.Error, Message = "The object store could not be swept, and will be tried again: {Reason}")]
    partial void Failed(string reason);
}
