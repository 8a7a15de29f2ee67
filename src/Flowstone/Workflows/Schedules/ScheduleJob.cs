using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Flowstone.Workflows;

/// <summary>Fires schedules as they are due. Runs with every server: any number of them at once.</summary>
public sealed partial class ScheduleJob(FlowstoneStore store, TimeProvider clock, ILogger<ScheduleJob> logger) : BackgroundService
{
    // One that was made meanwhile, by whatever process, is seen so soon.
    static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (true)
        {
            var pause = LongestPause;
            try
            {
                var run = await store.Schedules.RunOnceAsync(stoppingToken);
                if (run.Missed > 0)
                    Missed(run.Missed);
                if (run.Fired + run.Missed + run.Skipped > 0)
                    continue;
                if (run.NextAt is { } next && next - clock.Now() < pause)   // by this clock: it only shortens the pause
                    pause = next - clock.Now() is { Ticks: > 0 } soon ? soon : TimeSpan.FromMilliseconds(50);
            }
            catch (Exception error) when (!stoppingToken.IsCancellationRequested)   // whatever it is, the next run may succeed
            {
                Failed(error.Message);   // and no longer pause: it may be of one tenant alone
            }
            await Task.Delay(pause, clock, stoppingToken);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Count} due time(s) of schedules were missed: no server was there in time. The ledger of each schedule has them.")]
    partial void Missed(int count);

    [LoggerMessage(Level = LogLevel.Error, Message = "Schedules could not be fired, and will be tried again: {Reason}")]
    partial void Failed(string reason);
}
