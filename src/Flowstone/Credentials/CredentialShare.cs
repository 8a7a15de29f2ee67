using Flowstone.Data;
using Flowstone.Tenancy;
using Flowstone.Users;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.ChangeTracking;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Flowstone.Credentials;

/// <summary>What somebody may do with a credential. Each includes to see it, but not its secret; ADMIN is all of them.</summary>
public enum CredentialRight
{
    /// <summary>See that it is there: name, type, end, versions.</summary>
    Read,

    /// <summary>Get its plaintext, to use it.</summary>
    Use,

    /// <summary>Change it and its secret.</summary>
    Edit,

    Delete,

    /// <summary>Share it with others, with no more than one has oneself.</summary>
    Share,

    Admin,
}

/// <summary>A credential shared with a user.</summary>
public sealed record CredentialShare : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required Id<Credential> CredentialId { get; init; }
    public required Id<User> UserId { get; init; }
    public required IReadOnlyList<CredentialRight> Rights { get; init; }

    /// <summary>From then on it gives nothing, by the database's clock; null is never.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>How often it gives the plaintext; null is without limit.</summary>
    public int? MaxUses { get; init; }

    /// <summary>How often it did.</summary>
    public required int Uses { get; init; }

    /// <summary>Who shared it; null where a job did.</summary>
    public Id<User>? SharedBy { get; init; }

    public required DateTimeOffset SharedAt { get; init; }
}

sealed class CredentialShareMapping : IEntityTypeConfiguration<CredentialShare>
{
    public void Configure(EntityTypeBuilder<CredentialShare> share)
    {
        share.ToTable("credential_shares", table =>
        {
            table.HasCheckConstraint("ck_credential_shares_uses", "uses <= max_uses");
            table.HasCheckConstraint("ck_credential_shares_rights", $"rights <@ array[{string.Join(", ", EnumText<CredentialRight>.All.Select(text => $"'{text}'"))}]");
        });
        share.Property(s => s.Rights).HasColumnType("text[]").HasConversion(
            rights => rights.Select(EnumText<CredentialRight>.Of).ToArray(), texts => texts.Select(EnumText<CredentialRight>.Parse).ToArray(),
            new ValueComparer<IReadOnlyList<CredentialRight>>((one, other) => one!.SequenceEqual(other!), rights => rights.Count, rights => rights.ToArray()));
        share.HasKey(s => new { s.TenantId, s.CredentialId, s.UserId });
        share.HasOne<Credential>().WithMany().HasForeignKey(s => new { s.TenantId, s.CredentialId }).OnDelete(DeleteBehavior.Cascade);
        share.HasOne<User>().WithMany().HasForeignKey(s => new { s.TenantId, s.UserId }).OnDelete(DeleteBehavior.Cascade);

        // AccessRule: what is shared with a user; and deleting a user.
        share.HasIndex(s => new { s.TenantId, s.UserId }).HasDatabaseName("ix_credential_shares_by_user");
    }
}
