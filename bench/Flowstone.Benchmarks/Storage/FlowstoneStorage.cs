using System.Collections.Concurrent;
using Flowstone.Benchmarks.Runs;
using Flowstone.Executions;
using Flowstone.Tenancy;

namespace Flowstone.Benchmarks.Storage;

/// <summary>Writes runs with payloads by the public API: first all are queued, then all are claimed and run.</summary>
sealed class FlowstoneStorage(RunsDatabase database, int pool) : IAsyncDisposable
{
    readonly FlowstoneStore store = database.Store(pool);
    readonly ConcurrentDictionary<Id<Execution>, int> numbers = new();

    public async Task StartAsync(int number)
    {
        using var run = new StoredRun(number);
        var started = await store.Tenant(database.TenantId, Actor.System("benchmark")).Executions
            .StartAsync(new NewExecution { WorkflowId = database.WorkflowId, Input = run.Input });
        numbers[started.Id] = number;
    }

    public async Task RunOneAsync()
    {
        IReadOnlyList<ClaimedExecution> claimed;
        while ((claimed = await store.Queue.ClaimAsync(new ClaimRequest { Worker = "bench", Limit = 1, Lease = TimeSpan.FromMinutes(10) })).Count == 0)
            await Task.Delay(10);
        var lease = claimed[0].Lease;
        using var run = new StoredRun(numbers[lease.ExecutionId]);
        for (var node = 0; node < RunsDatabase.Nodes; node++)
        {
            var id = RunsDatabase.NodeId(node);
            await store.Queue.RecordAsync(lease, [new NodeStart { NodeId = id, Input = run.InputOf(node) }], []);
            await store.Queue.RecordAsync(lease, [], [new NodeFinish { NodeId = id, Status = ExecutionStatus.Success, Output = run.OutputOf(node) }]);
        }
        await store.Queue.FinishAsync(lease, new ExecutionOutcome { Status = ExecutionStatus.Success, Output = run.Output });
    }

    public ValueTask DisposeAsync() => store.DisposeAsync();
}
