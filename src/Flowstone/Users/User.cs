using System.Text.Json;
using System.Text.Json.Serialization;
using Flowstone.Credentials;
using Flowstone.Tenancy;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Flowstone.Users;

public enum UserRole { Admin, User, Viewer }

public enum UserStatus { Active, Inactive, Suspended, PendingVerification }

/// <summary>A person who uses the platform. What signs them in is in <see cref="UserLogin"/>.</summary>
public sealed record User : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required Id<User> Id { get; init; }

    /// <summary>As the user wrote it; unique over all tenants without regard to case.</summary>
    public required string Email { get; init; }

    public string? FirstName { get; init; }
    public string? LastName { get; init; }
    public required UserRole Role { get; init; }
    public required UserStatus Status { get; init; }
    public required string TimeZone { get; init; }
    public required string Language { get; init; }
    public required JsonElement Preferences { get; init; }
    public DateTimeOffset? EmailVerifiedAt { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset UpdatedAt { get; init; }
}

/// <summary>What is needed to make a user.</summary>
public sealed record NewUser
{
    public required string Email { get; init; }
    public string? FirstName { get; init; }
    public string? LastName { get; init; }
    public UserRole Role { get; init; } = UserRole.User;

    /// <summary>PENDING_VERIFICATION: signs in once the address is verified.</summary>
    public UserStatus Status { get; init; } = UserStatus.Active;

    /// <summary>An IANA name, such as <c>Europe/Berlin</c>.</summary>
    public string TimeZone { get; init; } = "UTC";

    public string Language { get; init; } = "en";

    /// <summary>What <see cref="SignIn.HashPassword"/> made of a password, never the password; null leaves the user unable to sign in.</summary>
    [JsonIgnore]
    public string? PasswordHash { get; init; }

    /// <summary>Without the hash: this ends up in logs.</summary>
    public override string ToString() => $"{nameof(NewUser)} {{ {nameof(Email)} = {Email}, {nameof(Role)} = {Role} }}";
}

/// <summary>Changes to a user; what is null stays.</summary>
public sealed record UserChanges
{
    public string? Email { get; init; }
    public string? FirstName { get; init; }
    public string? LastName { get; init; }
    public UserRole? Role { get; init; }
    public UserStatus? Status { get; init; }
    public string? TimeZone { get; init; }
    public string? Language { get; init; }
    public JsonElement? Preferences { get; init; }
}

sealed class UserMapping : IEntityTypeConfiguration<User>
{
    public void Configure(EntityTypeBuilder<User> user)
    {
        user.ToTable("users");
        user.HasKey(u => new { u.TenantId, u.Id });
        user.HasOne<Tenant>().WithMany().HasForeignKey(u => u.TenantId).OnDelete(DeleteBehavior.Cascade);
        user.Property(u => u.Email).HasMaxLength(320);
        user.Property(u => u.FirstName).HasMaxLength(255);
        user.Property(u => u.LastName).HasMaxLength(255);
        user.Property(u => u.TimeZone).HasMaxLength(64);
        user.Property(u => u.Language).HasMaxLength(16);
    }
}

/// <summary>How a user signs in. Apart from <see cref="User"/>, so that no list or answer can carry a hash.</summary>
sealed record UserLogin : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required Id<User> UserId { get; init; }
    public string? PasswordHash { get; init; }
    public DateTimeOffset? LastLoginAt { get; init; }

    /// <summary>Changes with everything that signs the user in, so that what was signed in before can be told. Null until then.</summary>
    public Guid? SecurityStamp { get; init; }

    /// <summary>Sealed: from which the codes of the user's authenticator come; null where there is none.</summary>
    public byte[]? TotpSecret { get; init; }

    /// <summary>Since when a code is asked for at sign-in; null where the authenticator has not shown yet that it works.</summary>
    public DateTimeOffset? TotpConfirmedAt { get; init; }

    /// <summary>The half minute, counted from 1970, of the last code that was taken: none of it or before is taken again.</summary>
    public required long TotpStep { get; init; }
}

sealed class UserLoginMapping : IEntityTypeConfiguration<UserLogin>
{
    public void Configure(EntityTypeBuilder<UserLogin> login)
    {
        login.ToTable("user_logins");
        login.HasKey(l => new { l.TenantId, l.UserId });
        login.HasOne<User>().WithOne().HasForeignKey<UserLogin>(l => new { l.TenantId, l.UserId }).OnDelete(DeleteBehavior.Cascade);
        login.Property(l => l.TotpSecret!).IsSealed();
        login.Property(l => l.TotpStep).HasDefaultValue(0L);
    }
}

/// <summary>A code that signs the user in once, when the authenticator is lost.</summary>
sealed record UserRecoveryCode : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required Id<User> UserId { get; init; }
    public required byte[] CodeHash { get; init; }
}

sealed class UserRecoveryCodeMapping : IEntityTypeConfiguration<UserRecoveryCode>
{
    public void Configure(EntityTypeBuilder<UserRecoveryCode> code)
    {
        code.ToTable("user_recovery_codes");
        code.HasKey(c => new { c.TenantId, c.UserId, c.CodeHash });
        code.HasOne<User>().WithMany().HasForeignKey(c => new { c.TenantId, c.UserId }).OnDelete(DeleteBehavior.Cascade);
    }
}

/// <summary>
/// Which user has an e-mail address: the one look-up that comes before the tenant is known. Keyed by a hash of the address, so that
/// reading the table tells no addresses, and so that it can be distributed by its key; without foreign keys for the same reason.
/// </summary>
sealed record UserEmail : ITenantOwned
{
    /// <summary>SHA-256 of the address in lower case and Unicode form NFKC.</summary>
    public required byte[] EmailHash { get; init; }

    public required Id<Tenant> TenantId { get; init; }
    public required Id<User> UserId { get; init; }
}

sealed class UserEmailMapping : IEntityTypeConfiguration<UserEmail>
{
    public void Configure(EntityTypeBuilder<UserEmail> email)
    {
        email.ToTable("user_emails");
        email.HasKey(e => e.EmailHash);

        // Changing and deleting a user's address.
        email.HasIndex(e => new { e.TenantId, e.UserId }).HasDatabaseName("ix_user_emails_by_user");
    }
}

/// <summary>
/// Whose an account elsewhere is (Google, a company's directory). Looked up before the tenant is known, so keyed and without foreign keys as <see cref="UserEmail"/> is.
/// </summary>
sealed record UserExternalLogin : ITenantOwned
{
    /// <summary>SHA-256 of the provider and its key of the account.</summary>
    public required byte[] LoginHash { get; init; }

    public required Id<Tenant> TenantId { get; init; }
    public required Id<User> UserId { get; init; }
    public required string Provider { get; init; }
    public required string ProviderKey { get; init; }
    public string? DisplayName { get; init; }
}

sealed class UserExternalLoginMapping : IEntityTypeConfiguration<UserExternalLogin>
{
    public void Configure(EntityTypeBuilder<UserExternalLogin> login)
    {
        login.ToTable("user_external_logins");
        login.HasKey(l => l.LoginHash);
        login.Property(l => l.Provider).HasMaxLength(128);
        login.Property(l => l.ProviderKey).HasMaxLength(512);
        login.Property(l => l.DisplayName).HasMaxLength(256);

        // The logins of a user, and deleting a user.
        login.HasIndex(l => new { l.TenantId, l.UserId }).HasDatabaseName("ix_user_external_logins_by_user");
    }
}
