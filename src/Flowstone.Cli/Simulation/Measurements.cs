using System.Diagnostics;

namespace Flowstone.Cli.Simulation;

/// <summary>What happened so far; read while it grows.</summary>
sealed class Measurements
{
    long started, finished, failed, steps, failedSteps, resumed, lost, retries, bytes;

    public Histogram Start { get; } = new();
    public Histogram Claim { get; } = new();
    public Histogram Record { get; } = new();
    public Histogram Finish { get; } = new();

    public long StartedExecutions => Volatile.Read(ref started);
    public long FinishedExecutions => Volatile.Read(ref finished);

    /// <summary>Of the finished.</summary>
    public long FailedExecutions => Volatile.Read(ref failed);

    /// <summary>Attempts of nodes that were recorded as ended.</summary>
    public long Steps => Volatile.Read(ref steps);

    public long FailedSteps => Volatile.Read(ref failedSteps);

    /// <summary>Executions taken over from a worker that fell silent.</summary>
    public long Resumed => Volatile.Read(ref resumed);

    /// <summary>Executions given up because another worker had taken them over.</summary>
    public long LostLeases => Volatile.Read(ref lost);

    /// <summary>Calls that found no database and were made again.</summary>
    public long Retries => Volatile.Read(ref retries);

    /// <summary>Inputs of executions and outputs of nodes, before compression.</summary>
    public long PayloadBytes => Volatile.Read(ref bytes);

    public void Started(int payloadBytes)
    {
        Interlocked.Increment(ref started);
        Interlocked.Add(ref bytes, payloadBytes);
    }

    public void Step(bool succeeded, int payloadBytes)
    {
        Interlocked.Increment(ref steps);
        Interlocked.Add(ref bytes, payloadBytes);
        if (!succeeded)
            Interlocked.Increment(ref failedSteps);
    }

    public void Finished(bool succeeded)
    {
        Interlocked.Increment(ref finished);
        if (!succeeded)
            Interlocked.Increment(ref failed);
    }

    public void Resume() => Interlocked.Increment(ref resumed);

    public void LeaseLost() => Interlocked.Increment(ref lost);

    public void Retry() => Interlocked.Increment(ref retries);

    /// <summary>Makes the call and keeps how long it took, if it succeeded.</summary>
    public static async Task<T> TimeAsync<T>(Histogram histogram, Func<Task<T>> call)
    {
        var begin = Stopwatch.GetTimestamp();
        var result = await call();
        histogram.AddSince(begin);
        return result;
    }

    /// <inheritdoc cref="TimeAsync{T}"/>
    public static async Task TimeAsync(Histogram histogram, Func<Task> call)
    {
        var begin = Stopwatch.GetTimestamp();
        await call();
        histogram.AddSince(begin);
    }
}
