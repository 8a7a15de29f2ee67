using Flowstone.Data;
using Flowstone.Permissions;
using static Flowstone.Data.Sql;

namespace Flowstone.Executions;

public sealed partial class ExecutionRepository
{
    /// <summary>
    /// Sends something to an execution that waits for it, or will: it is kept until it is received. Each call is a signal of its own;
    /// they are received in the order in which they came.
    /// </summary>
    /// <param name="name">What the execution waits for; at most 255 characters.</param>
    /// <exception cref="NotFoundException">This tenant has no such execution.</exception>
    /// <exception cref="ConflictException">It has finished.</exception>
    public async Task SignalAsync(Id<Execution> id, string name, PayloadBody? body = null, CancellationToken cancellationToken = default)
    {
        Text.Require("name", name, 255);
        await access.RequireAsync(AccessLevel.Execute, id, cancellationToken);
        var execution = await FindAsync(id, cancellationToken) ?? throw new NotFoundException("Execution", id);
        var rows = body is null ? null : await payloads.OpenAsync(database.TenantId, execution.WorkflowId, id, cancellationToken);
        var reference = rows?.Add(body, "body");
        if (rows is not null)
            await rows.ReadyAsync(database, cancellationToken);
        var stored = rows?.Rows.ToArray() ?? [];

        // The queue's row first: whoever is about to wait, or to end, goes before or after, never at the same time.
        const string Lock = """
            select 3, 0::smallint from flowstone.execution_queue q
             where q.shard_key = (select t.shard_key from flowstone.tenants t where t.id = $1) and q.execution_id = $2 and q.tenant_id = $1 for update
            """;
        const string Send = $"""
            with alive as materialized (
                select q.tenant_id, q.execution_id, q.shard_key from flowstone.execution_queue q
                 where q.shard_key = (select t.shard_key from flowstone.tenants t where t.id = $1) and q.execution_id = $2 and q.tenant_id = $1 for update),
            bodies as (
                insert into flowstone.payloads (tenant_id, execution_id, {WriteSql.Payload})
                select alive.tenant_id, alive.execution_id, {WriteSql.Payload} from alive, unnest($8, $9, $10, $11, $12, $13, $14, $15) b ({WriteSql.Payload})
                on conflict do nothing),
            sent as (
                insert into flowstone.execution_signals (tenant_id, execution_id, signal_id, name, body, sent_at)
                select tenant_id, execution_id, $3, $4, $5, $6 from alive),
            woken as (
                update flowstone.execution_queue q set visible_at = coalesce($7, now()) from alive join flowstone.executions e on e.tenant_id = $1 and e.id = $2
                 where q.shard_key = alive.shard_key and q.execution_id = alive.execution_id and q.tenant_id = $1 and e.status = 'WAITING' and e.waiting_for = $4
                returning q.priority)
            select 2, 0::smallint from alive union all select 4, woken.priority from woken
            """;
        var told = await database.QueryAsync(
        [
            (Lock, [P(id)]),
            (Send, [P(id), P(Id<ExecutionSignal>.New(clock)), P(name), P(reference?.Stored), P(clock.Now()), P(DatabaseNow(clock)), .. WriteGroup.Payloads([.. stored], row => row)]),
        ], row => (Kind: row.GetInt32(0), Priority: row.GetInt16(1)), cancellationToken);
        if (!told.Exists(row => row.Kind == Cancelled))
            throw new ConflictException($"Execution {id} has finished; nothing can be sent to it.");
        lanes.Add(told.Where(row => row.Kind == Unparked).Select(row => new QueuedWork(database.TenantId, row.Priority, null)), clock.Now());
    }
}
