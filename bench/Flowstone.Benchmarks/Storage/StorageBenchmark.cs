using System.Globalization;
using Flowstone.Benchmarks.Peers;
using Flowstone.Benchmarks.Runs;

namespace Flowstone.Benchmarks.Storage;

/// <summary>
/// How many bytes does a run take on disk? The same runs, with the payloads of <c>flowstone simulate</c>, are written by Flowstone's API and
/// by the original's statements into the original's tables; then both are vacuumed, and measured with their indexes and TOAST.
/// </summary>
static class StorageBenchmark
{
    const string FlowstoneSize = """
        select coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind = 'r' and (n.nspname = 'flowstone_partitions' or (n.nspname = 'flowstone' and c.relname like 'execution%') or c.relname = 'write_marks')
        """;

    const string OriginalSize = "select pg_total_relation_size('workflow_executions') + pg_total_relation_size('node_executions')";

    public static async Task RunAsync(Settings settings)
    {
        var runs = settings.Executions > 0 ? settings.Executions : 5_000;
        await using var server = await BenchmarkServer.StartAsync(settings.Database);
        var report = await Report.BeginAsync("storage", settings, server);
        var ours = await RunsDatabase.CreateAsync(server, settings with { Fresh = true });
        var nothing = await server.ScalarAsync<long>(ours.Name, FlowstoneSize);
        var callers = settings.InFlight[0];
        await using (var writer = new FlowstoneStorage(ours, settings.Pool))
        {
            await ForEachAsync(runs, callers, writer.StartAsync);
            await ForEachAsync(runs, callers, _ => writer.RunOneAsync());
        }
        await server.ExecuteAsync(ours.Name, "vacuum (analyze)");

        // PostgreSQL's own default of TOAST compression, which packs tighter than the lz4 that Flowstone's embedded server sets.
        foreach (var id in new[] { "text", "uuid" })
        {
            await server.CreatePeerDatabaseAsync($"original_{id}", Original.Schema(id));
            await server.ExecuteAsync("postgres", $"alter database original_{id} set default_toast_compression = 'pglz'");
            await using (var writer = await OriginalStorage.ConnectAsync(server, $"original_{id}", id))
                await ForEachAsync(runs, callers, writer.RunAsync);
            await server.ExecuteAsync($"original_{id}", "vacuum (analyze)");
        }

        var (text, uuid) = (await SizeAsync("original_text", OriginalSize), await SizeAsync("original_uuid", OriginalSize));
        var flowstone = await SizeAsync(ours.Name, FlowstoneSize) - nothing;
        var written = StoredRun.BytesOf(runs);
        report.Add($"{runs:N0} runs of ten nodes; {written / runs / 1024.0:N1} KiB of JSON each, counted once per input and output.");
        var table = new Table("", "bytes a run", "of the original's");
        table.Add("original, text ids (Prisma's default)", Bytes(text), Figures.Ratio(1));
        table.Add("original, uuid ids", Bytes(uuid), Figures.Ratio((double)uuid / text));
        table.Add("flowstone", Bytes(flowstone), $"{Figures.Ratio((double)flowstone / text)} ({Figures.Ratio((double)flowstone / uuid)} of uuid)");
        report.Add(table);
        report.Add(await DetailAsync(server, ours.Name, runs));
        await report.EndAsync();

        Task<long> SizeAsync(string database, string sql) => server.ScalarAsync<long>(database, sql);

        string Bytes(long bytes) => ((double)bytes / runs).ToString("N0", CultureInfo.InvariantCulture);
    }

    static Task ForEachAsync(int runs, int callers, Func<int, Task> write)
        => Parallel.ForEachAsync(Enumerable.Range(0, runs), new ParallelOptions { MaxDegreeOfParallelism = callers }, async (run, _) => await write(run));

    /// <summary>Where Flowstone's bytes are.</summary>
    static async Task<Table> DetailAsync(BenchmarkServer server, string database, int runs)
    {
        var table = new Table("flowstone's bytes a run", "rows", "indexes");
        foreach (var parent in new[] { "executions", "node_executions", "payloads" })
        {
            var rows = await server.ScalarAsync<long>(database, $"select sum(pg_table_size(inhrelid))::bigint from pg_inherits where inhparent = 'flowstone.{parent}'::regclass");
            var indexes = await server.ScalarAsync<long>(database, $"select sum(pg_indexes_size(inhrelid))::bigint from pg_inherits where inhparent = 'flowstone.{parent}'::regclass");
            table.Add(parent, $"{rows / runs:N0}", $"{indexes / runs:N0}");
        }
        return table;
    }
}
