using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Flowstone.Executions;

/// <summary>
/// Where an execution or one of its steps stands. Legal moves: PENDING → RUNNING, CANCELLED · RUNNING → WAITING, SUCCESS, FAILED,
/// CANCELLED, TIMEOUT · WAITING → RUNNING, CANCELLED, TIMEOUT. What is finished never changes.
/// </summary>
public enum ExecutionStatus { Pending, Running, Waiting, Success, Failed, Cancelled, Timeout }

public enum ExecutionTrigger { Manual, Api, Webhook, Schedule, Retry, Parent }

/// <summary>One run of one version of a workflow: the narrow row that lists show. Payloads are kept apart.</summary>
public sealed record Execution : ITenantOwned
{
    internal const int MaxErrorLength = 4000;

    public required Id<Tenant> TenantId { get; init; }
    public required Id<Execution> Id { get; init; }
    public required Id<Workflow> WorkflowId { get; init; }
    public required int WorkflowVersion { get; init; }
    public required ExecutionStatus Status { get; init; }

    /// <summary>Why it ended as it did, for machines: <c>LOST_WORKER</c>, <c>CANCELLED_BY_USER</c>. Null after success.</summary>
    public string? Reason { get; init; }

    /// <summary>What went wrong, for people; at most 4,000 characters.</summary>
    public string? Error { get; init; }

    public required ExecutionTrigger Trigger { get; init; }

    /// <summary>Higher goes first. Default 0.</summary>
    public required short Priority { get; init; }

    public Id<User>? StartedBy { get; init; }

    /// <summary>When it was asked for. Waiting in the queue is the time from <see cref="DueAt"/> to <see cref="StartedAt"/>.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    public required DateTimeOffset DueAt { get; init; }

    /// <summary>When a worker first took it.</summary>
    public DateTimeOffset? StartedAt { get; init; }

    public DateTimeOffset? FinishedAt { get; init; }

    /// <summary>How often a worker took it: more than 1 after a lost worker.</summary>
    public required int Claims { get; init; }

    /// <summary>Which payload went in, and which came out: see <see cref="Payload"/>.</summary>
    public byte[]? InputHash { get; init; }

    public byte[]? OutputHash { get; init; }

    /// <summary>Time at work, without the wait in the queue; null until it has finished, or if it never started.</summary>
    public TimeSpan? Duration => FinishedAt - StartedAt;
}

/// <summary>One attempt of one node, recorded exactly once under (execution, node, iteration, attempt).</summary>
public sealed record NodeExecution : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required Id<Execution> ExecutionId { get; init; }

    /// <summary>The node's place in the <c>nodes</c> of the executed version, from 0. Its id and name are there.</summary>
    public required int Node { get; init; }

    /// <summary>How often a loop had come round before: 0 outside of loops.</summary>
    public required int Iteration { get; init; }

    /// <summary>1 for the first try.</summary>
    public required short Attempt { get; init; }

    public required ExecutionStatus Status { get; init; }
    public string? Reason { get; init; }
    public string? Error { get; init; }
    public required DateTimeOffset StartedAt { get; init; }
    public DateTimeOffset? FinishedAt { get; init; }
    public byte[]? InputHash { get; init; }
    public byte[]? OutputHash { get; init; }

    public TimeSpan? Duration => FinishedAt - StartedAt;
}

/// <summary>The body of an input or output. Equal bodies of one execution are stored once.</summary>
sealed record Payload : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required Id<Execution> ExecutionId { get; init; }

    /// <summary>The first 16 bytes of the SHA-256 of the uncompressed body.</summary>
    public required byte[] Hash { get; init; }

    public required string ContentType { get; init; }
    public required PayloadEncoding Encoding { get; init; }

    /// <summary>Uncompressed.</summary>
    public required long SizeBytes { get; init; }

    public required byte[] Body { get; init; }
}

enum PayloadEncoding { Plain, Brotli }

