using Flowstone.Data;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Executions;

/// <summary>The starts and finishes of one call as rows, each key at most once.</summary>
sealed class NodeWrites
{
    // One statement whatever the number of nodes, so it is planned once. The share lock on the queue's row keeps the lease from
    // changing hands until the commit. A start must be new and a finish must find its step running: if any is not, dividing by
    // zero ends the transaction, which saves asking first; PostgresErrors tells it as a conflict.
    const string Record = """
        with held as materialized (
            select 1 from flowstone.execution_queue q
             where q.shard_key = $2 and q.execution_id = $3 and q.tenant_id = $1 and q.fence = $4 for share),
        step as (
            select s.* from held, unnest($5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
                   s (node, iteration, attempt, status, reason, error, started_at, finished_at, input_hash, output_hash)),
        bodies as (
            insert into flowstone.payloads (tenant_id, execution_id, hash, content_type, encoding, size_bytes, body)
            select $1, $3, b.* from held, unnest($15, $16, $17, $18, $19) b (hash, content_type, encoding, size_bytes, body)
            on conflict do nothing),
        started as (
            insert into flowstone.node_executions (tenant_id, execution_id, node, iteration, attempt, status, reason, error, started_at, finished_at, input_hash, output_hash)
            select $1, $3, node, iteration, attempt, status, reason, error, started_at,
                   case when finished_at is not null then greatest(started_at, finished_at) end, input_hash, output_hash
              from step where started_at is not null
            on conflict do nothing returning 1),
        finished as (
            update flowstone.node_executions n
               set status = step.status, reason = step.reason, error = step.error, finished_at = greatest(n.started_at, step.finished_at), output_hash = step.output_hash
              from step
             where n.tenant_id = $1 and n.execution_id = $3 and n.node = step.node and n.iteration = step.iteration and n.attempt = step.attempt
               and step.started_at is null and n.status = 'RUNNING'
            returning 1)
        select held.n, 1 / (case when held.n = 0 or started.n + finished.n = $20 then 1 else 0 end)
          from (select count(*) n from held) held, (select count(*) n from started) started, (select count(*) n from finished) finished
        """;

    readonly SortedDictionary<(int Node, int Iteration, short Attempt), Row> rows = [];
    readonly Dictionary<string, PayloadBody> bodies = new(StringComparer.Ordinal);

    sealed record Row(ExecutionStatus Status, string? Reason, string? Error, DateTimeOffset? StartedAt, DateTimeOffset? FinishedAt, byte[]? InputHash, byte[]? OutputHash);

    public static NodeWrites Merge(IReadOnlyList<NodeStart> starts, IReadOnlyList<NodeFinish> finishes, Dictionary<string, int> nodes, DateTimeOffset now)
    {
        var writes = new NodeWrites();
        for (var i = 0; i < starts.Count; i++)
        {
            var start = starts[i];
            var key = Key($"starts[{i}]", start.NodeId, start.Iteration, start.Attempt);
            if (!writes.rows.TryAdd(key, new Row(ExecutionStatus.Running, null, null, start.StartedAt ?? now, null, writes.Keep(start.Input), null)))
                throw new InvalidInputException($"starts[{i}]", "starts a step that the same call starts already.");
        }
        for (var i = 0; i < finishes.Count; i++)
        {
            var finish = finishes[i];
            if (finish.Status is ExecutionStatus.Pending or ExecutionStatus.Running or ExecutionStatus.Waiting)
                throw new InvalidInputException($"finishes[{i}].status", "must be SUCCESS, FAILED, CANCELLED or TIMEOUT.");
            Text.Check($"finishes[{i}].reason", finish.Reason, 32);
            var key = Key($"finishes[{i}]", finish.NodeId, finish.Iteration, finish.Attempt);
            var row = new Row(finish.Status, finish.Reason, Text.Fit(finish.Error, Execution.MaxErrorLength), null, finish.FinishedAt ?? now, null, writes.Keep(finish.Output));
            if (!writes.rows.TryGetValue(key, out var start))
                writes.rows.Add(key, row);
            else if (start.FinishedAt is null)
                writes.rows[key] = row with { StartedAt = start.StartedAt, InputHash = start.InputHash };
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

    byte[]? Keep(PayloadBody? body)
    {
        if (body is not null)
            bodies.TryAdd(Convert.ToHexString(body.Hash), body);
        return body?.Hash;
    }

    public Statement ToStatement(ExecutionLease lease)
    {
        // In one order everywhere: two calls of one run that write the same bodies then cannot wait for each other in a circle.
        var encoded = bodies.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => pair.Value).Select(body => (Body: body, Stored: body.Encode())).ToArray();
        return new Statement(Record,
            P(lease.TenantId), P(lease.ShardKey), P(lease.ExecutionId), P(lease.Fence),
            P(rows.Keys.Select(k => k.Node).ToArray()), P(rows.Keys.Select(k => k.Iteration).ToArray()), P(rows.Keys.Select(k => k.Attempt).ToArray()),
            Column(r => EnumText<ExecutionStatus>.Of(r.Status)), Column(r => r.Reason), Column(r => r.Error),
            Column(r => r.StartedAt), Column(r => r.FinishedAt), Column(r => r.InputHash), Column(r => r.OutputHash),
            P(encoded.Select(e => e.Body.Hash).ToArray()), P(encoded.Select(e => e.Body.ContentType).ToArray()),
            P(encoded.Select(e => EnumText<PayloadEncoding>.Of(e.Stored.Encoding)).ToArray()),
            P(encoded.Select(e => (long)e.Body.Bytes.Length).ToArray()), P(encoded.Select(e => e.Stored.Body).ToArray()),
            P((long)rows.Count));

        NpgsqlParameter Column<T>(Func<Row, T> pick) => P(rows.Values.Select(pick).ToArray());
    }
}
