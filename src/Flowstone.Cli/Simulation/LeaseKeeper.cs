using System.Collections.Concurrent;
using Flowstone.Executions;

namespace Flowstone.Cli.Simulation;

/// <summary>Renews what the process holds: one statement for all workers, at a third of the lease.</summary>
sealed class LeaseKeeper(ExecutionQueue queue, TimeSpan lease)
{
    readonly ConcurrentDictionary<Id<Execution>, ExecutionLease> held = new();

    public void Add(ExecutionLease one) => held[one.ExecutionId] = one;

    /// <summary>Lets a lease run out.</summary>
    public void Drop(ExecutionLease one) => held.TryRemove(new(one.ExecutionId, one));

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var wait = lease / 3;
        while (true)
        {
            await Task.Delay(wait, cancellationToken);
            try
            {
                foreach (var lost in await queue.RenewAsync([.. held.Values], lease, cancellationToken))
                    Drop(lost);   // its worker learns it at its next write
                wait = lease / 3;
            }
            catch (Exception error) when (error is UnavailableException or ConflictException)
            {
                wait = lease / 20;
            }
        }
    }
}
