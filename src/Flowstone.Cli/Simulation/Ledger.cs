using Flowstone.Executions;
using Flowstone.Tenancy;
using Flowstone.Workflows;

namespace Flowstone.Cli.Simulation;

/// <summary>An execution whose start was acknowledged.</summary>
readonly record struct StartedRun(int Ordinal, Id<Tenant> Tenant, Id<Workflow> Workflow, int Version, Id<Execution> Execution);

/// <summary>What a session started, and which of that is known to be finished.</summary>
sealed class Ledger(string session)
{
    readonly Lock gate = new();
    readonly List<StartedRun> started = [];
    readonly HashSet<int> open = [];
    readonly HashSet<int> finishedEarly = [];   // a worker may be through before the start's answer has arrived

    public string Session => session;

    public StartedRun[] Started
    {
        get
        {
            lock (gate)
                return [.. started];
        }
    }

    public StartedRun[] Open
    {
        get
        {
            lock (gate)
                return [.. started.Where(run => open.Contains(run.Ordinal))];
        }
    }

    public bool AllFinished
    {
        get
        {
            lock (gate)
                return open.Count == 0;
        }
    }

    public void Add(StartedRun run)
    {
        lock (gate)
        {
            started.Add(run);
            if (!finishedEarly.Remove(run.Ordinal))
                open.Add(run.Ordinal);
        }
    }

    public void Finish(string ofSession, int ordinal)
    {
        if (ofSession != session)
            return;
        lock (gate)
        {
            if (!open.Remove(ordinal))
                finishedEarly.Add(ordinal);
        }
    }
}
