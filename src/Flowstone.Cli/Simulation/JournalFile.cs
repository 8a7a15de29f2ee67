using System.Globalization;
using Flowstone.Executions;
using Flowstone.Tenancy;
using Flowstone.Workflows;

namespace Flowstone.Cli.Simulation;

readonly record struct JournalStep(int Node, int Iteration, short Attempt, ExecutionStatus Status);

/// <summary>What the database acknowledged about one execution.</summary>
sealed class JournalRun(Id<Tenant> tenant, Id<Execution> execution)
{
    public Id<Tenant> Tenant => tenant;
    public Id<Execution> Execution => execution;

    /// <summary>Null if the process died between the answer and the line; the steps may still be there.</summary>
    public (StartedRun Start, SimulatedRun Run)? Started { get; set; }

    public List<JournalStep> Steps { get; } = [];
    public ExecutionStatus? Finish { get; set; }
}

/// <summary>A journal as <see cref="Journal"/> wrote it, over one or several sessions.</summary>
sealed class JournalFile
{
    readonly Dictionary<Id<Execution>, JournalRun> runs = [];

    public IReadOnlyCollection<JournalRun> Runs => runs.Values;

    /// <summary>Lines that a crash cut off: at most one per session.</summary>
    public int TornLines { get; private set; }

    public HashSet<string> Sessions { get; } = new(StringComparer.Ordinal);

    public long Events { get; private set; }

    /// <exception cref="SimulationException">It is not a journal, or damaged otherwise than by a crash.</exception>
    public static JournalFile Read(string path)
    {
        var journal = new JournalFile();
        SimulatedRun? session = null;
        var torn = false;
        var number = 0;
        foreach (var line in File.ReadLines(path))
        {
            number++;
            var begins = line.StartsWith("begin ", StringComparison.Ordinal);
            if (torn && !begins || session is null && !begins)
                throw new SimulationException($"{path}, line {number - (torn ? 1 : 0)}: not a line of a journal.");
            torn = !line.EndsWith(';');
            if (torn)
                journal.TornLines++;
            else if (begins)
                session = journal.Begin(line[..^1].Split(' '));
            else
                journal.Add(line[..^1].Split(' '), session!);
        }
        return journal.Sessions.Count > 0 ? journal : throw new SimulationException($"{path} is not a journal: it has no session.");
    }

    SimulatedRun Begin(string[] said)
    {
        Sessions.Add(said[1]);
        return new SimulatedRun(said[1], long.Parse(said[2], CultureInfo.InvariantCulture), 0,
            double.Parse(said[3], CultureInfo.InvariantCulture), Int(said[4]));
    }

    void Add(string[] said, SimulatedRun session)
    {
        Events++;
        var tenant = Id<Tenant>.Parse(said[1]);
        var id = Id<Execution>.Parse(said[2]);
        if (!runs.TryGetValue(id, out var run))
            runs.Add(id, run = new JournalRun(tenant, id));
        switch (said[0])
        {
            case "start":
                var start = new StartedRun(Int(said[5]), tenant, Id<Workflow>.Parse(said[3]), Int(said[4]), id);
                run.Started = (start, session with { Ordinal = start.Ordinal });
                break;
            case "step":
                run.Steps.Add(new JournalStep(Int(said[3]), Int(said[4]), (short)Int(said[5]), Enum.Parse<ExecutionStatus>(said[6])));
                break;
            case "finish":
                run.Finish = Enum.Parse<ExecutionStatus>(said[3]);
                break;
            default:
                throw new SimulationException($"'{said[0]}' is not an event of a journal.");
        }
    }

    static int Int(string text) => int.Parse(text, CultureInfo.InvariantCulture);
}
