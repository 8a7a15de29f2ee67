using Flowstone.Tenancy;
using Flowstone.Workflows;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Flowstone.Executions;

/// <summary>A value by which an execution is found again: an order's number, a customer. A workflow declares up to ten.</summary>
sealed record ExecutionAttribute : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required Id<Execution> ExecutionId { get; init; }
    public required Id<Workflow> WorkflowId { get; init; }
    public required string Name { get; init; }

    /// <summary>In a form that sorts as the value does, whatever its type: one index serves them all.</summary>
    public required byte[] Value { get; init; }
}

sealed class ExecutionAttributeMapping : IEntityTypeConfiguration<ExecutionAttribute>
{
    public void Configure(EntityTypeBuilder<ExecutionAttribute> attribute)
    {
        attribute.ToTable("execution_attributes");
        attribute.HasKey(a => new { a.TenantId, a.ExecutionId, a.Name });
        attribute.Property(a => a.Name).HasMaxLength(64);

        // Equal to a value, or between two; newest first where equal.
        attribute.HasIndex(a => new { a.TenantId, a.WorkflowId, a.Name, a.Value, a.ExecutionId }).IsDescending(false, false, false, false, true)
            .HasDatabaseName("ix_execution_attributes_by_value");
    }
}
