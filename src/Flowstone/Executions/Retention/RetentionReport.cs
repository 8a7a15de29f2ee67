using Flowstone.Tenancy;

namespace Flowstone.Executions;

/// <summary>What retention deleted, or would delete. Of two runs at once, both may count what one deletes while the other drops its week.</summary>
/// <param name="Partitions">Weeks that go as a whole.</param>
/// <param name="Tenants">All of them, by slug.</param>
public sealed record RetentionReport(IReadOnlyList<ExpiredWeek> Partitions, IReadOnlyList<TenantRetention> Tenants)
{
    public long Executions => Partitions.Sum(week => week.Executions) + Tenants.Sum(tenant => tenant.Executions);
}

/// <summary>A week in which all executions of all tenants are past their time.</summary>
/// <param name="Week">Its Monday, in UTC.</param>
public sealed record ExpiredWeek(DateOnly Week, long Executions);

/// <param name="Days">How long what is finished stays.</param>
/// <param name="OwnDays">Whether the tenant says so itself.</param>
/// <param name="Executions">Beside those of whole weeks.</param>
public sealed record TenantRetention(Id<Tenant> TenantId, string Slug, int Days, bool OwnDays, long Executions);
