using System.Globalization;
using Flowstone.Benchmarks.Runs;
using Flowstone.Executions;
using Npgsql;
using NpgsqlTypes;

namespace Flowstone.Benchmarks.Storage;

/// <summary>
/// Writes runs with payloads as the original's repositories do: rows are created and then updated, and every input and output is JSON in the row.
/// What it also could store (trigger data, execution data, metadata) is left out.
/// </summary>
sealed class OriginalStorage : IAsyncDisposable
{
    readonly NpgsqlDataSource source;
    readonly Func<object> newId;
    readonly object user, workflow;

    OriginalStorage(NpgsqlDataSource source, Func<object> newId)
    {
        (this.source, this.newId) = (source, newId);
        (user, workflow) = (newId(), newId());
    }

    public static async Task<OriginalStorage> ConnectAsync(BenchmarkServer server, string database, string id)
    {
        var source = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(server.Superuser(database)) { Pooling = true, MaxAutoPrepare = 16, AutoPrepareMinUsages = 1 });
        var storage = new OriginalStorage(source, id == "text" ? Text : Uuid);
        await storage.ExecuteAsync("insert into users (id, email) values ($1, 'bench@example.com')", storage.user);
        await storage.ExecuteAsync("""insert into workflows (id, name, "userId") values ($1, 'Ten steps', $2)""", storage.workflow, storage.user);
        return storage;

        static object Uuid() => Id<Execution>.New(TimeProvider.System).Value;

        // Prisma's text ids (cuid) have 25 characters and sort by time, as these do.
        static object Text() => $"c{Uuid():N}"[..25];
    }

    public async Task RunAsync(int number)
    {
        using var run = new StoredRun(number);
        var execution = newId();
        await ExecuteAsync("""insert into workflow_executions (id, "workflowId", "userId", "inputData") values ($1, $2, $3, $4)""", execution, workflow, user, run.Input);
        await ExecuteAsync("update workflow_executions set status = 'RUNNING' where id = $1", execution);
        for (var i = 0; i < RunsDatabase.Nodes; i++)
        {
            var node = newId();
            await ExecuteAsync("""
                insert into node_executions (id, "executionId", "nodeId", "nodeName", "nodeType", status, "inputData") values ($1, $2, $3, $4, 'bench.step', 'RUNNING', $5)
                """, node, execution, RunsDatabase.NodeId(i), string.Create(CultureInfo.InvariantCulture, $"Step {i}"), run.InputOf(i));
            await ExecuteAsync("""
                update node_executions set status = 'SUCCESS', "finishedAt" = now(), duration = 5, "outputData" = $2 where id = $1
                """, node, run.OutputOf(i));
        }
        await ExecuteAsync("""update workflow_executions set status = 'SUCCESS', "finishedAt" = now(), duration = 50, "outputData" = $2 where id = $1""", execution, run.Output);
    }

    async Task ExecuteAsync(string sql, params object[] values)
    {
        await using var command = source.CreateCommand(sql);
        foreach (var value in values)
            command.Parameters.Add(value is PayloadBody body
                ? new NpgsqlParameter { Value = body.Bytes.ToArray(), NpgsqlDbType = NpgsqlDbType.Jsonb } : new NpgsqlParameter { Value = value });
        await command.ExecuteNonQueryAsync();
    }

    public ValueTask DisposeAsync() => source.DisposeAsync();
}
