namespace Flowstone.CrashTest;

/// <summary>What was done to the system.</summary>
sealed class Disturbances
{
    readonly int[] boundaries = new int[Enum.GetValues<Boundary>().Length];
    readonly HashSet<KillPoint> places = [];
    readonly Lock gate = new();
    int atRandom, postgres, server, pauses;

    public int Kills => boundaries.Sum() + atRandom + postgres + server;

    public int Places
    {
        get
        {
            lock (gate)
                return places.Count;
        }
    }

    public int AtRandom => atRandom;
    public int Postgres => postgres;
    public int Server => server;
    public int Pauses => pauses;

    /// <summary>Executions that nobody took over within 5 s after their lease, and what the database did when the first was seen.</summary>
    public List<string> Stuck { get; } = [];

    /// <summary>The longest that an execution lay after its lease had run out.</summary>
    public TimeSpan LongestTakeOver { get; set; }

    public int At(Boundary boundary) => boundaries[(int)boundary];

    public void Died(KillPoint point)
    {
        if (point.Boundary is not { } boundary)
        {
            Interlocked.Increment(ref atRandom);
            return;
        }
        lock (gate)
        {
            boundaries[(int)boundary]++;
            places.Add(point);
        }
    }

    public void PostgresDied() => Interlocked.Increment(ref postgres);

    public void ServerDied() => Interlocked.Increment(ref server);

    public void Paused() => Interlocked.Increment(ref pauses);
}
