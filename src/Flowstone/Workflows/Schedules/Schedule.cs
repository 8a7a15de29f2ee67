using System.Text.Json;
using Flowstone.Executions;
using Flowstone.Tenancy;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Flowstone.Workflows;

/// <summary>What happens at a due time while the execution of the one before still runs.</summary>
public enum OverlapRule
{
    /// <summary>Another one is started.</summary>
    Allow,

    /// <summary>None is; the ledger says why.</summary>
    Skip,
}

/// <summary>What happens to due times that nobody could fire, because all servers were down.</summary>
public enum MissedPolicy
{
    /// <summary>Nothing.</summary>
    Skip,

    /// <summary>The latest one is fired, unless a later one is due just now.</summary>
    Latest,

    /// <summary>All are fired, the oldest first, up to the schedule's limit; of more, the latest.</summary>
    All,
}

/// <summary>When a workflow is started by itself: by a cron expression in a time zone, or every so many seconds.</summary>
public sealed record Schedule : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required Id<Schedule> Id { get; init; }
    public required Id<Workflow> WorkflowId { get; init; }
    public required string Name { get; init; }

    /// <summary>Null for one that goes by an interval.</summary>
    public string? Cron { get; init; }

    public long? IntervalSeconds { get; init; }

    /// <summary>As IANA names it; its summer time is followed.</summary>
    public required string TimeZone { get; init; }

    /// <summary>Each due time is fired up to so many seconds later, always the same for the same one.</summary>
    public required int JitterSeconds { get; init; }

    public required OverlapRule Overlap { get; init; }
    public required MissedPolicy Missed { get; init; }

    /// <summary>How many missed ones ALL fires.</summary>
    public required int MissedLimit { get; init; }

    /// <summary>What executions get; null is an object with <c>scheduleId</c> and <c>dueAt</c>.</summary>
    public JsonElement? Input { get; init; }

    /// <summary>Whether it fires.</summary>
    public required bool Active { get; init; }

    /// <summary>Not before this; intervals are counted from here.</summary>
    public required DateTimeOffset StartsAt { get; init; }

    /// <summary>Not after this; null is never.</summary>
    public DateTimeOffset? EndsAt { get; init; }

    /// <summary>The next due time; null where it is paused, or has ended.</summary>
    public DateTimeOffset? NextDueAt { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset UpdatedAt { get; init; }

    /// <summary>Expression and zone, or the interval, in one line.</summary>
    internal string When => Cron is not null ? $"{Cron}  {TimeZone}" : $"every {TimeSpan.FromSeconds(IntervalSeconds ?? 0):c}";
}

public enum FiringOutcome
{
    /// <summary>It started an execution.</summary>
    Fired,

    /// <summary>No server was there in time.</summary>
    Missed,

    /// <summary>It was not to be started: the one before still runs, or the workflow is paused.</summary>
    Skipped,
}

/// <summary>What became of a due time.</summary>
public sealed record ScheduleFiring : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required Id<Schedule> ScheduleId { get; init; }
    public required DateTimeOffset DueAt { get; init; }
    public required FiringOutcome Outcome { get; init; }

    /// <summary>Why it was not fired.</summary>
    public string? Reason { get; init; }

    public Id<Execution>? ExecutionId { get; init; }

    /// <summary>More than one where a long outage is told in one entry.</summary>
    public required int DueTimes { get; init; }

    /// <summary>The last of them.</summary>
    public DateTimeOffset? Until { get; init; }

    /// <summary>When it was fired, or found out.</summary>
    public required DateTimeOffset At { get; init; }
}

/// <summary>A schedule as it is made or changed.</summary>
public sealed record NewSchedule
{
    public required string Name { get; init; }

    /// <summary>Five fields as crontab has them, or Quartz's six or seven with seconds first; or <see cref="IntervalSeconds"/>.</summary>
    public string? Cron { get; init; }

    /// <summary>1 second to 366 days.</summary>
    public long? IntervalSeconds { get; init; }

    /// <summary>As IANA names it: <c>Europe/Berlin</c>. Default UTC.</summary>
    public string TimeZone { get; init; } = "UTC";

    /// <summary>0 to 86,400; default 0.</summary>
    public int JitterSeconds { get; init; }

    public OverlapRule Overlap { get; init; }
    public MissedPolicy Missed { get; init; } = MissedPolicy.Latest;

    /// <summary>1 to 1,000; default 100.</summary>
    public int MissedLimit { get; init; } = 100;

    public JsonElement? Input { get; init; }
    public bool Active { get; init; } = true;

    /// <summary>Null is now.</summary>
    public DateTimeOffset? StartsAt { get; init; }

    public DateTimeOffset? EndsAt { get; init; }
}

sealed class ScheduleMapping : IEntityTypeConfiguration<Schedule>
{
    public const int LongestCron = 200, LongestZone = 64;

    public void Configure(EntityTypeBuilder<Schedule> schedule)
    {
        schedule.ToTable("schedules", table => table.HasCheckConstraint("ck_schedules_kind", "(cron is null) <> (interval_seconds is null)"));
        schedule.HasKey(s => new { s.TenantId, s.Id });
        schedule.HasOne<Workflow>().WithMany().HasForeignKey(s => new { s.TenantId, s.WorkflowId }).OnDelete(DeleteBehavior.Cascade);
        schedule.Property(s => s.Name).HasMaxLength(255);
        schedule.Property(s => s.Cron).HasMaxLength(LongestCron);
        schedule.Property(s => s.TimeZone).HasMaxLength(LongestZone);

        // The due time with its jitter, and the execution that the last one started.
        schedule.Property<DateTimeOffset?>("FireAt");
        schedule.Property<Guid?>("LastExecutionId");

        // A workflow's schedules.
        schedule.HasIndex(s => new { s.TenantId, s.WorkflowId, s.Id }).HasDatabaseName("ix_schedules_by_workflow");

        // ScheduleRunner: what is due, whosever it is.
        schedule.HasIndex("FireAt").HasDatabaseName("ix_schedules_due").HasFilter("fire_at is not null");
    }
}

sealed class ScheduleFiringMapping : IEntityTypeConfiguration<ScheduleFiring>
{
    public void Configure(EntityTypeBuilder<ScheduleFiring> firing)
    {
        firing.ToTable("schedule_firings");
        firing.HasKey(f => new { f.TenantId, f.ScheduleId, f.DueAt });
        firing.HasOne<Schedule>().WithMany().HasForeignKey(f => new { f.TenantId, f.ScheduleId }).OnDelete(DeleteBehavior.Cascade);
        firing.Property(f => f.Reason).HasMaxLength(500);

        // ScheduleRunner.ForgetAsync.
        firing.HasIndex(f => new { f.TenantId, f.At }).HasDatabaseName("ix_schedule_firings_by_time");
    }
}
