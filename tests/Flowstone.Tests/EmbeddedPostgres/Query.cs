using Npgsql;

namespace Flowstone.Tests.EmbeddedPostgres;

static class Query
{
    /// <summary>The first value of a statement's result, as text; on a connection that is closed at once.</summary>
    public static async Task<string?> AskAsync(this Flowstone.EmbeddedPostgres postgres, string sql)
    {
        await using var connection = new NpgsqlConnection(postgres.ConnectionString() + ";Pooling=false");
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return Convert.ToString(await command.ExecuteScalarAsync());
    }
}
