using System.Text.Json;
using Flowstone.Workflows;

namespace Flowstone.Tests.Workflows.Schedules;

/// <summary>However much is due, it is done in bounded pieces, and nothing of it is lost.</summary>
public sealed class ScheduleLoadTests(TestDatabase database) : FiredAlone(database)
{
    [Fact]
    public async Task A_very_long_outage_is_told_in_few_entries_and_every_due_time_is_counted()
    {
        var (alone, tenant, workflow) = await AloneAsync();
        var schedule = await tenant.Scope.Schedules.CreateAsync(workflow.Id, new() { Name = "Every second", IntervalSeconds = 1 });
        tenant.Clock.Advance(TimeSpan.FromSeconds(25_000));

        var total = 0;
        for (var run = await tenant.Store.Schedules.RunOnceAsync(); run.Fired + run.Missed > 0; run = await tenant.Store.Schedules.RunOnceAsync())
            total += run.Fired + run.Missed;

        Assert.Equal(25_000, total);
        Assert.Equal(61, await alone.ScalarAsync<long>("select count(*) from flowstone.executions"));   // those of the last minute
        Assert.InRange(await alone.ScalarAsync<long>("select count(*) from flowstone.schedule_firings"), 1_000, 4_000);
        Assert.Equal(25_000, await alone.ScalarAsync<long>("select sum(due_times) from flowstone.schedule_firings"));
        Assert.Equal(25_000, (await tenant.Scope.Schedules.ListFiringsAsync(schedule.Id, null, 1))[0].DueAt.Subtract(schedule.StartsAt).TotalSeconds);
    }

    [Fact]
    public async Task Two_hundred_due_times_of_a_tenant_take_few_round_trips()
    {
        var (_, tenant, workflow) = await AloneAsync();
        for (var i = 0; i < 50; i++)
            await tenant.Scope.Schedules.CreateAsync(workflow.Id, EveryMinute with { JitterSeconds = 30 });
        tenant.Clock.Advance(TimeSpan.FromSeconds(100));
        var fired = 0;
        var trips = await RoundTrips.CountAsync(async () => fired = (await tenant.Store.Schedules.RunOnceAsync()).Fired);
        Assert.Equal(50, fired);
        Assert.InRange(trips, 3, 10);
    }

    [Fact]
    public async Task Of_very_many_missed_ones_the_latest_are_fired_up_to_the_limit()
    {
        var (alone, tenant, workflow) = await AloneAsync();
        var schedule = await tenant.Scope.Schedules.CreateAsync(workflow.Id, EveryMinute with { Missed = MissedPolicy.All, MissedLimit = 100 });
        tenant.Clock.Advance(TimeSpan.FromMinutes(10_030) + TimeSpan.FromSeconds(5));

        while (await tenant.Store.Schedules.RunOnceAsync() is { } run && run.Fired + run.Missed > 0) ;

        Assert.Equal(101, await alone.ScalarAsync<long>("select count(*) from flowstone.schedule_firings where outcome = 'FIRED'"));   // and the one that is due just now
        Assert.Equal(10_030, await alone.ScalarAsync<long>("select sum(due_times) from flowstone.schedule_firings"));
        Assert.Equal($"{(10_030 - 101 + 1) * 60} Fired", (await LedgerAsync(tenant, schedule)).First(entry => entry.EndsWith("Fired", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task However_much_is_due_a_transaction_starts_a_few_hundred_executions_and_the_next_goes_on()
    {
        var (alone, tenant, workflow) = await AloneAsync();
        for (var i = 0; i < 3; i++)
            await tenant.Scope.Schedules.CreateAsync(workflow.Id, EveryMinute with { Missed = MissedPolicy.All, MissedLimit = 1_000 });
        tenant.Clock.Advance(TimeSpan.FromMinutes(700));

        var runs = new List<int>();
        while (await tenant.Store.Schedules.RunOnceAsync() is { Fired: > 0 } run)
            runs.Add(run.Fired);

        Assert.Equal(2_100, runs.Sum());
        Assert.All(runs, fired => Assert.InRange(fired, 1, 500));
        Assert.Equal(2_100, await alone.ScalarAsync<long>("select count(distinct (schedule_id, due_at)) from flowstone.schedule_firings where outcome = 'FIRED'"));
    }

    [Fact]
    public async Task Of_very_many_due_times_a_transaction_looks_at_some_tens_of_thousands()
    {
        var (_, tenant, workflow) = await AloneAsync();
        for (var i = 0; i < 7; i++)
            await tenant.Scope.Schedules.CreateAsync(workflow.Id, new() { Name = "Every second", IntervalSeconds = 1, Missed = MissedPolicy.Skip });
        tenant.Clock.Advance(TimeSpan.FromHours(5));

        Assert.Equal(new ScheduleRun(0, 50_000, 0, null), await tenant.Store.Schedules.RunOnceAsync());
    }

    [Fact]
    public async Task Inputs_are_held_in_memory_up_to_some_megabytes_at_once()
    {
        var (_, tenant, workflow) = await AloneAsync();
        var input = JsonSerializer.SerializeToElement(new string('x', 1_000_000));
        await tenant.Scope.Schedules.CreateAsync(workflow.Id, EveryMinute with { Missed = MissedPolicy.All, Input = input });
        tenant.Clock.Advance(TimeSpan.FromMinutes(40));
        Assert.Equal(17, (await tenant.Store.Schedules.RunOnceAsync()).Fired);
        Assert.Equal(17, (await tenant.Store.Schedules.RunOnceAsync()).Fired);
        Assert.Equal(6, (await tenant.Store.Schedules.RunOnceAsync()).Fired);
    }
}
