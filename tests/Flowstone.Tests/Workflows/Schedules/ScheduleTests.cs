using System.Text.Json;
using Flowstone.Executions;
using Flowstone.Permissions;
using Flowstone.Tenancy;
using Flowstone.Workflows;

namespace Flowstone.Tests.Workflows.Schedules;

/// <summary>What becomes of due times, and what a schedule may be.</summary>
public sealed class ScheduleTests(TestDatabase database) : FiredAlone(database)
{
    [Fact]
    public async Task A_due_time_starts_an_execution_once_whoever_comes_at_the_same_moment()
    {
        var (alone, tenant, workflow) = await AloneAsync();
        await tenant.Scope.Workflows.PublishAsync(workflow.Id);
        await tenant.Scope.Workflows.UpdateAsync(workflow.Id, TestTenant.Definition(note: "newer"), basedOn: 1);
        var schedule = await tenant.Scope.Schedules.CreateAsync(workflow.Id, EveryMinute);
        Assert.Equal(tenant.Clock.Now().AddMinutes(1), schedule.NextDueAt);
        Assert.Equal(0, (await tenant.Store.Schedules.RunOnceAsync()).Fired);

        tenant.Clock.Advance(TimeSpan.FromSeconds(61));
        var runs = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => tenant.InAnotherProcess(alone.Source).Store.Schedules.RunOnceAsync()));

        Assert.Equal(1, runs.Sum(run => run.Fired));
        Assert.Equal(["60 Fired"], await LedgerAsync(tenant, schedule));
        var execution = Assert.Single(await tenant.Scope.Executions.ListAsync(new(), null, 10));
        Assert.Equal((ExecutionTrigger.Schedule, 1, execution.Id), (execution.Trigger, execution.WorkflowVersion, (await tenant.Scope.Schedules.ListFiringsAsync(schedule.Id, null, 1))[0].ExecutionId));
        var input = JsonElement.Parse((await tenant.Scope.Executions.FindPayloadAsync(execution.Id, execution.Input!))!.Bytes.Span);
        Assert.Equal(schedule.StartsAt.AddMinutes(1), input.GetProperty("dueAt").GetDateTimeOffset());
        Assert.Equal(schedule.StartsAt.AddMinutes(2), (await tenant.Scope.Schedules.FindAsync(schedule.Id))!.NextDueAt);
        Assert.Single(await tenant.ClaimAsync());
    }

    [Theory]
    [InlineData(MissedPolicy.Skip, 5, new[] { "60 Missed", "120 Missed", "180 Missed", "240 Fired" })]
    [InlineData(MissedPolicy.Latest, 5, new[] { "60 Missed", "120 Missed", "180 Missed", "240 Fired" })]
    [InlineData(MissedPolicy.All, 2, new[] { "60 Missed", "120 Fired", "180 Fired", "240 Fired" })]
    [InlineData(MissedPolicy.All, 5, new[] { "60 Fired", "120 Fired", "180 Fired", "240 Fired" })]
    public async Task After_an_outage_each_due_time_is_fired_or_missed_as_its_policy_says(MissedPolicy missed, int limit, string[] expected)
    {
        var (_, tenant, workflow) = await AloneAsync();
        var schedule = await tenant.Scope.Schedules.CreateAsync(workflow.Id, EveryMinute with { Missed = missed, MissedLimit = limit });

        tenant.Clock.Advance(TimeSpan.FromSeconds(245));
        await tenant.Store.Schedules.RunOnceAsync();

        Assert.Equal(expected, await LedgerAsync(tenant, schedule));
    }

    [Theory]
    [InlineData(MissedPolicy.Skip, 0)]
    [InlineData(MissedPolicy.Latest, 1)]
    [InlineData(MissedPolicy.All, 3)]
    public async Task Where_none_is_due_just_now_only_missed_ones_are_fired(MissedPolicy missed, int fired)
    {
        var (_, tenant, workflow) = await AloneAsync();
        await tenant.Scope.Schedules.CreateAsync(workflow.Id, new() { Name = "Hourly", IntervalSeconds = 3600, Missed = missed });
        tenant.Clock.Advance(TimeSpan.FromMinutes(200));
        Assert.Equal((fired, 3 - fired), await tenant.Store.Schedules.RunOnceAsync() is var run ? (run.Fired, run.Missed) : default);
    }

    [Fact]
    public async Task While_the_one_before_runs_the_next_is_skipped_if_the_schedule_says_so()
    {
        var (_, tenant, workflow) = await AloneAsync();
        var (skip, allow) = (await tenant.Scope.Schedules.CreateAsync(workflow.Id, EveryMinute with { Overlap = OverlapRule.Skip }), await tenant.Scope.Schedules.CreateAsync(workflow.Id, EveryMinute));
        for (var i = 0; i < 2; i++)
        {
            tenant.Clock.Advance(TimeSpan.FromSeconds(61));
            await tenant.Store.Schedules.RunOnceAsync();
        }
        foreach (var claimed in await tenant.ClaimAsync())
            await tenant.Queue.FinishAsync(claimed.Lease, new() { Status = ExecutionStatus.Success });
        tenant.Clock.Advance(TimeSpan.FromSeconds(61));
        await tenant.Store.Schedules.RunOnceAsync();

        Assert.Equal(["60 Fired", "120 Skipped", "180 Fired"], await LedgerAsync(tenant, skip));
        Assert.Equal(["60 Fired", "120 Fired", "180 Fired"], await LedgerAsync(tenant, allow));
        Assert.Contains("still runs", (await tenant.Scope.Schedules.ListFiringsAsync(skip.Id, null, 3))[1].Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Paused_it_misses_nothing_and_of_a_paused_inactive_or_deleted_workflow_due_times_are_skipped()
    {
        var (_, tenant, workflow) = await AloneAsync();
        var schedule = await tenant.Scope.Schedules.CreateAsync(workflow.Id, EveryMinute);
        Assert.Null((await tenant.Scope.Schedules.PauseAsync(schedule.Id)).NextDueAt);
        await AdvanceAsync(600);
        Assert.Equal(schedule.StartsAt.AddSeconds(660), (await tenant.Scope.Schedules.ResumeAsync(schedule.Id)).NextDueAt);
        Assert.Empty(await LedgerAsync(tenant, schedule));

        await tenant.Scope.Queue.PauseAsync(workflow.Id);
        await AdvanceAsync(61);
        await tenant.Scope.Queue.ResumeAsync(workflow.Id);
        await tenant.Scope.Workflows.SetAsync(workflow.Id, WorkflowStatus.Archived, null);
        await AdvanceAsync(60);
        await tenant.Scope.Workflows.SetAsync(workflow.Id, WorkflowStatus.Active, null);
        await tenant.Scope.Workflows.DeleteAsync(workflow.Id);
        Assert.Null(await tenant.Scope.Schedules.FindAsync(schedule.Id));
        await AdvanceAsync(60);
        await tenant.Scope.Workflows.UndeleteAsync(workflow.Id);
        await AdvanceAsync(60);

        Assert.Equal(["660 Skipped", "720 Skipped", "780 Skipped", "840 Fired"], await LedgerAsync(tenant, schedule));
        Assert.Equal(["The workflow is in the trash.", "The workflow is ARCHIVED.", "The workflow is paused."],
            (await tenant.Scope.Schedules.ListFiringsAsync(schedule.Id, null, 4)).Skip(1).Select(f => f.Reason));

        async Task AdvanceAsync(int seconds)
        {
            tenant.Clock.Advance(TimeSpan.FromSeconds(seconds));
            await tenant.Store.Schedules.RunOnceAsync();
        }
    }

    [Fact]
    public async Task One_that_cannot_be_started_is_told_and_is_in_nobodys_way()
    {
        var (_, tenant, workflow) = await AloneAsync();
        var small = await tenant.CreateWorkflowAsync();
        await tenant.Scope.PayloadPolicies.SetAsync(small.Id, new() { LimitBytes = 5, Overflow = PayloadOverflow.Reject });
        var (bad, good) = (await tenant.Scope.Schedules.CreateAsync(small.Id, EveryMinute), await tenant.Scope.Schedules.CreateAsync(workflow.Id, EveryMinute));

        tenant.Clock.Advance(TimeSpan.FromSeconds(61));
        var run = await tenant.Store.Schedules.RunOnceAsync();

        Assert.Equal((1, 1), (run.Fired, run.Skipped));
        Assert.Equal(["60 Fired"], await LedgerAsync(tenant, good));
        Assert.Contains("at most 5", (await tenant.Scope.Schedules.ListFiringsAsync(bad.Id, null, 1))[0].Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_tenant_whose_payloads_cannot_be_sealed_keeps_nobody_else_waiting()
    {
        var (alone, tenant, workflow) = await AloneAsync();
        var other = await alone.NewTenantAsync();
        await tenant.Scope.PayloadPolicies.SetAsync(new() { Seal = true });
        var (stuck, fine) = (await tenant.Scope.Schedules.CreateAsync(workflow.Id, EveryMinute), await other.Scope.Schedules.CreateAsync((await other.CreateWorkflowAsync()).Id, EveryMinute));
        tenant.Clock.Advance(TimeSpan.FromSeconds(61));
        await using var source = FlowstoneStore.Connect(new FlowstoneOptions { ConnectionString = alone.AppConnectionString(), PoolMax = 4, PoolMin = 0 });
        await using var keyless = new FlowstoneStore(source, tenant.Clock);

        var error = await Assert.ThrowsAsync<UnavailableException>(() => keyless.Schedules.RunOnceAsync());

        Assert.Contains("FLOWSTONE_KEY_FILE", error.Message, StringComparison.Ordinal);
        Assert.Equal(["60 Fired"], await LedgerAsync(other, fine));
        Assert.Equal(0, (await keyless.Schedules.RunOnceAsync()).Fired);   // it is left alone
        Assert.Empty(await LedgerAsync(tenant, stuck));
        Assert.Equal(1, (await tenant.Store.Schedules.RunOnceAsync()).Fired);   // who has the key fires it
        tenant.Clock.Advance(TimeSpan.FromSeconds(60));
        await Assert.ThrowsAsync<UnavailableException>(() => keyless.Schedules.RunOnceAsync());   // and after a while it is tried again
    }

    [Fact]
    public async Task Lateness_is_part_of_health()
    {
        var (alone, tenant, workflow) = await AloneAsync();
        await tenant.Scope.Schedules.CreateAsync(workflow.Id, EveryMinute);
        Assert.Equal(TimeSpan.Zero, (await tenant.Store.Health.CheckAsync()).ScheduleLag);

        tenant.Clock.Advance(TimeSpan.FromMinutes(8));
        var status = await tenant.Store.Health.CheckAsync();
        Assert.Equal((TimeSpan.FromMinutes(7), true), (status.ScheduleLag, status.IsSafe));
        Assert.Contains("A schedule has been due for 7 minutes", Assert.Single(status.Problems), StringComparison.Ordinal);

        await tenant.Store.Schedules.RunOnceAsync();
        Assert.Empty((await tenant.Store.Health.CheckAsync()).Problems);
        Assert.Equal(0, await tenant.Store.Schedules.ForgetAsync(days: 1));
        tenant.Clock.Advance(TimeSpan.FromDays(2));
        Assert.Equal(8, await tenant.Store.Schedules.ForgetAsync(days: 1));
        Assert.Equal(0, await alone.ScalarAsync<long>("select count(*) from flowstone.schedule_firings"));
    }

    [Fact]
    public async Task A_change_counts_from_now_and_what_was_fired_stays()
    {
        var (_, tenant, workflow) = await AloneAsync();
        var schedule = await tenant.Scope.Schedules.CreateAsync(workflow.Id, EveryMinute);
        tenant.Clock.Advance(TimeSpan.FromSeconds(61));
        await tenant.Store.Schedules.RunOnceAsync();

        var changed = await tenant.Scope.Schedules.UpdateAsync(schedule.Id, new() { Name = "Nightly", Cron = "0 2 * * *", TimeZone = "Europe/Berlin", Input = JsonElement.Parse("""{"a":1}""") });

        Assert.Equal(changed.NextDueAt, (await tenant.Scope.Schedules.ListNextAsync(schedule.Id, 1))[0]);
        Assert.Single(await tenant.Scope.Schedules.ListFiringsAsync(schedule.Id, null, 10));
        Assert.Equal(("Nightly", (long?)null), (await tenant.Scope.Schedules.ListAsync(workflow.Id, null, 10))[0] is var stored ? (stored.Name, stored.IntervalSeconds) : default);
        Assert.True(await tenant.Scope.Schedules.DeleteAsync(schedule.Id));
        Assert.False(await tenant.Scope.Schedules.DeleteAsync(schedule.Id));
    }

    [Fact]
    public async Task An_execution_that_another_process_started_just_now_is_not_overlapped()
    {
        var (alone, tenant, workflow) = await AloneAsync();
        var schedule = await tenant.Scope.Schedules.CreateAsync(workflow.Id, EveryMinute with { Overlap = OverlapRule.Skip });

        // Holds the second process up between its snapshot and its lock.
        await alone.ExecuteAsync(null, """
            create function public.hold_up() returns boolean language plpgsql volatile as $$ begin
                if current_setting('application_name') = 'second' then perform pg_advisory_xact_lock_shared(1); end if; return true; end $$;
            create policy hold_up on flowstone.workflows as restrictive using (public.hold_up());
            """);
        await using var source = FlowstoneStore.Connect(new FlowstoneOptions { ConnectionString = alone.AppConnectionString() + ";Application Name=second", PoolMax = 4, PoolMin = 0 });
        var later = new ManualClock();
        later.Advance(tenant.Clock.Now() - later.Now() + TimeSpan.FromSeconds(121));
        await using var second = new FlowstoneStore(source, later, keys: TestKeys.Ring);
        await using var connection = new Npgsql.NpgsqlConnection(alone.SuperuserConnectionString());
        await connection.OpenAsync();
        await using (var hold = new Npgsql.NpgsqlCommand("select pg_advisory_lock(1)", connection))
            await hold.ExecuteNonQueryAsync();
        var late = Task.Run(() => second.Schedules.RunOnceAsync());
        while (await alone.ScalarAsync<long>($"select count(*) from pg_stat_activity where pg_blocking_pids(pid) = array[{connection.ProcessID}]") == 0)
            await Task.Yield();

        tenant.Clock.Advance(TimeSpan.FromSeconds(61));
        Assert.Equal(1, (await tenant.Store.Schedules.RunOnceAsync()).Fired);
        await using (var release = new Npgsql.NpgsqlCommand("select pg_advisory_unlock(1)", connection))
            await release.ExecuteNonQueryAsync();

        Assert.Equal((0, 1), await late is var run ? (run.Fired, run.Skipped) : default);
        Assert.Equal(["60 Fired", "120 Skipped"], await LedgerAsync(tenant, schedule));
    }

    [Theory]
    [InlineData("alter table flowstone.schedules drop constraint ck_schedules_overlap; update flowstone.schedules set overlap = 'ODD' where id = '{0}'")]   // what no code expects
    [InlineData("update flowstone.schedules set time_zone = 'Mars/Olympus' where id = '{0}'")]   // which this server does not know
    public async Task One_that_always_fails_is_in_nobodys_way(string damage)
    {
        var (alone, tenant, workflow) = await AloneAsync();
        var other = await alone.NewTenantAsync();
        var (bad, good) = (await tenant.Scope.Schedules.CreateAsync(workflow.Id, EveryMinute), await tenant.Scope.Schedules.CreateAsync(workflow.Id, EveryMinute with { JitterSeconds = 1 }));
        var others = await other.Scope.Schedules.CreateAsync((await other.CreateWorkflowAsync()).Id, EveryMinute with { JitterSeconds = 1 });
        await alone.ExecuteAsync(null, string.Format(System.Globalization.CultureInfo.InvariantCulture, damage, bad.Id));
        tenant.Clock.Advance(TimeSpan.FromSeconds(65));

        await Assert.ThrowsAnyAsync<Exception>(() => tenant.Store.Schedules.RunOnceAsync());

        Assert.Equal(["60 Fired"], await LedgerAsync(tenant, good));
        Assert.Equal(["60 Fired"], await LedgerAsync(other, others));
        Assert.Equal(0, (await tenant.Store.Schedules.RunOnceAsync()).Fired);   // left alone for a while
    }

    [Fact]
    public async Task What_waits_for_one_with_more_jitter_is_not_missed()
    {
        var (alone, tenant, workflow) = await AloneAsync();
        var schedule = await tenant.Scope.Schedules.CreateAsync(workflow.Id, new() { Name = "Jittery", IntervalSeconds = 60, JitterSeconds = 3_600, Missed = MissedPolicy.Skip });
        for (var second = 0; second < 3 * 3_600; second += 50)
        {
            tenant.Clock.Advance(TimeSpan.FromSeconds(50));
            await tenant.Store.Schedules.RunOnceAsync();
        }
        Assert.Equal(0, await alone.ScalarAsync<long>("select count(*) from flowstone.schedule_firings where outcome <> 'FIRED'"));
        Assert.InRange((await LedgerAsync(tenant, schedule)).Count, 100, 180);
    }

    [Fact]
    public async Task A_change_of_something_else_leaves_what_is_due()
    {
        var (_, tenant, workflow) = await AloneAsync();
        var schedule = await tenant.Scope.Schedules.CreateAsync(workflow.Id, EveryMinute);
        tenant.Clock.Advance(TimeSpan.FromSeconds(60.5));
        var renamed = await tenant.Scope.Schedules.UpdateAsync(schedule.Id, EveryMinute with { Name = "Renamed", StartsAt = schedule.StartsAt });
        Assert.Equal(schedule.NextDueAt, renamed.NextDueAt);
        Assert.Equal(1, (await tenant.Store.Schedules.RunOnceAsync()).Fired);
        Assert.Equal(schedule.StartsAt.AddSeconds(90), (await tenant.Scope.Schedules.UpdateAsync(schedule.Id, EveryMinute with { IntervalSeconds = 90, StartsAt = schedule.StartsAt })).NextDueAt);
        Assert.Equal(["60 Fired"], await LedgerAsync(tenant, schedule));
    }

    [Fact]
    public async Task Resumed_while_somebody_changes_it_it_is_due_as_the_change_says()
    {
        var (alone, tenant, workflow) = await AloneAsync();
        var schedule = await tenant.Scope.Schedules.CreateAsync(workflow.Id, EveryMinute with { Active = false });
        await using var connection = new Npgsql.NpgsqlConnection(alone.SuperuserConnectionString());
        await connection.OpenAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using var change = new Npgsql.NpgsqlCommand($"update flowstone.schedules set interval_seconds = 7200, updated_at = updated_at + interval '1 second' where id = '{schedule.Id}'", connection, transaction);
        await change.ExecuteNonQueryAsync();
        var resumed = Task.Run(() => tenant.Scope.Schedules.ResumeAsync(schedule.Id));
        while (await alone.ScalarAsync<long>($"select count(*) from pg_stat_activity where pg_blocking_pids(pid) = array[{connection.ProcessID}]") == 0)
            await Task.Yield();
        await transaction.CommitAsync();

        Assert.Equal((true, schedule.StartsAt.AddSeconds(7200)), (await resumed) is var now ? (now.Active, now.NextDueAt!.Value) : default);
        Assert.Equal(await resumed, await tenant.Scope.Schedules.FindAsync(schedule.Id));
    }

    [Fact]
    public async Task One_that_has_ended_comes_with_an_import_and_never_fires()
    {
        var (_, tenant, workflow) = await AloneAsync();
        await tenant.Scope.Schedules.CreateAsync(workflow.Id, EveryMinute with { EndsAt = tenant.Clock.Now().AddMinutes(5) });
        tenant.Clock.Advance(TimeSpan.FromHours(1));
        using var document = new MemoryStream();
        await tenant.Scope.Transfer.ExportAsync(workflow.Id, document);

        Workflow imported = (await tenant.Scope.Transfer.ImportAsync(JsonElement.Parse(document.ToArray()))).Workflow;

        var schedule = Assert.Single(await tenant.Scope.Schedules.ListAsync(imported.Id, null, 10));
        Assert.Null((await tenant.Scope.Schedules.ResumeAsync(schedule.Id)).NextDueAt);
    }

    [Fact]
    public async Task What_is_no_schedule_is_refused_with_its_field()
    {
        var (_, tenant, workflow) = await AloneAsync();
        var now = tenant.Clock.Now();
        foreach (var (field, schedule) in new[]
        {
            ("name", EveryMinute with { Name = "" }),
            ("cron", EveryMinute with { Cron = "0 9 * * *" }),
            ("cron", EveryMinute with { IntervalSeconds = null }),
            ("intervalSeconds", EveryMinute with { IntervalSeconds = 0 }),
            ("intervalSeconds", EveryMinute with { IntervalSeconds = 366L * 86_400 + 1 }),
            ("jitterSeconds", EveryMinute with { JitterSeconds = -1 }),
            ("missedLimit", EveryMinute with { MissedLimit = 0 }),
            ("endsAt", EveryMinute with { EndsAt = now }),
            ("startsAt", EveryMinute with { StartsAt = DateTimeOffset.MaxValue }),
            ("startsAt", new() { Name = "Early", Cron = "0 9 * * *", StartsAt = DateTimeOffset.MinValue }),
            ("timeZone", EveryMinute with { TimeZone = null! }),
            ("timeZone", EveryMinute with { TimeZone = "localtime" }),
            ("timeZone", EveryMinute with { TimeZone = "right/Europe/Berlin" }),
            ("intervalSeconds", EveryMinute with { StartsAt = now.AddDays(-1), EndsAt = now.AddSeconds(-1) }),
            ("cron", new() { Name = "Never", Cron = "0 0 30 2 *" }),
            ("input", EveryMinute with { Input = JsonElement.Parse("\"\\u0000\"") }),
        })
            Assert.Equal(field, (await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Scope.Schedules.CreateAsync(workflow.Id, schedule))).Errors[0].Field);
        Assert.Empty(await tenant.Scope.Schedules.ListAsync(workflow.Id, null, 10));
        await Assert.ThrowsAsync<NotFoundException>(() => tenant.Scope.Schedules.CreateAsync(Id<Workflow>.New(tenant.Clock), EveryMinute));
    }

    [Fact]
    public async Task The_schedules_of_all_workflows_are_listed_with_what_became_of_their_last_times()
    {
        var (_, tenant, workflow) = await AloneAsync();
        var user = await tenant.Scope.Users.CreateAsync(new() { Email = $"ada@{tenant.Tenant.Slug}.example" });
        var (shared, everybodys, deleted) = (await tenant.CreateWorkflowAsync(), await tenant.CreateWorkflowAsync(), await tenant.CreateWorkflowAsync());
        await tenant.Scope.Shares.SetAsync(shared.Id, user.Id, ShareLevel.Read);
        await tenant.Scope.Workflows.SetAsync(everybodys.Id, status: null, Visibility.Public);
        var schedules = new List<Schedule>();
        foreach (var one in new[] { workflow, shared, everybodys, deleted })
            schedules.Add(await tenant.Scope.Schedules.CreateAsync(one.Id, EveryMinute));
        await tenant.Scope.Workflows.DeleteAsync(deleted.Id);
        var asUser = tenant.Store.Tenant(tenant.Id, Actor.User(user.Id)).Schedules;
        tenant.Clock.Advance(TimeSpan.FromSeconds(121));
        await tenant.Store.Schedules.RunOnceAsync();

        var newest = schedules.Take(3).Select(s => s.Id).OrderDescending().ToList();
        Assert.Equal(newest, (await tenant.Scope.Schedules.ListAsync(before: null, 10)).Select(s => s.Id));
        Assert.Equal(newest[1], Assert.Single(await tenant.Scope.Schedules.ListAsync(newest[0], 1)).Id);
        Assert.Equal(schedules[1].Id, Assert.Single(await asUser.ListAsync(before: null, 10)).Id);   // to know of a workflow is not to see its executions
        var last = Assert.Single(await asUser.ListLastFiringsAsync(schedules.Select(s => s.Id)));
        Assert.Equal((schedules[1].Id, schedules[1].StartsAt.AddSeconds(120), FiringOutcome.Fired), (last.Key, last.Value.DueAt, last.Value.Outcome));
        Assert.Equal((await tenant.Scope.Schedules.ListFiringsAsync(schedules[1].Id, null, 1))[0], last.Value);
    }
}
