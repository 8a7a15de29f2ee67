using Npgsql;

namespace Flowstone.Benchmarks.Runs;

/// <summary>A transaction of one tenant in one round trip, prepared as a whole, whose parameters are taken from an input.</summary>
sealed class PreparedTransaction<TInput> : IAsyncDisposable
{
    /// <summary>For a session whose statements only look up by key: a plan made on an empty table must not stay a scan.</summary>
    public const string PlanSettings = "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_bitmapscan=off -c enable_hashjoin=off"
        + " -c enable_mergejoin=off -c enable_material=off -c jit=off";

    readonly NpgsqlBatch batch;
    readonly List<Action<TInput>> inputs = [];
    readonly List<(NpgsqlBatchCommand Command, Func<TInput, int> Rows)> expected = [];

    /// <param name="marked">Whether it stores a mark, by which a caller whose connection is lost can learn whether it was committed.</param>
    public PreparedTransaction(NpgsqlConnection connection, Id<Tenancy.Tenant> tenant, bool marked = true)
    {
        batch = connection.CreateBatch();
        Add("begin");
        Add("set local role flowstone_app");
        Add($"set local flowstone.tenants = '{tenant}'");
        if (marked)
            Add("insert into flowstone.write_marks (tenant_id, group_id) values ($1, $2)", Value(tenant.Value), Input(Guid.Empty, _ => Id<Executions.Execution>.New(TimeProvider.System).Value));
    }

    public static NpgsqlParameter<T> Value<T>(T value) => new("", value);

    /// <summary>A parameter that the input brings.</summary>
    public NpgsqlParameter<T> Input<T>(T example, Func<TInput, T> pick)
    {
        var parameter = Value(example);
        inputs.Add(input => parameter.TypedValue = pick(input));
        return parameter;
    }

    public void Add(string text, params IEnumerable<NpgsqlParameter> parameters)
    {
        var command = new NpgsqlBatchCommand(text);
        foreach (var parameter in parameters)
            command.Parameters.Add(parameter);
        batch.BatchCommands.Add(command);
    }

    /// <param name="rows">How many rows it must affect; a benchmark that lost something is over.</param>
    public void Add(string text, Func<TInput, int> rows, params IEnumerable<NpgsqlParameter> parameters)
    {
        Add(text, parameters);
        expected.Add((batch.BatchCommands[^1], rows));
    }

    public async Task<PreparedTransaction<TInput>> PrepareAsync()
    {
        Add("commit");
        await SessionAsync("set role flowstone_app");   // the login alone may not even name a table
        await batch.PrepareAsync();
        await SessionAsync("reset role");
        return this;
    }

    async Task SessionAsync(string sql)
    {
        await using var command = new NpgsqlCommand(sql, batch.Connection);
        await command.ExecuteNonQueryAsync();
    }

    /// <param name="read">The rows of the statement that returns some.</param>
    public async Task CommitAsync(TInput input, Func<NpgsqlDataReader, Task>? read = null)
    {
        foreach (var set in inputs)
            set(input);
        await using (var reader = await batch.ExecuteReaderAsync())
        {
            if (read is not null)
                await read(reader);
            while (await reader.NextResultAsync())
            {
                // To the very end, where alone a failed commit tells of itself.
            }
        }
        foreach (var (command, rows) in expected)
            if ((int)command.RecordsAffected != rows(input))
                throw new InvalidOperationException($"{command.RecordsAffected} rows instead of {rows(input)}: {command.CommandText}");
    }

    public ValueTask DisposeAsync() => batch.DisposeAsync();
}
