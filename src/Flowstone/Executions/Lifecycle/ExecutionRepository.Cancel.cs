using Flowstone.Data;
using Flowstone.Permissions;
using static Flowstone.Data.Sql;

namespace Flowstone.Executions;

public sealed partial class ExecutionRepository
{
    /// <summary>
    /// Ends an execution that is not finished, and its sub-executions unless they are detached. Workers learn it at their next write.
    /// </summary>
    /// <exception cref="NotFoundException">This tenant has no such execution.</exception>
    /// <exception cref="ConflictException">It has finished already, or a worker is finishing it.</exception>
    public async Task CancelAsync(Id<Execution> id, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(AccessLevel.Execute, id, cancellationToken);
        // What a sub-execution started while it was being cancelled is found by another round; once its parent is gone it can start no more.
        var cancelled = false;
        while (true)
        {
            var ended = await database.QueryAsync([(Family, [P(id)]), (Cancel, [P(id), P(clock.Now()), P(DatabaseNow(clock))])],
                row => (Kind: row.GetInt32(0), Work: row.GetInt32(0) == Locked ? default : new QueuedWork(database.TenantId, row.GetInt16(1), null)), cancellationToken);
            lanes.Add(ended.Where(row => row.Kind == Unparked).Select(row => row.Work), clock.Now());
            if (!ended.Exists(row => row.Kind == Cancelled))
                break;
            cancelled = true;
        }
        if (cancelled)
            return;
        var execution = await FindAsync(id, cancellationToken) ?? throw new NotFoundException("Execution", id);
        throw new ConflictException($"Execution {id} is {EnumText<ExecutionStatus>.Of(execution.Status)}; only one that is not finished can be cancelled.");
    }

    const int Cancelled = 2, Locked = 3, Unparked = 4;

    // The execution and what it called, however deep: those that are not finished have a row in the queue.
    const string Tree = """
        recursive family (id, shard_key) as (
            select $2::uuid, (select t.shard_key from flowstone.tenants t where t.id = $1)
            union
            select e.id, f.shard_key from family f join flowstone.executions e on e.tenant_id = $1 and e.parent_id = f.id and not e.detached)
        """;

    // The queue's rows go first, as in every write of a worker: who deletes one decides how its execution ends. They are locked in a
    // statement of their own, so that the next one's snapshot has every step that a worker recorded before.
    const string Family = $"""
        with {Tree},
        held as materialized (
            select q.tenant_id, q.holds from flowstone.execution_queue q join family f on q.shard_key = f.shard_key and q.execution_id = f.id
             where q.tenant_id = $1 order by q.shard_key, q.execution_id for update of q),
        limits as materialized (
            select 1 from flowstone.execution_limits l
             where l.tenant_id = $1 and l.name in (select unnest(holds) from held) order by l.name for update)
        select 3, (select count(*) from held), (select count(*) from limits)
        """;

    static readonly string Cancel = $"""
        with {Tree},
        released as (
            delete from flowstone.execution_queue q using family f
             where q.shard_key = f.shard_key and q.execution_id = f.id and q.tenant_id = $1 returning q.tenant_id, q.execution_id, q.holds),
        steps as (
            update flowstone.node_executions n set status = 'CANCELLED', reason = 'EXECUTION_ENDED', finished_at = greatest(n.started_at, $3) from released r
             where n.tenant_id = $1 and n.execution_id = r.execution_id and n.finished_at is null),
        ended as (
            update flowstone.executions e set status = 'CANCELLED', finished_at = greatest(e.started_at, $3), waiting_for = null,
                   reason = case e.id when $2 then 'CANCELLED_BY_USER' else 'PARENT_CANCELLED' end
              from released r where e.tenant_id = $1 and e.id = r.execution_id and e.status in ('PENDING', 'RUNNING', 'WAITING')
            returning e.tenant_id, e.workflow_id, e.status, e.due_at, e.started_at, e.finished_at),
        {QueueSql.AfterEnd("$4")}
        select 2, 0::smallint from ended union all select distinct 4, unparked.priority from unparked
        """;
}
