using Flowstone.Tenancy;
using Flowstone.Workflows;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Flowstone.Executions;

/// <summary>Executions that ended together: written by the transaction that ended them, folded into <see cref="ExecutionStatistics"/> later.</summary>
sealed record ExecutionDelta : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required Guid DeltaId { get; init; }
    public required Id<Workflow> WorkflowId { get; init; }

    /// <summary>The hour, in UTC, in which they ended.</summary>
    public required DateTimeOffset Hour { get; init; }

    public required ExecutionStatus Status { get; init; }

    /// <summary>A class of durations: <see cref="DurationBucket"/>.</summary>
    public required short Bucket { get; init; }

    public required int Executions { get; init; }
    public required long DurationMs { get; init; }
    public required long WaitMs { get; init; }
}

/// <summary>How many executions of a workflow ended in an hour, how, and in how long. Rows of several hours or workflows add up.</summary>
sealed record ExecutionStatistics : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required Id<Workflow> WorkflowId { get; init; }
    public required DateTimeOffset Hour { get; init; }
    public required ExecutionStatus Status { get; init; }
    public required short Bucket { get; init; }
    public required long Executions { get; init; }
    public required long DurationMs { get; init; }
    public required long WaitMs { get; init; }
}

sealed class ExecutionDeltaMapping : IEntityTypeConfiguration<ExecutionDelta>
{
    public void Configure(EntityTypeBuilder<ExecutionDelta> delta)
    {
        delta.ToTable("execution_deltas");
        delta.HasKey(d => new { d.TenantId, d.DeltaId });
    }
}

sealed class ExecutionStatisticsMapping : IEntityTypeConfiguration<ExecutionStatistics>
{
    public void Configure(EntityTypeBuilder<ExecutionStatistics> statistics)
    {
        statistics.ToTable("execution_statistics");
        statistics.HasKey(s => new { s.TenantId, s.WorkflowId, s.Hour, s.Status, s.Bucket });
    }
}

/// <summary>
/// Classes of durations for mergeable histograms: each is 4 % wider than the one before, so a percentile read from them is within 2 %.
/// </summary>
static class DurationBucket
{
    const double Growth = 1.04;

    /// <summary>The class of a number of milliseconds, as an SQL expression; 0 is up to one millisecond.</summary>
    public const string OfMilliseconds = "ceil(ln(greatest(ms, 1)) / ln(1.04))::smallint";

    /// <summary>The middle of a class, in milliseconds.</summary>
    public static double Middle(short bucket) => bucket == 0 ? 0.5 : (Math.Pow(Growth, bucket) + Math.Pow(Growth, bucket - 1)) / 2;
}
