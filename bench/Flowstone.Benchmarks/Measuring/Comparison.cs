using System.Diagnostics;
using System.Globalization;

namespace Flowstone.Benchmarks;

/// <summary>Sides that are measured in turns, round by round, so that whatever disturbs the machine disturbs all of them.</summary>
sealed class Comparison(BenchmarkServer server, string database, Settings settings)
{
    /// <param name="sides">Name, and what one caller does over and over.</param>
    /// <returns>The rounds of each side, in the order of the sides.</returns>
    public async Task<IReadOnlyList<Round>[]> RunAsync(int callers, IReadOnlyList<(string Name, Func<Task> Once)> sides)
    {
        var rounds = sides.Select(_ => new List<Round>()).ToArray();
        foreach (var (_, once) in sides)
            await Callers.RunAsync(callers, TimeSpan.FromSeconds(Math.Min(2, settings.Seconds)), once);
        if (!settings.Fresh)
            await server.AnalyzeAsync(database);
        for (var round = 0; round < settings.Rounds; round++)
            for (var turn = 0; turn < sides.Count; turn++)
            {
                // Every other round backwards: who goes first has no advantage.
                var side = round % 2 == 0 ? turn : sides.Count - 1 - turn;
                rounds[side].Add(await MeasureAsync(callers, sides[side].Once));
                Print($"  {callers,4} in flight, round {round + 1}: {sides[side].Name,-12}{Tell(rounds[side][^1])}");
            }
        return rounds;
    }

    async Task<Round> MeasureAsync(int callers, Func<Task> once)
    {
        await server.CheckpointAsync();
        var idle = await Machine.SettleAsync();
        var before = await server.CountersAsync(database);
        var (ticks, client) = (Machine.Ticks.Now(), Process.GetCurrentProcess().TotalProcessorTime);
        var (perSecond, p50, p99) = await Callers.RunAsync(callers, TimeSpan.FromSeconds(settings.Seconds), once);
        var stolen = Machine.Ticks.Now().StolenSince(ticks);
        var used = Process.GetCurrentProcess().TotalProcessorTime - client;
        var after = await server.CountersAsync(database);
        var done = Math.Max(1, perSecond * settings.Seconds);
        return new Round(perSecond, p50, p99, idle, stolen,
            new Cost((after.Commits - before.Commits) / done, (after.WalBytes - before.WalBytes) / done, used / done, (after.Server - before.Server) / done));
    }

    static string Tell(Round round)
        => string.Create(CultureInfo.InvariantCulture,
            $"{round.PerSecond,9:N1}/s  p50 {round.P50.TotalMilliseconds,7:N2} ms  p99 {round.P99.TotalMilliseconds,7:N2} ms  "
            + $"{round.Cost!.Commits,6:N2} commits, {round.Cost.WalBytes / 1024,5:N1} KiB WAL, CPU client {round.Cost.Client.TotalMilliseconds,5:N2} + server {round.Cost.Server.TotalMilliseconds,5:N2} ms each"
            + $"  (others {round.Idle:P0}, stolen {round.Stolen:P0})");

    public static void Print(string line) => Console.WriteLine(line);
}

static class Medians
{
    public static double Of(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return sorted.Length % 2 == 1 ? sorted[sorted.Length / 2] : (sorted[(sorted.Length / 2) - 1] + sorted[sorted.Length / 2]) / 2;
    }

    public static double PerSecond(this IEnumerable<Round> rounds) => Of(rounds.Select(round => round.PerSecond));

    /// <summary>Round by round, so that a disturbance that lasts longer than a round falls out.</summary>
    public static double Ratio(IReadOnlyList<Round> rounds, IReadOnlyList<Round> against)
        => Of(rounds.Zip(against, (a, b) => a.PerSecond / Math.Max(b.PerSecond, 1e-9)));
}
