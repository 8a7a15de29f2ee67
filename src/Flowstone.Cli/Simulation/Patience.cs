using System.Diagnostics;

namespace Flowstone.Cli.Simulation;

/// <summary>Waits for a database that is restarting, instead of ending.</summary>
sealed class Patience(TimeSpan limit, Measurements measurements)
{
    static readonly TimeSpan First = TimeSpan.FromMilliseconds(50);
    static readonly TimeSpan Longest = TimeSpan.FromSeconds(2);

    /// <summary>Calls until there is an answer. Only for calls that may be made twice.</summary>
    /// <exception cref="UnavailableException">The database stayed away for longer than the limit.</exception>
    public async Task<T> AskAsync<T>(Func<Task<T>> call, CancellationToken cancellationToken)
    {
        var begin = Stopwatch.GetTimestamp();
        for (var wait = First; ; wait = TimeSpan.FromTicks(Math.Min(wait.Ticks * 2, Longest.Ticks)))
        {
            try
            {
                return await call();
            }
            catch (UnavailableException) when (Stopwatch.GetElapsedTime(begin) < limit)
            {
                measurements.Retry();
                await Task.Delay(wait, cancellationToken);
            }
        }
    }
}
