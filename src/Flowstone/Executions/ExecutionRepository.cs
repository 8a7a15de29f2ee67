using Flowstone.Data;
using Flowstone.Permissions;
using Flowstone.Tenancy;
using static Flowstone.Data.Sql;

namespace Flowstone.Executions;

/// <summary>An execution with its steps in the order in which they started.</summary>
public sealed record ExecutionTimeline(Execution Execution, IReadOnlyList<TimelineStep> Steps);

/// <summary>A step with the node that it ran.</summary>
public sealed record TimelineStep(VersionNode Node, NodeExecution Execution);

/// <summary>Starts executions, reads them, cancels them. What workers do with them is <see cref="ExecutionQueue"/>.</summary>
public sealed partial class ExecutionRepository
{
    readonly TenantDatabase database;
    readonly AccessRule access;
    readonly TimeProvider clock;
    readonly NodeOrdinals nodes;
    readonly PayloadStore payloads;
    readonly GroupCommit writes;
    readonly QueueLanes lanes;

    internal ExecutionRepository(TenantDatabase database, AccessRule access, TimeProvider clock, NodeOrdinals nodes, PayloadStore payloads, GroupCommit writes, QueueLanes lanes)
        => (this.database, this.access, this.clock, this.nodes, this.payloads, this.writes, this.lanes) = (database, access, clock, nodes, payloads, writes, lanes);

    /// <summary>Queues an execution: once this returns, it will run, whatever crashes.</summary>
    /// <exception cref="NotFoundException">This tenant has no such workflow, or the workflow no such version.</exception>
    /// <exception cref="InvalidInputException">The input is over the limit.</exception>
    public async Task<Execution> StartAsync(NewExecution request, CancellationToken cancellationToken = default)
    {
        await RequireStartAsync([request], cancellationToken);
        var start = await PrepareAsync(request, cancellationToken);
        await writes.WriteAsync(start, cancellationToken);
        if (start.Version is { } version)
            return start.Execution with { WorkflowVersion = version };
        // The dedup key was taken, or there is no such workflow.
        if (await FindByDedupKeyAsync(request.DedupKey!, cancellationToken) is { } first)
            return first;
        return await ForgetDedupKeyAsync(request.DedupKey!, cancellationToken) ? await StartAsync(request, cancellationToken) : throw start.NoWorkflow;
    }

    /// <summary>Deletes a key that has outlived its window or its execution, which may be kept for a shorter time.</summary>
    async Task<bool> ForgetDedupKeyAsync(string key, CancellationToken cancellationToken)
        => await database.ExecuteAsync("""
            delete from flowstone.execution_keys k where k.tenant_id = $1 and k.key = $2
               and (k.expires_at <= coalesce($3, now()) or not exists (select from flowstone.executions e where e.tenant_id = $1 and e.id = k.execution_id))
            """, [P(key), P(DatabaseNow(clock))], cancellationToken) > 0;

    async ValueTask RequireStartAsync(IReadOnlyList<NewExecution> requests, CancellationToken cancellationToken)
    {
        if (await access.IsAdministratorAsync(cancellationToken))
            return;
        foreach (var workflow in requests.Select(request => request.WorkflowId).Distinct())
            await access.RequireAsync(AccessLevel.Execute, workflow, cancellationToken);
        foreach (var parent in requests.Select(request => request.ParentId).OfType<Id<Execution>>().Distinct())
            await access.RequireAsync(AccessLevel.Execute, parent, cancellationToken);
    }

    async ValueTask<StartCall> PrepareAsync(NewExecution request, CancellationToken cancellationToken)
    {
        request.Check();
        var attributes = request.Attributes.Count == 0 ? []
            : SearchAttributes.Encode(await SearchAttributes.DeclaredAsync(database, request.WorkflowId, cancellationToken), request.Attributes);
        var (id, now) = (Id<Execution>.New(clock), clock.Now());
        var rows = request.Input is null ? null : await payloads.OpenAsync(database.TenantId, request.WorkflowId, id, cancellationToken);
        var input = rows?.Add(request.Input, "input");
        if (rows is not null)
            await rows.ReadyAsync(database, cancellationToken);
        return new StartCall(new Execution
        {
            TenantId = database.TenantId,
            Id = id,
            WorkflowId = request.WorkflowId,
            WorkflowVersion = 0,
            Status = ExecutionStatus.Pending,
            Trigger = request.Trigger,
            Priority = request.Priority,
            StartedBy = access.Actor.UserId,
            CreatedAt = now,
            DueAt = request.DueAt ?? now,
            Claims = 0,
            Input = input,
            ParentId = request.ParentId,
            Detached = request.Detached,
            MaxRetries = request.MaxRetries,
        }, request, rows, attributes, now);
    }

