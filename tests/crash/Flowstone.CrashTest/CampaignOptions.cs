using System.Globalization;

namespace Flowstone.CrashTest;

/// <summary>A guard that is broken on purpose, to see that the campaign finds it.</summary>
enum Sabotage
{
    None,

    /// <summary>Workers ignore their fencing number: they write with the newest one.</summary>
    Fence,

    /// <summary>Effects are committed before the step's record, not with it.</summary>
    Transaction,

    /// <summary>Writes count as acknowledged before they are.</summary>
    Journal,
}

sealed record CampaignOptions
{
    public const string Usage = "crash-test [POINTS] [--workers N] [--seed N] | crash-test --fencing [RUNS] [--seed N] | crash-test --rotation [VALUES] | crash-test --editors [SAVES] [--seed N] | crash-test --schedules [SCHEDULES] [--seed N]";

    /// <summary>How many kills; with <see cref="Fencing"/>, how many runs; with <see cref="Rotation"/>, how many values; with <see cref="Editors"/>, how many saves; with <see cref="Schedules"/>, how many schedules.</summary>
    public int Count { get; init; }

    public bool Fencing { get; init; }
    public bool Rotation { get; init; }
    public bool Editors { get; init; }
    public bool Schedules { get; init; }
    public Sabotage Break { get; init; }
    public int Workers { get; init; } = 4;
    public int Seed { get; init; } = 1;

    /// <summary>One kill of PostgreSQL, and one of the server, comes with so many of workers.</summary>
    public int OthersEvery { get; init; } = 50;

    public static CampaignOptions? Parse(string[] args)
    {
        var options = new CampaignOptions { Count = 1000 };
        for (var i = 0; i < args.Length; i++)
        {
            switch (args[i])
            {
                case "--fencing":
                    options = options with { Fencing = true, Count = 200_000 };
                    break;
                case "--rotation":
                    options = options with { Rotation = true, Count = 200_000 };
                    break;
                case "--editors":
                    options = options with { Editors = true, Count = 2_000 };
                    break;
                case "--schedules":
                    options = options with { Schedules = true, Count = 2_000 };
                    break;
                case "--break" when i + 1 < args.Length && Enum.TryParse<Sabotage>(args[++i], ignoreCase: true, out var guard):
                    options = options with { Break = guard };
                    break;
                case "--workers" when i + 1 < args.Length && Number(args[++i]) is { } workers:
                    options = options with { Workers = workers };
                    break;
                case "--seed" when i + 1 < args.Length && Number(args[++i]) is { } seed:
                    options = options with { Seed = seed };
                    break;
                case "--others-every" when i + 1 < args.Length && Number(args[++i]) is { } others:
                    options = options with { OthersEvery = others };
                    break;
                case var text when Number(text) is { } count:
                    options = options with { Count = count };
                    break;
                default:
                    return null;
            }
        }
        return options;
    }

    static int? Number(string text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0 ? number : null;
}
