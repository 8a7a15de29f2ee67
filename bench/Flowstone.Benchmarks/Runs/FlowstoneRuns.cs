using System.Globalization;
using System.Text;
using Flowstone.Executions;
using Flowstone.Tenancy;

namespace Flowstone.Benchmarks.Runs;

/// <summary>Flowstone's public API, used as its documentation says.</summary>
sealed class FlowstoneRuns(RunsDatabase database, Settings settings, string name = "flowstone") : IRunStore
{
    static readonly string[] NodeIds = [.. Enumerable.Range(0, RunsDatabase.Nodes).Select(RunsDatabase.NodeId)];
    static readonly ClaimRequest One = new() { Worker = "bench", Limit = 1 };

    readonly FlowstoneStore store = database.Store(settings);
    TenantScope? tenant;

    public string Name => name;

    TenantScope Tenant => tenant ??= store.Tenant(database.TenantId, Actor.System("benchmark"));

    public Task StartAsync() => Tenant.Executions.StartAsync(new NewExecution { WorkflowId = database.WorkflowId });

    public async Task<IRun?> ClaimAsync() => await store.Queue.ClaimAsync(One) is [var claimed] ? new Run(store.Queue, claimed) : null;

    public ValueTask DisposeAsync() => store.DisposeAsync();

    sealed class Run(ExecutionQueue queue, ClaimedExecution claimed) : IRun
    {
        public Task StartNodeAsync(int node)
            => queue.RecordAsync(claimed.Lease, [new NodeStart { NodeId = NodeIds[node] }], []);

        public Task FinishNodeAsync(int node, double result)
            => queue.RecordAsync(claimed.Lease, [],
                [new NodeFinish { NodeId = NodeIds[node], Status = ExecutionStatus.Success, Output = Number(result) }]);

        public Task FinishAsync() => queue.FinishAsync(claimed.Lease, new ExecutionOutcome { Status = ExecutionStatus.Success });

        static PayloadBody Number(double value) => new(Encoding.UTF8.GetBytes(value.ToString(CultureInfo.InvariantCulture)));
    }
}
