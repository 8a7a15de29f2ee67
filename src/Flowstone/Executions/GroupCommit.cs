using System.Threading.Channels;
using Flowstone.Data;
using Flowstone.Tenancy;

namespace Flowstone.Executions;

/// <summary>One write of one execution. Whoever asked for it waits for its commit.</summary>
abstract class WriteCall(Id<Tenant> tenantId, Id<Execution> executionId)
{
    const int Waiting = 0, Sent = 1, GivenUp = 2;

    readonly TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    int state;

    public Id<Tenant> TenantId => tenantId;
    public Id<Execution> ExecutionId => executionId;

    /// <summary>Completes after the commit, or fails with what befell this call.</summary>
    public Task Done => done.Task;

    /// <summary>Bytes of payload that it brings.</summary>
    public abstract long Bytes { get; }

    /// <summary>What the database said of it, if it said nothing: then the lease was lost, say.</summary>
    public abstract FlowstoneException? Refusal { get; }

    public bool TrySend() => Interlocked.CompareExchange(ref state, Sent, Waiting) == Waiting;

    /// <summary>Only what has not been sent can be called off: what was, is told as it ends.</summary>
    public void CallOff(CancellationToken token)
    {
        if (Interlocked.CompareExchange(ref state, GivenUp, Waiting) == Waiting)
            done.TrySetCanceled(token);
    }

    public void Complete()
    {
        if (Refusal is { } refusal)
            done.TrySetException(refusal);
        else
            done.TrySetResult();
    }

    public void Fail(Exception error) => done.TrySetException(error);
}

/// <summary>
/// Group commit: calls that come while a transaction is under way go together in the next one. A lone call goes at once. Calls of one
/// execution keep their order, because they take the same lane and a lane has one transaction at a time.
/// </summary>
sealed class GroupCommit : IAsyncDisposable
{
    // More lanes make smaller groups and more commits; with one, nothing is prepared while the database commits.
    const int Lanes = 2;
    const int MostCalls = 256;
    const long MostBytes = 8 * 1024 * 1024;

    /// <summary>Per lane. Whoever finds it full waits: memory stays bounded when the database is slow.</summary>
    const int MostWaiting = 4096;

    readonly Database database;
    readonly Channel<WriteCall>[] lanes;
    readonly Task[] running;

    public GroupCommit(Database database)
    {
        this.database = database;
        lanes = [.. Enumerable.Range(0, Lanes).Select(_ => Channel.CreateBounded<WriteCall>(new BoundedChannelOptions(MostWaiting) { SingleReader = true }))];
        running = [.. lanes.Select(lane => RunAsync(lane.Reader))];
    }

    /// <summary>Returns after the commit. Cancelling takes back a call that was not yet sent.</summary>
    public async Task WriteAsync(WriteCall call, CancellationToken cancellationToken)
    {
        await lanes[(uint)call.ExecutionId.GetHashCode() % Lanes].Writer.WriteAsync(call, cancellationToken);
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
                bytes += call.Bytes;
            }
            if (group.Count > 0)
                await CommitAsync(group);
        }
    }

    async Task CommitAsync(List<WriteCall> group)
    {
        try
        {
            await new WriteGroup(group).CommitAsync(database);
            foreach (var call in group)
                call.Complete();
        }
        catch (Exception error) when (group.Count > 1 && error is not UnavailableException)
        {
            // One of them is bad and took the rest with it; nothing was stored. Halves of halves find it, in the same order.
            await CommitAsync([.. group.Take(group.Count / 2)]);
            await CommitAsync([.. group.Skip(group.Count / 2)]);
        }
        catch (Exception error)
        {
            // Handled where the calls are awaited: each gets the error as its own.
            foreach (var call in group)
                call.Fail(error);
        }
    }
}
