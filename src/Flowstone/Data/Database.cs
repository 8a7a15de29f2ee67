using System.Data;
using Flowstone.Tenancy;
using Npgsql;

namespace Flowstone.Data;

/// <summary>
/// The database as one role sees it. The role is taken per transaction, as the tenant is: whoever signs in has no right of his own,
/// one pool serves all roles, and a transaction-mode pooler may stand between.
/// </summary>
/// <param name="role">One of <see cref="TenantPolicies"/>' roles.</param>
sealed class Database(NpgsqlDataSource source, string role)
{
    /// <summary>
    /// For statements that only look up by key, to go before them: a new partition has no statistics, and a plan made on an empty one
    /// would read it whole for ever. And one plan for all: to plan such a statement takes longer than to run it.
    /// </summary>
    public const string ByKeyOnly = """
        select 3, set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true), set_config('enable_hashjoin', 'off', true),
               set_config('enable_mergejoin', 'off', true), set_config('plan_cache_mode', 'force_generic_plan', true)
        """;

    /// <summary>
    /// The same before a search, whose best plan hangs on what is asked for; what it finds is soon told, so nothing is worth compiling, nor other processes.
    /// </summary>
    public const string ForSearch = """
        select set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
               set_config('plan_cache_mode', 'force_custom_plan', true), set_config('jit', 'off', true), set_config('max_parallel_workers_per_gather', '0', true)
        """;

    public NpgsqlDataSource Source => source;

    /// <summary>
    /// Runs the statements as one transaction in one round trip: <c>begin</c>, role and tenants, the statements, <c>commit</c>.
    /// Both are set by <c>set local</c>, which Citus passes on to its workers (design section 3).
    /// </summary>
    /// <param name="tenants">Guids in "D" form with commas between; with the role the only thing ever interpolated.</param>
    /// <param name="read">Is called once per row of the statement that returns rows.</param>
    /// <returns>Rows affected, per statement.</returns>
    public async Task<int[]> TransactAsync(
        string? tenants, IReadOnlyList<Statement> statements, Action<NpgsqlDataReader>? read, CancellationToken cancellationToken)
    {
        var sent = false;
        try
        {
            await using var connection = await source.OpenConnectionAsync(cancellationToken);
            await using var batch = connection.CreateBatch();
            Begin(batch, tenants);
            var first = batch.BatchCommands.Count;
            foreach (var statement in statements)
                batch.BatchCommands.Add(statement.ToCommand());
            batch.BatchCommands.Add(new NpgsqlBatchCommand("commit"));
            sent = true;
            await using (var reader = await batch.ExecuteReaderAsync(CommandBehavior.Default, cancellationToken))
                await ReadToEndAsync(reader, read, cancellationToken);
            return [.. Enumerable.Range(first, statements.Count).Select(i => (int)batch.BatchCommands[i].RecordsAffected)];
        }
        catch (Exception error) when (PostgresErrors.Explain(error) is { } explained)
        {
            throw !sent && explained is UnavailableException { OutcomeUnknown: true }
                ? new UnavailableException("The database cannot be reached; nothing was stored: try again.", error) : explained;
        }
    }

    /// <summary>Runs the statements within somebody else's transaction, whose role and tenants are as before afterwards.</summary>
    public async Task WithinAsync(
        NpgsqlTransaction transaction, string tenants, IReadOnlyList<Statement> statements, Action<NpgsqlDataReader> read, CancellationToken cancellationToken)
    {
        var connection = transaction.Connection ?? throw new InvalidInputException("transaction", "has ended.");
        string formerRole, formerTenants;
        await using (var former = new NpgsqlCommand("select current_setting('role'), coalesce(current_setting('flowstone.tenants', true), '')", connection, transaction))
        await using (var reader = await former.ExecuteReaderAsync(cancellationToken))
        {
            await reader.ReadAsync(cancellationToken);
            (formerRole, formerTenants) = (reader.GetString(0), reader.GetString(1));
        }
        await using var batch = new NpgsqlBatch(connection, transaction);
        batch.BatchCommands.Add(new NpgsqlBatchCommand(SetRole(role)));
        batch.BatchCommands.Add(new NpgsqlBatchCommand(SetTenants(tenants)));
        foreach (var statement in statements)
            batch.BatchCommands.Add(statement.ToCommand());
        batch.BatchCommands.Add(new Statement("select 3, set_config('role', $1, true), set_config('flowstone.tenants', $2, true)", Sql.P(formerRole), Sql.P(formerTenants)).ToCommand());
        await using var results = await batch.ExecuteReaderAsync(cancellationToken);
        await ReadToEndAsync(results, read, cancellationToken);
    }

    /// <summary>Adds to a batch what opens a transaction.</summary>
    public void Begin(NpgsqlBatch batch, string? tenants)
    {
        batch.BatchCommands.Add(new NpgsqlBatchCommand("begin"));
        batch.BatchCommands.Add(new NpgsqlBatchCommand(SetRole(role)));
        if (tenants is not null)
            batch.BatchCommands.Add(new NpgsqlBatchCommand(SetTenants(tenants)));
    }

    /// <summary>Reads to the very end, where alone a failed commit tells of itself.</summary>
    public static async Task ReadToEndAsync(NpgsqlDataReader reader, Action<NpgsqlDataReader>? read, CancellationToken cancellationToken)
    {
        do
        {
            while (await reader.ReadAsync(cancellationToken))
                read?.Invoke(reader);
        }
        while (await reader.NextResultAsync(cancellationToken));
    }

    public static string SetRole(string role) => $"set local role {role}";

    public static string SetTenants(string tenants) => $"set local flowstone.tenants = '{tenants}'";
}
