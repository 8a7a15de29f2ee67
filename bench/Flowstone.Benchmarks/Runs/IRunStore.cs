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
