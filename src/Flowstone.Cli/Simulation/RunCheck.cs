using Flowstone.Executions;

namespace Flowstone.Cli.Simulation;

/// <summary>
/// Compares what is stored of one execution with what its plan says. The one freedom: an attempt that was lost with its worker
/// (FAILED, LOST_WORKER) is no try, so it shifts the numbers of the attempts after it; there can be one per claim after the first.
/// </summary>
sealed class RunCheck
{
    readonly GraphPlan graph;
    readonly IReadOnlyList<Visit> visits;
    readonly Execution stored;
    readonly bool whole;
    readonly Func<int, PayloadRef?> nameOf;
    readonly List<string> mismatches = [];
    int lost;
    bool missing;

    RunCheck(GraphPlan graph, IReadOnlyList<Visit> visits, Execution stored, bool whole, Func<int, PayloadRef?> nameOf)
        => (this.graph, this.visits, this.stored, this.whole, this.nameOf) = (graph, visits, stored, whole, nameOf);

    /// <param name="whole">It must have finished. Otherwise steps may be missing, at the end only.</param>
    /// <returns>Sentences; none if all is right.</returns>
    public static List<string> Compare(GraphPlan graph, SimulatedRun run, Execution stored, IReadOnlyList<NodeExecution> steps, bool whole)
    {
        var visits = RunPlan.Create(graph, run);
        var names = new Dictionary<int, PayloadRef>();
        var check = new RunCheck(graph, visits, stored, whole || stored.FinishedAt is not null, NameOf);
        check.CompareSteps(steps);
        check.CompareExecution();
        return check.mismatches;

        // Bodies are made again one at a time; only their names are kept.
        PayloadRef NameOf(int origin)
        {
            if (names.TryGetValue(origin, out var known))
                return known;
            using var body = origin == RunPlan.Given ? run.Input() : run.Output(visits[origin]);
            return names[origin] = PayloadRef.Of(body.Payload, inline: true);
        }
    }

    void CompareSteps(IReadOnlyList<NodeExecution> steps)
    {
        var recorded = steps.GroupBy(s => (s.Node, s.Iteration)).ToDictionary(g => g.Key, g => g.OrderBy(s => s.Attempt).ToList());
        foreach (var visit in visits)
        {
            recorded.Remove((visit.Node, visit.Iteration), out var attempts);
            Compare(visit, attempts ?? []);
        }
        foreach (var (key, unexpected) in recorded)
            mismatches.Add($"node {key.Node}, iteration {key.Iteration}: {unexpected.Count} steps that the plan does not have");
        if (lost > Math.Max(0, stored.Claims - 1))
            mismatches.Add($"{lost} steps lost with a worker, but only {stored.Claims} claims");
    }

    void Compare(Visit visit, List<NodeExecution> attempts)
    {
        var name = $"node {visit.Node} ({graph.NodeId(visit.Node)}), iteration {visit.Iteration}";
        if (attempts.Where((step, i) => step.Attempt != i + 1).Any())
            mismatches.Add($"{name}: attempts {string.Join(", ", attempts.Select(a => a.Attempt))} are not 1, 2, 3 …");
        if (missing && attempts.Count > 0)
            mismatches.Add($"{name}: recorded, though a step before it is not");
        var tries = attempts.Where(a => !RunRecord.IsLost(a)).ToList();
        lost += attempts.Count - tries.Count;
        var open = tries.Count > 0 && tries[^1].Status == ExecutionStatus.Running;
        if (tries.Count > visit.Tries || whole && (open || tries.Count < visit.Tries))
            mismatches.Add($"{name}: {tries.Count} tries{(open ? ", the last one still running" : "")}, planned {visit.Tries}");
        missing |= open || tries.Count < visit.Tries;
        foreach (var attempt in attempts.Where(a => !Equals(a.Input, nameOf(visit.Input))))
            mismatches.Add($"{name}, attempt {attempt.Attempt}: input {Name(attempt.Input)}, planned {Name(nameOf(visit.Input))}");
        for (var i = 0; i < tries.Count - (open ? 1 : 0); i++)
        {
            var succeeds = visit.Succeeds && i + 1 == visit.Tries;
            var (status, reason) = succeeds ? (ExecutionStatus.Success, null) : (ExecutionStatus.Failed, ExecutionRun.Simulated);
            if (tries[i].Status != status || tries[i].Reason != reason)
                mismatches.Add($"{name}, attempt {tries[i].Attempt}: {tries[i].Status} {tries[i].Reason}, planned {status} {reason}");
            var output = succeeds ? nameOf(visit.Output) : null;
            if (!Equals(tries[i].Output, output))
                mismatches.Add($"{name}, attempt {tries[i].Attempt}: output {Name(tries[i].Output)}, planned {Name(output)}");
        }
    }

    void CompareExecution()
    {
        if (!Equals(stored.Input, nameOf(RunPlan.Given)))
            mismatches.Add($"input {Name(stored.Input)}, planned {Name(nameOf(RunPlan.Given))}");
        if (!whole)
            return;
        var last = visits.Count == 0 ? (Visit?)null : visits[^1];
        var succeeds = last is not { Succeeds: false };
        var (status, reason) = succeeds ? (ExecutionStatus.Success, null) : (ExecutionStatus.Failed, ExecutionRun.NodeFailed);
        if (stored.Status != status || stored.Reason != reason)
            mismatches.Add($"is {stored.Status} {stored.Reason}, planned {status} {reason}");
        var output = succeeds ? nameOf(last?.Output ?? RunPlan.Given) : null;
        if (!Equals(stored.Output, output))
            mismatches.Add($"output {Name(stored.Output)}, planned {Name(output)}");
    }

    static string Name(PayloadRef? payload) => payload?.ToString() ?? "none";
}
