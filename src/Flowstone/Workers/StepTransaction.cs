using System.Data;
using Flowstone.Data;
using Flowstone.Executions;
using Flowstone.Tenancy;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Workers;

/// <summary>A step's effects and its record in one transaction.</summary>
static class StepTransaction
{
    // The same guards as a record by the queue: the fencing number under the lock of the queue's row, and a step that is running. The lock
    // comes last, so that renewals wait for a commit at most.
    const string Record = """
        with held as materialized (
            select q.tenant_id, q.execution_id from flowstone.execution_queue q
             where q.shard_key = $1 and q.execution_id = $2 and q.tenant_id = $3 and q.fence = $4 for update),
        bodies as (
            insert into flowstone.payloads (tenant_id, execution_id, hash, content_type, encoding, size_bytes, body)
            select h.tenant_id, h.execution_id, $10, $11, $12, $13, $14 from held h where $10 is not null
            on conflict do nothing),
        finished as (
            update flowstone.node_executions n set status = 'SUCCESS', finished_at = greatest(n.started_at, $8), output = $9
              from held h
             where n.tenant_id = h.tenant_id and n.execution_id = h.execution_id and n.node = $5 and n.iteration = $6 and n.attempt = $7 and n.status = 'RUNNING'
            returning 1)
        select (select count(*) from held)::int, (select count(*) from finished)::int
        """;

    /// <exception cref="ConflictException">The lease is lost, or the step does not run any more. The effects are rolled back.</exception>
    public static async Task<PayloadBody?> RunAsync(
        NpgsqlDataSource database, StepAttempt step, int node, ExecutionLease lease, TimeProvider clock, Func<StepAttempt, NpgsqlTransaction, Task<PayloadBody?>> run)
    {
        await using var connection = await database.OpenConnectionAsync(step.CancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(IsolationLevel.ReadCommitted, step.CancellationToken);
        var output = await run(step, transaction);
        await RecordAsync(connection, step, node, lease, clock, output);
        await transaction.CommitAsync(CancellationToken.None);
        return output;
    }

    static async Task RecordAsync(NpgsqlConnection connection, StepAttempt step, int node, ExecutionLease lease, TimeProvider clock, PayloadBody? output)
    {
        var (role, tenants) = await SettingsAsync(connection);
        var payloads = new PayloadRows();
        var name = payloads.Add(output);
        var body = payloads.Rows.SingleOrDefault();
        await using var batch = connection.CreateBatch();
        batch.BatchCommands.Add(new NpgsqlBatchCommand(Database.SetRole(TenantPolicies.AppRole)));
        batch.BatchCommands.Add(new NpgsqlBatchCommand(Database.SetTenants(lease.TenantId.ToString())));
        batch.BatchCommands.Add(new Statement(Record,
            P(lease.ShardKey), P(lease.ExecutionId), P(lease.TenantId), P(lease.Fence), P(node), P(step.Iteration), P(step.Attempt), P(clock.Now()), P(name?.Stored),
            P(body?.Hash), P(body?.ContentType), P(body is null ? null : EnumText<PayloadEncoding>.Of(body.Encoding)), P(body?.SizeBytes), P(body?.Body)).ToCommand());
        // What the caller's constraints and triggers do at the commit, they do as the caller.
        batch.BatchCommands.Add(new Statement("select set_config('role', $1, true), set_config('flowstone.tenants', $2, true)", P(role), P(tenants)).ToCommand());

        var (held, finished) = (0, 0);
        await using (var reader = await batch.ExecuteReaderAsync(CancellationToken.None))
            await Database.ReadToEndAsync(reader, row =>
            {
                if (row.GetFieldType(0) == typeof(int))
                    (held, finished) = (row.GetInt32(0), row.GetInt32(1));
            }, CancellationToken.None);
        if (held == 0)
            throw lease.Lost();
        if (finished == 0)
            throw new ConflictException($"Step {step.NodeId} of execution {lease.ExecutionId} does not run any more; its effects were rolled back.");
    }

    static async Task<(string Role, string Tenants)> SettingsAsync(NpgsqlConnection connection)
    {
        await using var ask = new NpgsqlCommand("select current_setting('role'), coalesce(current_setting('flowstone.tenants', true), '')", connection);
        await using var reader = await ask.ExecuteReaderAsync(CancellationToken.None);
        await reader.ReadAsync(CancellationToken.None);
        return (reader.GetString(0), reader.GetString(1));
    }
}
