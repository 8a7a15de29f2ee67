using Flowstone.Executions;
using Npgsql;

namespace Flowstone.Benchmarks.History;

/// <summary>The floor of reading: prepared statements that name their columns, one round trip each, under the same role and policies.</summary>
sealed class HistoryQueries : IAsyncDisposable
{
    const string Columns = """
        tenant_id, id, workflow_id, workflow_version, status, reason, error, trigger, priority, started_by, created_at, due_at, started_at, finished_at, claims, input, output
        """;

    const string OfWorkflow = $"select {Columns} from flowstone.executions where tenant_id = $1 and workflow_id = $2 order by id desc limit $3";
    const string OfTenant = $"select {Columns} from flowstone.executions where tenant_id = $1 and id < $2 order by id desc limit $3";
    const string One = $"select {Columns} from flowstone.executions where tenant_id = $1 and id = $2";
    const string Steps = """
        select node, iteration, attempt, status, reason, error, started_at, finished_at, input, output from flowstone.node_executions
         where tenant_id = $1 and execution_id = $2 order by started_at, iteration, node, attempt
        """;

    static readonly Guid newest = new(Enumerable.Repeat((byte)0xff, 16).ToArray());

    readonly NpgsqlDataSource source;

    public HistoryQueries(BenchmarkServer server, string database)
        => source = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(server.Application(database)) { Pooling = true, MaxAutoPrepare = 256, AutoPrepareMinUsages = 1 });

    public Task<List<object>> OfWorkflowAsync(HistorySamples.Sample sample, int limit) => ReadAsync(sample, (OfWorkflow, [sample.WorkflowId.Value, limit], Execution));

    public Task<List<object>> OfTenantAsync(HistorySamples.Sample sample, int limit, Id<Execution>? below = null)
        => ReadAsync(sample, (OfTenant, [below?.Value ?? newest, limit], Execution));

    public Task<List<object>> TimelineAsync(HistorySamples.Sample sample)
        => ReadAsync(sample, (One, [sample.ExecutionId.Value], Execution), (Steps, [sample.ExecutionId.Value], Step));

    async Task<List<object>> ReadAsync(HistorySamples.Sample sample, params (string Sql, object[] Values, Func<NpgsqlDataReader, object> Read)[] statements)
    {
        await using var connection = await source.OpenConnectionAsync();
        await using var batch = connection.CreateBatch();
        foreach (var text in new[] { "begin", "set local role flowstone_app", $"set local flowstone.tenants = '{sample.TenantId}'" })
            batch.BatchCommands.Add(new NpgsqlBatchCommand(text));
        foreach (var (sql, values, _) in statements)
        {
            var command = new NpgsqlBatchCommand(sql) { Parameters = { new NpgsqlParameter<Guid> { TypedValue = sample.TenantId.Value } } };
            foreach (var value in values)
                command.Parameters.Add(value is Guid id ? new NpgsqlParameter<Guid> { TypedValue = id } : new NpgsqlParameter<int> { TypedValue = (int)value });
            batch.BatchCommands.Add(command);
        }
        batch.BatchCommands.Add(new NpgsqlBatchCommand("commit"));
        var rows = new List<object>();
        await using var reader = await batch.ExecuteReaderAsync();
        foreach (var (_, _, read) in statements)
        {
            while (await reader.ReadAsync())
                rows.Add(read(reader));
            await reader.NextResultAsync();
        }
        return rows;
    }

    static object Execution(NpgsqlDataReader row) => (row.GetGuid(0), row.GetGuid(1), row.GetGuid(2), row.GetInt32(3), row.GetString(4), Text(row, 5), Text(row, 6), row.GetString(7),
        row.GetInt16(8), row.IsDBNull(9) ? null : (Guid?)row.GetGuid(9), Time(row, 10), Time(row, 11), Time(row, 12), Time(row, 13), row.GetInt32(14), Bytes(row, 15), Bytes(row, 16));

    static object Step(NpgsqlDataReader row)
        => (row.GetInt32(0), row.GetInt32(1), row.GetInt16(2), row.GetString(3), Text(row, 4), Text(row, 5), Time(row, 6), Time(row, 7), Bytes(row, 8), Bytes(row, 9));

    static string? Text(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);

    static DateTimeOffset? Time(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetFieldValue<DateTimeOffset>(column);

    static byte[]? Bytes(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetFieldValue<byte[]>(column);

    public ValueTask DisposeAsync() => source.DisposeAsync();
}
