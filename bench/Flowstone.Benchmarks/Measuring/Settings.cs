using System.CommandLine;

namespace Flowstone.Benchmarks;

/// <summary>What every benchmark can be told.</summary>
sealed record Settings
{
    static readonly Option<string?> database = New<string?>("--database", "A PostgreSQL to measure on, as superuser: postgres://user:password@host/postgres. Default: a throw-away one.", null);
    static readonly Option<int> rounds = New("--rounds", "Rounds per side.", 5);
    static readonly Option<double> seconds = New("--seconds", "Length of a round.", 5.0);
    static readonly Option<int[]> inFlight = New<int[]>("--in-flight", "Callers at the same time; several are measured one after the other.", []);
    static readonly Option<int> pool = New("--pool", "Connections of Flowstone's store.", 10);
    static readonly Option<int[]> floorConnections = New<int[]>("--floor-connections", "Connections of the hand-written group commit; of several, the best counts.", [1, 2]);
    static readonly Option<int> writers = New("--writers", "Connections of Flowstone's group commit.", new FlowstoneOptions { ConnectionString = "" }.Writers);
    static readonly Option<int> peerPool = New("--peer-pool", "Connections of every peer.", 10);
    static readonly Option<int> backlog = New("--backlog", "backlog: executions that wait in the queue.", 2_000_000);
    static readonly Option<double> snapshotMinutes = New("--snapshot-minutes", "backlog: how long a snapshot is held under load.", 10.0);
    static readonly Option<int> executions = New("--executions", "history, storage: how many are stored. Default 1,000,000 and 5,000.", 0);
    static readonly Option<double> patience = New("--patience", "How many minutes a round waits for a quiet machine before it begins all the same.", 0.5);
    static readonly Option<string[]> only = New<string[]>("--only", "Measure only these sides: for a profiler.", []);
    static readonly Option<bool> fresh = New("--fresh", "Without history and statistics: as in the first minute of a new database.", false);
    static readonly Option<bool> save = New("--save", "Write the figures into bench/results.md.", false);

    public static IEnumerable<Option> Options =>
        [database, rounds, seconds, inFlight, pool, writers, floorConnections, peerPool, backlog, snapshotMinutes, executions, patience, only, fresh, save];

    public string? Database { get; init; }
    public int Rounds { get; init; }
    public double Seconds { get; init; }
    public required int[] InFlight { get; init; }
    public int Pool { get; init; }
    public required int[] FloorConnections { get; init; }
    public int Writers { get; init; }
    public int PeerPool { get; init; }
    public int Backlog { get; init; }
    public TimeSpan Snapshot { get; init; }

    /// <summary>0 is the benchmark's own default.</summary>
    public int Executions { get; init; }

    public TimeSpan Patience { get; init; }
    public string[] Only { get; init; } = [];
    public bool Fresh { get; init; }
    public bool Save { get; init; }

    public bool Measures(string side) => Only.Length == 0 || Only.Contains(side);

    /// <param name="levels">Callers at the same time, unless others are asked for.</param>
    public static Settings From(ParseResult arguments, int[] levels) => new()
    {
        Database = arguments.GetValue(database),
        Rounds = arguments.GetValue(rounds),
        Seconds = arguments.GetValue(seconds),
        InFlight = arguments.GetValue(inFlight) is [_, ..] asked ? asked : levels,
        Pool = arguments.GetValue(pool),
        Writers = arguments.GetValue(writers),
        FloorConnections = arguments.GetValue(floorConnections)!,
        PeerPool = arguments.GetValue(peerPool),
        Backlog = arguments.GetValue(backlog),
        Snapshot = TimeSpan.FromMinutes(arguments.GetValue(snapshotMinutes)),
        Executions = arguments.GetValue(executions),
        Patience = TimeSpan.FromMinutes(arguments.GetValue(patience)),
        Only = arguments.GetValue(only)!,
        Fresh = arguments.GetValue(fresh),
        Save = arguments.GetValue(save),
    };

    static Option<T> New<T>(string name, string description, T standard)
        => new(name) { Description = description, DefaultValueFactory = _ => standard, Recursive = true, AllowMultipleArgumentsPerToken = typeof(T).IsArray };
}
