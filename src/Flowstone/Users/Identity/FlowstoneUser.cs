using System.Security.Claims;
using Flowstone.Tenancy;

namespace Flowstone.Users.Identity;

/// <summary>A user as ASP.NET Core Identity changes them: a <see cref="User"/> with what signs them in. Role and status are changed by <see cref="UserRepository"/>.</summary>
public sealed class FlowstoneUser
{
    /// <summary>Null until it is stored: then the tenant of <see cref="FlowstoneIdentityOptions"/>, unless another was set.</summary>
    public Id<Tenant>? TenantId { get; set; }

    public Id<User>? Id { get; internal set; }

    /// <summary>Signs in, too: users have no other name.</summary>
    public string? Email { get; set; }

    public DateTimeOffset? EmailVerifiedAt { get; set; }
    public string? FirstName { get; set; }
    public string? LastName { get; set; }

    /// <summary>An IANA name, such as <c>Europe/Berlin</c>.</summary>
    public string TimeZone { get; set; } = "UTC";

    public string Language { get; set; } = "en";
    public UserRole Role { get; internal set; } = UserRole.User;
    public UserStatus Status { get; internal set; } = UserStatus.Active;

    internal string? PasswordHash { get; set; }
    internal Guid? SecurityStamp { get; set; }
    internal byte[]? TotpSecret { get; set; }
    internal DateTimeOffset? TotpConfirmedAt { get; set; }

    /// <summary>The hash of the stored address: what failures are counted under.</summary>
    internal byte[] Account { get; set; } = [];

    /// <summary>As it was read: a change of what has changed meanwhile is refused.</summary>
    internal FlowstoneUser Stored { get; set; } = null!;

    internal FlowstoneUser Copy() => (FlowstoneUser)MemberwiseClone();

    /// <summary>How Identity, its cookies and its links name a user: the tenant and the id, so that a look-up touches one tenant.</summary>
    public static string IdOf(Id<Tenant> tenant, Id<User> user) => $"{tenant}.{user}";

    /// <returns>False for anything that was never one.</returns>
    public static bool TryParseId(string? id, out Id<Tenant> tenant, out Id<User> user)
    {
        (tenant, user) = (default, default);
        if (id?.Split('.') is not [var one, var other] || !Guid.TryParse(one, out var tenantId) || !Guid.TryParse(other, out var userId))
            return false;
        (tenant, user) = (new(tenantId), new(userId));
        return true;
    }
}

public static class SignedInTenant
{
    /// <summary>The repositories of whoever is signed in by ASP.NET Core Identity.</summary>
    /// <exception cref="InvalidOperationException">Nobody is.</exception>
    public static TenantScope Tenant(this FlowstoneStore store, ClaimsPrincipal principal)
        => FlowstoneUser.TryParseId(principal.FindFirstValue(ClaimTypes.NameIdentifier), out var tenant, out var user)
            ? store.Tenant(tenant, Actor.User(user)) : throw new InvalidOperationException("Nobody is signed in: the endpoint needs authorization.");
}

/// <summary>How ASP.NET Core Identity uses Flowstone.</summary>
public sealed class FlowstoneIdentityOptions
{
    /// <summary>The slug of the tenant of users who register. A user whose <see cref="FlowstoneUser.TenantId"/> is set goes there.</summary>
    public string Tenant { get; set; } = "default";
}
