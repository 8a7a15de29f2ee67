using Flowstone.Tenancy;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Flowstone.Executions;

/// <summary>The body of an input or output. Equal bodies of one execution are stored once.</summary>
sealed record Payload : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required Id<Execution> ExecutionId { get; init; }

    /// <summary><see cref="PayloadBody.Hash"/>; of a sealed one, what the sealer makes of it.</summary>
    public required byte[] Hash { get; init; }

    public required string ContentType { get; init; }
    public required PayloadEncoding Encoding { get; init; }

    /// <summary>Uncompressed.</summary>
    public required long SizeBytes { get; init; }

    /// <summary>Null where it was spilled.</summary>
    public byte[]? Body { get; init; }

    /// <summary>Where a spilled body lies in the object store.</summary>
    public string? ObjectKey { get; init; }

    /// <summary>Encrypted for the tenant, after the compression.</summary>
    public bool Sealed { get; init; }

    /// <summary>What it was before a cap cut it; null if it is whole.</summary>
    public long? WholeSizeBytes { get; init; }
}

enum PayloadEncoding { Plain, Brotli }

sealed class PayloadMapping : IEntityTypeConfiguration<Payload>
{
    public void Configure(EntityTypeBuilder<Payload> payload)
    {
        payload.ToTable("payloads", table => table.HasCheckConstraint("ck_payloads_body", "(body is null) <> (object_key is null)"));
        payload.HasKey(p => new { p.TenantId, p.ExecutionId, p.Hash });
        payload.Property(p => p.ContentType).HasMaxLength(255);
        payload.Property(p => p.ObjectKey).HasMaxLength(255);

        // Whether an object of the store is still needed: the sweeper asks.
        payload.HasIndex(p => new { p.TenantId, p.ObjectKey }).HasDatabaseName("ix_payloads_by_object").HasFilter("object_key is not null");
    }
}
