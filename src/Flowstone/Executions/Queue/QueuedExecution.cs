using Flowstone.Tenancy;
using Flowstone.Workflows;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Flowstone.Executions;

/// <summary>
/// An execution that is not finished: waiting to be claimed, or claimed. Its key starts with the shard key instead of the tenant:
/// on a distributed database a claim must name the distribution column (docs/adr/0002-queue-shard-keys.md).
/// </summary>
sealed record QueuedExecution : ITenantOwned
{
    public required Guid ShardKey { get; init; }
    public required Id<Execution> ExecutionId { get; init; }
    public required Id<Tenant> TenantId { get; init; }
    public required Id<Workflow> WorkflowId { get; init; }
    public required short Priority { get; init; }

    /// <summary>When it may be claimed: its due time first, the end of the lease once it is claimed, never while it is parked.</summary>
    public required DateTimeOffset VisibleAt { get; init; }

    /// <summary>The fencing number: how often it was claimed. Every write of a worker presents it.</summary>
    public required int Fence { get; init; }

    public string? Worker { get; init; }

    /// <summary>How often a worker was lost with it or gave it back as failed; at <see cref="MaxAttempts"/> it is a dead letter.</summary>
    public short Failures { get; init; }

    public short MaxAttempts { get; init; } = 10;

    /// <summary>At most so many at once have the same key: see <see cref="ExecutionLimit"/>.</summary>
    public string? ConcurrencyKey { get; init; }

    /// <summary>The limits against which it counts while it runs.</summary>
    public string[]? Holds { get; init; }

    /// <summary>The limit that is full, or the workflow that is paused; null unless <see cref="VisibleAt"/> is infinity.</summary>
    public string? ParkedFor { get; init; }
}

/// <summary>How many executions may run at once under a name: a workflow's, or a key's.</summary>
sealed record ExecutionLimit : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required string Name { get; init; }
    public required int Maximum { get; init; }
    public required int Running { get; init; }
}

/// <summary>A dedup key: within its window, a second start under it answers with the first one's execution.</summary>
sealed record ExecutionKey : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required string Key { get; init; }
    public required Id<Execution> ExecutionId { get; init; }
    public required DateTimeOffset ExpiresAt { get; init; }
}

/// <summary>
/// Says that a group of writes was committed: asked for when the connection is lost before the answer came. A group whose outcome is asked for before it commits finds its mark taken, and cannot commit any more.
/// </summary>
sealed record WriteMark : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required Guid GroupId { get; init; }
}

/// <summary>Something that an execution waits for, or will: it is kept until then.</summary>
sealed record ExecutionSignal : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required Id<Execution> ExecutionId { get; init; }
    public required Guid SignalId { get; init; }
    public required string Name { get; init; }
    public PayloadRef? Body { get; init; }
    public required DateTimeOffset SentAt { get; init; }

    /// <summary>When a worker was given it.</summary>
    public DateTimeOffset? TakenAt { get; init; }
}

sealed class QueuedExecutionMapping : IEntityTypeConfiguration<QueuedExecution>
{
    public void Configure(EntityTypeBuilder<QueuedExecution> queued)
    {
        queued.ToTable("execution_queue");
        queued.HasKey(q => new { q.ShardKey, q.ExecutionId });
        queued.Property(q => q.Worker).HasMaxLength(255);

        // ExecutionQueue.ClaimAsync: the longest due of one tenant and priority, from where the last claim ended.
        // ix_execution_queue_claim is made by a migration: its last column is an expression, which no look-up by key can use.

        // What may go on when a limit has room again, or a workflow is resumed.
        queued.HasIndex(q => new { q.TenantId, q.ParkedFor, q.Priority }).IsDescending(false, false, true).HasDatabaseName("ix_execution_queue_parked").HasFilter("parked_for is not null");
        queued.Property(q => q.ConcurrencyKey).HasMaxLength(255);
        queued.Property(q => q.ParkedFor).HasMaxLength(255);
        queued.Property(q => q.Failures).HasDefaultValue((short)0);
        queued.Property(q => q.MaxAttempts).HasDefaultValue((short)10);
    }
}

sealed class ExecutionLimitMapping : IEntityTypeConfiguration<ExecutionLimit>
{
    public void Configure(EntityTypeBuilder<ExecutionLimit> limit)
    {
        limit.ToTable("execution_limits", table => table.HasCheckConstraint("ck_execution_limits", "maximum > 0 and running >= 0"));
        limit.HasKey(l => new { l.TenantId, l.Name });
        limit.Property(l => l.Name).HasMaxLength(255);
    }
}

sealed class ExecutionKeyMapping : IEntityTypeConfiguration<ExecutionKey>
{
    public void Configure(EntityTypeBuilder<ExecutionKey> key)
    {
        key.ToTable("execution_keys");
        key.HasKey(k => new { k.TenantId, k.Key });
        key.Property(k => k.Key).HasMaxLength(255);

        // Those whose window has passed are deleted.
        key.HasIndex(k => k.ExpiresAt).HasDatabaseName("ix_execution_keys_expired");
    }
}

sealed class WriteMarkMapping : IEntityTypeConfiguration<WriteMark>
{
    public void Configure(EntityTypeBuilder<WriteMark> mark)
    {
        mark.ToTable("write_marks");
        mark.HasKey(m => new { m.TenantId, m.GroupId });
    }
}

sealed class ExecutionSignalMapping : IEntityTypeConfiguration<ExecutionSignal>
{
    public void Configure(EntityTypeBuilder<ExecutionSignal> signal)
    {
        signal.ToTable("execution_signals");
        signal.HasKey(s => new { s.TenantId, s.ExecutionId, s.SignalId });
        signal.Property(s => s.Name).HasMaxLength(255);
    }
}
