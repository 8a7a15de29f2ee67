using System.Text.Json;
using Flowstone.Permissions;
using static Flowstone.Data.Sql;

namespace Flowstone.Executions;

/// <summary>A place in the order in which the queue hands out: the next page begins behind it.</summary>
/// <param name="ClaimableAt">When it may be claimed: its due time, the end of its worker's lease, or the end of time while it is held back.</param>
public readonly record struct QueuePlace(short Priority, DateTimeOffset ClaimableAt, Id<Execution> Id);

/// <summary>An execution that is not finished.</summary>
public sealed record ActiveExecution(Execution Execution, QueuePlace Place);

/// <summary>A place in the order of an execution's steps: the next page begins behind it.</summary>
public readonly record struct StepPlace(DateTimeOffset StartedAt, int Iteration, int Node, short Attempt)
{
    public static StepPlace Of(NodeExecution step) => new(step.StartedAt, step.Iteration, step.Node, step.Attempt);
}

public sealed partial class ExecutionRepository
{
    /// <summary>A page, newest first, continuing below <paramref name="before"/>. Never touches payloads.</summary>
    /// <exception cref="InvalidInputException">The filter names an attribute that the workflow does not have, or asks it for what it cannot be.</exception>
    public async Task<List<Execution>> ListAsync(ExecutionFilter filter, Id<Execution>? before, int limit, CancellationToken cancellationToken = default)
    {
        var search = new ExecutionSearch(filter, await EncodeAsync(filter, cancellationToken), await ReachAsync(cancellationToken), before, limit);
        if (search.IsEmpty)
            return [];
        var (sql, parameters) = search.Page();
        return await database.SearchAsync(sql, parameters, ExecutionRow.Read, cancellationToken);
    }

    /// <summary>How many there are, exactly up to 10,000.</summary>
    /// <inheritdoc cref="ListAsync" path="/exception"/>
    public async Task<Total> CountAsync(ExecutionFilter filter, CancellationToken cancellationToken = default)
    {
        var search = new ExecutionSearch(filter, await EncodeAsync(filter, cancellationToken), await ReachAsync(cancellationToken), limit: ExecutionSearch.MostCounted + 1);
        if (search.IsEmpty)
            return new Total(0, TotalKind.Exact);
        var (sql, parameters) = search.Count();
        var found = (await database.SearchAsync(sql, parameters, row => row.GetInt64(0), cancellationToken)).Single();
        return found > ExecutionSearch.MostCounted ? new Total(ExecutionSearch.MostCounted, TotalKind.MoreThan) : new Total(found, TotalKind.Exact);
    }

    /// <summary>
    /// About how many there are, at the same small cost however many: from the statistics where only workflow and status are asked for, else what
    /// PostgreSQL expects. What an error's text finds is counted, and what is asked by somebody who does not see all of the tenant.
    /// </summary>
    /// <inheritdoc cref="ListAsync" path="/exception"/>
    public async Task<Total> EstimateAsync(ExecutionFilter filter, CancellationToken cancellationToken = default)
    {
        if (filter.ErrorText is { Length: > 0 } || !await access.IsAdministratorAsync(cancellationToken))
            return await CountAsync(filter, cancellationToken);   // what PostgreSQL expects knows of others' executions
        if (await EstimateByStatisticsAsync(filter, cancellationToken) is { } known)
            return new Total(known, TotalKind.Estimate);
        var search = new ExecutionSearch(filter, await EncodeAsync(filter, cancellationToken), await ReachAsync(cancellationToken));
        if (search.IsEmpty)
            return new Total(0, TotalKind.Exact);
        var (sql, parameters) = search.Estimate();
        var plan = (await database.SearchAsync(sql, parameters, row => row.GetString(0), cancellationToken)).Single();
        return new Total((long)JsonElement.Parse(plan)[0].GetProperty("Plan").GetProperty("Plan Rows").GetDouble(), TotalKind.Estimate);
    }

