using Flowstone.Data;
using Flowstone.Permissions;
using Flowstone.Workflows;
using static Flowstone.Data.Sql;

namespace Flowstone.Executions;

/// <summary>Where a retry begins.</summary>
public enum RetryFrom
{
    /// <summary>What succeeded counts; the rest runs again.</summary>
    FailedNode,

    /// <summary>Everything runs again.</summary>
    Start,
}

public sealed partial class ExecutionRepository
{
    /// <summary>
    /// Tries again what failed, timed out or was cancelled: a new execution of the same version with the same input, trigger, priority and
    /// parent. An execution is retried once; its retry can be retried again, up to <see cref="Execution.MaxRetries"/>.
    /// </summary>
    /// <exception cref="NotFoundException">This tenant has no such execution.</exception>
    /// <exception cref="ConflictException">It did not fail, or was retried already, or has no retry left.</exception>
    public async Task<Execution> RetryAsync(Id<Execution> id, RetryFrom from = RetryFrom.FailedNode, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(AccessLevel.Execute, id, cancellationToken);
        if (await AgainAsync(id, from, redrive: false, cancellationToken) is { } again)
            return again;
        var execution = await FindAsync(id, cancellationToken) ?? throw new NotFoundException("Execution", id);
        throw new ConflictException(
            execution.Status is not (ExecutionStatus.Failed or ExecutionStatus.Timeout or ExecutionStatus.Cancelled)
                ? $"Execution {id} is {EnumText<ExecutionStatus>.Of(execution.Status)}; only what failed, timed out or was cancelled can be retried."
            : !await access.MayAsync(AccessLevel.Execute, execution.WorkflowId, cancellationToken) ? $"Execution {id} is of a workflow in the trash: restore that first."
            : execution.RetriedBy is { } by ? $"Execution {id} was retried already, by {by}."
            : $"Execution {id} has no retry left: it is retry {execution.RetryCount} of {execution.MaxRetries}.");
    }

    /// <summary>Puts dead letters back to work, oldest first, from the node that failed: each as a new execution with all its attempts. Needs no retry left.</summary>
    /// <param name="workflow">Null takes those of all workflows.</param>
    /// <param name="limit">How many at most, 1 to 1,000.</param>
    /// <returns>The new executions; empty when no dead letter is left.</returns>
    public async Task<IReadOnlyList<Execution>> RedriveAsync(Id<Workflow>? workflow = null, int limit = 100, CancellationToken cancellationToken = default)
    {
        if (limit is < 1 or > 1000)
            throw new InvalidInputException("limit", "must be 1 to 1,000.");
        await access.RequireAsync(AccessLevel.Execute, cancellationToken);
        var reach = await access.ExecutionFilterAsync(AccessLevel.Execute, "e.workflow_id", next: 4, cancellationToken);
        var dead = $"""
            select id from flowstone.executions e
             where e.tenant_id = $1 and e.reason = 'DEAD_LETTER' and e.retried_by is null and ($2 is null or e.workflow_id = $2) and {There}{reach.Sql} order by e.id limit $3
            """;
        var again = new List<Execution>();
        foreach (var letter in await database.QueryAsync(dead, [P(workflow), P(limit), .. reach.Parameters], row => new Id<Execution>(row.GetGuid(0)), cancellationToken))
        {
            // Null if somebody else was quicker.
            if (await AgainAsync(letter, RetryFrom.FailedNode, redrive: true, cancellationToken) is { } execution)
                again.Add(execution);
        }
        return again;
    }

    /// <summary>
    /// Runs an execution again from one of its steps: the new execution begins with what succeeded before that step, by reference, and runs the
    /// step and all that follows from it anew. The source stays as it is; it may be finished or not.
    /// </summary>
    /// <param name="nodeId">A node that the source ran.</param>
    /// <exception cref="NotFoundException">This tenant has no such execution, or it did not run that step.</exception>
    public async Task<Execution> ForkAsync(Id<Execution> id, string nodeId, int iteration = 0, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(AccessLevel.Execute, id, cancellationToken);
        var source = await FindAsync(id, cancellationToken) ?? throw new NotFoundException("Execution", id);
        var defined = await nodes.GetAsync(database, source.WorkflowId, source.WorkflowVersion, cancellationToken);
        var steps = await NodesAsync(id, cancellationToken);
        if (!defined.ById.TryGetValue(nodeId, out var node) || steps.Find(s => s.Node == node && s.Iteration == iteration) is not { } from)
            throw new NotFoundException($"Step {nodeId}, iteration {iteration}, of execution", id);
        var following = await FollowingAsync(source, node, cancellationToken);

        // What does not follow from the step is shared. In a loop all follows from all: there the earlier iterations are, and what began before.
        var shared = steps.Where(s => s.Status == ExecutionStatus.Success
            && (!following.Contains(s.Node) || s.Iteration < iteration || (s.Iteration == iteration && s.Node != node && s.StartedAt < from.StartedAt))).ToArray();
        var fork = Id<Execution>.New(clock);
        const string Fork = $"""
            with source as materialized (select e.* from flowstone.executions e where e.tenant_id = $1 and e.id = $2 and {There}),
            {NewRun}
            $8, 0, 3, $2 from source returning *),
            {Queued},
            steps as (
                insert into flowstone.node_executions (tenant_id, execution_id, node, iteration, attempt, status, started_at, finished_at, input, output)
                select n.tenant_id, $3, n.node, n.iteration, n.attempt, n.status, n.started_at, n.finished_at, n.input, n.output
                  from unnest($9, $10, $11) s (node, iteration, attempt) join flowstone.node_executions n
                    on n.tenant_id = $1 and n.execution_id = $2 and n.node = s.node and n.iteration = s.iteration and n.attempt = s.attempt)
            select {ExecutionRow.Columns} from run e
            """;
        var rows = await database.QueryAsync(Fork,
        [
            P(id), P(fork), P(clock.Now()), P(DatabaseNow(clock)), P(access.Actor.UserId), P(MaxAttemptsOfRetries), P((Guid?)null),
            P(Array.ConvertAll(shared, s => s.Node)), P(Array.ConvertAll(shared, s => s.Iteration)), P(Array.ConvertAll(shared, s => s.Attempt)),
        ], ExecutionRow.Read, cancellationToken);
        if (rows.Count == 0)
            throw new NotFoundException("Workflow", source.WorkflowId);
        lanes.Add([new QueuedWork(database.TenantId, rows[0].Priority, null)], clock.Now());
        return rows[0];
    }

