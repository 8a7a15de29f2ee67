using Flowstone.Data;
using Flowstone.Users;
using Npgsql;

namespace Flowstone.Executions;

/// <summary>Reads an execution from the columns of a hand-written statement.</summary>
static class ExecutionRow
{
    public const string Columns = """
        e.tenant_id, e.id, e.workflow_id, e.workflow_version, e.status, e.reason, e.error, e.trigger, e.priority,
        e.started_by, e.created_at, e.due_at, e.started_at, e.finished_at, e.claims, e.input, e.output,
        e.parent_id, e.detached, e.retry_of, e.retried_by, e.retry_count, e.max_retries, e.forked_from, e.waiting_for
        """;

    public const int Count = 25;

    public static Execution Read(NpgsqlDataReader row) => Read(row, 0);

    /// <param name="at">The place of the first column.</param>
    public static Execution Read(NpgsqlDataReader row, int at) => new()
    {
        TenantId = new(row.GetGuid(at)),
        Id = new(row.GetGuid(at + 1)),
        WorkflowId = new(row.GetGuid(at + 2)),
        WorkflowVersion = row.GetInt32(at + 3),
        Status = EnumText<ExecutionStatus>.Parse(row.GetString(at + 4)),
        Reason = row.Get<string>(at + 5),
        Error = row.Get<string>(at + 6),
        Trigger = EnumText<ExecutionTrigger>.Parse(row.GetString(at + 7)),
        Priority = row.GetInt16(at + 8),
        StartedBy = row.GetId<User>(at + 9),
        CreatedAt = row.GetFieldValue<DateTimeOffset>(at + 10),
        DueAt = row.GetFieldValue<DateTimeOffset>(at + 11),
        StartedAt = row.Get<DateTimeOffset?>(at + 12),
        FinishedAt = row.Get<DateTimeOffset?>(at + 13),
        Claims = row.GetInt32(at + 14),
        Input = row.GetRef(at + 15),
        Output = row.GetRef(at + 16),
        ParentId = row.GetId<Execution>(at + 17),
        Detached = row.GetBoolean(at + 18),
        RetryOf = row.GetId<Execution>(at + 19),
        RetriedBy = row.GetId<Execution>(at + 20),
        RetryCount = row.GetInt16(at + 21),
        MaxRetries = row.GetInt16(at + 22),
        ForkedFrom = row.GetId<Execution>(at + 23),
        WaitingFor = row.Get<string>(at + 24),
    };

    public static Id<T>? GetId<T>(this NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : new(row.GetGuid(column));

    public static PayloadRef? GetRef(this NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : PayloadRef.FromStored(row.GetFieldValue<byte[]>(column));
}

static class NodeExecutionRow
{
    public const string Columns = """
        n.tenant_id, n.execution_id, n.node, n.iteration, n.attempt, n.status, n.reason, n.error, n.started_at, n.finished_at, n.input, n.output
        """;

    public static NodeExecution Read(NpgsqlDataReader row) => new()
    {
        TenantId = new(row.GetGuid(0)),
        ExecutionId = new(row.GetGuid(1)),
        Node = row.GetInt32(2),
        Iteration = row.GetInt32(3),
        Attempt = row.GetInt16(4),
        Status = EnumText<ExecutionStatus>.Parse(row.GetString(5)),
        Reason = row.Get<string>(6),
        Error = row.Get<string>(7),
        StartedAt = row.GetFieldValue<DateTimeOffset>(8),
        FinishedAt = row.Get<DateTimeOffset?>(9),
        Input = row.GetRef(10),
        Output = row.GetRef(11),
    };
}
