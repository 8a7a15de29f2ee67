using Flowstone.Data;
using Npgsql;

namespace Flowstone.Tenancy;

/// <summary>The database as one tenant sees it. Every call is one transaction in one round trip; <c>$1</c> of a statement is the tenant.</summary>
sealed class TenantDatabase(Database database, Id<Tenant> tenantId)
{
    readonly string tenants = tenantId.ToString();

    public Id<Tenant> TenantId => tenantId;

    /// <summary>For LINQ, which reads: filtered to the tenant, untracked.</summary>
    public async Task<T> ReadAsync<T>(Func<FlowstoneDb, Task<T>> query)
    {
        try
        {
            await using var db = new FlowstoneDb(FlowstoneDbOptions.For(database.Source), tenantId);
            return await query(db);
        }
        catch (Exception error) when (PostgresErrors.Explain(error) is { } explained)
        {
            throw explained;
        }
    }

    /// <returns>Rows affected.</returns>
    public async Task<int> ExecuteAsync(string sql, NpgsqlParameter[] parameters, CancellationToken cancellationToken)
        => (await database.TransactAsync(tenants, [WithTenant(sql, parameters)], read: null, cancellationToken))[0];

    public Task<int[]> ExecuteAsync(IEnumerable<(string Sql, NpgsqlParameter[] Parameters)> statements, CancellationToken cancellationToken)
        => database.TransactAsync(tenants, [.. statements.Select(s => WithTenant(s.Sql, s.Parameters))], read: null, cancellationToken);

    /// <param name="read">The rows of the last; those before only guard.</param>
    public Task<int[]> ExecuteAsync(IReadOnlyList<(string Sql, NpgsqlParameter[] Parameters)> statements, Action<NpgsqlDataReader> read, CancellationToken cancellationToken)
    {
        var guards = statements.Count - 1;   // each has one row
        return database.TransactAsync(tenants, [.. statements.Select(s => WithTenant(s.Sql, s.Parameters))], row =>
        {
            if (guards-- <= 0)
                read(row);
        }, cancellationToken);
    }

    public Task<List<T>> QueryAsync<T>(string sql, NpgsqlParameter[] parameters, Func<NpgsqlDataReader, T> read, CancellationToken cancellationToken)
        => QueryAsync([(sql, parameters)], read, cancellationToken);

    /// <param name="statements">Of which one returns rows.</param>
    public async Task<List<T>> QueryAsync<T>(
        IEnumerable<(string Sql, NpgsqlParameter[] Parameters)> statements, Func<NpgsqlDataReader, T> read, CancellationToken cancellationToken)
    {
        var rows = new List<T>();
        await database.TransactAsync(tenants, [.. statements.Select(s => WithTenant(s.Sql, s.Parameters))], row => rows.Add(read(row)), cancellationToken);
        return rows;
    }

    /// <summary>For lists and searches of big tables: planned for the values at hand, by key and index.</summary>
    public Task<List<T>> SearchAsync<T>(string sql, NpgsqlParameter[] parameters, Func<NpgsqlDataReader, T> read, CancellationToken cancellationToken)
        => QueryAsync(Database.ForSearch, sql, parameters, read, cancellationToken);

    /// <summary>For lists that are a walk along one key whatever is asked for: planned once. To plan such a statement takes longer than to run it.</summary>
    public Task<List<T>> WalkAsync<T>(string sql, NpgsqlParameter[] parameters, Func<NpgsqlDataReader, T> read, CancellationToken cancellationToken)
        => QueryAsync(Database.ByKeyOnly, sql, parameters, read, cancellationToken);

    async Task<List<T>> QueryAsync<T>(string planning, string sql, NpgsqlParameter[] parameters, Func<NpgsqlDataReader, T> read, CancellationToken cancellationToken)
    {
        var rows = new List<T>();
        var settings = true;   // their row comes first
        await database.TransactAsync(tenants, [new(planning), WithTenant(sql, parameters)], row =>
        {
            if (!settings)
                rows.Add(read(row));
            settings = false;
        }, cancellationToken);
        return rows;
    }

    public NpgsqlDataSource Source => database.Source;

    /// <param name="statements">As they are: with no tenant put before their parameters.</param>
    public Task WithinAsync(NpgsqlTransaction transaction, IReadOnlyList<Statement> statements, Action<NpgsqlDataReader> read, CancellationToken cancellationToken)
        => database.WithinAsync(transaction, tenants, statements, read, cancellationToken);

    Statement WithTenant(string sql, NpgsqlParameter[] parameters) => new(sql, [Sql.P(tenantId), .. parameters]);
}
