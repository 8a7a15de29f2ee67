using Flowstone.Executions;

namespace Flowstone.Cli.Simulation;

/// <summary>The worker loops of one process.</summary>
sealed class Workers(Crew crew, string name)
{
    static readonly TimeSpan ShortestWait = TimeSpan.FromMilliseconds(5);
    static readonly TimeSpan LongestWait = TimeSpan.FromMilliseconds(250);

    /// <param name="done">True once nothing is left to do: asked whenever there was nothing to claim.</param>
    /// <param name="stop">Finish the step at hand and leave.</param>
    /// <param name="kill">Die: nothing is finished and no lease renewed any more.</param>
    /// <exception cref="SimulationException">Somebody else's work is in the way.</exception>
    public async Task RunAsync(Func<Task<bool>> done, CancellationToken stop, CancellationToken kill)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(kill);
        using var failure = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var renewing = crew.Leases.RunAsync(end.Token);
        try
        {
            await Task.WhenAll(Enumerable.Range(0, crew.Options.Workers).Select(i => LoopUntilFailureAsync(i)));
        }
        finally
        {
            await end.CancelAsync();
            await Task.WhenAny(renewing);
        }
        if (renewing.IsFaulted)
            await renewing;

        // One loop's failure ends the others too, after their step.
        async Task LoopUntilFailureAsync(int worker)
        {
            try
            {
                await LoopAsync(worker, done, failure.Token, kill);
            }
            catch
            {
                await failure.CancelAsync();
                throw;
            }
        }
    }

    async Task LoopAsync(int worker, Func<Task<bool>> done, CancellationToken stop, CancellationToken kill)
    {
        var wait = ShortestWait;
        for (var turn = worker; !stop.IsCancellationRequested;)
        {
            var claimed = await ClaimAsync($"{name}/{worker}", turn, kill);
            if (claimed.Count == 0)
            {
                if (++turn % crew.Catalog.Members.Count != worker % crew.Catalog.Members.Count)
                    continue;   // ask the other tenants before resting
                if (await done())
                    return;
                await Task.Delay(wait, kill);
                wait = TimeSpan.FromTicks(Math.Min(wait.Ticks * 2, LongestWait.Ticks));
                continue;
            }
            wait = ShortestWait;
            turn++;
            await RunAsync(claimed, stop, kill);
        }
    }

    async Task RunAsync(IReadOnlyList<ClaimedExecution> claimed, CancellationToken stop, CancellationToken kill)
    {
        foreach (var one in claimed)
            crew.Claimed(one);
        try
        {
            foreach (var one in claimed)
            {
                if (stop.IsCancellationRequested)
                    return;
                await ExecutionRun.RunAsync(crew, one, stop, kill);
                crew.Leases.Drop(one.Lease);
            }
        }
        finally
        {
            foreach (var one in claimed)
                crew.Leases.Drop(one.Lease);
        }
    }

    Task<IReadOnlyList<ClaimedExecution>> ClaimAsync(string worker, int turn, CancellationToken kill)
    {
        var request = new ClaimRequest
        {
            Worker = worker,
            Limit = crew.Options.ClaimLimit,
            Lease = crew.Options.Lease,
            TenantId = crew.Catalog.Members[turn % crew.Catalog.Members.Count].Scope.TenantId,
        };
        return crew.Patience.AskAsync(() => Measurements.TimeAsync(crew.Measurements.Claim, () => crew.Store.Queue.ClaimAsync(request, kill)), kill);
    }
}
