using Flowstone.Data;
using Npgsql;

namespace Flowstone.Executions;

public sealed partial class ExecutionRepository
{
    // Rows per statement: more bring no more speed, and a statement's arrays are held in memory on both sides.
    const int AtOnce = 2000;

    /// <summary>Starts many executions in one transaction, all or none.</summary>
    /// <remarks>By arrays, not by COPY: PostgreSQL refuses COPY into a table with row-level security.</remarks>
    /// <param name="requests">At most 100,000, without dedup keys.</param>
    /// <exception cref="NotFoundException">A workflow, version or parent is not there; nothing was started.</exception>
    public async Task<IReadOnlyList<Id<Execution>>> StartManyAsync(IReadOnlyList<NewExecution> requests, CancellationToken cancellationToken = default)
    {
        if (requests.Count > 100_000)
            throw new InvalidInputException("requests", "must be at most 100,000 at once.");
        for (var i = 0; i < requests.Count; i++)
            if (requests[i].DedupKey is not null)
                throw new InvalidInputException($"requests[{i}].dedupKey", "can only be given with a single start.");
        await RequireStartAsync(requests, cancellationToken);
        var starts = new List<StartCall>(requests.Count);
        foreach (var request in requests)
            starts.Add(await PrepareAsync(request, cancellationToken));
        await using var connection = await database.Source.OpenConnectionAsync(cancellationToken);
        try
        {
            await using (var transaction = await connection.BeginTransactionAsync(cancellationToken))
            {
                foreach (var chunk in starts.Chunk(AtOnce))
                    await StartAsync(chunk, transaction, cancellationToken);
                await transaction.CommitAsync(cancellationToken);
            }
        }
        catch (Exception error) when (PostgresErrors.Explain(error) is { } explained)
        {
            throw explained;
        }
        Tell(starts);
        return starts.ConvertAll(start => start.ExecutionId);
    }

    /// <summary>
    /// Starts an execution within a transaction of the caller's, on the same database: it is there if, and only if, that commits.
    /// The transaction's own role and settings are as before afterwards.
    /// </summary>
    /// <param name="transaction">Of somebody who may become <c>flowstone_app</c>.</param>
    /// <exception cref="NotFoundException">This tenant has no such workflow, version or parent. The transaction can be rolled back, or go on without.</exception>
    public async Task<Execution> StartAsync(NewExecution request, NpgsqlTransaction transaction, CancellationToken cancellationToken = default)
    {
        await RequireStartAsync([request], cancellationToken);
        var start = await PrepareAsync(request, cancellationToken);
        try
        {
            await StartAsync([start], transaction, cancellationToken);
        }
        catch (Exception error) when (PostgresErrors.Explain(error) is { } explained)
        {
            throw explained;
        }
        return start.Version is { } version ? start.Execution with { WorkflowVersion = version }
            : await FindByDedupKeyAsync(request.DedupKey!, cancellationToken) ?? throw start.NoWorkflow;
    }

    /// <summary>Starts several within a transaction of this library's. After its commit: <see cref="Tell"/>.</summary>
    internal async Task<IReadOnlyList<StartCall>> StartAsync(IReadOnlyList<NewExecution> requests, NpgsqlTransaction transaction, CancellationToken cancellationToken)
    {
        var starts = new List<StartCall>(requests.Count);
        foreach (var request in requests)
            starts.Add(await PrepareAsync(request, cancellationToken));
        await StartAsync(starts, transaction, cancellationToken);
        return starts;
    }

    /// <summary>Lets this process's workers know of what was started and committed.</summary>
    internal void Tell(IEnumerable<StartCall> starts) => lanes.Add(starts.Select(s => new QueuedWork(s.TenantId, s.Execution.Priority, s.Request.DueAt)), clock.Now());

    async Task StartAsync(IReadOnlyList<StartCall> starts, NpgsqlTransaction transaction, CancellationToken cancellationToken)
    {
        var group = new WriteGroup(starts, clock);
        await database.WithinAsync(transaction, group.Statements(), group.Learn, cancellationToken);
        foreach (var start in starts)
            if (start.Refusal is { } refusal)
                throw refusal;
    }
}
