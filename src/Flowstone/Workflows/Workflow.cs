using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Json.Serialization;
using Flowstone.Tenancy;
using Flowstone.Users;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Flowstone.Workflows;

public enum WorkflowStatus { Draft, Active, Inactive, Archived }

public enum Visibility { Private, Team, Public }

/// <summary>A workflow as lists show it. Its content is in its versions.</summary>
public record Workflow : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required Id<Workflow> Id { get; init; }
    public required string Name { get; init; }
    public string? Description { get; init; }
    public required WorkflowStatus Status { get; init; }
    public required Visibility Visibility { get; init; }
    public required IReadOnlyList<string> Tags { get; init; }

    /// <summary>Null where an import or a job made it.</summary>
    public Id<User>? OwnerId { get; init; }

    public Id<Team>? TeamId { get; init; }

    /// <summary>The number of the newest version.</summary>
    public required int Version { get; init; }

    /// <summary>The number of the version that runs; null while none was published: the newest runs.</summary>
    public int? PublishedVersion { get; init; }

    public string? Category { get; init; }

    /// <summary>Whether others are meant to copy it.</summary>
    public bool IsTemplate { get; init; }

    /// <summary>Since when it is in the trash; null if it is not.</summary>
    public DateTimeOffset? DeletedAt { get; init; }

    /// <summary>Since when its executions wait; null while they run.</summary>
    public DateTimeOffset? PausedAt { get; init; }

    /// <summary>How many of its executions may run at once; null is without limit.</summary>
    public int? MaxConcurrency { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset UpdatedAt { get; init; }
}

/// <summary>What a save left, and what is to be said of it.</summary>
public sealed record SavedWorkflow : Workflow
{
    [SetsRequiredMembers]
    internal SavedWorkflow(Workflow workflow) : base(workflow)
    {
    }

    /// <summary>Whether others' changes are in it too: what is stored is not what was sent.</summary>
    public bool Merged { get; init; }

    /// <summary>What is stored, where it is merged; else undefined, and left out in JSON.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public JsonElement Definition { get; init; }

    /// <summary>What <see cref="WorkflowRepository.PublishAsync"/> would refuse.</summary>
    public IReadOnlyList<GraphIssue> Warnings { get; init; } = [];
}

/// <summary>One immutable state of a workflow's definition.</summary>
public sealed record WorkflowVersion : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required Id<Workflow> WorkflowId { get; init; }

    /// <summary>1, 2, 3 … without a gap.</summary>
    public required int Number { get; init; }

    /// <summary>Nodes, edges, settings: docs/workflows.md, "Definition".</summary>
    public required JsonElement Definition { get; init; }

    /// <summary>SHA-256 of the canonical form of <see cref="Definition"/>.</summary>
    public required byte[] Hash { get; init; }

    /// <summary>What the author said of the change.</summary>
    public string? Message { get; init; }

    public Id<User>? AuthorId { get; init; }

    /// <summary>The version that its author had edited; null for one who took whatever there was. Before <see cref="Parent"/>, this one is a merge.</summary>
    public int? BasedOn { get; init; }

    /// <summary>The version after which it came; null for the first.</summary>
    public int? Parent => Number > 1 ? Number - 1 : null;

    public required DateTimeOffset CreatedAt { get; init; }
}

/// <summary>A version as lists show it: without its content.</summary>
/// <param name="BasedOn">As <see cref="WorkflowVersion.BasedOn"/>.</param>
public sealed record WorkflowVersionSummary(int Number, string? Message, Id<User>? AuthorId, DateTimeOffset CreatedAt, int? BasedOn)
{
    /// <summary>The version after which it came; null for the first.</summary>
    public int? Parent => Number > 1 ? Number - 1 : null;
}

/// <summary>What is needed to make a workflow with version 1. Name, description and tags are in the definition.</summary>
public sealed record NewWorkflow
{
    /// <summary>An object with <c>name</c> and <c>nodes</c>: docs/workflows.md, "Definition".</summary>
    public required JsonElement Definition { get; init; }

    public WorkflowStatus Status { get; init; } = WorkflowStatus.Draft;

    /// <summary>Null is TEAM with a team, and PRIVATE without.</summary>
    public Visibility? Visibility { get; init; }

    public Id<Team>? TeamId { get; init; }
    public string? Message { get; init; }
}

