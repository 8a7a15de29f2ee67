using System.Diagnostics;

namespace Flowstone.Tests;

/// <summary>Counts what Npgsql sends while something runs: a batch is one.</summary>
static class RoundTrips
{
    public static async Task<int> CountAsync(Func<Task> run)
    {
        var count = 0;
        using var own = new Activity("counted").SetIdFormat(ActivityIdFormat.W3C).Start();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "Npgsql",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = activity =>
            {
                if (activity.TraceId == own.TraceId)
                    Interlocked.Increment(ref count);
            },
        };
        ActivitySource.AddActivityListener(listener);
        await run();
        return count;
    }
}
