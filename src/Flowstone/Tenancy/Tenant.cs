using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Flowstone.Tenancy;

/// <summary>A customer of the platform: everything else belongs to one.</summary>
public sealed record Tenant
{
    public required Id<Tenant> Id { get; init; }

    /// <summary>The tenant's name in URLs and on command lines: lower-case letters, digits and hyphens; unique.</summary>
    public required string Slug { get; init; }

    public required string Name { get; init; }

    /// <summary>Which of the 32 parts of the execution queue holds this tenant's work (docs/adr/0002-queue-shard-keys.md).</summary>
    public required Guid ShardKey { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>Since when its executions wait; null while they run.</summary>
    public DateTimeOffset? PausedAt { get; init; }
}

/// <summary>A row that belongs to a tenant: the database lets nobody else see or write it.</summary>
public interface ITenantOwned
{
    Id<Tenant> TenantId { get; }
}

sealed class TenantMapping : IEntityTypeConfiguration<Tenant>
{
    public void Configure(EntityTypeBuilder<Tenant> tenant)
    {
        tenant.ToTable("tenants", table => table.HasCheckConstraint("ck_tenants_slug", "slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'"));
        tenant.HasKey(t => t.Id);
        tenant.Property(t => t.Slug).HasMaxLength(63);
        tenant.Property(t => t.Name).HasMaxLength(255);
        tenant.Property<JsonElement>("Settings").HasDefaultValueSql("'{}'");

        // What its executions may bring: PayloadPolicy.
        tenant.Property<long?>("PayloadLimit");
        tenant.Property<Executions.PayloadOverflow?>("PayloadOverflow");
        tenant.Property<bool>("SealPayloads").HasDefaultValue(false);

        // The command line's --tenant, and that no two share a name.
        tenant.HasIndex(t => t.Slug).IsUnique().HasDatabaseName("uq_tenants_slug");
    }
}
