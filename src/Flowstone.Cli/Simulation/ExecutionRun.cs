using Flowstone.Executions;
using Flowstone.Workers;

namespace Flowstone.Cli.Simulation;

/// <summary>Takes one claimed execution from where the record says it stands to its end.</summary>
sealed class ExecutionRun : IDisposable
{
    public const string NodeFailed = "NODE_FAILED";
    public const string Simulated = "SIMULATED";

    readonly Crew crew;
    readonly WorkContext work;
    readonly GraphPlan graph;
    readonly SimulatedRun run;
    readonly IReadOnlyList<Visit> visits;
    readonly RunBodies bodies;
    Ended? ended;   // not yet written: it goes with the next start, in one round trip

    sealed record Ended(NodeFinish Finish, int Node);

    ExecutionRun(Crew crew, WorkContext work, GraphPlan graph, SimulatedRun run, PayloadBody given)
    {
        (this.crew, this.work, this.graph, this.run) = (crew, work, graph, run);
        visits = RunPlan.Create(graph, run);
        bodies = new RunBodies(run, visits, given);
    }

    Execution Execution => work.Execution;

    /// <exception cref="SimulationException">It is not a simulated execution. Nothing was written.</exception>
    public static async Task<WorkResult> RunAsync(Crew crew, WorkContext work)
    {
        var execution = work.Execution;
        if (await work.InputAsync() is not { } given || SimulatedRun.Read(given.Bytes.Span) is not { } run)
            throw new SimulationException($"Execution {execution.Id} is not a simulation's: running it would give it made-up results. It was left alone; "
                + "its worker gets it once the lease has run out. Use a tenant in which nothing else is under way.");
        var graph = await crew.Patience.AskAsync(() => crew.Catalog.PlanAsync(execution.TenantId, execution.WorkflowId, execution.WorkflowVersion, work.CancellationToken), work.CancellationToken);
        using var self = new ExecutionRun(crew, work, graph, run, given);
        return await self.RunAsync();
    }

    public void Dispose() => bodies.Dispose();

    async Task<WorkResult> RunAsync()
    {
        var record = Execution.Claims > 1 ? await ReadAsync() : RunRecord.Empty;
        while (true)
        {
            try
            {
                return await WalkAsync(record);
            }
            catch (ConflictException)
            {
                crew.Measurements.LeaseLost();
                return WorkResult.Leave();
            }
            catch (UnavailableException)
            {
                // Whether the last write took effect is not known here, but it is there.
                crew.Measurements.Retry();
                ended = null;
                record = await ReadAsync();
            }
        }
    }

    /// <summary>Ends early, after the step at hand, when the worker is to stop.</summary>
    async Task<WorkResult> WalkAsync(RunRecord record)
    {
        for (var i = 0; i < visits.Count; i++)
        {
            var visit = visits[i];
            var state = record[visit];
            var (attempt, open) = (state.Attempts, state.Open);
            for (var tries = state.Tries; tries < visit.Tries && !state.Succeeded; tries++)
            {
                if (work.Stopping.IsCancellationRequested)
                {
                    await RecordAsync([]);
                    return WorkResult.Release();
                }
                if (!open)
                    await RecordAsync([new NodeStart { NodeId = graph.NodeId(visit.Node), Iteration = visit.Iteration, Attempt = ++attempt, Input = bodies[visit.Input] }]);
                open = false;
                ended = new Ended(End(visit, attempt, succeeded: visit.Succeeds && tries + 1 == visit.Tries), visit.Node);
            }
        }
        await RecordAsync([]);
        return Finish();
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

    async Task RecordAsync(NodeStart[] starts)
    {
        if (starts.Length == 0 && ended is null)
            return;
        await Measurements.TimeAsync(crew.Measurements.Record,
            () => work.RecordAsync(starts, ended is null ? [] : [ended.Finish], work.CancellationToken));
        if (ended is { } done)
        {
            crew.Measurements.Step(done.Finish.Status == ExecutionStatus.Success, done.Finish.Output?.Bytes.Length ?? 0);
            crew.Journal?.Step(Execution, done.Node, done.Finish);
            ended = null;
        }
    }

    WorkResult Finish()
    {
        var succeeded = visits.Count == 0 || visits[^1].Succeeds;
        var result = succeeded
            ? WorkResult.Success(Kept(bodies[visits.Count == 0 ? RunPlan.Given : visits[^1].Output]))
            : WorkResult.Failed(NodeFailed, $"Node {graph.NodeId(visits[^1].Node)} failed {run.MaxAttempts} times.");
        return result.Then(took => Finished(succeeded, took));
    }

    // It is written after the buffers were given back.
    static PayloadBody? Kept(PayloadBody? body) => body is null ? null : new PayloadBody(body.Bytes.ToArray(), body.ContentType);

    void Finished(bool succeeded, TimeSpan took)
    {
        crew.Measurements.Finish.Add(took);
        crew.Measurements.Finished(succeeded);
        crew.Ledger.Finish(run.Session, run.Ordinal);
        crew.Journal?.Finished(Execution, succeeded ? ExecutionStatus.Success : ExecutionStatus.Failed);
    }

    async Task<RunRecord> ReadAsync() => RunRecord.Of(await work.RecordedAsync(work.CancellationToken));
}
