using Flowstone.Data;
using Npgsql;

namespace Flowstone.Executions;

/// <summary>Reads an execution from the columns of a hand-written statement.</summary>
static class ExecutionRow
{
    public const string Columns = """
        e.tenant_id, e.id, e.workflow_id, e.workflow_version, e.status, e.reason, e.error, e.trigger, e.priority,
        e.started_by, e.created_at, e.due_at, e.started_at, e.finished_at, e.claims, e.input_hash, e.output_hash
        """;

    public static Execution Read(NpgsqlDataReader row) => new()
    {
        TenantId = new(row.GetGuid(0)),
        Id = new(row.GetGuid(1)),
        WorkflowId = new(row.GetGuid(2)),
        WorkflowVersion = row.GetInt32(3),
        Status = EnumText<ExecutionStatus>.Parse(row.GetString(4)),
        Reason = row.Get<string>(5),
        Error = row.Get<string>(6),
        Trigger = EnumText<ExecutionTrigger>.Parse(row.GetString(7)),
        Priority = row.GetInt16(8),
        StartedBy = row.IsDBNull(9) ? null : new(row.GetGuid(9)),
        CreatedAt = row.GetFieldValue<DateTimeOffset>(10),
        DueAt = row.GetFieldValue<DateTimeOffset>(11),
        StartedAt = row.Get<DateTimeOffset?>(12),
        FinishedAt = row.Get<DateTimeOffset?>(13),
        Claims = row.GetInt32(14),
        InputHash = row.Get<byte[]>(15),
        OutputHash = row.Get<byte[]>(16),
    };
}

static class NodeExecutionRow
{
    public const string Columns = """
        n.tenant_id, n.execution_id, n.node, n.iteration, n.attempt, n.status, n.reason, n.error, n.started_at, n.finished_at, n.input_hash, n.output_hash
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
        InputHash = row.Get<byte[]>(10),
        OutputHash = row.Get<byte[]>(11),
    };
}
