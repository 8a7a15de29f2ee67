using Flowstone.Executions;

namespace Flowstone.Workers;

/// <summary>Where a node of one iteration stands by the record.</summary>
/// <param name="Attempts">The highest number that is taken.</param>
/// <param name="Tries">Attempts that ended by themselves: one that was lost with its worker, cancelled, or ended by what passes, is none.</param>
/// <param name="Open">The last attempt is running, and it is ours: a claim closes those of others.</param>
/// <param name="Success">The attempt that succeeded.</param>
/// <param name="Last">The last attempt that counts and did not.</param>
readonly record struct StepState(short Attempts, int Tries, bool Open, NodeExecution? Success, NodeExecution? Last);

/// <summary>What an execution has behind it. Whoever continues it goes by this, never by what he believes to have written.</summary>
sealed class RecordedSteps(Dictionary<(int Node, int Iteration), StepState> steps)
{
    readonly Lock gate = new();

    public StepState this[int node, int iteration]
    {
        get
        {
            lock (gate)
                return steps.GetValueOrDefault((node, iteration));
        }
        set
        {
            lock (gate)
                steps[(node, iteration)] = value;
        }
    }

    public static RecordedSteps Of(IEnumerable<NodeExecution> rows)
    {
        var steps = new Dictionary<(int, int), StepState>();
        foreach (var row in rows)
            steps[(row.Node, row.Iteration)] = After(steps.GetValueOrDefault((row.Node, row.Iteration)), row);
        return new RecordedSteps(steps);
    }

    /// <param name="row">The next attempt, or the end of the last one.</param>
    public static StepState After(StepState known, NodeExecution row)
    {
        var open = row.FinishedAt is null;
        var counts = !open && row.Status != ExecutionStatus.Cancelled && row.Reason is not (WorkReason.LostWorker or WorkReason.Transient or WorkReason.GivenBack);
        return new StepState(
            Math.Max(known.Attempts, row.Attempt), known.Tries + (counts ? 1 : 0), open,
            row.Status == ExecutionStatus.Success ? row : known.Success,
            counts && row.Status != ExecutionStatus.Success ? row : known.Last);
    }
}
