using System.Collections.Concurrent;
using System.Diagnostics;
using Flowstone.Executions;

namespace Flowstone.Workers;

/// <summary>A lease while it is renewed. <see cref="Lost"/> is cancelled before another worker may take over.</summary>
sealed class HeldLease : IDisposable
{
    readonly TimeSpan length;
    readonly Lock gate = new();
    readonly CancellationTokenSource lost = new();
    bool dropped;

    public HeldLease(ExecutionLease lease, TimeSpan length) => (Lease, this.length, Lost) = (lease, length, lost.Token);

    public ExecutionLease Lease { get; }
    public CancellationToken Lost { get; }

    /// <summary>
    /// By this machine's monotonic clock, from before the database was asked: its lease is longer. A tenth is left for the token's
    /// callbacks. A machine that sleeps knows nothing of it; then the fencing number alone protects.
    /// </summary>
    public void Keep(long askedAt)
    {
        var left = (length * 0.9) - Stopwatch.GetElapsedTime(askedAt);
        lock (gate)
            if (!dropped)
                lost.CancelAfter(left > TimeSpan.Zero ? left : TimeSpan.Zero);
    }

    public void Lose()
    {
        lock (gate)
            if (dropped)
                return;
        try
        {
            lost.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It was dropped at this very moment: nobody is left to tell.
        }
    }

    public void Dispose()
    {
        lock (gate)
            dropped = true;
        lost.Dispose();
    }
}

/// <summary>Renews what a worker holds: one statement for all, at a third of the lease.</summary>
sealed class LeaseKeeper(ExecutionQueue queue, TimeSpan length, WorkerLog log)
{
    readonly ConcurrentDictionary<ExecutionLease, HeldLease> held = new();

    /// <param name="askedAt">A <see cref="Stopwatch.GetTimestamp"/> from before the claim was sent.</param>
    public HeldLease Hold(ExecutionLease lease, long askedAt)
    {
        var one = new HeldLease(lease, length);
        one.Keep(askedAt);
        return held[lease] = one;
    }

    /// <summary>It is not renewed any more.</summary>
    public void Drop(HeldLease one)
    {
        held.TryRemove(one.Lease, out _);
        one.Dispose();
    }

    /// <summary>As if none could be renewed any more.</summary>
    public void LoseAll()
    {
        foreach (var one in held.Values)
            one.Lose();
    }

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        for (var wait = length / 3; ;)
        {
            await Task.Delay(wait, cancellationToken);
            try
            {
                await RenewAsync(cancellationToken);
                wait = length / 3;
            }
            catch (Exception error) when (!cancellationToken.IsCancellationRequested)
            {
                log.NotRenewed(error.Message);   // whatever it is, it may pass; each lease knows by itself when it is over
                wait = length / 20;
            }
        }
    }

    async Task RenewAsync(CancellationToken cancellationToken)
    {
        var all = held.Values;
        if (all.Count == 0)
            return;
        var askedAt = Stopwatch.GetTimestamp();
        // No longer than the lease: an answer that comes later is of no use.
        using var inTime = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        inTime.CancelAfter(length / 2);
        IReadOnlyList<ExecutionLease> lost;
        try
        {
            lost = await queue.RenewAsync([.. all.Select(one => one.Lease)], length, inTime.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new UnavailableException("The database did not answer in time.");
        }
        var gone = lost.ToHashSet();
        foreach (var one in all)
        {
            if (!gone.Contains(one.Lease))
                one.Keep(askedAt);
            else
                one.Lose();
        }
    }
}
