using Flowstone.Data;
using Flowstone.Executions;
using Flowstone.Workflows;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Tests.Executions.Search;

/// <summary>Executions of any age and fate, put into the tables as the superuser: to be listed, counted and deleted.</summary>
static class StoredExecutions
{
    static readonly ExecutionStatus[] unfinished = [ExecutionStatus.Pending, ExecutionStatus.Running, ExecutionStatus.Waiting];

    public static bool IsUnfinished(this ExecutionStatus status) => unfinished.Contains(status);

    public static Execution New(Workflow workflow, DateTimeOffset createdAt, ExecutionStatus status, DateTimeOffset? finishedAt = null) => new()
    {
        TenantId = workflow.TenantId,
        Id = Id<Execution>.New(new FixedClock(createdAt)),
        WorkflowId = workflow.Id,
        WorkflowVersion = 1,
        Status = status,
        Trigger = ExecutionTrigger.Api,
        Priority = 0,
        CreatedAt = createdAt,
        DueAt = createdAt,
        StartedAt = status == ExecutionStatus.Pending ? null : createdAt.AddMilliseconds(100),
        FinishedAt = status.IsUnfinished() ? null : finishedAt ?? createdAt.AddMilliseconds(1100),
        Reason = status.IsUnfinished() || status == ExecutionStatus.Success ? null : EnumText<ExecutionStatus>.Of(status),
        Claims = 0,
    };

    public static async Task AddAsync(string connectionString, IReadOnlyList<Execution> executions)
    {
        const string Insert = """
            insert into flowstone.executions (tenant_id, id, workflow_id, workflow_version, status, reason, error, trigger, priority, started_by, created_at, due_at,
                   started_at, finished_at, claims, parent_id, retry_of, retried_by, retry_count, max_retries, forked_from)
            select * from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
            """;
        const string Queue = """
            insert into flowstone.execution_queue (shard_key, execution_id, tenant_id, workflow_id, priority, visible_at, fence)
            select t.shard_key, e.id, e.tenant_id, e.workflow_id, e.priority, e.due_at, 0
              from flowstone.executions e join flowstone.tenants t on t.id = e.tenant_id where e.id = any($1) and e.finished_at is null
            """;
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync();
        await ExecuteAsync(Insert, Column(e => e.TenantId.Value), Column(e => e.Id.Value), Column(e => e.WorkflowId.Value), Column(e => e.WorkflowVersion),
            Column(e => EnumText<ExecutionStatus>.Of(e.Status)), Column(e => e.Reason), Column(e => e.Error), Column(e => EnumText<ExecutionTrigger>.Of(e.Trigger)), Column(e => e.Priority),
            Column(e => e.StartedBy?.Value), Column(e => e.CreatedAt), Column(e => e.DueAt), Column(e => e.StartedAt), Column(e => e.FinishedAt), Column(e => e.Claims), Column(e => e.ParentId?.Value),
            Column(e => e.RetryOf?.Value), Column(e => e.RetriedBy?.Value), Column(e => e.RetryCount), Column(e => e.MaxRetries), Column(e => e.ForkedFrom?.Value));
        await ExecuteAsync(Queue, Column(e => e.Id.Value));

        NpgsqlParameter Column<T>(Func<Execution, T> pick) => P(executions.Select(pick).ToArray());

        async Task ExecuteAsync(string sql, params NpgsqlParameter[] parameters)
        {
            await using var command = new NpgsqlCommand(sql, connection);
            command.Parameters.AddRange(parameters);
            await command.ExecuteNonQueryAsync();
        }
    }

    sealed class FixedClock(DateTimeOffset now) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => now;
    }
}
