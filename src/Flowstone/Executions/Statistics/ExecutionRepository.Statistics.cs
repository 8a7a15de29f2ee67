using Flowstone.Data;
using Flowstone.Permissions;
using Flowstone.Workflows;
using static Flowstone.Data.Sql;

namespace Flowstone.Executions;

public sealed partial class ExecutionRepository
{
    // What is folded and what is not yet, in one statement: a fold between two would be counted twice, or not at all.
    static string Ended(string reach = "") => $"""
        (select * from (
            select s.workflow_id, s.hour, s.status, s.bucket, s.executions::bigint, s.duration_ms, s.wait_ms from flowstone.execution_statistics s where s.tenant_id = $1 and ($2 is null or s.workflow_id = $2)
            union all
            select d.workflow_id, d.hour, d.status, d.bucket, d.executions::bigint, d.duration_ms, d.wait_ms from flowstone.execution_deltas d where d.tenant_id = $1 and ($2 is null or d.workflow_id = $2)) e
          where true{reach}) ended
        """;

    /// <summary>How executions ended, and in how long: of a workflow or of all, from one hour (UTC) to another.</summary>
    /// <param name="from">The hour of this time is the first; null is since ever.</param>
    /// <param name="to">Hours that begin then or later are left out; null is until now.</param>
    /// <remarks>Read from the statistics: what retention deleted still counts. What is not finished belongs to no hour, and is counted when <paramref name="to"/> is null.</remarks>
    public async Task<ExecutionFigures> StatisticsAsync(
        Id<Workflow>? workflow = null, DateTimeOffset? from = null, DateTimeOffset? to = null, CancellationToken cancellationToken = default)
    {
        var reach = await access.ExecutionFilterAsync(AccessLevel.Read, "e.workflow_id", next: 5, cancellationToken);
        var reachOfQueue = await access.ExecutionFilterAsync(AccessLevel.Read, "q.workflow_id", next: 3, cancellationToken);
        var read = $"""
            select status, bucket, sum(executions)::bigint, sum(duration_ms)::bigint, sum(wait_ms)::bigint from {Ended(reach.Sql)}
             where hour >= coalesce(date_trunc('hour', $3, 'UTC'), '-infinity') and hour < coalesce($4, 'infinity') group by status, bucket
            """;
        var open = $"""
            select e.status, count(*) from flowstone.execution_queue q join flowstone.executions e on e.tenant_id = q.tenant_id and e.id = q.execution_id
             where q.tenant_id = $1 and e.tenant_id = $1 and ($2 is null or q.workflow_id = $2) and e.finished_at is null{reachOfQueue.Sql} group by e.status
            """;
        var rows = await database.SearchAsync(read, [P(workflow), P(from?.ToUniversalTime()), P(to?.ToUniversalTime()), .. reach.Parameters],
            row => new StatisticsRow(EnumText<ExecutionStatus>.Parse(row.GetString(0)), row.GetInt16(1), row.GetInt64(2), row.GetInt64(3), row.GetInt64(4)), cancellationToken);
        var unfinished = to is not null ? []
            : await database.SearchAsync(open, [P(workflow), .. reachOfQueue.Parameters], row => (EnumText<ExecutionStatus>.Parse(row.GetString(0)), row.GetInt64(1)), cancellationToken);
        return StatisticsRow.Sum(rows, unfinished);
    }

    /// <summary>About how many executions there are by the statistics; null where the filter asks for what they do not know.</summary>
    async Task<long?> EstimateByStatisticsAsync(ExecutionFilter filter, CancellationToken cancellationToken)
    {
        var statuses = filter.Statuses ?? Enum.GetValues<ExecutionStatus>();
        var unfinished = statuses.Count(s => s is ExecutionStatus.Pending or ExecutionStatus.Running or ExecutionStatus.Waiting);
        if (filter with { WorkflowId = null, Statuses = null } != new ExecutionFilter { Attributes = filter.Attributes } || filter.Attributes.Count > 0 || unfinished is not (0 or 3))
            return null;

        // What ended before the oldest that there is, retention has deleted.
        var estimate = $"""
            select coalesce((select sum(executions) from {Ended()}
                              where status = any($3)
                                and hour >= (select date_trunc('hour', e.created_at, 'UTC') from flowstone.executions e
                                              where e.tenant_id = $1 and ($2 is null or e.workflow_id = $2) order by e.id limit 1)), 0)::bigint
                 + case when $4 then (select count(*) from flowstone.execution_queue q where q.tenant_id = $1 and ($2 is null or q.workflow_id = $2)) else 0 end
            """;
        return (await database.SearchAsync(estimate, [P(filter.WorkflowId), P(statuses.Select(EnumText<ExecutionStatus>.Of).ToArray()), P(unfinished > 0)],
            row => row.GetInt64(0), cancellationToken)).Single();
    }
}
