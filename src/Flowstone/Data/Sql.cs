using System.Data;
using Npgsql;
using NpgsqlTypes;

namespace Flowstone.Data;

/// <summary>A hand-written statement with its parameters, <c>$1</c> first.</summary>
readonly record struct Statement(string Text, params NpgsqlParameter[] Parameters);

/// <summary>What hand-written SQL needs: typed parameters, and one round trip for a whole transaction.</summary>
static class Sql
{
    /// <summary>A parameter whose type is known even where its value is null.</summary>
    public static NpgsqlParameter P<T>(T value) => new NpgsqlParameter<T> { TypedValue = value };

    public static NpgsqlParameter P<T>(Id<T> value) => new NpgsqlParameter<Guid> { TypedValue = value.Value };

    public static NpgsqlParameter P<T>(Id<T>? value) => new NpgsqlParameter<Guid?> { TypedValue = value?.Value };

    public static NpgsqlParameter Json(byte[]? utf8) => new() { Value = (object?)utf8 ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Jsonb };

    /// <summary>
    /// Runs the statements as one transaction in one round trip: <c>begin</c>, the tenants, the statements, <c>commit</c>.
    /// The tenants go by <c>set local</c>, so that a transaction-mode pooler works and Citus passes them on (design section 3).
    /// </summary>
    /// <param name="tenants">Guids in "D" form with commas between; the only thing ever interpolated.</param>
    /// <param name="read">Is called once per row of the statement that returns rows.</param>
    /// <returns>Rows affected, per statement.</returns>
    public static async Task<int[]> TransactAsync(
        this NpgsqlDataSource database, string? tenants, IReadOnlyList<Statement> statements, Action<NpgsqlDataReader>? read, CancellationToken cancellationToken)
    {
        try
        {
            await using var connection = await database.OpenConnectionAsync(cancellationToken);
            await using var batch = connection.CreateBatch();
            batch.BatchCommands.Add(new NpgsqlBatchCommand("begin"));
            if (tenants is not null)
                batch.BatchCommands.Add(new NpgsqlBatchCommand(SetTenants(tenants)));
            var first = batch.BatchCommands.Count;
            foreach (var statement in statements)
            {
                var command = new NpgsqlBatchCommand(statement.Text);
                foreach (var parameter in statement.Parameters)
                    command.Parameters.Add(parameter);
                batch.BatchCommands.Add(command);
            }
            batch.BatchCommands.Add(new NpgsqlBatchCommand("commit"));

            // Read to the very end: a commit that fails says so only there.
            await using (var reader = await batch.ExecuteReaderAsync(CommandBehavior.Default, cancellationToken))
            {
                do
                {
                    while (await reader.ReadAsync(cancellationToken))
                        read?.Invoke(reader);
                }
                while (await reader.NextResultAsync(cancellationToken));
            }
            return [.. Enumerable.Range(first, statements.Count).Select(i => (int)batch.BatchCommands[i].RecordsAffected)];
        }
        catch (Exception error) when (PostgresErrors.Explain(error) is { } explained)
        {
            throw explained;
        }
    }

    public static string SetTenants(string tenants) => $"set local flowstone.tenants = '{tenants}'";

    public static T? Get<T>(this NpgsqlDataReader row, int column) => row.IsDBNull(column) ? default : row.GetFieldValue<T>(column);
}
