using System.Diagnostics;
using System.Threading.Channels;
using Flowstone.Data;

namespace Flowstone.Executions;

/// <summary>
/// Group commit: calls that come while a transaction is under way go together in the next one. A lone call goes at once. Calls of one
/// execution keep their order, because they take the same lane and a lane has one transaction at a time.
/// </summary>
sealed class GroupCommit : IAsyncDisposable
{
    const int MostCalls = 256;

    const long MostBytes = 8 * 1024 * 1024;

    /// <summary>Per lane. Whoever finds it full waits: memory stays bounded when the database is slow.</summary>
    const int MostWaiting = 4096;

    const int MostCollisions = 5;

    // How long a lost connection is tried again before its calls are told that nobody knows what became of them.
    static readonly TimeSpan resolveWithin = TimeSpan.FromSeconds(10);

    static readonly TimeSpan thoroughFor = TimeSpan.FromSeconds(10);

    readonly Database database;
    readonly TimeProvider clock;
    readonly Action<List<QueuedWork>> queued;
    readonly Lane[] lanes;
    long thoroughSince;

    sealed class Lane
    {
        public Channel<WriteCall> Calls { get; } = Channel.CreateBounded<WriteCall>(MostWaiting);

        /// <summary>Whoever takes it serves the lane.</summary>
        public SemaphoreSlim Turn { get; } = new(1, 1);

        public bool TryTake() => Turn.Wait(0);

        /// <summary>Gives the turn back, unless calls wait.</summary>
        public bool TryRest()
        {
            if (Calls.Reader.Count > 0)
                return false;
            Turn.Release();
            return Calls.Reader.Count == 0 || !TryTake();   // who came in between found the turn taken
        }
    }

    /// <param name="writers">How many lanes, each with a connection while it writes. More make smaller groups and more commits.</param>
    /// <param name="queued">Is told what can be claimed after a commit.</param>
    public GroupCommit(Database database, TimeProvider clock, int writers, Action<List<QueuedWork>> queued)
    {
        (this.database, this.clock, this.queued) = (database, clock, queued);
        lanes = [.. Enumerable.Range(0, writers).Select(_ => new Lane())];
    }

    /// <summary>Returns after the commit. Cancelling takes back a call that was not yet sent.</summary>
    public async Task WriteAsync(WriteCall call, CancellationToken cancellationToken)
    {
        var lane = lanes[(uint)call.ExecutionId.GetHashCode() % lanes.Length];
        await lane.Calls.Writer.WriteAsync(call, cancellationToken);
        if (lane.TryTake())
            Serve(lane);
        if (!cancellationToken.CanBeCanceled)
        {
            await call.Done;
            return;
        }
        await using var calledOff = cancellationToken.UnsafeRegister(static (state, token) => ((WriteCall)state!).CallOff(token), call);
        await call.Done;
    }

