using System.Data;
using Npgsql;

namespace Flowstone.Benchmarks.Backlog;

/// <summary>A repeatable-read transaction that stays open: a dump, a report, somebody's forgotten session.</summary>
sealed class Snapshot : IAsyncDisposable
{
    readonly NpgsqlConnection connection;

    Snapshot(NpgsqlConnection connection) => this.connection = connection;

    public static async Task<Snapshot> HoldAsync(BenchmarkServer server, string database)
    {
        var snapshot = new Snapshot(new NpgsqlConnection(server.Superuser(database)));
        await snapshot.connection.OpenAsync();
        var transaction = await snapshot.connection.BeginTransactionAsync(IsolationLevel.RepeatableRead);
        await using var first = new NpgsqlCommand("select 1", snapshot.connection, transaction);   // takes the snapshot
        await first.ExecuteNonQueryAsync();
        return snapshot;
    }

    public ValueTask DisposeAsync() => connection.DisposeAsync();
}