/// <summary>
/// An execution that is not finished: waiting to be claimed, or claimed. Its key starts with the shard key instead of the tenant:
/// on a distributed database a claim must name the distribution column (docs/adr/0002-queue-shard-keys.md).
/// </summary>
sealed record QueuedExecution : ITenantOwned
{
    public required Guid ShardKey { get; init; }
    public required Id<Execution> ExecutionId { get; init; }
    public required Id<Tenant> TenantId { get; init; }
    public required short Priority { get; init; }

    /// <summary>When it may be claimed: its due time first, the end of the lease once it is claimed.</summary>
    public required DateTimeOffset VisibleAt { get; init; }

    /// <summary>The fencing number: how often it was claimed. Every write of a worker presents it.</summary>
    public required int Fence { get; init; }

    public string? Worker { get; init; }
}

sealed class ExecutionMapping : IEntityTypeConfiguration<Execution>
{
    public void Configure(EntityTypeBuilder<Execution> execution)
    {
        execution.ToTable("executions", table =>
        {
            table.HasCheckConstraint("ck_executions_finished", "(finished_at is null) = (status in ('PENDING', 'RUNNING', 'WAITING'))");
            table.HasCheckConstraint("ck_executions_started", "started_at is not null or status in ('PENDING', 'CANCELLED')");
        });
        execution.HasKey(e => new { e.TenantId, e.Id });
        execution.HasOne<WorkflowVersion>().WithMany()
            .HasForeignKey(e => new { e.TenantId, e.WorkflowId, e.WorkflowVersion }).OnDelete(DeleteBehavior.NoAction);
        execution.Property(e => e.Reason).HasMaxLength(32);
        execution.Property(e => e.Error).HasMaxLength(Execution.MaxErrorLength);
        execution.Ignore(e => e.Duration);

        // The executions of a workflow, newest first; and its foreign key.
        execution.HasIndex(e => new { e.TenantId, e.WorkflowId, e.Id }).HasDatabaseName("ix_executions_by_workflow").IsDescending(false, false, true);
    }
}

sealed class NodeExecutionMapping : IEntityTypeConfiguration<NodeExecution>
{
    public void Configure(EntityTypeBuilder<NodeExecution> node)
    {
        node.ToTable("node_executions", table =>
        {
            table.HasCheckConstraint("ck_node_executions_finished", "(finished_at is null) = (status in ('PENDING', 'RUNNING', 'WAITING'))");
            table.HasCheckConstraint("ck_node_executions_key", "node >= 0 and iteration >= 0 and attempt > 0");
        });
        node.HasKey(n => new { n.TenantId, n.ExecutionId, n.Node, n.Iteration, n.Attempt });
        node.Property(n => n.Reason).HasMaxLength(32);
        node.Property(n => n.Error).HasMaxLength(Execution.MaxErrorLength);
        node.Ignore(n => n.Duration);
    }
}

sealed class PayloadMapping : IEntityTypeConfiguration<Payload>
{
    public void Configure(EntityTypeBuilder<Payload> payload)
    {
        payload.ToTable("payloads");
        payload.HasKey(p => new { p.TenantId, p.ExecutionId, p.Hash });
        payload.Property(p => p.ContentType).HasMaxLength(255);
    }
}

sealed class QueuedExecutionMapping : IEntityTypeConfiguration<QueuedExecution>
{
    public void Configure(EntityTypeBuilder<QueuedExecution> queued)
    {
        queued.ToTable("execution_queue");
        queued.HasKey(q => new { q.ShardKey, q.ExecutionId });
        queued.Property(q => q.Worker).HasMaxLength(255);

        // ExecutionQueue.ClaimAsync: the most urgent that may be claimed now.
        queued.HasIndex(q => new { q.Priority, q.VisibleAt }).IsDescending(true, false).HasDatabaseName("ix_execution_queue_claim");

        // The same for one tenant.
        queued.HasIndex(q => new { q.TenantId, q.Priority, q.VisibleAt }).IsDescending(false, true, false).HasDatabaseName("ix_execution_queue_by_tenant");
    }
}
