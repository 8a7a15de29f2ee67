using Flowstone.Executions;

namespace Flowstone.Cli.Simulation;

/// <summary>Where a node of one iteration stands by the record.</summary>
/// <param name="Attempts">The highest number that is taken.</param>
/// <param name="Tries">Attempts that ended by themselves: one that was lost with its worker is no try.</param>
/// <param name="Open">The last attempt is running, and it is ours: a claim closes those of others.</param>
readonly record struct StepState(short Attempts, int Tries, bool Open, bool Succeeded);

/// <summary>What an execution has behind it. Whoever continues it goes by this, never by what he believes to have written.</summary>
sealed class RunRecord
{
    public const string LostWorker = "LOST_WORKER";

    public static readonly RunRecord Empty = new([]);

    readonly Dictionary<(int Node, int Iteration), StepState> steps;

    RunRecord(Dictionary<(int, int), StepState> steps) => this.steps = steps;

    public StepState this[Visit visit] => steps.GetValueOrDefault((visit.Node, visit.Iteration));

    public static RunRecord Of(IEnumerable<NodeExecution> rows)
    {
        var steps = new Dictionary<(int, int), StepState>();
        foreach (var row in rows)
        {
            var known = steps.GetValueOrDefault((row.Node, row.Iteration));
            var open = row.Status == ExecutionStatus.Running;
            steps[(row.Node, row.Iteration)] = new StepState(
                Math.Max(known.Attempts, row.Attempt), known.Tries + (open || IsLost(row) ? 0 : 1), known.Open || open,
                known.Succeeded || row.Status == ExecutionStatus.Success);
        }
        return new RunRecord(steps);
    }

    public static bool IsLost(NodeExecution row) => row is { Status: ExecutionStatus.Failed, Reason: LostWorker };
}