    /// <summary>What a start with this key started, while the key's window lasts.</summary>
    public async Task<Execution?> FindByDedupKeyAsync(string key, CancellationToken cancellationToken = default)
    {
        var reach = await access.ExecutionFilterAsync(AccessLevel.Read, "e.workflow_id", next: 4, cancellationToken);
        return (await database.QueryAsync($"""
            select {ExecutionRow.Columns} from flowstone.execution_keys k join flowstone.executions e on e.tenant_id = k.tenant_id and e.id = k.execution_id
             where k.tenant_id = $1 and k.key = $2 and k.expires_at > coalesce($3, now()){reach.Sql}
            """, [P(key), P(DatabaseNow(clock)), .. reach.Parameters], ExecutionRow.Read, cancellationToken)).SingleOrDefault();
    }

    public async Task<Execution?> FindAsync(Id<Execution> id, CancellationToken cancellationToken = default)
    {
        var reach = await access.ExecutionFilterAsync(AccessLevel.Read, "e.workflow_id", next: 3, cancellationToken);
        return (await database.QueryAsync($"select {ExecutionRow.Columns} from flowstone.executions e where e.tenant_id = $1 and e.id = $2{reach.Sql}",
            [P(id), .. reach.Parameters], ExecutionRow.Read, cancellationToken)).SingleOrDefault();
    }

    /// <summary>How many executions of each status began since then; a status without any is absent.</summary>
    public async Task<IReadOnlyDictionary<ExecutionStatus, long>> CountByStatusAsync(DateTimeOffset since, CancellationToken cancellationToken = default)
    {
        var reach = await access.ExecutionFilterAsync(AccessLevel.Read, "workflow_id", next: 3, cancellationToken);
        return (await database.QueryAsync(
            $"select status, count(*) from flowstone.executions where tenant_id = $1 and id >= flowstone.lowest_id($2){reach.Sql} group by status",
            [P(since), .. reach.Parameters], row => (Status: EnumText<ExecutionStatus>.Parse(row.GetString(0)), Count: row.GetInt64(1)), cancellationToken))
            .ToDictionary(row => row.Status, row => row.Count);
    }

    /// <summary>The recorded steps, in the order in which they started.</summary>
    public async Task<List<NodeExecution>> NodesAsync(Id<Execution> id, CancellationToken cancellationToken = default)
        => !await access.MayAsync(AccessLevel.Read, id, cancellationToken) ? []
            : await database.QueryAsync($"select {NodeExecutionRow.Columns} from flowstone.node_executions n where n.tenant_id = $1 and n.execution_id = $2 order by n.started_at, n.iteration, n.node, n.attempt",
                [P(id)], NodeExecutionRow.Read, cancellationToken);

    /// <exception cref="NotFoundException">This tenant has no such execution.</exception>
    public async Task<ExecutionTimeline> TimelineAsync(Id<Execution> id, CancellationToken cancellationToken = default)
    {
        var execution = await FindAsync(id, cancellationToken) ?? throw new NotFoundException("Execution", id);
        var steps = await NodesAsync(id, cancellationToken);
        var defined = await nodes.GetAsync(database, execution.WorkflowId, execution.WorkflowVersion, cancellationToken);
        return new ExecutionTimeline(execution, [.. steps.Select(step => new TimelineStep(defined.ByOrdinal[step.Node], step))]);
    }

    /// <summary>A payload of an execution by its name, whole; null if there is none.</summary>
    /// <exception cref="PayloadDamagedException">It is not as it was stored, or its object is gone.</exception>
    /// <exception cref="UnavailableException">The object store cannot be reached, or the key is missing with which it was sealed.</exception>
    public Task<PayloadBody?> FindPayloadAsync(Id<Execution> id, PayloadRef name, CancellationToken cancellationToken = default)
        => FromOriginAsync(id, origin => payloads.FindAsync(database, origin, name, cancellationToken), cancellationToken);

    /// <summary>As <see cref="FindPayloadAsync"/>, to be read from a stream: for what may be large. Dispose of it.</summary>
    public Task<PayloadContent?> OpenPayloadAsync(Id<Execution> id, PayloadRef name, CancellationToken cancellationToken = default)
        => FromOriginAsync(id, origin => payloads.OpenContentAsync(database, origin, name, cancellationToken), cancellationToken);

    /// <summary>A retry or a fork names payloads that lie with the execution it came from.</summary>
    async Task<T?> FromOriginAsync<T>(Id<Execution> id, Func<Id<Execution>, Task<T?>> find, CancellationToken cancellationToken) where T : class
    {
        if (!await access.MayAsync(AccessLevel.Read, id, cancellationToken))
            return null;
        for (Id<Execution>? origin = id; origin is { } current;)
        {
            if (await find(current) is { } found)
                return found;
            var execution = await FindAsync(current, cancellationToken);
            origin = execution?.RetryOf ?? execution?.ForkedFrom;
        }
        return null;
    }

    /// <summary>Null lets the database take its own time; a test's clock is handed over.</summary>
    internal static DateTimeOffset? DatabaseNow(TimeProvider clock) => clock == TimeProvider.System ? null : clock.Now();
}
