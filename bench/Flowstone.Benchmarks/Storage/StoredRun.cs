using Flowstone.Benchmarks.Runs;
using Flowstone.Cli.Simulation;
using Flowstone.Executions;

namespace Flowstone.Benchmarks.Storage;

/// <summary>
/// What goes through a run, as <c>flowstone simulate</c> makes it: each node gets what the one before it gave, and three in ten pass it on as it is.
/// The same number makes the same run.
/// </summary>
sealed class StoredRun : IDisposable
{
    const double PassesThrough = 0.3;

    readonly List<SampleBody> made = [];
    readonly PayloadBody[] bodies = new PayloadBody[RunsDatabase.Nodes + 1];

    public StoredRun(int number)
    {
        var key = Mix.Key(0x666c6f77, number);
        for (var i = 0; i < bodies.Length; i++)
        {
            if (i > 0 && new Mix(Mix.Key(key, i, 1)).Fraction() < PassesThrough)
            {
                bodies[i] = bodies[i - 1];
                continue;
            }
            made.Add(SampleBody.Create(Mix.Key(key, i), $"\"run\":{number},\"step\":{i},"));
            bodies[i] = made[^1].Payload;
        }
    }

    public PayloadBody Input => bodies[0];
    public PayloadBody Output => bodies[^1];

    public PayloadBody InputOf(int node) => bodies[node];

    public PayloadBody OutputOf(int node) => bodies[node + 1];

    /// <summary>Of the JSON in and out of runs and nodes.</summary>
    public static long BytesOf(int runs)
    {
        var bytes = 0L;
        for (var run = 0; run < runs; run++)
            using (var stored = new StoredRun(run))
                bytes += stored.Input.Bytes.Length + stored.Output.Bytes.Length
                    + Enumerable.Range(0, RunsDatabase.Nodes).Sum(node => (long)stored.InputOf(node).Bytes.Length + stored.OutputOf(node).Bytes.Length);
        return bytes;
    }

    public void Dispose()
    {
        foreach (var body in made)
            body.Dispose();
    }
}
