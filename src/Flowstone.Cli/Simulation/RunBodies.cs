using Flowstone.Executions;

namespace Flowstone.Cli.Simulation;

/// <summary>The inputs and outputs of one execution: each made when it is first needed, also by a worker that did not run the node.</summary>
sealed class RunBodies(SimulatedRun run, IReadOnlyList<Visit> visits, PayloadBody? given) : IDisposable
{
    readonly Dictionary<int, SampleBody> made = [];

    /// <param name="origin">The index of a visit, or <see cref="RunPlan.Given"/>.</param>
    public PayloadBody? this[int origin]
    {
        get
        {
            if (origin == RunPlan.Given)
                return given;
            if (!made.TryGetValue(origin, out var body))
                made.Add(origin, body = run.Output(visits[origin]));
            return body.Payload;
        }
    }

    public void Dispose()
    {
        foreach (var body in made.Values)
            body.Dispose();
    }
}
