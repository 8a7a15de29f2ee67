using Flowstone.Tenancy;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Flowstone.Workflows;

/// <summary>
/// The words of a workflow's newest version (<see cref="Words"/>), each once. Each column holds what the one before does, so that what ranks
/// higher is found by the smaller index. Beside the workflow, whose row changes more often than its words.
/// </summary>
sealed record WorkflowText : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required Id<Workflow> WorkflowId { get; init; }

    /// <summary>Of its name.</summary>
    public required string Name { get; init; }

    /// <summary>Of its name and tags.</summary>
    public required string Labels { get; init; }

    /// <summary>Of its name, tags, description, and the names and types of its nodes.</summary>
    public required string Words { get; init; }
}

sealed class WorkflowTextMapping : IEntityTypeConfiguration<WorkflowText>
{
    public void Configure(EntityTypeBuilder<WorkflowText> text)
    {
        // flowstone.find_workflows searches by ix_workflow_texts_labels and ix_workflow_texts_words, which the migration makes: trigrams.
        text.ToTable("workflow_texts");
        text.HasKey(t => new { t.TenantId, t.WorkflowId });
        text.HasOne<Workflow>().WithMany().HasForeignKey(t => new { t.TenantId, t.WorkflowId }).OnDelete(DeleteBehavior.Cascade);
    }
}
