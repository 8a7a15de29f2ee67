using System.Text.Json;
using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Flowstone.Credentials;

/// <summary>What a secret is for, and so what it holds: <see cref="CredentialShape"/>.</summary>
public enum CredentialType { ApiKey, Oauth2, BasicAuth, Jwt, SshKey, Database, Custom }

/// <summary>A credential as lists show it: never its secret, which is in its versions, sealed.</summary>
public sealed record Credential : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required Id<Credential> Id { get; init; }
    public required string Name { get; init; }
    public string? Description { get; init; }
    public required CredentialType Type { get; init; }

    /// <summary>PUBLIC: every user of the tenant may use it.</summary>
    public required Visibility Visibility { get; init; }

    /// <summary>Null where an import or a job made it.</summary>
    public Id<User>? OwnerId { get; init; }

    public Id<Team>? TeamId { get; init; }

    /// <summary>Whether it may be used.</summary>
    public required bool Active { get; init; }

    /// <summary>From then on it cannot be used; null is never.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>The number of the secret that is used.</summary>
    public required int Version { get; init; }

    /// <summary>To the minute.</summary>
    public DateTimeOffset? LastUsedAt { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset UpdatedAt { get; init; }
}

/// <summary>One secret that a credential has, or had.</summary>
sealed record CredentialVersion : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }

    /// <summary>To which the sealed secret is bound: so the secrets of two versions cannot be exchanged either.</summary>
    public required Id<CredentialVersion> Id { get; init; }

    public required Id<Credential> CredentialId { get; init; }

    /// <summary>1, 2, 3 … without a gap.</summary>
    public required int Number { get; init; }

    public required byte[] Secret { get; init; }
    public Id<User>? AuthorId { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
}

/// <summary>A version as lists show it.</summary>
public sealed record CredentialVersionSummary(int Number, Id<User>? AuthorId, DateTimeOffset CreatedAt);

/// <summary>What is needed to make a credential.</summary>
public sealed record NewCredential
{
    public required string Name { get; init; }
    public string? Description { get; init; }
    public required CredentialType Type { get; init; }

    /// <summary>An object with what its type needs; at most 64 KB.</summary>
    public required JsonElement Secret { get; init; }

    /// <summary>Null is TEAM with a team, and PRIVATE without.</summary>
    public Visibility? Visibility { get; init; }

    public Id<Team>? TeamId { get; init; }

    /// <summary>Null is never.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>Without the secret: this ends up in logs.</summary>
    public override string ToString() => $"{nameof(NewCredential)} {{ {nameof(Name)} = {Name}, {nameof(Type)} = {Type} }}";
}

/// <summary>Changes to a credential; what is null stays.</summary>
public sealed record CredentialChanges
{
    public string? Name { get; init; }
    public string? Description { get; init; }
    public Visibility? Visibility { get; init; }
    public bool? Active { get; init; }
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>Takes the end away; not together with <see cref="ExpiresAt"/>.</summary>
    public bool NeverExpires { get; init; }
}

/// <summary>A credential's plaintext. Keep it no longer than it is used.</summary>
public sealed record RevealedCredential(Id<Credential> Id, CredentialType Type, int Version, JsonElement Secret)
{
    /// <summary>Without the secret: this ends up in logs.</summary>
    public override string ToString() => $"{nameof(RevealedCredential)} {{ {nameof(Id)} = {Id}, {nameof(Version)} = {Version} }}";
}

/// <summary>Which credentials to list; what is null does not restrict.</summary>
public sealed record CredentialFilter
{
    public CredentialType? Type { get; init; }
    public bool? Active { get; init; }

    /// <summary>Whether its time has passed.</summary>
    public bool? Expired { get; init; }

    public Id<User>? OwnerId { get; init; }

    /// <summary>A part of the name or the description, without regard to case.</summary>
    public string? Search { get; init; }
}

/// <param name="Active">Active, and not expired.</param>
/// <param name="ByType">A type of which there is none is absent.</param>
public sealed record CredentialFigures(int Total, int Active, int Inactive, int Expired, IReadOnlyDictionary<CredentialType, int> ByType);

public enum CredentialValidity { Valid, Inactive, Expired }

sealed class CredentialMapping : IEntityTypeConfiguration<Credential>
{
    public void Configure(EntityTypeBuilder<Credential> credential)
    {
        credential.ToTable("credentials");
        credential.HasKey(c => new { c.TenantId, c.Id });
        credential.HasOne<Tenant>().WithMany().HasForeignKey(c => c.TenantId).OnDelete(DeleteBehavior.Cascade);
        credential.HasOne<User>().WithMany().HasForeignKey(c => new { c.TenantId, c.OwnerId }).OnDelete(DeleteBehavior.Restrict);
        credential.HasOne<Team>().WithMany().HasForeignKey(c => new { c.TenantId, c.TeamId }).OnDelete(DeleteBehavior.Restrict);
        credential.Property(c => c.Name).HasMaxLength(255);
        credential.Property(c => c.Description).HasMaxLength(2000);

        // An imported one is known again.
        credential.Property<string?>("ImportKey").HasMaxLength(1024);
        credential.HasIndex("TenantId", "ImportKey").IsUnique().HasFilter("import_key is not null").HasDatabaseName("uq_credentials_import_key");

        // AccessRule: a user's own; and deleting a user.
        credential.HasIndex(c => new { c.TenantId, c.OwnerId }).HasDatabaseName("ix_credentials_by_owner");

        // AccessRule: a team's; and deleting a team.
        credential.HasIndex(c => new { c.TenantId, c.TeamId }).HasDatabaseName("ix_credentials_by_team").HasFilter("team_id is not null");

        // AccessRule: what everybody may use.
        credential.HasIndex(c => new { c.TenantId, c.Id }).HasDatabaseName("ix_credentials_public").HasFilter("visibility = 'PUBLIC'");

        // DeactivateExpiredAsync.
        credential.HasIndex(c => new { c.TenantId, c.ExpiresAt }).HasDatabaseName("ix_credentials_by_end").HasFilter("active and expires_at is not null");
    }
}

sealed class CredentialVersionMapping : IEntityTypeConfiguration<CredentialVersion>
{
    public void Configure(EntityTypeBuilder<CredentialVersion> version)
    {
        version.ToTable("credential_versions");
        version.HasKey(v => new { v.TenantId, v.Id });
        version.HasOne<Credential>().WithMany().HasForeignKey(v => new { v.TenantId, v.CredentialId }).OnDelete(DeleteBehavior.Cascade);

        version.Property(v => v.Secret).IsSealed();

        // The secret of a credential; and that two who set one at once make two.
        version.HasIndex(v => new { v.TenantId, v.CredentialId, v.Number }).IsUnique().HasDatabaseName("uq_credential_versions_number");
    }
}
