using Flowstone.Data;

namespace Flowstone.Executions;

/// <summary>The starts and finishes of one call as rows, each key at most once.</summary>
sealed class NodeWrites
{
    readonly List<Row> rows = [];
    readonly Dictionary<(int, int, short), int>? places;

    /// <param name="count">How many starts and finishes there are: one alone cannot occur twice.</param>
    NodeWrites(int count) => places = count > 1 ? [] : null;

    public IReadOnlyList<Row> Rows => rows;

    public sealed record Row(int Node, int Iteration, short Attempt, ExecutionStatus Status, string? Reason, string? Error, DateTimeOffset? StartedAt, DateTimeOffset? FinishedAt, PayloadRef? Input, PayloadRef? Output);

    public static NodeWrites Merge(
        IReadOnlyList<NodeStart> starts, IReadOnlyList<NodeFinish> finishes, Dictionary<string, int> nodes, PayloadRows payloads, DateTimeOffset now)
    {
        var writes = new NodeWrites(starts.Count + finishes.Count);
        for (var i = 0; i < starts.Count; i++)
        {
            var start = starts[i];
            var node = Node("starts", i, start.NodeId, start.Iteration, start.Attempt);
            if (!writes.TryAdd(new Row(node, start.Iteration, start.Attempt, ExecutionStatus.Running, null, null, start.StartedAt ?? now, null, payloads.Add(start.Input, start.InputRef, "starts[{0}].input", i), null), out _))
                throw new InvalidInputException($"starts[{i}]", "starts a step that the same call starts already.");
        }
        for (var i = 0; i < finishes.Count; i++)
        {
            var finish = finishes[i];
            if (finish.Status is ExecutionStatus.Pending or ExecutionStatus.Running or ExecutionStatus.Waiting)
                throw new InvalidInputException($"finishes[{i}].status", "must be SUCCESS, FAILED, CANCELLED or TIMEOUT.");
            if (finish.Reason is not null)
                Text.Check($"finishes[{i}].reason", finish.Reason, 32);
            var node = Node("finishes", i, finish.NodeId, finish.Iteration, finish.Attempt);
            var row = new Row(node, finish.Iteration, finish.Attempt, finish.Status, finish.Reason, Text.Fit(finish.Error, Execution.MaxErrorLength),
                null, finish.FinishedAt ?? now, null, payloads.Add(finish.Output, finish.OutputRef, "finishes[{0}].output", i));
            if (writes.TryAdd(row, out var place))
                continue;
            var start = writes.rows[place];
            writes.rows[place] = start.FinishedAt is null ? row with { StartedAt = start.StartedAt, Input = start.Input }
                : throw new InvalidInputException($"finishes[{i}]", "finishes a step that the same call finishes already.");
        }
        return writes;

        int Node(string list, int i, string nodeId, int iteration, short attempt)
        {
            if (!nodes.TryGetValue(nodeId, out var node))
                throw new InvalidInputException($"{list}[{i}].nodeId", "is not a node of the executed version.");
            if (iteration < 0 || attempt < 1)
                throw new InvalidInputException($"{list}[{i}]", "needs an iteration of 0 or more and an attempt of 1 or more.");
            return node;
        }
    }

    bool TryAdd(Row row, out int place)
    {
        place = rows.Count;
        if (places is not null && !places.TryAdd((row.Node, row.Iteration, row.Attempt), place))
        {
            place = places[(row.Node, row.Iteration, row.Attempt)];
            return false;
        }
        rows.Add(row);
        return true;
    }
}
