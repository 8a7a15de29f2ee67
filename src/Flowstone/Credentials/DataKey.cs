using Flowstone.Tenancy;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Flowstone.Credentials;

/// <summary>What a tenant's secrets are sealed with. It is stored wrapped by a master key, and never otherwise.</summary>
public sealed record DataKey : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required Id<DataKey> Id { get; init; }

    /// <summary>The master key that wrapped it.</summary>
    public required string MasterKeyId { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>Since when it opens, but no longer seals; null for the tenant's current key.</summary>
    public DateTimeOffset? RetiredAt { get; init; }

    /// <summary>Since when a rotation has sealed anew all that it had sealed, but payloads; null if none came to its end.</summary>
    public DateTimeOffset? ResealedAt { get; init; }

    /// <summary>Since when a value that is sealed with it is refused, because none can be: it was put there from an old copy.</summary>
    public DateTimeOffset? ClosedAt { get; init; }

    /// <summary>Since when nothing that it sealed opens, for ever.</summary>
    public DateTimeOffset? DestroyedAt { get; init; }

    /// <summary>How often it may have sealed: processes take uses in blocks, before they use them.</summary>
    public required long Uses { get; init; }

    /// <summary>Null once it is destroyed.</summary>
    internal byte[]? WrappedKey { get; init; }
}

/// <summary>To which a wrapped data key is bound.</summary>
public readonly record struct DataKeyPlace(Id<Tenant> TenantId, Id<DataKey> Id);

/// <summary>A data key as it is stored.</summary>
/// <param name="Bytes">Null: it was destroyed.</param>
/// <param name="IsClosed">Whether values of columns may no longer be sealed with it.</param>
readonly record struct WrappedKey(string MasterKeyId, byte[]? Bytes, bool IsClosed);

sealed class DataKeyMapping : IEntityTypeConfiguration<DataKey>
{
    public void Configure(EntityTypeBuilder<DataKey> key)
    {
        key.ToTable("data_keys", table => table.HasCheckConstraint("ck_data_keys_destroyed", "(wrapped_key is null) = (destroyed_at is not null)"));
        key.HasKey(k => new { k.TenantId, k.Id });
        key.HasOne<Tenant>().WithMany().HasForeignKey(k => k.TenantId).OnDelete(DeleteBehavior.Cascade);
        key.Property(k => k.MasterKeyId).HasMaxLength(MasterKeyMapping.LongestId);
        key.Property(k => k.WrappedKey);

        // KeyRotation.ResumeAsync.
        key.HasIndex(k => new { k.TenantId, k.RetiredAt }).HasDatabaseName("ix_data_keys_unfinished").HasFilter("retired_at is not null and resealed_at is null and destroyed_at is null");

        // DataKeys.CurrentAsync; and that processes which make a tenant's first key at once end with one.
        key.HasIndex(k => k.TenantId).IsUnique().HasDatabaseName("uq_data_keys_current").HasFilter("retired_at is null and destroyed_at is null");
    }
}
