namespace Flowstone.Cli.Simulation;

/// <summary>How much load, and of what kind.</summary>
sealed record SimulationOptions
{
    /// <summary>How many executions to start, unless <see cref="Duration"/> says for how long.</summary>
    public int Executions { get; init; } = 1000;

    /// <summary>Start executions for this long. What is started then is still finished.</summary>
    public TimeSpan? Duration { get; init; }

    /// <summary>Executions at the same time.</summary>
    public int Workers { get; init; } = 8;

    /// <summary>Starters at the same time; together they keep <see cref="Backlog"/> executions ahead of the workers.</summary>
    public int Starters => Math.Clamp(Workers / 4, 1, 8);

    public int Backlog => Workers * 8;

    /// <summary>Only these tenants; empty takes those that have workflows.</summary>
    public IReadOnlyList<string> TenantSlugs { get; init; } = [];

    /// <summary>At most so many tenants, by slug.</summary>
    public int? Tenants { get; init; } = 1;

    /// <summary>The same seed and the same workflows make the same load.</summary>
    public long Seed { get; init; } = 1;

    /// <summary>Of each try of a node, 0 to 1.</summary>
    public double FailureRate { get; init; } = 0.02;

    /// <summary>A node that failed so often fails its execution.</summary>
    public int MaxAttempts { get; init; } = 3;

    public TimeSpan Lease { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>A file to which every acknowledged event is appended; null writes none.</summary>
    public string? Journal { get; init; }

    /// <summary>Of how many executions the check reads every payload back, 0 to 1. Of the others it compares the hashes.</summary>
    public double ReadBack { get; init; } = 0.05;

    /// <summary>How long the database may be away before the simulation gives up.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromMinutes(2);
}

/// <summary>The simulation cannot go on; the message says why and what to do.</summary>
sealed class SimulationException(string message) : FlowstoneException(message);
