using Flowstone.Permissions;
using Flowstone.Tenancy;

namespace Flowstone.Credentials;

/// <summary>What a tenant's administrators may do with the keys that seal its secrets. Operators have <see cref="KeyRotation"/>, for all tenants.</summary>
public sealed class TenantKeys
{
    readonly Id<Tenant> tenant;
    readonly AccessRule access;
    readonly KeyRotation rotation;

    internal TenantKeys(Id<Tenant> tenant, AccessRule access, KeyRotation rotation) => (this.tenant, this.access, this.rotation) = (tenant, access, rotation);

    /// <inheritdoc cref="KeyRotation.ReportAsync"/>
    /// <exception cref="AccessDeniedException">Only administrators may.</exception>
    public async Task<KeyReport> ReportAsync(CancellationToken cancellationToken = default)
    {
        await access.RequireAdministratorAsync(cancellationToken);
        return await rotation.ReportAsync(tenant, cancellationToken);
    }

    /// <summary>Makes a new data key seal from now on. What older ones have sealed is sealed anew by whoever calls <see cref="KeyRotation.ResealAsync"/> or <see cref="KeyRotation.ResumeAsync"/>: the server.</summary>
    /// <exception cref="AccessDeniedException">Only administrators may.</exception>
    public async Task RotateAsync(CancellationToken cancellationToken = default)
    {
        await access.RequireAdministratorAsync(cancellationToken);
        await rotation.BeginAsync(tenant, access.Actor, cancellationToken);
    }

    /// <inheritdoc cref="KeyRotation.CloseAsync"/>
    /// <exception cref="AccessDeniedException">Only administrators may.</exception>
    public async Task<int> CloseAsync(CancellationToken cancellationToken = default)
    {
        await access.RequireAdministratorAsync(cancellationToken);
        return await rotation.CloseAsync(tenant, access.Actor, cancellationToken);
    }

    /// <inheritdoc cref="KeyRotation.DestroyAsync"/>
    /// <exception cref="AccessDeniedException">Only administrators may.</exception>
    public async Task<int> DestroyAsync(CancellationToken cancellationToken = default)
    {
        await access.RequireAdministratorAsync(cancellationToken);
        return await rotation.DestroyAsync(tenant, access.Actor, cancellationToken);
    }
}
