using Flowstone.Executions;

namespace Flowstone.Workers;

/// <summary>How a step is run.</summary>
public sealed record StepOptions
{
    internal static readonly StepOptions Default = new();

    /// <summary>How often a loop has come round before: 0 outside of loops.</summary>
    public int Iteration { get; init; }

    /// <summary>Recorded with the step; read nowhere here.</summary>
    public PayloadBody? Input { get; init; }

    /// <summary>How long one attempt may take; it ends as TIMEOUT then. Null, the default, does not limit.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>How often it is tried, by whatever workers, until it has failed. Default 1.</summary>
    public int MaxAttempts { get; init; } = 1;

    /// <summary>The pause after the first failed attempt; it doubles with each, up to a minute, give or take a quarter. Default 1 s.</summary>
    public TimeSpan Pause { get; init; } = TimeSpan.FromSeconds(1);

    internal TimeSpan PauseAfter(int tries)
    {
        var pause = Math.Min(Pause.TotalSeconds * Math.Pow(2, Math.Min(tries - 1, 30)), Math.Max(60, Pause.TotalSeconds));
        return TimeSpan.FromSeconds(pause * (0.75 + (0.5 * Random.Shared.NextDouble())));
    }
}

/// <summary>One attempt of one step, as the code that runs it sees it.</summary>
public sealed record StepAttempt
{
    public required string NodeId { get; init; }
    public required int Iteration { get; init; }

    /// <summary>1 for the first try. Grows with every start, that of a lost worker included.</summary>
    public required short Attempt { get; init; }

    /// <summary>
    /// The same for every attempt of this step of this execution, by whatever worker. Hand it to services outside of the database, which
    /// may be asked twice: after a crash nobody knows what they did. At most 64 characters.
    /// </summary>
    public required string IdempotencyKey { get; init; }

    /// <summary>Stop: the lease is lost, a time is up, or the worker ends.</summary>
    public required CancellationToken CancellationToken { get; init; }
}