    /// <summary>What was asked for is still written; nothing more is taken.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (var lane in lanes)
            lane.Calls.Writer.TryComplete();
        foreach (var lane in lanes)
        {
            await lane.Turn.WaitAsync();
            await ServeAsync(lane);
        }
    }

    // On the caller's own thread until it waits for the database: a lone caller needs no other. What is of the caller alone, as where its trace
    // goes on or where its user interface runs, stays with it.
    void Serve(Lane lane)
    {
        if (SynchronizationContext.Current is not null || TaskScheduler.Current != TaskScheduler.Default || ExecutionContext.IsFlowSuppressed())
        {
            ThreadPool.UnsafeQueueUserWorkItem(static at => _ = at.Writes.ServeAsync(at.Lane), (Writes: this, Lane: lane), preferLocal: true);
            return;
        }
        using (ExecutionContext.SuppressFlow())
            _ = ServeAsync(lane);   // tells every call what became of it
    }

    async Task ServeAsync(Lane lane)
    {
        do
        {
            var group = new List<WriteCall>();
            var bytes = 0L;
            while (group.Count < MostCalls && bytes < MostBytes && lane.Calls.Reader.TryRead(out var call))
            {
                if (!call.TrySend())
                    continue;
                group.Add(call);
                bytes += call.Payloads?.Bytes ?? 0;
            }
            if (group.Count == 0)
                continue;
            var started = Stopwatch.GetTimestamp();
            QueueMeters.BatchSize.Record(group.Count);
            if (QueueMeters.Wait.Enabled)
                foreach (var call in group)
                    QueueMeters.Wait.Record(Stopwatch.GetElapsedTime(call.AskedAt, started).TotalSeconds);
            try
            {
                await CommitAsync(group);
            }
            catch (Exception error)
            {
                // What nobody thought of befalls the calls, not the lane.
                foreach (var call in group)
                    call.Fail(error);
            }
            QueueMeters.Commit.Record(Stopwatch.GetElapsedTime(started).TotalSeconds);

            // A lone caller goes on where we are: to wake another thread takes as long as half of the call.
            if (group is [var lone] && lane.TryRest())
            {
                lone.Answer();
                return;
            }
            foreach (var call in group)
                call.AnswerElsewhere();

            // Whoever was just answered goes first, and joins the next group with his next call: fewer, larger groups.
            await Task.Yield();
        }
        while (!lane.TryRest());
    }

    /// <summary>Commits the calls; those that were not get to know why.</summary>
    async Task CommitAsync(List<WriteCall> calls, int collisions = 0)
    {
        if (thoroughSince != 0 && Stopwatch.GetElapsedTime(thoroughSince) < thoroughFor)
            foreach (var call in calls)
                if (call is FinishCall end)
                    end.Thorough = true;
        var group = new WriteGroup(calls, clock);
        try
        {
            await group.CommitAsync(database);
            queued(group.Queued);
        }
        catch (UnavailableException error) when (error.OutcomeUnknown)
        {
            switch (await FindOutcomeAsync(group))
            {
                case true:
                    foreach (var call in calls.Where(call => call is RenewCall or ClaimCall))
                        call.Fail(error);   // what the database said is not known; it will be asked again
                    queued(group.Queued);
                    break;
                case false:
                    Fail(new UnavailableException("The connection to the database was lost; nothing was stored: try again.", error));
                    break;
                default:
                    Fail(error);
                    break;
            }
        }
        catch (UnavailableException error) when (PostgresErrors.IsCollision(error) && collisions < MostCollisions)
        {
            await CommitAsync(calls, collisions + 1);
        }
        catch (ConflictException error) when (PostgresErrors.IsLimitedClaim(error))
        {
            await CommitWithoutAsync([.. calls.Where(call => call is ClaimCall)], _ => error);
        }
        catch (ConflictException error) when (PostgresErrors.IsLostLease(error))
        {
            await CommitWithoutLostAsync();
        }
        catch (ConflictException error) when (PostgresErrors.IsRefusal(error) && calls.Exists(call => call is FinishCall { Thorough: false }))
        {
            // Perhaps something is to be closed or given back. Where that is so, it will be so again soon.
            thoroughSince = Stopwatch.GetTimestamp();
            await CommitAsync(calls, collisions);
        }
        catch (Exception error) when (calls.Count > 1 && error is not UnavailableException)
        {
            // One of them is bad and took the rest with it; nothing was stored. Halves of halves find it, in the same order.
            await CommitAsync(calls[..(calls.Count / 2)]);
            await CommitAsync(calls[(calls.Count / 2)..]);
        }
        catch (Exception error)
        {
            // Handled where the calls are awaited: each gets the error as its own.
            Fail(error);
        }

        async Task CommitWithoutLostAsync()
        {
            IReadOnlyList<LeasedCall> lost;
            try
            {
                lost = calls is [LeasedCall alone] ? [alone] : await group.FindLostAsync(database);
            }
            catch (Exception error)
            {
                Fail(error);
                return;
            }
            await CommitWithoutAsync(lost, call => ((LeasedCall)call).Lease.Lost());
        }

        Task CommitWithoutAsync(IReadOnlyCollection<WriteCall> refused, Func<WriteCall, Exception> why)
        {
            if (refused.Count == 0)   // the same would be refused again for ever
            {
                Fail(new UnavailableException("The database refused a group of writes, but none of them; nothing was stored: try again."));
                return Task.CompletedTask;
            }
            foreach (var call in refused)
                call.Fail(why(call));
            var rest = calls.Except(refused).ToList();
            return rest.Count == 0 ? Task.CompletedTask : CommitAsync(rest, collisions);
        }

        void Fail(Exception error)
        {
            foreach (var call in calls)
                call.Fail(error);
        }
    }

    /// <returns>Null while the database cannot be reached.</returns>
    async Task<bool?> FindOutcomeAsync(WriteGroup group)
    {
        var asked = Stopwatch.StartNew();
        for (var pause = TimeSpan.FromMilliseconds(50); ; pause *= 1.5)
        {
            try
            {
                return await group.FindOutcomeAsync(database);
            }
            catch (UnavailableException)
            {
                // Still away: what matters is told by the caller's own error, if it stays so.
            }
            if (asked.Elapsed + pause > resolveWithin)
                return null;
            await Task.Delay(pause);
        }
    }
}
