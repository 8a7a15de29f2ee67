using Flowstone.Tenancy;
using Flowstone.Users;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Flowstone.Workflows;

/// <summary>One entry in the history of what ran.</summary>
public sealed record WorkflowPublication : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required Id<Workflow> WorkflowId { get; init; }

    /// <summary>1, 2, 3 … without a gap.</summary>
    public required int Number { get; init; }

    /// <summary>The version that runs from then on; null is the newest, whichever that is.</summary>
    public int? Version { get; init; }

    /// <summary>Null where a job did it.</summary>
    public Id<User>? PublishedBy { get; init; }

    public required DateTimeOffset PublishedAt { get; init; }
}

sealed class WorkflowPublicationMapping : IEntityTypeConfiguration<WorkflowPublication>
{
    public void Configure(EntityTypeBuilder<WorkflowPublication> publication)
    {
        publication.ToTable("workflow_publications");
        publication.HasKey(p => new { p.TenantId, p.WorkflowId, p.Number });
        publication.HasOne<Workflow>().WithMany().HasForeignKey(p => new { p.TenantId, p.WorkflowId }).OnDelete(DeleteBehavior.Cascade);
    }
}