    /// <summary>What is not finished, in the order in which the queue hands it out: the highest priority first, then what may be claimed first.</summary>
    /// <remarks>A live view: what is claimed or renewed between two pages moves back, and may be met again.</remarks>
    public async Task<List<ActiveExecution>> ActiveAsync(QueuePlace? after, int limit, CancellationToken cancellationToken = default)
    {
        // Two walks along the index: the rest of the priority at which the page before ended, and all lower ones.
        var reach = await access.ExecutionFilterAsync(AccessLevel.Read, "q.workflow_id", next: after is null ? 3 : 6, cancellationToken);
        var joined = $"from flowstone.execution_queue q join flowstone.executions e on e.tenant_id = q.tenant_id and e.id = q.execution_id where q.tenant_id = $1 and e.tenant_id = $1{reach.Sql}";
        const string Order = $"order by q.priority desc, q.visible_at, {QueueSql.ClaimOrder} limit $2";
        var first = $"select {ExecutionRow.Columns}, q.priority as place, q.visible_at {joined} {Order}";
        var next = $"""
            select * from (
                (select {ExecutionRow.Columns}, q.priority as place, q.visible_at {joined} and q.priority = $3 and (q.visible_at, {QueueSql.ClaimOrder}) > ($4, $5) {Order})
                union all
                (select {ExecutionRow.Columns}, q.priority, q.visible_at {joined} and q.priority < $3 {Order})) page
             order by place desc, visible_at, id limit $2
            """;
        return after is { } place
            ? await database.SearchAsync(next, [P(limit), P(place.Priority), P(place.ClaimableAt), P(place.Id), .. reach.Parameters], Read, cancellationToken)
            : await database.SearchAsync(first, [P(limit), .. reach.Parameters], Read, cancellationToken);

        static ActiveExecution Read(Npgsql.NpgsqlDataReader row)
        {
            var execution = ExecutionRow.Read(row);
            return new(execution, new(row.GetInt16(ExecutionRow.Count), row.GetFieldValue<DateTimeOffset>(ExecutionRow.Count + 1), execution.Id));
        }
    }

    /// <summary>A page of the recorded steps with their nodes, in the order in which they started, continuing behind <paramref name="after"/>.</summary>
    /// <exception cref="NotFoundException">This tenant has no such execution.</exception>
    public async Task<List<TimelineStep>> LogsAsync(Id<Execution> id, StepPlace? after, int limit, CancellationToken cancellationToken = default)
    {
        const string Page = $"""
            select {NodeExecutionRow.Columns} from flowstone.node_executions n
             where n.tenant_id = $1 and n.execution_id = $2 and (n.started_at, n.iteration, n.node, n.attempt) > ($3, $4, $5, $6)
             order by n.started_at, n.iteration, n.node, n.attempt limit $7
            """;
        await access.RequireAsync(AccessLevel.Read, id, cancellationToken);
        var defined = await nodes.GetAsync(database, id, cancellationToken);
        var place = after ?? new(DateTimeOffset.UnixEpoch.AddYears(-1000), 0, 0, 0);
        var steps = await database.SearchAsync(Page, [P(id), P(place.StartedAt), P(place.Iteration), P(place.Node), P((int)place.Attempt), P(limit)], NodeExecutionRow.Read, cancellationToken);
        return [.. steps.Select(step => new TimelineStep(defined.ByOrdinal[step.Node], step))];
    }

    ValueTask<(string Sql, Npgsql.NpgsqlParameter[] Parameters)> ReachAsync(CancellationToken cancellationToken)
        => access.ExecutionFilterAsync(AccessLevel.Read, "e.workflow_id", ExecutionSearch.FirstParameter, cancellationToken);

    async Task<IReadOnlyList<byte[]>> EncodeAsync(ExecutionFilter filter, CancellationToken cancellationToken)
    {
        if (filter.Attributes.Count == 0)
            return [];
        if (filter.WorkflowId is not { } workflow)
            throw new InvalidInputException("workflowId", "is needed with attributes: each workflow declares its own.");
        if (filter.Attributes.Count > 10)
            throw new InvalidInputException("attributes", "has more than 10 conditions.");
        await access.RequireForExecutionsAsync(AccessLevel.Read, workflow, cancellationToken);   // what it declares is its own affair
        var declared = await SearchAttributes.DeclaredAsync(database, workflow, cancellationToken);
        return [.. filter.Attributes.Select(condition => SearchAttributes.Encode(declared, condition.Name, condition.Value, anyText: true))];
    }
}
