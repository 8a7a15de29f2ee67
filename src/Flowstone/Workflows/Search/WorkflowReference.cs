using System.Security.Cryptography;
using System.Text;
using Flowstone.Tenancy;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Flowstone.Workflows;

/// <summary>What a workflow can be found by.</summary>
public enum ReferenceKind
{
    /// <summary>The type of a node.</summary>
    NodeType,

    /// <summary>A credential's id, or its name, as a node names it.</summary>
    Credential,

    /// <summary>A workflow that it calls, or that handles its errors, as it names it.</summary>
    Workflow,

    /// <summary>A URL in a node's parameters, without user, query and fragment; or a host.</summary>
    Url,

    Tag,
    Category,
}

/// <summary>That the newest version of a workflow names something: kept by the save.</summary>
sealed record WorkflowReference : ITenantOwned
{
    /// <summary>A key's entry has to fit a third of a page, in UTF-8 and with what else is in the key.</summary>
    const int MaxLength = 400;

    public required Id<Tenant> TenantId { get; init; }
    public required ReferenceKind Kind { get; init; }

    /// <summary>See <see cref="Key"/>.</summary>
    public required string Value { get; init; }

    public required Id<Workflow> WorkflowId { get; init; }

    /// <summary>Those that name it, in the order of the definition; empty where the workflow itself does.</summary>
    public required IReadOnlyList<string> NodeIds { get; init; }

    /// <summary>The value, or of a very long one its beginning and its hash.</summary>
    public static string Key(string value)
        => value.Length <= MaxLength ? value : $"{Data.Text.Fit(value, MaxLength - 64)}{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(value)))}";
}

sealed class WorkflowReferenceMapping : IEntityTypeConfiguration<WorkflowReference>
{
    public void Configure(EntityTypeBuilder<WorkflowReference> reference)
    {
        reference.ToTable("workflow_references");

        // The key is the question: which workflows name this, newest first?
        reference.HasKey(r => new { r.TenantId, r.Kind, r.Value, r.WorkflowId });
        reference.HasOne<Workflow>().WithMany().HasForeignKey(r => new { r.TenantId, r.WorkflowId }).OnDelete(DeleteBehavior.Cascade);

        // A save; and deleting a workflow.
        reference.HasIndex(r => new { r.TenantId, r.WorkflowId }).HasDatabaseName("ix_workflow_references_by_workflow");
    }
}
