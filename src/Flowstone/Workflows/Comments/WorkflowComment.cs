using Flowstone.Tenancy;
using Flowstone.Users;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Flowstone.Workflows;

/// <summary>What somebody says of a workflow or of one of its nodes.</summary>
public sealed record WorkflowComment : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required Id<WorkflowComment> Id { get; init; }
    public required Id<Workflow> WorkflowId { get; init; }

    /// <summary>Null is the workflow itself. It stays where the node goes.</summary>
    public string? NodeId { get; init; }

    /// <summary>The comment that this one answers; an answer is not answered itself.</summary>
    public Id<WorkflowComment>? ParentId { get; init; }

    public required string Text { get; init; }

    /// <summary>Where it lies on the canvas; null has no place.</summary>
    public double? X { get; init; }

    public double? Y { get; init; }

    /// <summary>Null where a job wrote it.</summary>
    public Id<User>? AuthorId { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset UpdatedAt { get; init; }

    /// <summary>Null while it is open.</summary>
    public DateTimeOffset? ResolvedAt { get; init; }

    public Id<User>? ResolvedBy { get; init; }
}

/// <summary>A comment as lists show it.</summary>
/// <param name="NodeIsGone">Whether the newest version of the workflow has no such node any more.</param>
public sealed record ListedComment(WorkflowComment Comment, bool NodeIsGone);

public sealed record NewComment
{
    /// <summary>1 to 10,000 characters.</summary>
    public required string Text { get; init; }

    /// <summary>A node of the newest version; null is the workflow itself.</summary>
    public string? NodeId { get; init; }

    public Id<WorkflowComment>? ParentId { get; init; }
    public double? X { get; init; }
    public double? Y { get; init; }
}

/// <summary>What is null stays.</summary>
public sealed record CommentChanges
{
    public string? Text { get; init; }
    public double? X { get; init; }
    public double? Y { get; init; }
    public bool? Resolved { get; init; }
}

/// <summary>Which comments to list; what is null does not restrict.</summary>
public sealed record CommentFilter
{
    public string? NodeId { get; init; }
    public bool? Resolved { get; init; }
}

sealed class WorkflowCommentMapping : IEntityTypeConfiguration<WorkflowComment>
{
    public void Configure(EntityTypeBuilder<WorkflowComment> comment)
    {
        comment.ToTable("workflow_comments", table => table.HasCheckConstraint("ck_workflow_comments_place", "(x is null) = (y is null)"));

        // With the workflow: a list is one walk, and nobody is led to another workflow's comment.
        comment.HasKey(c => new { c.TenantId, c.WorkflowId, c.Id });
        comment.HasOne<Workflow>().WithMany().HasForeignKey(c => new { c.TenantId, c.WorkflowId }).OnDelete(DeleteBehavior.Cascade);
        comment.HasOne<WorkflowComment>().WithMany().HasForeignKey(c => new { c.TenantId, c.WorkflowId, c.ParentId }).OnDelete(DeleteBehavior.Cascade);
        comment.Property(c => c.NodeId).HasMaxLength(255);
        comment.Property(c => c.Text).HasMaxLength(WorkflowCommentRepository.MaxLength);

        // Deleting a comment with its answers.
        comment.HasIndex(c => new { c.TenantId, c.WorkflowId, c.ParentId }).HasDatabaseName("ix_workflow_comments_answers").HasFilter("parent_id is not null");
    }
}
