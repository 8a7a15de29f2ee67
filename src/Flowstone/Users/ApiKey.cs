using Flowstone.Permissions;
using Flowstone.Tenancy;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Flowstone.Users;

/// <summary>What an API key is for. What they mean with workflows: <see cref="AccessLevel"/>; each but WORK includes those before it.</summary>
public enum ApiScope
{
    Read,
    Execute,
    Write,

    /// <summary>All that its user may do, but for the user's own password and sessions.</summary>
    Admin,

    /// <summary>Claim the tenant's executions and record them. Only administrators can give it.</summary>
    Work,
}

/// <summary>A key by which programs act for a user. The key itself is shown once, when it is made.</summary>
public sealed record ApiKey : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required Id<ApiKey> Id { get; init; }
    public required Id<User> UserId { get; init; }
    public required string Name { get; init; }

    /// <summary>How the key begins, to tell it from others.</summary>
    public required string Prefix { get; init; }

    public required IReadOnlyList<ApiScope> Scopes { get; init; }

    /// <summary>Requests per hour, over all servers together.</summary>
    public required int RateLimit { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>From then on it is nobody's; null is never.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>About: it is written when a server takes a share of the hour's requests.</summary>
    public DateTimeOffset? LastUsedAt { get; init; }
}

/// <summary>What is needed to make a key.</summary>
public sealed record NewApiKey
{
    public required string Name { get; init; }
    public required IReadOnlyList<ApiScope> Scopes { get; init; }

    /// <summary>1 to 1,000,000 requests per hour.</summary>
    public int RateLimit { get; init; } = 1000;

    public DateTimeOffset? ExpiresAt { get; init; }
}

/// <summary>Whom a key acts for.</summary>
public sealed record ApiKeyUser(Id<ApiKey> KeyId, SignedInUser User, IReadOnlyList<ApiScope> Scopes)
{
    public bool MayWork => Scopes.Contains(ApiScope.Work);

    internal AccessLevel Limit => Scopes.Select(scope => scope switch
    {
        ApiScope.Read => AccessLevel.Read,
        ApiScope.Execute => AccessLevel.Execute,
        ApiScope.Write => AccessLevel.Write,
        ApiScope.Admin => AccessLevel.Admin,
        _ => AccessLevel.None,
    }).DefaultIfEmpty(AccessLevel.None).Max();
}

/// <summary>A key was used more often than it may be.</summary>
public sealed class RateLimitException(int perHour, TimeSpan retryAfter)
    : FlowstoneException($"The API key has used its {perHour:N0} requests of this hour. Try again in {Math.Max(1, (int)Math.Ceiling(retryAfter.TotalSeconds))} seconds.")
{
    public TimeSpan RetryAfter => retryAfter;
}

sealed class ApiKeyMapping : IEntityTypeConfiguration<ApiKey>
{
    public void Configure(EntityTypeBuilder<ApiKey> key)
    {
        key.ToTable("api_keys", table => table.HasCheckConstraint("ck_api_keys_scopes", "scopes <@ array['READ', 'EXECUTE', 'WRITE', 'ADMIN', 'WORK']::text[] and cardinality(scopes) > 0"));
        key.HasKey(k => new { k.TenantId, k.Id });
        key.HasOne<User>().WithMany().HasForeignKey(k => new { k.TenantId, k.UserId }).OnDelete(DeleteBehavior.Cascade);
        key.Property<byte[]>("KeyHash").IsRequired();
        key.Property(k => k.Name).HasMaxLength(255);
        key.Property(k => k.Prefix).HasMaxLength(16);
        key.Property(k => k.Scopes).HasColumnType("text[]").HasConversion(
            scopes => scopes.Select(Data.EnumText<ApiScope>.Of).ToArray(), texts => texts.Select(Data.EnumText<ApiScope>.Parse).ToArray(),
            new Microsoft.EntityFrameworkCore.ChangeTracking.ValueComparer<IReadOnlyList<ApiScope>>((one, other) => one!.SequenceEqual(other!), scopes => scopes.Count, scopes => scopes.ToArray()));

        // ApiKeys.FindAsync: at every request.
        key.HasIndex("TenantId", "KeyHash").IsUnique().HasDatabaseName("uq_api_keys_hash");

        // A user's keys; and deleting a user.
        key.HasIndex(k => new { k.TenantId, k.UserId }).HasDatabaseName("ix_api_keys_by_user");
    }
}

/// <summary>How many requests of an hour servers have taken for a key.</summary>
sealed record ApiKeyUse : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required Id<ApiKey> KeyId { get; init; }
    public required DateTimeOffset Hour { get; init; }
    public required int Taken { get; init; }
}

sealed class ApiKeyUseMapping : IEntityTypeConfiguration<ApiKeyUse>
{
    public void Configure(EntityTypeBuilder<ApiKeyUse> use)
    {
        use.ToTable("api_key_uses");
        use.HasKey(u => new { u.TenantId, u.KeyId });
        use.HasOne<ApiKey>().WithOne().HasForeignKey<ApiKeyUse>(u => new { u.TenantId, u.KeyId }).OnDelete(DeleteBehavior.Cascade);
    }
}
