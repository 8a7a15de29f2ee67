using Flowstone.Permissions;
using Flowstone.Users;

namespace Flowstone.Tenancy;

/// <summary>On whose behalf something is done.</summary>
public readonly record struct Actor
{
    Actor(Id<User>? userId, UserRole? role, string name, Id<Tenant>? tenantId = null, AccessLevel limit = AccessLevel.Admin)
        => (UserId, Role, Name, TenantId, Limit) = (userId, role, name, tenantId, limit);

    /// <summary>The user, or null where the platform itself acts.</summary>
    public Id<User>? UserId { get; }

    /// <summary>The user's role if it was read just now; else it is asked for where it matters.</summary>
    internal UserRole? Role { get; }

    /// <summary>Where the role was read, and is good; null where none was.</summary>
    internal Id<Tenant>? TenantId { get; }

    /// <summary>What the key that acts for the user is for; all where the user acts in person.</summary>
    internal AccessLevel Limit { get; }

    /// <summary>Who it was, for people.</summary>
    public string Name { get; }

    public static Actor User(Id<User> id) => new(id, null, $"user {id}");

    /// <summary>Whoever a session was found to belong to: saves asking for the role.</summary>
    public static Actor User(SignedInUser user) => new(user.UserId, user.Role, $"user {user.UserId}", user.TenantId);

    /// <summary>A user by an API key: what the user may, within the key's scopes.</summary>
    public static Actor Key(ApiKeyUser key) => new(key.User.UserId, key.User.Role, $"API key {key.KeyId} of user {key.User.UserId}", key.User.TenantId, key.Limit);

    /// <summary>A job of the platform: <c>"retention"</c>, <c>"import"</c>. It may do everything.</summary>
    public static Actor System(string job) => new(null, null, job);
}
