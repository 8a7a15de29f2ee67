using System.Diagnostics;

namespace Flowstone.Benchmarks;

/// <summary>What one side did in one round.</summary>
/// <param name="PerSecond">Completed runs within the window.</param>
/// <param name="P50">Of a whole run.</param>
/// <param name="Others">How much of the machine was used by others meanwhile: neither the caller nor PostgreSQL.</param>
/// <param name="Stolen">How much the hypervisor gave to other machines.</param>
sealed record Round(double PerSecond, TimeSpan P50, TimeSpan P99, double Others, double Stolen, Cost Cost);

/// <summary>What a run cost the server and the client.</summary>
sealed record Cost(double Commits, double WalBytes, TimeSpan Client, TimeSpan Server)
{
    /// <summary>Of both together: what is left of a comparison when the machine is noisy.</summary>
    public TimeSpan Cpu => Client + Server;
}

/// <summary>Keeps a number of callers busy for a while and counts what they complete.</summary>
static class Callers
{
    public static async Task<(double PerSecond, TimeSpan P50, TimeSpan P99)> RunAsync(int callers, TimeSpan window, Func<Task> once)
    {
        var watch = Stopwatch.StartNew();
        var taken = await Task.WhenAll(Enumerable.Range(0, callers).Select(_ => Task.Run(CallAsync)));
        var all = taken.SelectMany(times => times).Order().ToArray();
        return all.Length == 0 ? default : (all.Length / window.TotalSeconds, all[all.Length / 2], all[all.Length * 99 / 100]);

        // What ends after the window is completed, but not counted.
        async Task<List<TimeSpan>> CallAsync()
        {
            var times = new List<TimeSpan>();
            while (watch.Elapsed < window)
            {
                var began = watch.Elapsed;
                await once();
                if (watch.Elapsed <= window)
                    times.Add(watch.Elapsed - began);
            }
            return times;
        }
    }
}
