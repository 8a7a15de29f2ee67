using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Flowstone.Credentials;

/// <summary>A master key that has wrapped something: no tenant's, so that a start can ask for all of them without a look at tenants' rows.</summary>
sealed record MasterKey
{
    public required string Id { get; init; }

    /// <summary>A known text that it wrapped: whoever opens it has the right key.</summary>
    public required byte[] Fingerprint { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }
}

sealed class MasterKeyMapping : IEntityTypeConfiguration<MasterKey>
{
    /// <summary>A key's name at AWS has less than 2,048 characters.</summary>
    public const int LongestId = 2048;

    public void Configure(EntityTypeBuilder<MasterKey> key)
    {
        key.ToTable("master_keys");
        key.HasKey(k => k.Id);
        key.Property(k => k.Id).HasMaxLength(LongestId);
    }
}
