using System.CommandLine;
using Flowstone.Benchmarks;
using Flowstone.Benchmarks.Peers;
using Flowstone.Benchmarks.Runs;

Option<string?> database = new("--database") { Description = "A PostgreSQL to measure on, as superuser: postgres://user:password@host/postgres. Default: a throw-away one.", Recursive = true };
Option<int> rounds = new("--rounds") { Description = "Rounds per side.", DefaultValueFactory = _ => 5, Recursive = true };
Option<double> seconds = new("--seconds") { Description = "Length of a round.", DefaultValueFactory = _ => 5, Recursive = true };
Option<int[]> inFlight = new("--in-flight") { Description = "Callers at the same time; several are measured one after the other.", AllowMultipleArgumentsPerToken = true, Recursive = true };
Option<int> pool = new("--pool") { Description = "Connections of Flowstone's store.", DefaultValueFactory = _ => 10, Recursive = true };
Option<int> floorConnections = new("--floor-connections") { Description = "Connections of the hand-written group commit.", DefaultValueFactory = _ => 2, Recursive = true };
Option<int> peerPool = new("--peer-pool") { Description = "Connections of every peer.", DefaultValueFactory = _ => 10, Recursive = true };
Option<string[]> only = new("--only") { Description = "Measure only these sides: for a profiler.", AllowMultipleArgumentsPerToken = true, Recursive = true };
Option<bool> fresh = new("--fresh") { Description = "Without history and statistics: as in the first minute of a new database.", Recursive = true };
Option<bool> save = new("--save") { Description = "Write the figures into bench/results.md.", Recursive = true };

var root = new RootCommand("Flowstone's benchmarks. Each asks a question and knows the hand-written floor.")
{
    database, rounds, seconds, inFlight, pool, floorConnections, peerPool, only, fresh, save,
    Benchmark("runs", "How many whole durable runs of ten nodes a second, against a hand-written group commit?", RunsBenchmark.RunAsync, 1, 8, 32, 256),
    Benchmark("jobs", "How many empty jobs a second: start, claim, finish?", RunsBenchmark.RunJobsAsync, 1, 32, 256),
    Benchmark("calls", "How long does one caller wait for each call, against plain prepared Npgsql?", CallsBenchmark.RunAsync, 1),
    Benchmark("peers", "What do DBOS, Prisma, graphile-worker and pg-boss do on the same PostgreSQL in the same minutes?", PeersBenchmark.RunAsync, 1, 8, 32, 256),
};
return await root.Parse(args).InvokeAsync();

Command Benchmark(string name, string question, Func<Settings, Task> run, params int[] levels)
{
    var command = new Command(name, question);
    command.SetAction(async arguments =>
    {
        var asked = arguments.GetValue(inFlight);
        await run(new Settings(arguments.GetValue(database), arguments.GetValue(rounds), arguments.GetValue(seconds), asked is [_, ..] ? asked : levels,
            arguments.GetValue(pool), arguments.GetValue(floorConnections), arguments.GetValue(peerPool), arguments.GetValue(only) ?? [], arguments.GetValue(fresh), arguments.GetValue(save)));
        return 0;
    });
    return command;
}
