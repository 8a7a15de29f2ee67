using System.Globalization;

namespace Flowstone.Benchmarks;

/// <summary>Sides that are measured in turns, round by round, so that whatever disturbs the machine disturbs all of them.</summary>
sealed class Comparison(BenchmarkServer server, Settings settings)
{
    /// <summary>Others on the machine may use so much of it during a round; else the round is measured again, for all sides.</summary>
    const double Disturbed = 0.15;

    /// <returns>The rounds of each side, by its name.</returns>
    public async Task<Dictionary<string, IReadOnlyList<Round>>> RunAsync(int callers, IReadOnlyList<Side> sides)
    {
        var rounds = sides.ToDictionary(side => side.Name, _ => new List<Round>());
        // Twice: code that runs often is compiled again, better, after a while.
        for (var time = 0; time < 2; time++)
            foreach (var side in sides)
                await side.RunAsync(callers, TimeSpan.FromSeconds(Math.Min(4, settings.Seconds)));
        var again = settings.Rounds;
        for (var round = 0; round < settings.Rounds;)
        {
            // Every other round backwards: who goes first has no advantage.
            foreach (var side in round % 2 == 0 ? sides : sides.Reverse())
            {
                var taken = await MeasureAsync(callers, side);
                rounds[side.Name].Add(taken);
                Console.WriteLine($"  {callers,4} in flight, round {round + 1}: {side.Name,-12}{Tell(taken)}");
            }
            if (again > 0 && rounds.Values.Any(taken => taken[^1].Others > Disturbed))
            {
                again--;
                Console.WriteLine("  disturbed by others: this round again");
                foreach (var taken in rounds.Values)
                    taken.RemoveAt(taken.Count - 1);
            }
            else
            {
                round++;
            }
        }
        return rounds.ToDictionary(side => side.Key, side => (IReadOnlyList<Round>)side.Value);
    }

    async Task<Round> MeasureAsync(int callers, Side side)
    {
        await server.CheckpointAsync();
        await Machine.SettleAsync(settings.Patience);
        var before = await server.CountersAsync();
        var ticks = Machine.Ticks.Now();
        var load = await side.RunAsync(callers, TimeSpan.FromSeconds(settings.Seconds));
        var whole = Machine.Ticks.Now().Since(ticks);
        var after = await server.CountersAsync();
        var done = load.Completed;
        var cost = new Cost((after.Commits - before.Commits) / done, (after.WalBytes - before.WalBytes) / done, load.Cpu / done, (after.Server - before.Server) / done);
        return new Round(load.PerSecond, load.P50, load.P99, Math.Max(0, whole.Busy - ((load.Cpu + after.Server - before.Server) / whole.Capacity)), whole.Stolen, cost);
    }

    static string Tell(Round round)
        => string.Create(CultureInfo.InvariantCulture,
            $"{round.PerSecond,9:N1}/s  p50 {round.P50.TotalMilliseconds,7:N2} ms  p99 {round.P99.TotalMilliseconds,7:N2} ms  each "
            + $"{round.Cost.Commits,5:N2} commits, {round.Cost.WalBytes / 1024,5:N1} KiB WAL, CPU {round.Cost.Client.TotalMilliseconds,5:N2} + {round.Cost.Server.TotalMilliseconds,5:N2} ms"
            + $"  (others {round.Others:P0}, stolen {round.Stolen:P0})");
}

/// <summary>What a table says of rounds: medians. Of a side that was not measured, nothing.</summary>
static class Figures
{
    public static string PerSecond(IReadOnlyList<Round>? rounds) => rounds is null ? "" : Number(Median(rounds.Select(round => round.PerSecond)));

    public static string Milliseconds(IReadOnlyList<Round>? rounds, Func<Round, TimeSpan> pick)
        => rounds is null ? "" : Number(Median(rounds.Select(round => pick(round).TotalMilliseconds)));

    /// <summary>The median of the ratios round by round, so that a disturbance that lasts longer than a round falls out.</summary>
    public static string Ratio(IReadOnlyList<Round>? rounds, IReadOnlyList<Round>? against)
        => rounds is null || against is null ? ""
            : Ratio(Median(rounds.Zip(against, (a, b) => a.PerSecond / Math.Max(b.PerSecond, 1e-9))));

    public static string Ratio(double ratio) => ratio.ToString(ratio < 10 ? "0.00" : "0.0", CultureInfo.InvariantCulture);

    /// <summary>Of those that were measured, the one that did most.</summary>
    public static IReadOnlyList<Round>? Best(IEnumerable<IReadOnlyList<Round>?> sides)
        => sides.OfType<IReadOnlyList<Round>>().MaxBy(rounds => Median(rounds.Select(round => round.PerSecond)));

    public static string Number(double value) => value.ToString(value < 100 ? "N1" : "N0", CultureInfo.InvariantCulture);

    public static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return sorted.Length % 2 == 1 ? sorted[sorted.Length / 2] : (sorted[(sorted.Length / 2) - 1] + sorted[sorted.Length / 2]) / 2;
    }
}
