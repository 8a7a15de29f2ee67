using Flowstone.Executions;

namespace Flowstone.Cli.Simulation;

enum RunEnd { Finished, LeftOpen, LeaseLost }

/// <summary>Takes one claimed execution from where the record says it stands to its end.</summary>
sealed class ExecutionRun : IDisposable
{
    public const string NodeFailed = "NODE_FAILED";
    public const string Simulated = "SIMULATED";

    readonly Crew crew;
    readonly ClaimedExecution claimed;
    readonly GraphPlan graph;
    readonly SimulatedRun run;
    readonly IReadOnlyList<Visit> visits;
    readonly RunBodies bodies;
    Ended? ended;   // not yet written: it goes with the next start, in one round trip

    sealed record Ended(NodeFinish Finish, int Node);

    ExecutionRun(Crew crew, ClaimedExecution claimed, GraphPlan graph, SimulatedRun run, PayloadBody given)
    {
        (this.crew, this.claimed, this.graph, this.run) = (crew, claimed, graph, run);
        visits = RunPlan.Create(graph, run);
        bodies = new RunBodies(run, visits, given);
    }

    Execution Execution => claimed.Execution;

    /// <param name="stop">After the step at hand, leave the rest to whoever claims it next.</param>
    /// <param name="kill">At once, in the midst of whatever it is.</param>
    /// <exception cref="SimulationException">It is not a simulated execution. Nothing was written.</exception>
    public static async Task<RunEnd> RunAsync(Crew crew, ClaimedExecution claimed, CancellationToken stop, CancellationToken kill)
    {
        var execution = claimed.Execution;
        var given = execution.Input is { } name
            ? await crew.Patience.AskAsync(() => crew.Catalog.Scope(execution.TenantId).Executions.FindPayloadAsync(execution.Id, name, kill), kill) : null;
        if (given is null || SimulatedRun.Read(given.Bytes.Span) is not { } run)
            throw new SimulationException($"Execution {execution.Id} is not a simulation's: running it would give it made-up results. It was left alone; "
                + "its worker gets it once the lease has run out. Use a tenant in which nothing else is under way.");
        var graph = await crew.Patience.AskAsync(() => crew.Catalog.PlanAsync(execution.TenantId, execution.WorkflowId, execution.WorkflowVersion, kill), kill);
        using var self = new ExecutionRun(crew, claimed, graph, run, given);
        return await self.RunAsync(stop, kill);
    }

    public void Dispose() => bodies.Dispose();

    async Task<RunEnd> RunAsync(CancellationToken stop, CancellationToken kill)
    {
        var record = Execution.Claims > 1 ? await ReadAsync(kill) : RunRecord.Empty;
        while (true)
        {
            try
            {
                return await WalkAsync(record, stop, kill);
            }
            catch (ConflictException)
            {
                crew.Measurements.LeaseLost();
                return RunEnd.LeaseLost;
            }
            catch (UnavailableException)
            {
                // Whether the last write took effect is not known here, but it is there.
                crew.Measurements.Retry();
                ended = null;
                record = await ReadAsync(kill);
                var now = await crew.Patience.AskAsync(() => crew.Catalog.Scope(Execution.TenantId).Executions.FindAsync(Execution.Id, kill), kill);
                if (now?.FinishedAt is not null)
                    return Finished(now.Status);
            }
        }
    }

    async Task<RunEnd> WalkAsync(RunRecord record, CancellationToken stop, CancellationToken kill)
    {
        for (var i = 0; i < visits.Count; i++)
        {
            var visit = visits[i];
            var state = record[visit];
            var (attempt, open) = (state.Attempts, state.Open);
            for (var tries = state.Tries; tries < visit.Tries && !state.Succeeded; tries++)
            {
                if (stop.IsCancellationRequested)
                {
                    await RecordAsync([], kill);
                    return RunEnd.LeftOpen;
                }
                if (!open)
                    await RecordAsync([new NodeStart { NodeId = graph.NodeId(visit.Node), Iteration = visit.Iteration, Attempt = ++attempt, Input = bodies[visit.Input] }], kill);
                open = false;
                ended = new Ended(End(visit, attempt, succeeded: visit.Succeeds && tries + 1 == visit.Tries), visit.Node);
            }
        }
        await RecordAsync([], kill);
        return await FinishAsync(kill);
    }

    NodeFinish End(Visit visit, short attempt, bool succeeded) => new()
    {
        NodeId = graph.NodeId(visit.Node),
        Iteration = visit.Iteration,
        Attempt = attempt,
        Status = succeeded ? ExecutionStatus.Success : ExecutionStatus.Failed,
        Output = succeeded ? bodies[visit.Output] : null,
        Reason = succeeded ? null : Simulated,
        Error = succeeded ? null : "The simulation lets this attempt fail.",
    };

    async Task RecordAsync(NodeStart[] starts, CancellationToken kill)
    {
        if (starts.Length == 0 && ended is null)
            return;
        await Measurements.TimeAsync(crew.Measurements.Record,
            () => crew.Store.Queue.RecordAsync(claimed.Lease, starts, ended is null ? [] : [ended.Finish], kill));
        if (ended is { } done)
        {
            crew.Measurements.Step(done.Finish.Status == ExecutionStatus.Success, done.Finish.Output?.Bytes.Length ?? 0);
            crew.Journal?.Step(Execution, done.Node, done.Finish);
            ended = null;
        }
    }

    async Task<RunEnd> FinishAsync(CancellationToken kill)
    {
        var succeeded = visits.Count == 0 || visits[^1].Succeeds;
        var outcome = new ExecutionOutcome
        {
            Status = succeeded ? ExecutionStatus.Success : ExecutionStatus.Failed,
            Output = succeeded ? bodies[visits.Count == 0 ? RunPlan.Given : visits[^1].Output] : null,
            Reason = succeeded ? null : NodeFailed,
            Error = succeeded ? null : $"Node {graph.NodeId(visits[^1].Node)} failed {run.MaxAttempts} times.",
        };
        await Measurements.TimeAsync(crew.Measurements.Finish, () => crew.Store.Queue.FinishAsync(claimed.Lease, outcome, kill));
        return Finished(outcome.Status);
    }

    RunEnd Finished(ExecutionStatus status)
    {
        crew.Measurements.Finished(status == ExecutionStatus.Success);
        crew.Ledger.Finish(run.Session, run.Ordinal);
        crew.Journal?.Finished(Execution, status);
        return RunEnd.Finished;
    }

    async Task<RunRecord> ReadAsync(CancellationToken kill)
        => RunRecord.Of(await crew.Patience.AskAsync(() => crew.Catalog.Scope(Execution.TenantId).Executions.NodesAsync(Execution.Id, kill), kill));
}
