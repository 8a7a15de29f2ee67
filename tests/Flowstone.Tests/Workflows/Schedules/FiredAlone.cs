using Flowstone.Workflows;

namespace Flowstone.Tests.Workflows.Schedules;

/// <summary>Each test has a database of its own: whoever fires, fires for all tenants.</summary>
public abstract class FiredAlone(TestDatabase database)
{
    protected static NewSchedule EveryMinute => new() { Name = "Every minute", IntervalSeconds = 60 };

    protected async Task<(TestDatabase Alone, TestTenant Tenant, Workflow Workflow)> AloneAsync()
    {
        var alone = await database.AloneAsync();
        var tenant = await alone.NewTenantAsync();
        return (alone, tenant, await tenant.CreateWorkflowAsync());
    }

    protected static async Task<List<string>> LedgerAsync(TestTenant tenant, Schedule schedule)
    {
        var firings = await tenant.Scope.Schedules.ListFiringsAsync(schedule.Id, null, 2_000);
        firings.Reverse();
        return [.. firings.Select(f => $"{(f.DueAt - schedule.StartsAt).TotalSeconds} {f.Outcome}{(f.DueTimes > 1 ? $" x{f.DueTimes}" : "")}")];
    }
}