sealed class WorkflowMapping : IEntityTypeConfiguration<Workflow>
{
    public void Configure(EntityTypeBuilder<Workflow> workflow)
    {
        workflow.ToTable("workflows", table => table.HasCheckConstraint("ck_workflows_version", "version > 0"));
        workflow.HasKey(w => new { w.TenantId, w.Id });
        workflow.HasOne<Tenant>().WithMany().HasForeignKey(w => w.TenantId).OnDelete(DeleteBehavior.Cascade);

        // No action on delete: what happens to a deleted user's workflows is decided by whoever deletes the user.
        workflow.HasOne<User>().WithMany().HasForeignKey(w => new { w.TenantId, w.OwnerId }).OnDelete(DeleteBehavior.NoAction);
        workflow.HasOne<Team>().WithMany().HasForeignKey(w => new { w.TenantId, w.TeamId }).OnDelete(DeleteBehavior.NoAction);
        workflow.Property(w => w.Name).HasMaxLength(255);
        workflow.Property(w => w.Category).HasMaxLength(255);
        workflow.Property(w => w.IsTemplate).HasDefaultValue(false);

        // What its executions may bring (PayloadPolicy), and the names and types of their attributes.
        workflow.Property<long?>("PayloadLimit");
        workflow.Property<Executions.PayloadOverflow?>("PayloadOverflow");
        workflow.Property<JsonElement?>("SearchAttributes");

        // Where an imported workflow came from, and the hash of the document as it was then: an unchanged file changes nothing.
        workflow.Property<string?>("ImportKey").HasMaxLength(1024);
        workflow.Property<byte[]?>("ImportHash");
        workflow.HasIndex("TenantId", "ImportKey").IsUnique().HasFilter("import_key is not null and deleted_at is null").HasDatabaseName("uq_workflows_import_key");

        // The version of which WorkflowIndex says what it says; and which have none.
        workflow.Property<int?>("IndexedVersion");
        workflow.HasIndex(w => new { w.TenantId, w.Id }, "ix_workflows_unindexed").HasFilter("indexed_version is distinct from version");

        // WorkflowOrder.Updated: of all, and for each way of AccessRule.
        workflow.HasIndex(w => new { w.TenantId, w.UpdatedAt, w.Id }).HasDatabaseName("ix_workflows_by_update");
        workflow.HasIndex(w => new { w.TenantId, w.OwnerId, w.UpdatedAt, w.Id }).HasDatabaseName("ix_workflows_by_owner_update");
        workflow.HasIndex(w => new { w.TenantId, w.TeamId, w.UpdatedAt, w.Id }).HasDatabaseName("ix_workflows_by_team_update").HasFilter("team_id is not null");
        workflow.HasIndex(w => new { w.TenantId, w.UpdatedAt, w.Id }, "ix_workflows_public_by_update").HasFilter("visibility = 'PUBLIC'");

        // Templates.
        workflow.HasIndex(w => new { w.TenantId, w.Id }, "ix_workflows_templates").HasFilter("is_template");

        // A user's workflows, newest first; and deleting a user.
        workflow.HasIndex(w => new { w.TenantId, w.OwnerId, w.Id }).HasDatabaseName("ix_workflows_by_owner");

        // The trash, and its purge.
        workflow.HasIndex(w => new { w.TenantId, w.DeletedAt }).HasDatabaseName("ix_workflows_trash").HasFilter("deleted_at is not null");

        // AccessRule: what everybody may see.
        workflow.HasIndex(w => new { w.TenantId, w.Id }, "ix_workflows_public").HasFilter("visibility = 'PUBLIC'");

        // A team's workflows, newest first; and deleting a team.
        workflow.HasIndex(w => new { w.TenantId, w.TeamId, w.Id }).HasDatabaseName("ix_workflows_by_team");
    }
}

sealed class WorkflowVersionMapping : IEntityTypeConfiguration<WorkflowVersion>
{
    public void Configure(EntityTypeBuilder<WorkflowVersion> version)
    {
        version.ToTable("workflow_versions");
        version.HasKey(v => new { v.TenantId, v.WorkflowId, v.Number });
        version.HasOne<Workflow>().WithMany().HasForeignKey(v => new { v.TenantId, v.WorkflowId }).OnDelete(DeleteBehavior.Cascade);
        version.Property(v => v.Message).HasMaxLength(2000);
    }
}
