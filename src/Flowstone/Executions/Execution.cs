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

    /// <summary>The <see cref="Reason"/> of an execution whose attempts are spent.</summary>
    public const string DeadLetter = "DEAD_LETTER";

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

    /// <summary>What went in, and what came out: read with <see cref="ExecutionRepository.FindPayloadAsync"/>.</summary>
    public PayloadRef? Input { get; init; }

    public PayloadRef? Output { get; init; }

    /// <summary>The execution that called this one.</summary>
    public Id<Execution>? ParentId { get; init; }

    /// <summary>A detached sub-execution goes on when its parent is cancelled.</summary>
    public bool Detached { get; init; }

    /// <summary>The execution that this one tries again, and what tried this one again.</summary>
    public Id<Execution>? RetryOf { get; init; }

    public Id<Execution>? RetriedBy { get; init; }

    /// <summary>How many retries led here: 0 for a first run.</summary>
    public short RetryCount { get; init; }

    /// <summary>How often it may be tried again; 0 is never. Default 3.</summary>
    public short MaxRetries { get; init; } = 3;

    /// <summary>The execution whose steps this one began with.</summary>
    public Id<Execution>? ForkedFrom { get; init; }

    /// <summary>The signal that a WAITING execution waits for; null if only for a time.</summary>
    public string? WaitingFor { get; init; }

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
    public PayloadRef? Input { get; init; }
    public PayloadRef? Output { get; init; }

    public TimeSpan? Duration => FinishedAt - StartedAt;
}

sealed class ExecutionMapping : IEntityTypeConfiguration<Execution>
{
    public void Configure(EntityTypeBuilder<Execution> execution)
    {
        execution.ToTable("executions", table =>
        {
            table.HasCheckConstraint("ck_executions_finished", "(finished_at is null) = (status in ('PENDING', 'RUNNING', 'WAITING'))");
            table.HasCheckConstraint("ck_executions_started", "started_at is not null or status in ('PENDING', 'CANCELLED')");
            table.HasCheckConstraint("ck_executions_reason", "(reason is not null) = (status in ('FAILED', 'CANCELLED', 'TIMEOUT'))");
            table.HasCheckConstraint("ck_executions_retries", "retry_count >= 0 and max_retries >= 0");
        });
        execution.HasKey(e => new { e.TenantId, e.Id });
        execution.HasOne<WorkflowVersion>().WithMany()
            .HasForeignKey(e => new { e.TenantId, e.WorkflowId, e.WorkflowVersion }).OnDelete(DeleteBehavior.NoAction);
        execution.Property(e => e.Reason).HasMaxLength(32);
        execution.Property(e => e.Error).HasMaxLength(Execution.MaxErrorLength);
        execution.Property(e => e.WaitingFor).HasMaxLength(255);
        execution.Ignore(e => e.Duration);

        // No index below names a column that a successful run changes: such updates stay within their page (HOT).

        // The executions of a workflow, newest first; and its foreign key.
        execution.HasIndex(e => new { e.TenantId, e.WorkflowId, e.Id }).HasDatabaseName("ix_executions_by_workflow").IsDescending(false, false, true);

        // What did not succeed, newest first: what a person looks for. What is not finished is in the queue; the rest is SUCCESS.
        execution.HasIndex(e => new { e.TenantId, e.Id }).HasDatabaseName("ix_executions_unsuccessful").IsDescending(false, true).HasFilter("reason is not null");

        // The same of one workflow: with a million runs of which three failed, the other indexes would read them all. Success never enters it.
        execution.HasIndex(e => new { e.TenantId, e.WorkflowId, e.Id }, "ix_executions_unsuccessful_by_workflow").IsDescending(false, false, true).HasFilter("reason is not null");

        // A part of an error's text: flowstone.find_errors.
        execution.HasIndex(e => e.Error).HasDatabaseName("ix_executions_by_error").HasMethod("gin").HasOperators("gin_trgm_ops").HasFilter("error is not null");

        // What a user started, newest first.
        execution.HasIndex(e => new { e.TenantId, e.StartedBy, e.Id }).HasDatabaseName("ix_executions_by_user").IsDescending(false, false, true).HasFilter("started_by is not null");

        // Sub-executions, which a cancel follows; and those that refer to another's payloads, which retention keeps for them.
        execution.HasIndex(e => new { e.TenantId, e.ParentId }).HasDatabaseName("ix_executions_by_parent").HasFilter("parent_id is not null");
        execution.HasIndex(e => new { e.TenantId, e.RetryOf }).HasDatabaseName("ix_executions_by_retried").HasFilter("retry_of is not null");
        execution.HasIndex(e => new { e.TenantId, e.ForkedFrom }).HasDatabaseName("ix_executions_by_forked").HasFilter("forked_from is not null");
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
