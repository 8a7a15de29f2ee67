using Flowstone.Users;

namespace Flowstone.Tenancy;

/// <summary>On whose behalf something is done.</summary>
public readonly record struct Actor
{
    Actor(Id<User>? userId, string name) => (UserId, Name) = (userId, name);

    /// <summary>The user, or null where the platform itself acts.</summary>
    public Id<User>? UserId { get; }

    /// <summary>Who it was, for people.</summary>
    public string Name { get; }

    public static Actor User(Id<User> id) => new(id, $"user {id}");

    /// <summary>A job of the platform: <c>"retention"</c>, <c>"import"</c>.</summary>
    public static Actor System(string job) => new(null, job);
}
