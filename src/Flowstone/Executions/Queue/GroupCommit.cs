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

    // So many that wait are a group of their own: while it is written, the callers of the one before are answered and ask again.
    const int Enough = 32;

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
    readonly Channel<WriteCall>[] lanes;
    readonly Task[] running;
    long thoroughSince;

    /// <param name="writers">How many lanes, each with a connection while it writes. More make smaller groups and more commits.</param>
    /// <param name="queued">Is told what can be claimed after a commit.</param>
    public GroupCommit(Database database, TimeProvider clock, int writers, Action<List<QueuedWork>> queued)
    {
        (this.database, this.clock, this.queued) = (database, clock, queued);
        lanes = [.. Enumerable.Range(0, writers).Select(_ => Channel.CreateBounded<WriteCall>(new BoundedChannelOptions(MostWaiting) { SingleReader = true }))];
        running = [.. lanes.Select(lane => RunAsync(lane.Reader))];
    }

    /// <summary>Returns after the commit. Cancelling takes back a call that was not yet sent.</summary>
    public async Task WriteAsync(WriteCall call, CancellationToken cancellationToken)
    {
        await lanes[(uint)call.ExecutionId.GetHashCode() % lanes.Length].Writer.WriteAsync(call, cancellationToken);
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
            lane.Writer.TryComplete();
        await Task.WhenAll(running);
    }

    async Task RunAsync(ChannelReader<WriteCall> calls)
    {
        while (await calls.WaitToReadAsync())
        {
            var group = new List<WriteCall>();
            var bytes = 0L;
            while (group.Count < MostCalls && bytes < MostBytes && calls.TryRead(out var call))
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
            await CommitAsync(group);
            QueueMeters.Commit.Record(Stopwatch.GetElapsedTime(started).TotalSeconds);

            // Whoever was just answered goes first, and joins the next group with his next call: fewer, larger groups.
            if (calls.Count < Enough)
                await Task.Yield();
        }
    }

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
            Complete();
        }
        catch (UnavailableException error) when (error.OutcomeUnknown)
        {
            switch (await FindOutcomeAsync(group))
            {
                case true:
                    foreach (var call in calls.Where(call => call is RenewCall or ClaimCall))
                        call.Fail(error);   // what the database said is not known; it will be asked again
                    Complete();
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

        void Complete()
        {
            queued(group.Queued);
            foreach (var call in calls)
                call.Complete();
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
