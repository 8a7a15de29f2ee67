using Flowstone.Data;

namespace Flowstone.Executions;

/// <summary>The starts and finishes of one call as rows, each key at most once.</summary>
sealed class NodeWrites
{
    readonly SortedDictionary<(int Node, int Iteration, short Attempt), Row> rows = [];

    public IReadOnlyDictionary<(int Node, int Iteration, short Attempt), Row> Rows => rows;

    public sealed record Row(ExecutionStatus Status, string? Reason, string? Error, DateTimeOffset? StartedAt, DateTimeOffset? FinishedAt, PayloadRef? Input, PayloadRef? Output);

    public static NodeWrites Merge(
        IReadOnlyList<NodeStart> starts, IReadOnlyList<NodeFinish> finishes, Dictionary<string, int> nodes, PayloadRows payloads, DateTimeOffset now)
    {
        var writes = new NodeWrites();
        for (var i = 0; i < starts.Count; i++)
        {
            var start = starts[i];
            var key = Key($"starts[{i}]", start.NodeId, start.Iteration, start.Attempt);
            if (!writes.rows.TryAdd(key, new Row(ExecutionStatus.Running, null, null, start.StartedAt ?? now, null, payloads.Add(start.Input), null)))
                throw new InvalidInputException($"starts[{i}]", "starts a step that the same call starts already.");
        }
        for (var i = 0; i < finishes.Count; i++)
        {
            var finish = finishes[i];
            if (finish.Status is ExecutionStatus.Pending or ExecutionStatus.Running or ExecutionStatus.Waiting)
                throw new InvalidInputException($"finishes[{i}].status", "must be SUCCESS, FAILED, CANCELLED or TIMEOUT.");
            Text.Check($"finishes[{i}].reason", finish.Reason, 32);
            var key = Key($"finishes[{i}]", finish.NodeId, finish.Iteration, finish.Attempt);
            var row = new Row(finish.Status, finish.Reason, Text.Fit(finish.Error, Execution.MaxErrorLength), null, finish.FinishedAt ?? now, null, payloads.Add(finish.Output));
            if (!writes.rows.TryGetValue(key, out var start))
                writes.rows.Add(key, row);
            else if (start.FinishedAt is null)
                writes.rows[key] = row with { StartedAt = start.StartedAt, Input = start.Input };
            else
                throw new InvalidInputException($"finishes[{i}]", "finishes a step that the same call finishes already.");
        }
        return writes;

        (int, int, short) Key(string field, string nodeId, int iteration, short attempt)
        {
            if (!nodes.TryGetValue(nodeId, out var node))
                throw new InvalidInputException($"{field}.nodeId", "is not a node of the executed version.");
            if (iteration < 0 || attempt < 1)
                throw new InvalidInputException(field, "needs an iteration of 0 or more and an attempt of 1 or more.");
            return (node, iteration, attempt);
        }
    }
}
