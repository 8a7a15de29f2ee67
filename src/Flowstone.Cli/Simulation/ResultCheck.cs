using System.Collections.Concurrent;
using Flowstone.Executions;

namespace Flowstone.Cli.Simulation;

/// <param name="Mismatches">All of them.</param>
/// <param name="Examples">The first 20, as sentences.</param>
/// <param name="Unfinished">Executions that are still under way: no mismatch where the run was interrupted.</param>
/// <param name="Bodies">Payloads that were read back in full.</param>
sealed record CheckReport(long Executions, long Unfinished, long Steps, long Bodies, long Mismatches, IReadOnlyList<string> Examples);

/// <summary>Reads back what was done, many executions at a time, and compares it with the plans.</summary>
/// <param name="sessions">Whose executions are checked, also those whose start nobody lived to acknowledge.</param>
/// <param name="whole">All must have finished.</param>
sealed class ResultCheck(Crew crew, IReadOnlySet<string> sessions, bool whole)
{
    const int MostExamples = 20;
    const int PageSize = 200;
    const int OfReadBack = 0x2001;

    // Starters run side by side: the first that was acknowledged need not be the first that was made.
    static readonly TimeSpan Slack = TimeSpan.FromSeconds(10);

    readonly ConcurrentQueue<string> examples = new();
    readonly ConcurrentDictionary<PayloadRef, Id<Execution>> inputs = new();
    long executions, unfinished, steps, bodies, mismatches;

    public async Task<CheckReport> RunAsync(IReadOnlyCollection<JournalRun> runs, CancellationToken cancellationToken)
    {
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = Math.Clamp(crew.Options.Workers, 1, 8), CancellationToken = cancellationToken };
        await Parallel.ForEachAsync(runs, parallel, async (run, token) => await CheckAsync(run, token));
        if (runs.Count > 0)
            await FindOthersAsync(runs.Select(r => r.Execution).ToHashSet(), cancellationToken);
        return new CheckReport(executions, unfinished, steps, bodies, mismatches, [.. examples]);
    }

    async Task CheckAsync(JournalRun acknowledged, CancellationToken cancellationToken)
    {
        var id = acknowledged.Execution;
        var repository = crew.Catalog.Scope(acknowledged.Tenant).Executions;
        Interlocked.Increment(ref executions);
        if (await AskAsync(() => repository.FindAsync(id, cancellationToken), cancellationToken) is not { } stored)
        {
            Report(id, "is not there");
            return;
        }
        var nodes = await AskAsync(() => repository.NodesAsync(id, cancellationToken), cancellationToken);
        Interlocked.Add(ref steps, nodes.Count);
        if (stored.FinishedAt is null)
            Interlocked.Increment(ref unfinished);
        if ((acknowledged.Started?.Run ?? await ReadRunAsync(repository, stored, cancellationToken)) is not { } run)
        {
            Report(id, "has an input that is not a simulation's");
            return;
        }
        if (acknowledged.Started is { } started && (stored.WorkflowId, stored.WorkflowVersion) != (started.Start.Workflow, started.Start.Version))
            Report(id, $"runs version {stored.WorkflowVersion} of {stored.WorkflowId}, started was {started.Start.Version} of {started.Start.Workflow}");
        var graph = await AskAsync(() => crew.Catalog.PlanAsync(stored.TenantId, stored.WorkflowId, stored.WorkflowVersion, cancellationToken), cancellationToken);
        foreach (var mismatch in RunCheck.Compare(graph, run, stored, nodes, whole))
            Report(id, mismatch);
        CheckAcknowledged(acknowledged, stored, nodes);
        if (stored.Input is { } input && !inputs.TryAdd(input, id))
            Report(id, "was started twice: another execution has the same input");
        if (new Mix(Mix.Key(run.Key, OfReadBack)).Fraction() < crew.Options.ReadBack)
            await ReadBackAsync(repository, stored, nodes, cancellationToken);
    }

    void CheckAcknowledged(JournalRun acknowledged, Execution stored, List<NodeExecution> nodes)
    {
        var recorded = nodes.Select(n => new JournalStep(n.Node, n.Iteration, n.Attempt, n.Status)).ToHashSet();
        var seen = new HashSet<JournalStep>();
        foreach (var step in acknowledged.Steps)
        {
            if (!recorded.Contains(step))
                Report(stored.Id, $"lost an acknowledged step: {step}");
            if (!seen.Add(step))
                Report(stored.Id, $"acknowledged a step twice: {step}");
        }
        if (acknowledged.Finish is { } finish && finish != stored.Status)
            Report(stored.Id, $"is {stored.Status}, but {finish} was acknowledged");
    }

    async Task<SimulatedRun?> ReadRunAsync(ExecutionRepository repository, Execution stored, CancellationToken cancellationToken)
        => stored.Input is { } name && await AskAsync(() => repository.FindPayloadAsync(stored.Id, name, cancellationToken), cancellationToken) is { } input
            ? SimulatedRun.Read(input.Bytes.Span) : null;

    async Task ReadBackAsync(ExecutionRepository repository, Execution stored, List<NodeExecution> nodes, CancellationToken cancellationToken)
    {
        var names = nodes.SelectMany(n => new[] { n.Input, n.Output }).Append(stored.Input).Append(stored.Output).OfType<PayloadRef>().Distinct();
        foreach (var name in names)
        {
            Interlocked.Increment(ref bodies);
            var body = await AskAsync(() => repository.FindPayloadAsync(stored.Id, name, cancellationToken), cancellationToken);
            if (body is null || !PayloadRef.Of(body, inline: true).Equals(name))
                Report(stored.Id, $"payload {name} {(body is null ? "is not there" : "has other content")}");
        }
    }

    /// <summary>
    /// Executions of the sessions that nobody knows of: their start was committed, but not acknowledged. They must be right too, and must
    /// not be the double of one whose start was acknowledged.
    /// </summary>
    async Task FindOthersAsync(HashSet<Id<Execution>> known, CancellationToken cancellationToken)
    {
        var first = known.Min();
        foreach (var tenant in crew.Catalog.TenantIds)
        {
            var repository = crew.Catalog.Scope(tenant).Executions;
            for (Id<Execution>? before = null; ;)
            {
                var page = await AskAsync(() => repository.ListAsync(new ExecutionFilter(), before, PageSize, cancellationToken), cancellationToken);
                foreach (var execution in page.Where(e => !known.Contains(e.Id)))
                {
                    if (await ReadRunAsync(repository, execution, cancellationToken) is { } run && sessions.Contains(run.Session))
                        await CheckAsync(new JournalRun(tenant, execution.Id), cancellationToken);
                }
                if (page.Count < PageSize || page[^1].Id.CreatedAt < first.CreatedAt - Slack)
                    break;
                before = page[^1].Id;
            }
        }
    }

    Task<T> AskAsync<T>(Func<Task<T>> call, CancellationToken cancellationToken) => crew.Patience.AskAsync(call, cancellationToken);

    void Report(Id<Execution> execution, string mismatch)
    {
        if (Interlocked.Increment(ref mismatches) <= MostExamples)
            examples.Enqueue($"execution {execution}: {mismatch}");
    }
}
