using Flowstone.Data;
using Flowstone.Tenancy;
using Npgsql;

namespace Flowstone.Executions;

public sealed partial class ExecutionQueue
{
    /// <summary>
    /// Records steps within a transaction of the caller's, on the same database: with the effects of that transaction, or not at all. Under the
    /// same guards as the other overload, whose locks are held until the transaction ends: call it last. The transaction's own role and
    /// settings are as before afterwards.
    /// </summary>
    /// <param name="transaction">Of somebody who may become <c>flowstone_app</c>; read committed.</param>
    /// <exception cref="ConflictException">The lease is lost, or a step was recorded before, or one finishes that was not started. Roll back.</exception>
    /// <exception cref="InvalidInputException">The version has no such node, or a key occurs twice.</exception>
    public async Task RecordAsync(
        ExecutionLease lease, IReadOnlyList<NodeStart> starts, IReadOnlyList<NodeFinish> finishes, NpgsqlTransaction transaction, CancellationToken cancellationToken = default)
    {
        Check([lease]);
        if (starts.Count + finishes.Count == 0)
            return;
        var database = new TenantDatabase(app, lease.TenantId);
        var defined = await nodes.GetAsync(database, lease.ExecutionId, cancellationToken);
        var rows = await payloads.OpenAsync(lease.TenantId, defined.WorkflowId, lease.ExecutionId, cancellationToken);
        var call = new RecordCall(lease, NodeWrites.Merge(starts, finishes, defined.ById, rows, clock.Now()), rows);
        await rows.ReadyAsync(database, cancellationToken);
        var group = new WriteGroup([call], clock);
        try
        {
            await database.WithinAsync(transaction, group.RecordStatements(), row =>
            {
                if (row.FieldCount > 1 && row.GetInt32(0) != SettingsPutBack)
                    group.Learn(row);
            }, cancellationToken);
        }
        catch (Exception error) when (PostgresErrors.Explain(error) is { } explained)
        {
            throw explained;
        }
        if (call.Refusal is { } refusal)
            throw refusal;
    }

    const int SettingsPutBack = 3;
}
