namespace Flowstone.Cli.Simulation;

/// <summary>One node in one iteration, tried until it succeeds or may not be tried again.</summary>
/// <param name="Node">An ordinal.</param>
/// <param name="Input">Which body goes in: the visit that made it, or <see cref="RunPlan.Given"/>.</param>
/// <param name="Output">Which body comes out: the visit itself, or what it passes through.</param>
/// <param name="Tries">How many, the last one included.</param>
/// <param name="Succeeds">Whether the last try does; if not, the execution ends there.</param>
readonly record struct Visit(int Node, int Iteration, int Input, int Output, int Tries, bool Succeeds);

/// <summary>
/// All that an execution will do, known before it begins: a worker that takes over decides like the one that died, and the check at
/// the end computes what must be stored instead of having kept it.
/// </summary>
sealed class RunPlan
{
    /// <summary>The body that the execution was started with.</summary>
    public const int Given = -1;

    const int MostIterations = 3;
    const double PassesThrough = 0.3;
    const double TakesOneBranch = 0.9;

    // Parts of the key: what is decided.
    const int OfBranch = 1, OfIterations = 2, OfFailure = 3, OfPassing = 4;

    readonly GraphPlan graph;
    readonly SimulatedRun run;
    readonly ulong key;
    readonly List<Visit> visits = [];
    readonly int[] lastVisit;
    readonly bool[][] active;   // per node and output: did items go out, in this iteration of its loop
    readonly bool[][] everActive;

    RunPlan(GraphPlan graph, SimulatedRun run)
    {
        (this.graph, this.run, key) = (graph, run, run.Key);
        lastVisit = new int[graph.Outputs.Count];
        active = [.. graph.Outputs.Select(outputs => new bool[outputs.Length])];
        everActive = [.. graph.Outputs.Select(outputs => new bool[outputs.Length])];
    }

    /// <summary>In the order of execution. Only the last one can fail.</summary>
    public static IReadOnlyList<Visit> Create(GraphPlan graph, SimulatedRun run)
    {
        var plan = new RunPlan(graph, run);
        foreach (var stretch in graph.Stretches)
        {
            if (!(stretch.Loops ? plan.Loop(stretch.Nodes) : plan.VisitIfFed(stretch.Nodes[0], 0)))
                break;
        }
        return plan.visits;
    }

    bool Loop(int[] nodes)
    {
        var iterations = 1 + new Mix(Mix.Key(key, OfIterations, nodes[0])).Next(MostIterations);
        for (var iteration = 0; iteration < iterations; iteration++)
        {
            foreach (var node in nodes)
                Array.Clear(active[node]);
            foreach (var node in nodes)
            {
                if (!VisitIfFed(node, iteration))
                    return false;
            }
        }
        foreach (var node in nodes)
            everActive[node].CopyTo(active[node], 0);   // what comes after the loop gets what left it in any iteration
        return true;
    }

    /// <returns>False if the execution ends here.</returns>
    bool VisitIfFed(int node, int iteration)
    {
        var feeds = graph.Feeds[node];
        var fed = Array.FindIndex(feeds, feed => active[feed.Node][feed.Output]);
        if (feeds.Length > 0 && fed < 0)
            return true;

        var input = fed < 0 ? Given : visits[lastVisit[feeds[fed].Node]].Output;
        var here = Mix.Key(key, node, iteration);
        var passes = fed >= 0 && new Mix(Mix.Key(here, OfPassing)).Fraction() < PassesThrough;
        var (tries, succeeds) = Try(here);
        lastVisit[node] = visits.Count;
        visits.Add(new Visit(node, iteration, input, passes ? input : visits.Count, tries, succeeds));
        if (succeeds)
            ChooseBranches(node, here);
        return succeeds;
    }

    (int Tries, bool Succeeds) Try(ulong here)
    {
        for (var attempt = 1; attempt <= run.MaxAttempts; attempt++)
        {
            if (new Mix(Mix.Key(here, OfFailure, attempt)).Fraction() >= run.FailureRate)
                return (attempt, true);
        }
        return (run.MaxAttempts, false);
    }

    void ChooseBranches(int node, ulong here)
    {
        var outputs = active[node];
        if (outputs.Length == 0)
            return;
        var random = new Mix(Mix.Key(here, OfBranch));
        var several = random.Fraction() >= TakesOneBranch;
        outputs[random.Next(outputs.Length)] = true;
        for (var i = 0; i < outputs.Length; i++)
        {
            outputs[i] |= several && random.Fraction() < 0.5;
            everActive[node][i] |= outputs[i];
        }
    }
}
