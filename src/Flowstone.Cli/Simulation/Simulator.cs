using System.Diagnostics;
using System.Security.Cryptography;
using Flowstone.Executions;

namespace Flowstone.Cli.Simulation;

/// <summary>What a simulation did.</summary>
/// <param name="Interrupted">It was stopped before its end: some executions may be left for the next worker.</param>
/// <param name="Elapsed">From the first start to the last finish, without the check.</param>
sealed record SimulationReport(SimulationOptions Options, bool Interrupted, TimeSpan Elapsed, Measurements Measurements, CheckReport Check);

/// <summary>What was found after a crash.</summary>
sealed record JournalReport(JournalFile Journal, TimeSpan Elapsed, Measurements Measurements, CheckReport Check);

/// <summary>Runs load against a store and checks afterwards that the store kept all of it. One object, one run.</summary>
sealed class Simulator(FlowstoneStore store, SimulationOptions options)
{
    static readonly TimeSpan Look = TimeSpan.FromSeconds(1);

    readonly string session = RandomNumberGenerator.GetHexString(12, lowercase: true);

    // What others have finished is looked up by one worker at a time, and not at each idle turn.
    int looking;
    long looked;

    public Measurements Measurements { get; } = new();

    /// <summary>Starts executions, works them off, checks.</summary>
    /// <param name="stop">Start no more, finish the steps at hand, check what there is.</param>
    /// <exception cref="SimulationException">There is nothing to run, or somebody else's work is in the way.</exception>
    /// <exception cref="UnavailableException">The database stayed away for longer than <see cref="SimulationOptions.Patience"/>.</exception>
    public async Task<SimulationReport> RunAsync(CancellationToken stop)
    {
        var catalog = await new Patience(options.Patience, Measurements).AskAsync(() => WorkflowCatalog.LoadAsync(store, options, CancellationToken.None), stop);
        var ledger = new Ledger(session);
        await using var journal = options.Journal is { } path ? Journal.Append(path, session, options) : null;
        var crew = new Crew(store, catalog, options, ledger, journal, Measurements);

        using var halt = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var begin = Stopwatch.GetTimestamp();
        var starting = HaltOnFailureAsync(new Starter(crew).RunAsync(halt.Token), halt);
        var working = HaltOnFailureAsync(NewWorkers(crew).RunAsync(AllDoneAsync, halt.Token, CancellationToken.None), halt);
        await Task.WhenAll(starting, working);
        var elapsed = Stopwatch.GetElapsedTime(begin);

        var interrupted = stop.IsCancellationRequested && !ledger.AllFinished;
        var check = await new ResultCheck(crew, new HashSet<string> { session }, whole: !interrupted).RunAsync(Expected(ledger), CancellationToken.None);
        return new SimulationReport(options, interrupted, elapsed, Measurements, check);

        async Task<bool> AllDoneAsync()
        {
            if (!starting.IsCompleted)
                return false;
            await LookAsync(() => FindFinishedByOthersAsync(crew));
            return ledger.AllFinished;
        }
    }

    /// <summary>After a crash of this program or of the database: works off what was left, then checks all that was acknowledged.</summary>
    /// <exception cref="SimulationException">The file is not a journal, or somebody else's work is in the way.</exception>
    public async Task<JournalReport> CheckAsync(string journalPath, CancellationToken stop)
    {
        var journal = JournalFile.Read(journalPath);
        var crew = new Crew(store, WorkflowCatalog.Of(store, journal.Runs.Select(r => r.Tenant)), options, new Ledger(session), journal: null, Measurements);
        var begin = Stopwatch.GetTimestamp();
        if (journal.Runs.Count > 0)
        {
            var done = false;
            var since = journal.Runs.Min(r => r.Execution).CreatedAt - TimeSpan.FromMinutes(1);
            await NewWorkers(crew).RunAsync(async () =>
            {
                await LookAsync(async () => done = await NothingUnderWayAsync(crew, since));
                return done;
            }, stop, CancellationToken.None);
        }
        var elapsed = Stopwatch.GetElapsedTime(begin);
        var check = await new ResultCheck(crew, journal.Sessions, whole: !stop.IsCancellationRequested).RunAsync(journal.Runs, CancellationToken.None);
        return new JournalReport(journal, elapsed, Measurements, check);
    }

    SimulationWorkers NewWorkers(Crew crew) => new(crew, $"simulate-{Environment.ProcessId}-{session}");

    IReadOnlyCollection<JournalRun> Expected(Ledger ledger)
        => [.. ledger.Started.Select(start => new JournalRun(start.Tenant, start.Execution)
        {
            Started = (start, new SimulatedRun(session, options.Seed, start.Ordinal, options.FailureRate, options.MaxAttempts)),
        })];

    static async Task HaltOnFailureAsync(Task task, CancellationTokenSource halt)
    {
        try
        {
            await task;
        }
        catch
        {
            await halt.CancelAsync();
            throw;
        }
    }

    async Task LookAsync(Func<Task> look)
    {
        if (Stopwatch.GetElapsedTime(Volatile.Read(ref looked)) < Look || Interlocked.Exchange(ref looking, 1) == 1)
            return;
        try
        {
            await look();
            Volatile.Write(ref looked, Stopwatch.GetTimestamp());
        }
        finally
        {
            Volatile.Write(ref looking, 0);
        }
    }

    static async Task FindFinishedByOthersAsync(Crew crew)
    {
        foreach (var run in crew.Ledger.Open)
        {
            var found = await crew.Patience.AskAsync(() => crew.Catalog.Scope(run.Tenant).Executions.FindAsync(run.Execution), CancellationToken.None);
            if (found?.FinishedAt is not null)
                crew.Ledger.Finish(crew.Ledger.Session, run.Ordinal);
        }
    }

    static async Task<bool> NothingUnderWayAsync(Crew crew, DateTimeOffset since)
    {
        foreach (var tenant in crew.Catalog.TenantIds)
        {
            var counts = await crew.Patience.AskAsync(() => crew.Catalog.Scope(tenant).Executions.CountByStatusAsync(since), CancellationToken.None);
            if (counts.Keys.Any(status => status is ExecutionStatus.Pending or ExecutionStatus.Running or ExecutionStatus.Waiting))
                return false;
        }
        return true;
    }
}
