using Flowstone.Workers;

namespace Flowstone.Cli.Simulation;

/// <summary>The workers of one process: one of the library's per tenant.</summary>
sealed class SimulationWorkers(Crew crew, string name)
{
    static readonly TimeSpan betweenLooks = TimeSpan.FromMilliseconds(50);
    static readonly TimeSpan noEnd = TimeSpan.FromHours(24);   // a step at hand takes no time; nothing is given up for that

    int running;
    Exception? failure;

    /// <param name="done">True once nothing is left to do: asked whenever nothing runs.</param>
    /// <param name="stop">Finish the step at hand and leave.</param>
    /// <param name="kill">Die: nothing is finished and no lease renewed any more.</param>
    /// <exception cref="SimulationException">Somebody else's work is in the way.</exception>
    public async Task RunAsync(Func<Task<bool>> done, CancellationToken stop, CancellationToken kill)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(stop, kill);
        var working = Task.WhenAll(crew.Catalog.Members.Select(member => new Worker(crew.Store, new WorkerOptions
        {
            Name = name,
            TenantId = member.Scope.TenantId,
            Concurrency = Math.Max(1, crew.Options.Workers / crew.Catalog.Members.Count),
            Lease = crew.Options.Lease,
            DrainTimeout = noEnd,
        }, work => HandleAsync(work, end))
        { Claimed = crew.Measurements.Claim.Add }.RunAsync(end.Token, kill)));
        try
        {
            while (!end.IsCancellationRequested && (Volatile.Read(ref running) > 0 || !await done()))
                await Task.WhenAny(Task.Delay(betweenLooks, end.Token));
        }
        finally
        {
            await end.CancelAsync();
            await working;
        }
        if (failure is not null)
            throw failure;
        kill.ThrowIfCancellationRequested();
    }

    /// <summary>One failure ends all, after their step; and whatever it was, nothing is written of it.</summary>
    async Task<WorkResult> HandleAsync(WorkContext work, CancellationTokenSource end)
    {
        Interlocked.Increment(ref running);
        try
        {
            crew.Claimed(work.Execution);
            return await ExecutionRun.RunAsync(crew, work);
        }
        catch (OperationCanceledException) when (work.CancellationToken.IsCancellationRequested)
        {
            crew.Measurements.LeaseLost();
            throw;
        }
        catch (Exception error)   // told by RunAsync
        {
            Interlocked.CompareExchange(ref failure, error, null);
            await end.CancelAsync();
            return WorkResult.Leave();
        }
        finally
        {
            Interlocked.Decrement(ref running);
        }
    }
}
