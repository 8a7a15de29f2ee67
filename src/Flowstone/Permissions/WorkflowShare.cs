using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Flowstone.Permissions;

/// <summary>What a share gives; each includes those before it. What they mean: <see cref="AccessLevel"/>.</summary>
public enum ShareLevel { Read, Execute, Write, Admin }

/// <summary>A workflow shared with a user.</summary>
public sealed record WorkflowShare : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required Id<Workflow> WorkflowId { get; init; }
    public required Id<User> UserId { get; init; }
    public required ShareLevel Level { get; init; }

    /// <summary>From then on it gives nothing, by the database's clock; null is never.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>Who shared it; null where a job did.</summary>
    public Id<User>? SharedBy { get; init; }

    public required DateTimeOffset SharedAt { get; init; }
}

sealed class WorkflowShareMapping : IEntityTypeConfiguration<WorkflowShare>
{
    public void Configure(EntityTypeBuilder<WorkflowShare> share)
    {
        share.ToTable("workflow_shares");
        share.HasKey(s => new { s.TenantId, s.WorkflowId, s.UserId });
        share.HasOne<Workflow>().WithMany().HasForeignKey(s => new { s.TenantId, s.WorkflowId }).OnDelete(DeleteBehavior.Cascade);
        share.HasOne<User>().WithMany().HasForeignKey(s => new { s.TenantId, s.UserId }).OnDelete(DeleteBehavior.Cascade);

        // AccessRule: what is shared with a user; and deleting a user.
        share.HasIndex(s => new { s.TenantId, s.UserId }).HasDatabaseName("ix_workflow_shares_by_user");
    }
}
