using Flowstone.Tenancy;

namespace Flowstone.Credentials;

/// <summary>Where a sealed value lies: it opens there and nowhere else.</summary>
/// <param name="Column">Table and column: <c>credentials.secret</c>. At most 128 bytes.</param>
/// <param name="RowId">The row's id within the tenant.</param>
public readonly record struct SealedPlace(Id<Tenant> TenantId, string Column, Guid RowId);
