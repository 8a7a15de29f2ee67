using Flowstone.Data;
using Flowstone.Tenancy;
using Flowstone.Workflows;
using Microsoft.EntityFrameworkCore;
using static Flowstone.Data.Sql;

namespace Flowstone.Executions;

/// <summary>Which executions to list; what is null does not restrict.</summary>
public sealed record ExecutionFilter
{
    public Id<Workflow>? WorkflowId { get; init; }
    public ExecutionStatus? Status { get; init; }
}

/// <summary>An execution with its steps in the order in which they started.</summary>
public sealed record ExecutionTimeline(Execution Execution, IReadOnlyList<TimelineStep> Steps);

/// <summary>A step with the node that it ran.</summary>
public sealed record TimelineStep(VersionNode Node, NodeExecution Execution);

/// <summary>Starts executions, reads them, cancels them. What workers do with them is <see cref="ExecutionQueue"/>.</summary>
public sealed class ExecutionRepository
{
    readonly TenantDatabase database;
    readonly Actor actor;
    readonly TimeProvider clock;
    readonly NodeOrdinals nodes;
    readonly GroupCommit writes;

    internal ExecutionRepository(TenantDatabase database, Actor actor, TimeProvider clock, NodeOrdinals nodes, GroupCommit writes)
        => (this.database, this.actor, this.clock, this.nodes, this.writes) = (database, actor, clock, nodes, writes);

    /// <summary>Queues an execution: once this returns, it will run, whatever crashes.</summary>
    /// <exception cref="NotFoundException">This tenant has no such workflow, or the workflow no such version.</exception>
    public async Task<Execution> StartAsync(NewExecution request, CancellationToken cancellationToken = default)
    {
        var start = Prepare(request);
        await writes.WriteAsync(start, cancellationToken);
        if (start.Version is { } version)
            return start.Execution with { WorkflowVersion = version };
        // The dedup key was taken, or there is no such workflow.
        return await FindByDedupKeyAsync(request.DedupKey!, cancellationToken) ?? throw start.NoWorkflow;
    }

    StartCall Prepare(NewExecution request)
    {
        request.Check();
        var payloads = new PayloadRows();
        var now = clock.Now();
        return new StartCall(new Execution
        {
            TenantId = database.TenantId,
            Id = Id<Execution>.New(clock),
            WorkflowId = request.WorkflowId,
            WorkflowVersion = 0,
            Status = ExecutionStatus.Pending,
            Trigger = request.Trigger,
            Priority = request.Priority,
            StartedBy = actor.UserId,
            CreatedAt = now,
            DueAt = request.DueAt ?? now,
            Claims = 0,
            Input = payloads.Add(request.Input),
            ParentId = request.ParentId,
            Detached = request.Detached,
            MaxRetries = request.MaxRetries,
        }, request, payloads, now);
    }

    /// <summary>What a start with this key started, while the key's window lasts.</summary>
    public async Task<Execution?> FindByDedupKeyAsync(string key, CancellationToken cancellationToken = default)
        => (await database.QueryAsync($"""
            select {ExecutionRow.Columns} from flowstone.execution_keys k join flowstone.executions e on e.tenant_id = k.tenant_id and e.id = k.execution_id
             where k.tenant_id = $1 and k.key = $2 and k.expires_at > coalesce($3, now())
            """, [P(key), P(DatabaseNow(clock))], ExecutionRow.Read, cancellationToken)).SingleOrDefault();

    public async Task<Execution?> FindAsync(Id<Execution> id, CancellationToken cancellationToken = default)
        => (await database.QueryAsync($"select {ExecutionRow.Columns} from flowstone.executions e where e.tenant_id = $1 and e.id = $2",
            [P(id)], ExecutionRow.Read, cancellationToken)).SingleOrDefault();

    /// <summary>A page, newest first, continuing below <paramref name="before"/>. Never touches payloads.</summary>
    public Task<List<Execution>> ListAsync(ExecutionFilter filter, Id<Execution>? before, int limit, CancellationToken cancellationToken = default)
        => database.ReadAsync(db =>
        {
            IQueryable<Execution> page = db.Set<Execution>();
            if (filter.WorkflowId is { } workflow)
                page = page.Where(e => e.WorkflowId == workflow);
            if (filter.Status is { } status)
                page = page.Where(e => e.Status == status);
            if (before is { } last)
                page = page.Where(e => e.Id < last);
            return page.OrderByDescending(e => e.Id).Take(limit).ToListAsync(cancellationToken);
        });

    /// <summary>How many executions of each status began since then; a status without any is absent.</summary>
    public async Task<IReadOnlyDictionary<ExecutionStatus, long>> CountByStatusAsync(DateTimeOffset since, CancellationToken cancellationToken = default)
        => (await database.QueryAsync(
            "select status, count(*) from flowstone.executions where tenant_id = $1 and id >= flowstone.lowest_id($2) group by status",
            [P(since)], row => (Status: EnumText<ExecutionStatus>.Parse(row.GetString(0)), Count: row.GetInt64(1)), cancellationToken))
            .ToDictionary(row => row.Status, row => row.Count);

