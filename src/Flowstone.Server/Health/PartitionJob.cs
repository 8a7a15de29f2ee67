namespace Flowstone.Server.Health;

/// <summary>Keeps partitions ahead of time: without one, an execution has no place to be stored.</summary>
public sealed partial class PartitionJob(FlowstoneStore store, ILogger<PartitionJob> logger) : BackgroundService
{
    static readonly TimeSpan Interval = TimeSpan.FromHours(6);
    static readonly TimeSpan AfterFailure = TimeSpan.FromMinutes(1);

    /// <returns>How many partitions were made.</returns>
    public async Task<int> RunOnceAsync(CancellationToken cancellationToken = default)
    {
        var created = await store.Health.CreatePartitionsAsync(cancellationToken);
        if (created > 0)
            Created(created);
        return created;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (true)
        {
            var pause = Interval;
            try
            {
                await RunOnceAsync(stoppingToken);
            }
            catch (Exception error) when (!stoppingToken.IsCancellationRequested)   // whatever it is, the next run may succeed, and weeks are left
            {
                Failed(error.Message);
                pause = AfterFailure;
            }
            await Task.Delay(pause * (0.9 + (0.2 * Random.Shared.NextDouble())), stoppingToken);   // so that many servers do not come at once
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Made {Count} partition(s).")]
    partial void Created(int count);

    [LoggerMessage(Level = LogLevel.Error, Message = "Partitions could not be made, and will be tried again: {Reason}")]
    partial void Failed(string reason);
}
