using System.CommandLine;
using Flowstone.Cli.Simulation;

namespace Flowstone.Cli;

/// <summary><c>flowstone simulate</c>: load as users make it, and a check that all of it was kept.</summary>
static class SimulateCommand
{
    // A PostgreSQL of its own takes 97; more workers than that share.
    const int MostConnections = 64;

    public static Command Create()
    {
        var executions = new Option<int>("--executions", "-n") { Description = "How many executions to start.", DefaultValueFactory = _ => 1000 };
        var duration = new Option<int?>("--duration") { Description = "Start executions for so many seconds, instead of a number of them.", HelpName = "seconds" };
        var workers = new Option<int>("--workers", "-w") { Description = "Worker loops at the same time, each with a database connection, up to 64.", DefaultValueFactory = _ => 8 };
        var tenants = new Option<int>("--tenants") { Description = "Use the first so many tenants that have workflows.", DefaultValueFactory = _ => 1 };
        var tenant = new Option<string[]>("--tenant") { Description = "Use this tenant; may be repeated.", HelpName = "slug" };
        var seed = new Option<long>("--seed") { Description = "The same seed and workflows make the same load.", DefaultValueFactory = _ => 1 };
        var failures = new Option<double>("--failure-rate") { Description = "Of each try of a node, 0 to 1.", DefaultValueFactory = _ => 0.02 };
        var attempts = new Option<int>("--max-attempts") { Description = "A node that failed so often fails its execution.", DefaultValueFactory = _ => 3 };
        var lease = new Option<int>("--lease") { Description = "How long a worker may be silent before another takes over, 1 to 3,600.", HelpName = "seconds", DefaultValueFactory = _ => 30 };
        var readBack = new Option<double>("--read-back") { Description = "Of how many executions the check reads all payloads, 0 to 1.", DefaultValueFactory = _ => 0.05 };
        var journal = new Option<FileInfo?>("--journal") { Description = "Append every acknowledged event to this file.", HelpName = "file" };
        var check = new Option<FileInfo?>("--check") { Description = "After a crash: work off what is left, and verify every event of this journal.", HelpName = "file" };
        var json = new Option<bool>("--json") { Description = "The result as one JSON object." };
        var command = new Command("simulate", "Run executions of the stored workflows as fast as they go, then check that every row is as it must be.")
        {
            executions, duration, workers, tenants, tenant, seed, failures, attempts, lease, readBack, journal, check, json,
        }.WithExample("flowstone simulate -n 5000 -w 16 --journal run.journal");
        Range(executions, 0, int.MaxValue);
        Range(workers, 1, 1000);
        Range(tenants, 1, int.MaxValue);
        Range(failures, 0, 1);
        Range(attempts, 1, 1000);
        Range(lease, 1, 3600);
        Range(readBack, 0, 1);
        command.Validators.Add(result =>
        {
            if (result.GetValue(duration) is <= 0)
                result.AddError("--duration must be 1 or more.");
            if (result.GetValue(check) is not null && result.GetValue(journal) is not null)
                result.AddError("--check reads a journal, --journal writes one: give one of the two.");
            if (result.GetValue(check) is { Exists: false } missing)
                result.AddError($"There is no file {missing.FullName}.");
        });
        command.SetAction(async (arguments, cancellationToken) =>
        {
            var options = new SimulationOptions
            {
                Executions = arguments.GetValue(executions),
                Duration = arguments.GetValue(duration) is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
                Workers = arguments.GetValue(workers),
                Tenants = arguments.GetValue(tenants),
                TenantSlugs = arguments.GetValue(tenant) ?? [],
                Seed = arguments.GetValue(seed),
                FailureRate = arguments.GetValue(failures),
                MaxAttempts = arguments.GetValue(attempts),
                Lease = TimeSpan.FromSeconds(arguments.GetValue(lease)),
                ReadBack = arguments.GetValue(readBack),
                Journal = arguments.GetValue(journal)?.FullName,
            };
            var output = new SimulateOutput(arguments.InvocationConfiguration.Output, arguments.GetValue(json));
            await using var open = await OpenStore.OpenAsync(arguments, cancellationToken, connections: Math.Min(options.Workers + 6, MostConnections));   // starters and renewals want some, too
            var simulator = new Simulator(open.Store, options);
            return arguments.GetValue(check) is { } file
                ? output.Write(await output.WatchAsync(simulator.Measurements, total: null, simulator.CheckAsync(file.FullName, cancellationToken)))
                : output.Write(await output.WatchAsync(simulator.Measurements, options.Duration is null ? options.Executions : null, simulator.RunAsync(cancellationToken)));
        });
        return command;
    }

    static void Range<T>(Option<T> option, T least, T most) where T : IComparable<T>
        => option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<T>() is { } value && (value.CompareTo(least) < 0 || value.CompareTo(most) > 0))
                result.AddError(FormattableString.Invariant($"{option.Name} must be {least} to {most}."));
        });
}
