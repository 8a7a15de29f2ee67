namespace Flowstone.Benchmarks.Runs;

/// <summary>One side of a comparison: whatever stores durable runs. Every call returns when what it did is committed.</summary>
interface IRunStore : IAsyncDisposable
{
    string Name { get; }

    /// <summary>Queues a run.</summary>
    Task StartAsync();

    /// <summary>Takes one queued run; null if there is none.</summary>
    Task<IRun?> ClaimAsync();
}

/// <summary>A run that was claimed.</summary>
interface IRun
{
    Task StartNodeAsync(int node);

    Task FinishNodeAsync(int node, double result);

    Task FinishAsync();
}

static class WholeRuns
{
    /// <summary>What one caller does over and over. Which run it claims is the store's choice; every caller has started one.</summary>
    public static Func<Task> WholeRun(this IRunStore store, int nodes) => async () =>
    {
        await store.StartAsync();
        IRun? run;
        while ((run = await store.ClaimAsync()) is null)
            await Task.Yield();   // another caller's claim holds the last one for a moment
        for (var node = 0; node < nodes; node++)
        {
            await run.StartNodeAsync(node);
            await run.FinishNodeAsync(node, node * 1.5);
        }
        await run.FinishAsync();
    };
}
