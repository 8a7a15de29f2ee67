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
    readonly Func<int, byte[]?> hashOf;
    readonly List<string> mismatches = [];
    int lost;
    bool missing;

    RunCheck(GraphPlan graph, IReadOnlyList<Visit> visits, Execution stored, bool whole, Func<int, byte[]?> hashOf)
        => (this.graph, this.visits, this.stored, this.whole, this.hashOf) = (graph, visits, stored, whole, hashOf);

    /// <param name="whole">It must have finished. Otherwise steps may be missing, at the end only.</param>
    /// <returns>Sentences; none if all is right.</returns>
    public static List<string> Compare(GraphPlan graph, SimulatedRun run, Execution stored, IReadOnlyList<NodeExecution> steps, bool whole)
    {
        var visits = RunPlan.Create(graph, run);
        var hashes = new Dictionary<int, byte[]>();
        var check = new RunCheck(graph, visits, stored, whole || stored.FinishedAt is not null, HashOf);
        check.CompareSteps(steps);
        check.CompareExecution();
        return check.mismatches;

        // Bodies are made again one at a time; only their hashes are kept.
        byte[] HashOf(int origin)
        {
            if (hashes.TryGetValue(origin, out var hash))
                return hash;
            using var body = origin == RunPlan.Given ? run.Input() : run.Output(visits[origin]);
            return hashes[origin] = body.Payload.Hash;
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
        foreach (var attempt in attempts.Where(a => !Same(a.InputHash, hashOf(visit.Input))))
            mismatches.Add($"{name}, attempt {attempt.Attempt}: input {Hex(attempt.InputHash)}, planned {Hex(hashOf(visit.Input))}");
        for (var i = 0; i < tries.Count - (open ? 1 : 0); i++)
        {
            var succeeds = visit.Succeeds && i + 1 == visit.Tries;
            var (status, reason) = succeeds ? (ExecutionStatus.Success, null) : (ExecutionStatus.Failed, ExecutionRun.Simulated);
            if (tries[i].Status != status || tries[i].Reason != reason)
                mismatches.Add($"{name}, attempt {tries[i].Attempt}: {tries[i].Status} {tries[i].Reason}, planned {status} {reason}");
            var output = succeeds ? hashOf(visit.Output) : null;
            if (!Same(tries[i].OutputHash, output))
                mismatches.Add($"{name}, attempt {tries[i].Attempt}: output {Hex(tries[i].OutputHash)}, planned {Hex(output)}");
        }
    }

    void CompareExecution()
    {
        if (!Same(stored.InputHash, hashOf(RunPlan.Given)))
            mismatches.Add($"input {Hex(stored.InputHash)}, planned {Hex(hashOf(RunPlan.Given))}");
        if (!whole)
            return;
        var last = visits.Count == 0 ? (Visit?)null : visits[^1];
        var succeeds = last is not { Succeeds: false };
        var (status, reason) = succeeds ? (ExecutionStatus.Success, null) : (ExecutionStatus.Failed, ExecutionRun.NodeFailed);
        if (stored.Status != status || stored.Reason != reason)
            mismatches.Add($"is {stored.Status} {stored.Reason}, planned {status} {reason}");
        var output = succeeds ? hashOf(last?.Output ?? RunPlan.Given) : null;
        if (!Same(stored.OutputHash, output))
            mismatches.Add($"output {Hex(stored.OutputHash)}, planned {Hex(output)}");
    }

    static bool Same(byte[]? one, byte[]? other) => one is null ? other is null : other is not null && one.AsSpan().SequenceEqual(other);

    static string Hex(byte[]? hash) => hash is null ? "none" : Convert.ToHexStringLower(hash);
}
