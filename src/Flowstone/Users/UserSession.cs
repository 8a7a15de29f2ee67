using Flowstone.Tenancy;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Flowstone.Users;

/// <summary>A signed-in device. The token is the tenant and a secret; only the secret's hash is kept.</summary>
sealed record UserSession : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required byte[] TokenHash { get; init; }
    public required Id<User> UserId { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset ExpiresAt { get; init; }

    /// <summary>To the minute: a session that is used all the time writes once a minute.</summary>
    public required DateTimeOffset LastUsedAt { get; init; }

    public string? Address { get; init; }
    public string? Agent { get; init; }
}

sealed class UserSessionMapping : IEntityTypeConfiguration<UserSession>
{
    public void Configure(EntityTypeBuilder<UserSession> session)
    {
        session.ToTable("user_sessions");
        session.HasKey(s => new { s.TenantId, s.TokenHash });
        session.HasOne<User>().WithMany().HasForeignKey(s => new { s.TenantId, s.UserId }).OnDelete(DeleteBehavior.Cascade);
        session.Property(s => s.Address).HasMaxLength(64);
        session.Property(s => s.Agent).HasMaxLength(SignInSource.MaxAgentLength);

        // Deleting a user, and signing out all their devices.
        session.HasIndex(s => new { s.TenantId, s.UserId }).HasDatabaseName("ix_user_sessions_by_user");
    }
}

/// <summary>A device from which the user has signed in: others' failures do not lock it out.</summary>
sealed record UserDevice : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required Id<User> UserId { get; init; }
    public required byte[] DeviceHash { get; init; }
    public required DateTimeOffset LastUsedAt { get; init; }
}

sealed class UserDeviceMapping : IEntityTypeConfiguration<UserDevice>
{
    public void Configure(EntityTypeBuilder<UserDevice> device)
    {
        device.ToTable("user_devices");
        device.HasKey(d => new { d.TenantId, d.UserId, d.DeviceHash });
        device.HasOne<User>().WithMany().HasForeignKey(d => new { d.TenantId, d.UserId }).OnDelete(DeleteBehavior.Cascade);
    }
}

public enum TokenPurpose
{
    /// <summary>Proves that the user reads mail at their address. Good for a day.</summary>
    VerifyEmail,

    /// <summary>Sets a new password without the old one. Good for an hour.</summary>
    ResetPassword,
}

/// <summary>What was sent to a user to be given back once. Only its hash is kept.</summary>
sealed record UserToken : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required byte[] TokenHash { get; init; }
    public required Id<User> UserId { get; init; }
    public required TokenPurpose Purpose { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset ExpiresAt { get; init; }
}

sealed class UserTokenMapping : IEntityTypeConfiguration<UserToken>
{
    public void Configure(EntityTypeBuilder<UserToken> token)
    {
        token.ToTable("user_tokens");
        token.HasKey(t => new { t.TenantId, t.TokenHash });
        token.HasOne<User>().WithMany().HasForeignKey(t => new { t.TenantId, t.UserId }).OnDelete(DeleteBehavior.Cascade);

        // Deleting a user, and the token that a new one replaces.
        token.HasIndex(t => new { t.TenantId, t.UserId, t.Purpose }).IsUnique().HasDatabaseName("ix_user_tokens_by_user");
    }
}
