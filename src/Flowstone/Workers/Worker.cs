using System.ComponentModel.DataAnnotations;
using System.Diagnostics;
using Flowstone.Executions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Flowstone.Workers;

/// <summary>
/// Claims executions as far as there is room, keeps their leases, hands each to a handler and writes what becomes of it. One object, one run;
/// <c>AddFlowstoneWorker</c> makes a hosted service of it.
/// </summary>
public sealed class Worker
{
    // Missed news costs so long at most.
    static readonly TimeSpan longestWait = TimeSpan.FromSeconds(30);
    static readonly TimeSpan afterFailure = TimeSpan.FromSeconds(1);

    readonly FlowstoneStore store;
    readonly WorkerOptions options;
    readonly Func<WorkContext, Task<WorkResult>> handler;
    readonly WorkerLog log;
    readonly LeaseKeeper leases;

    /// <exception cref="ValidationException">An option is out of its range.</exception>
    public Worker(FlowstoneStore store, WorkerOptions options, Func<WorkContext, Task<WorkResult>> handler, ILogger<Worker>? logger = null)
    {
        Validator.ValidateObject(options, new ValidationContext(options), validateAllProperties: true);
        (this.store, this.options, this.handler) = (store, options, handler);
        log = new WorkerLog(logger ?? NullLogger<Worker>.Instance);
        leases = new LeaseKeeper(store.Queue, options.Lease, log);
    }

    /// <summary>Is told how long a claim took.</summary>
    internal Action<TimeSpan>? Claimed { get; init; }

    /// <summary>Works until it is cancelled. Then it takes nothing more, waits for what runs, and gives back what does not end in time.</summary>
    /// <param name="cancellationToken">Stop.</param>
    public Task RunAsync(CancellationToken cancellationToken = default) => RunAsync(cancellationToken, CancellationToken.None);

    /// <param name="kill">Die as if the machine did: nothing is written and no lease renewed any more.</param>
    internal async Task RunAsync(CancellationToken stop, CancellationToken kill)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(kill);
        using var drained = new CancellationTokenSource();
        using var stopClaims = CancellationTokenSource.CreateLinkedTokenSource(stop, kill);
        await using var killing = kill.Register(leases.LoseAll);
        var renewing = leases.RunAsync(end.Token);
        var session = new Session(new SemaphoreSlim(options.Concurrency), stop, drained.Token, kill);
        await ClaimAsync(session, stopClaims.Token);

        var ended = AllEndedAsync(session.Room);
        if (!await EndsWithinAsync(ended, kill.IsCancellationRequested ? TimeSpan.Zero : options.DrainTimeout))
        {
            await drained.CancelAsync();
            await EndsWithinAsync(ended, ExecutionRun.Grace * 2);   // what does not listen is left to the end of the process
        }
        await end.CancelAsync();
        await Task.WhenAny(renewing);   // ends by its cancellation
    }

    static async Task<bool> EndsWithinAsync(Task work, TimeSpan time)
    {
        using var ended = new CancellationTokenSource();
        var first = await Task.WhenAny(work, Task.Delay(time, ended.Token));
        await ended.CancelAsync();
        return first == work;
    }

    /// <param name="Room">A place per execution that may run.</param>
    sealed record Session(SemaphoreSlim Room, CancellationToken Stop, CancellationToken Drained, CancellationToken Kill);

    async Task AllEndedAsync(SemaphoreSlim room)
    {
        for (var i = 0; i < options.Concurrency; i++)
            await room.WaitAsync();
    }

    async Task ClaimAsync(Session session, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await session.Room.WaitAsync(stop);
                var free = 1;
                while (free < options.ClaimBatch && session.Room.Wait(0, CancellationToken.None))
                    free++;
                if (await ClaimAsync(free, session) == 0)
                    await store.Queue.WaitForWorkAsync(longestWait, options.TenantId, stop);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception error)   // whatever it is, it may pass, and a worker that ended by it would be missed
            {
                log.NotClaimed(error.Message);
                await Task.Delay(afterFailure * (0.75 + (0.5 * Random.Shared.NextDouble())), stop).ContinueWith(_ => { }, TaskScheduler.Default);
            }
        }
    }

    async Task<int> ClaimAsync(int free, Session session)
    {
        IReadOnlyList<ClaimedExecution> claimed = [];
        try
        {
            var askedAt = Stopwatch.GetTimestamp();
            claimed = await store.Queue.ClaimAsync(new ClaimRequest { Worker = options.Name, Limit = free, Lease = options.Lease, TenantId = options.TenantId }, CancellationToken.None);
            Claimed?.Invoke(Stopwatch.GetElapsedTime(askedAt));
            foreach (var one in claimed)
                _ = RunAsync(one, leases.Hold(one.Lease, askedAt), session);   // catches all, frees its place
            return claimed.Count;
        }
        finally
        {
            if (free > claimed.Count)
                session.Room.Release(free - claimed.Count);
        }
    }

    async Task RunAsync(ClaimedExecution claimed, HeldLease held, Session session)
    {
        await Task.Yield();   // a handler that computes at once shall not keep the others from starting
        try
        {
            using var run = new ExecutionRun(store, options, claimed, held, session.Stop, session.Drained);
            if (session.Kill.IsCancellationRequested)
                held.Lose();
            var (result, working) = session.Stop.IsCancellationRequested ? (WorkResult.Release(), Task.CompletedTask) : await run.HandleAsync(handler, log);
            if (result is { Left: false } && !session.Kill.IsCancellationRequested)
                await run.WriteAsync(result, log);
            await Task.WhenAny(working);   // one that does not listen keeps its place
        }
        catch (Exception error)   // nobody awaits this; the lease runs out, and another worker goes on
        {
            log.Failed(claimed.Execution.Id, error);
        }
        finally
        {
            leases.Drop(held);
            session.Room.Release();
        }
    }
}
