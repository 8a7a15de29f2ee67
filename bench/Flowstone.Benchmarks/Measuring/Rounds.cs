using System.Diagnostics;

namespace Flowstone.Benchmarks;

/// <summary>What one side did in one round.</summary>
/// <param name="PerSecond">Completed runs.</param>
/// <param name="P50">Of a whole run.</param>
/// <param name="Others">How much of the machine was used by others meanwhile: neither the side's own process nor PostgreSQL.</param>
/// <param name="Stolen">How much the hypervisor gave to other machines.</param>
sealed record Round(double PerSecond, TimeSpan P50, TimeSpan P99, double Others, double Stolen, Cost Cost);

/// <summary>What a run cost the server and the client.</summary>
sealed record Cost(double Commits, double WalBytes, TimeSpan Client, TimeSpan Server)
{
    /// <summary>Of both together: what is left of a comparison when the machine is noisy.</summary>
    public TimeSpan Cpu => Client + Server;
}

/// <summary>What callers got done, until the last of them had ended, and the CPU time of their process.</summary>
sealed record Load(int Completed, TimeSpan Elapsed, TimeSpan P50, TimeSpan P99, TimeSpan Cpu)
{
    public double PerSecond => Completed / Elapsed.TotalSeconds;
}

/// <summary>One side of a comparison.</summary>
abstract class Side(string name)
{
    public string Name => name;

    /// <summary>
    /// Keeps the callers busy for a while and counts what they complete. Whoever has begun within the window ends what it began, and
    /// counts: runs that take longer than the window would otherwise never be seen.
    /// </summary>
    public abstract Task<Load> RunAsync(int callers, TimeSpan window);
}

/// <param name="once">What one caller does over and over.</param>
sealed class InProcess(string name, Func<Task> once) : Side(name)
{
    public override async Task<Load> RunAsync(int callers, TimeSpan window)
    {
        var cpu = Process.GetCurrentProcess().TotalProcessorTime;
        var watch = Stopwatch.StartNew();
        var taken = await Task.WhenAll(Enumerable.Range(0, callers).Select(_ => Task.Run(CallAsync)));
        var elapsed = watch.Elapsed;
        var used = Process.GetCurrentProcess().TotalProcessorTime - cpu;
        var all = taken.SelectMany(times => times).Order().ToArray();
        return new Load(all.Length, elapsed, all[all.Length / 2], all[all.Length * 99 / 100], used);

        async Task<List<TimeSpan>> CallAsync()
        {
            var times = new List<TimeSpan>();
            do
            {
                var began = watch.Elapsed;
                await once();
                times.Add(watch.Elapsed - began);
            }
            while (watch.Elapsed < window);
            return times;
        }
    }
}