    /// <summary>The recorded steps, in the order in which they started.</summary>
    public Task<List<NodeExecution>> NodesAsync(Id<Execution> id, CancellationToken cancellationToken = default)
        => database.QueryAsync($"select {NodeExecutionRow.Columns} from flowstone.node_executions n where n.tenant_id = $1 and n.execution_id = $2 order by n.started_at, n.iteration, n.node, n.attempt",
            [P(id)], NodeExecutionRow.Read, cancellationToken);

    /// <exception cref="NotFoundException">This tenant has no such execution.</exception>
    public async Task<ExecutionTimeline> TimelineAsync(Id<Execution> id, CancellationToken cancellationToken = default)
    {
        var execution = await FindAsync(id, cancellationToken) ?? throw new NotFoundException("Execution", id);
        var steps = await NodesAsync(id, cancellationToken);
        var defined = await nodes.GetAsync(database, execution.WorkflowId, execution.WorkflowVersion, cancellationToken);
        return new ExecutionTimeline(execution, [.. steps.Select(step => new TimelineStep(defined.ByOrdinal[step.Node], step))]);
    }

    /// <summary>A payload of an execution by its name; null if there is none.</summary>
    public async Task<PayloadBody?> FindPayloadAsync(Id<Execution> id, PayloadRef name, CancellationToken cancellationToken = default)
        => name.Value ?? (await database.QueryAsync("""
            select encoding, body, size_bytes, content_type from flowstone.payloads where tenant_id = $1 and execution_id = $2 and hash = $3
            """, [P(id), P(name.Hash)],
            row => PayloadBody.Decode(EnumText<PayloadEncoding>.Parse(row.GetString(0)), row.GetFieldValue<byte[]>(1), row.GetInt64(2), row.GetString(3)),
            cancellationToken)).SingleOrDefault();

    /// <summary>Ends an execution that is not finished. Its worker learns it at its next write.</summary>
    /// <exception cref="NotFoundException">This tenant has no such execution.</exception>
    /// <exception cref="ConflictException">It has finished already, or a worker is finishing it.</exception>
    public async Task CancelAsync(Id<Execution> id, CancellationToken cancellationToken = default)
    {
        // The queue's row goes first, as in every write of a worker: who deletes it decides how the execution ends. It is locked in a
        // statement of its own, so that the next one's snapshot has every step that a worker recorded before.
        const string Lock = """
            with held as materialized (
                select q.tenant_id, q.holds from flowstone.execution_queue q
                 where q.shard_key = (select t.shard_key from flowstone.tenants t where t.id = $1) and q.execution_id = $2 and q.tenant_id = $1 for update),
            limits as materialized (
                select 1 from flowstone.execution_limits l
                 where (l.tenant_id, l.name) in (select tenant_id, unnest(holds) from held) order by l.tenant_id, l.name for update)
            select 3, (select count(*) from held), (select count(*) from limits)
            """;
        var told = await database.QueryAsync([(Lock, [P(id)]), (Cancel, [P(id), P(clock.Now()), P(DatabaseNow(clock))])], row => row.GetInt32(0), cancellationToken);
        if (told.Contains(Cancelled))
            return;
        var execution = await FindAsync(id, cancellationToken) ?? throw new NotFoundException("Execution", id);
        throw new ConflictException($"Execution {id} is {EnumText<ExecutionStatus>.Of(execution.Status)}; only one that is not finished can be cancelled.");
    }

    const int Cancelled = 2;

    static readonly string Cancel = $"""
        with released as (
            delete from flowstone.execution_queue q
             where q.shard_key = (select t.shard_key from flowstone.tenants t where t.id = $1) and q.execution_id = $2 and q.tenant_id = $1 returning q.tenant_id, q.holds),
        steps as (
            update flowstone.node_executions n set status = 'CANCELLED', finished_at = greatest(n.started_at, $3) from released
             where n.tenant_id = $1 and n.execution_id = $2 and n.finished_at is null),
        ended as (
            update flowstone.executions e set status = 'CANCELLED', reason = 'CANCELLED_BY_USER', finished_at = greatest(e.started_at, $3), waiting_for = null from released
             where e.tenant_id = $1 and e.id = $2 and e.status in ('PENDING', 'RUNNING', 'WAITING')
            returning e.tenant_id, e.workflow_id, e.status, e.due_at, e.started_at, e.finished_at),
        {QueueSql.AfterEnd("$4")}
        select 2 from ended
        """;

    /// <summary>Null lets the database take its own time; a test's clock is handed over.</summary>
    internal static DateTimeOffset? DatabaseNow(TimeProvider clock) => clock == TimeProvider.System ? null : clock.Now();
}
