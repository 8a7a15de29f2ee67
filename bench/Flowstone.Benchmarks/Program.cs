using System.CommandLine;
using Flowstone.Benchmarks;
using Flowstone.Benchmarks.Backlog;
using Flowstone.Benchmarks.History;
using Flowstone.Benchmarks.Peers;
using Flowstone.Benchmarks.Runs;
using Flowstone.Benchmarks.Sealing;
using Flowstone.Benchmarks.SignIn;
using Flowstone.Benchmarks.Storage;
using Flowstone.Benchmarks.Workflows;

var root = new RootCommand("Flowstone's benchmarks. Each asks a question and knows the hand-written floor.")
{
    Benchmark("runs", "How many whole durable runs of ten nodes a second, against a hand-written group commit?", RunsBenchmark.RunAsync, 1, 8, 32, 256),
    Benchmark("jobs", "How many empty jobs a second: start, claim, finish?", RunsBenchmark.RunJobsAsync, 1, 32, 256),
    Benchmark("calls", "How long does one caller wait for each call, against plain prepared Npgsql?", CallsBenchmark.RunAsync, 1),
    Benchmark("peers", "What do DBOS, Prisma, graphile-worker and pg-boss do on the same PostgreSQL in the same minutes?", PeersBenchmark.RunAsync, 1, 8, 32, 256),
    Benchmark("backlog", "What do millions of queued executions, and a snapshot that stays open, cost? How long does another tenant wait?", BacklogBenchmark.RunAsync, 32, 256),
    Benchmark("history", "How long do lists and timelines take among a million executions, against hand-written queries?", HistoryBenchmark.RunAsync, 1),
    Benchmark("sign-in", "Does the time of a refused sign-in tell whose address is known? What does validating a session cost over a bare select?", SignInBenchmark.RunAsync, 1),
    Benchmark("workflows", "How long do lists, searches and 'who uses this' take among a hundred thousand workflows?", WorkflowsBenchmark.RunAsync, 1),
    Benchmark("storage", "How many bytes does a run take on disk, against the original's schema?", StorageBenchmark.RunAsync, 16),
    Benchmark("seal", "What does it cost to seal and to open a secret of 1 KB, against bare AesGcm?", SealBenchmark.RunAsync, 1),
};
foreach (var option in Settings.Options)
    root.Add(option);
return await root.Parse(args).InvokeAsync();

static Command Benchmark(string name, string question, Func<Settings, Task> run, params int[] levels)
{
    var command = new Command(name, question);
    command.SetAction(async arguments =>
    {
        await run(Settings.From(arguments, levels));
        return 0;
    });
    return command;
}
