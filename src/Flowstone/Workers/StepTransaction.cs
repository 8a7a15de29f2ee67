using System.Data;
using Flowstone.Executions;
using Npgsql;

namespace Flowstone.Workers;

/// <summary>A step's effects and its record in one transaction.</summary>
static class StepTransaction
{
    /// <exception cref="ConflictException">The lease is lost, or the step does not run any more. The effects are rolled back.</exception>
    public static async Task<PayloadBody?> RunAsync(
        NpgsqlDataSource database, StepAttempt step, ExecutionQueue queue, ExecutionLease lease, Func<StepAttempt, NpgsqlTransaction, Task<PayloadBody?>> run)
    {
        await using var connection = await database.OpenConnectionAsync(step.CancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(IsolationLevel.ReadCommitted, step.CancellationToken);
        var output = await run(step, transaction);

        // Last, so that renewals of the lease wait for no more than the commit.
        await queue.RecordAsync(lease, [], [new NodeFinish
        {
            NodeId = step.NodeId, Iteration = step.Iteration, Attempt = step.Attempt, Status = ExecutionStatus.Success, Output = output,
        }], transaction, CancellationToken.None);
        await transaction.CommitAsync(CancellationToken.None);
        return output;
    }
}