    const short MaxAttemptsOfRetries = 10;

    async Task<Execution?> AgainAsync(Id<Execution> id, RetryFrom from, bool redrive, CancellationToken cancellationToken)
    {
        // Marked and made in one transaction: nothing is retried twice.
        const string Again = $"""
            with source as (
                update flowstone.executions e set retried_by = $3
                 where e.tenant_id = $1 and e.id = $2 and e.status in ('FAILED', 'TIMEOUT', 'CANCELLED') and e.retried_by is null and ($9 or e.retry_count < e.max_retries) and {There}
                returning e.*),
            {NewRun}
            $2, case when $9 then retry_count else retry_count + 1 end, max_retries, $8 from source returning *),
            {Queued},
            steps as (
                insert into flowstone.node_executions (tenant_id, execution_id, node, iteration, attempt, status, started_at, finished_at, input, output)
                select n.tenant_id, $3, n.node, n.iteration, n.attempt, n.status, n.started_at, n.finished_at, n.input, n.output
                  from source join flowstone.node_executions n on n.tenant_id = source.tenant_id and n.execution_id = source.id
                 where n.tenant_id = $1 and n.execution_id = $2 and n.status = 'SUCCESS' and $10)
            select {ExecutionRow.Columns} from run e
            """;
        var again = (await database.QueryAsync(Again,
            [P(id), P(Id<Execution>.New(clock)), P(clock.Now()), P(DatabaseNow(clock)), P(access.Actor.UserId), P(MaxAttemptsOfRetries), P((Guid?)null), P(redrive), P(from == RetryFrom.FailedNode)],
            ExecutionRow.Read, cancellationToken)).SingleOrDefault();
        if (again is not null)
            lanes.Add([new QueuedWork(database.TenantId, again.Priority, null)], clock.Now());
        return again;
    }

    // What is in the trash starts nothing.
    const string There = "exists (select from flowstone.workflows w where w.tenant_id = $1 and w.id = e.workflow_id and w.deleted_at is null)";

    // As the source was started; what follows in the text are retry_of, retry_count, max_retries and forked_from.
    const string NewRun = """
        run as (
            insert into flowstone.executions (tenant_id, id, workflow_id, workflow_version, status, trigger, priority, started_by, created_at, due_at, claims, input,
                   parent_id, detached, retry_of, retry_count, max_retries, forked_from)
            select tenant_id, $3, workflow_id, workflow_version, 'PENDING', trigger, priority, coalesce($6, started_by), $4, $4, 0, input, parent_id, detached,
        """;

    const string Queued = """
        queued as (
            insert into flowstone.execution_queue (shard_key, execution_id, tenant_id, workflow_id, priority, visible_at, fence, failures, max_attempts)
            select t.shard_key, $3, t.id, run.workflow_id, run.priority, coalesce($5, now()), 0, 0, $7 from run join flowstone.tenants t on t.id = run.tenant_id)
        """;

    /// <summary>The node and all that follow from it.</summary>
    async Task<HashSet<int>> FollowingAsync(Execution source, int node, CancellationToken cancellationToken)
    {
        var definition = (await database.QueryAsync("select definition from flowstone.workflow_versions where tenant_id = $1 and workflow_id = $2 and number = $3",
            [P(source.WorkflowId), P(source.WorkflowVersion)], row => System.Text.Json.JsonElement.Parse(row.GetFieldValue<byte[]>(0)), cancellationToken))[0];
        var edges = WorkflowGraph.Read(definition).Edges.ToLookup(edge => edge.Source, edge => edge.Target);
        var following = new HashSet<int> { node };
        for (var next = new Stack<int>([node]); next.TryPop(out var current);)
            foreach (var target in edges[current])
                if (following.Add(target))
                    next.Push(target);
        return following;
    }
}
