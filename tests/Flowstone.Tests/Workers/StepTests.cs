using System.Diagnostics;
using Flowstone.Executions;
using Flowstone.Workers;

namespace Flowstone.Tests.Workers;

public sealed class StepTests(TestDatabase database)
{
    [Fact]
    public async Task A_worker_that_takes_over_runs_no_step_again_that_is_recorded_and_gets_its_output()
    {
        var tenant = await database.NewTenantAsync();
        var execution = await tenant.StartAsync();
        var (runs, second, keys) = (new int[2], new TaskCompletionSource(), new List<string>());
        async Task<WorkResult> HandleAsync(WorkContext work)
        {
            var first = await work.StepAsync("n0", _ => Task.FromResult<PayloadBody?>(TestTenant.Json($"{++runs[0]}")));
            return await work.StepAsync("n1", async step =>
            {
                keys.Add(step.IdempotencyKey);
                if (++runs[1] == 1)
                {
                    second.SetResult();
                    await Task.Delay(Timeout.Infinite, step.CancellationToken);
                }
                return first;
            });
        }

        await using (var dies = new RunningWorker(database, tenant, HandleAsync))
        {
            await second.Task.InTimeAsync();
            await dies.KillAsync();
        }
        tenant.Clock.Advance(TimeSpan.FromSeconds(30));
        await using var next = new RunningWorker(database, tenant, HandleAsync);
        var finished = await tenant.FinishedAsync(execution.Id);

        Assert.Equal([1, 2], runs);
        Assert.Equal("1"u8, finished.Output!.Value!.Bytes.Span);
        Assert.Equal(keys[0], keys[1]);
        Assert.Equal([(0, 1, ExecutionStatus.Success, null), (1, 1, ExecutionStatus.Failed, "LOST_WORKER"), (1, 2, ExecutionStatus.Success, null)], await StepsAsync(tenant, execution));
    }

    [Fact]
    public async Task A_step_is_tried_as_often_as_it_may_and_its_failure_ends_the_execution()
    {
        var tenant = await database.NewTenantAsync();
        var execution = await tenant.StartAsync();
        var attempts = new List<short>();
        await using var worker = new RunningWorker(database, tenant, async work => await work.StepAsync("n0", step =>
        {
            attempts.Add(step.Attempt);
            throw new FormatException("Bad.");
        }, new StepOptions { MaxAttempts = 3, Pause = TimeSpan.FromMilliseconds(10) }));

        var finished = await tenant.FinishedAsync(execution.Id);

        Assert.Equal([1, 2, 3], attempts);
        Assert.Equal((ExecutionStatus.Failed, WorkReason.NodeFailed), (finished.Status, finished.Reason));
        Assert.Equal("Node n0 failed, at attempt 3: System.FormatException: Bad.", finished.Error);
        Assert.All(await tenant.Scope.Executions.NodesAsync(execution.Id), step => Assert.Equal((ExecutionStatus.Failed, WorkReason.Crashed), (step.Status, step.Reason)));
    }

    [Fact]
    public async Task A_handler_may_go_another_way_where_a_step_failed_also_after_a_crash()
    {
        var tenant = await database.NewTenantAsync();
        var execution = await tenant.StartAsync();
        var (failed, waits) = (0, new TaskCompletionSource());
        async Task<WorkResult> HandleAsync(WorkContext work)
        {
            var error = await Assert.ThrowsAsync<StepFailedException>(() => work.StepAsync("n0", _ =>
            {
                failed++;
                throw new FormatException("Bad.");
            }));
            if (work.Execution.Claims == 1)
            {
                waits.SetResult();
                await Task.Delay(Timeout.Infinite, work.CancellationToken);
            }
            return await work.StepAsync("n1", _ => Task.FromResult<PayloadBody?>(TestTenant.Json("\"plan B\"")));
        }

        await using (var dies = new RunningWorker(database, tenant, HandleAsync))
        {
            await waits.Task.InTimeAsync();
            await dies.KillAsync();
        }
        tenant.Clock.Advance(TimeSpan.FromSeconds(30));
        await using var next = new RunningWorker(database, tenant, HandleAsync);

        Assert.Equal(ExecutionStatus.Success, (await tenant.FinishedAsync(execution.Id)).Status);
        Assert.Equal(1, failed);
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task A_step_that_takes_too_long_is_recorded_as_a_timeout(bool deaf)
    {
        var tenant = await database.NewTenantAsync();
        var execution = await tenant.StartAsync();
        using var end = new CancellationTokenSource();
        await using var worker = new RunningWorker(database, tenant, async work => await work.StepAsync("n0", async step =>
        {
            await Task.Delay(Timeout.Infinite, deaf ? end.Token : step.CancellationToken);
            return null;
        }, new StepOptions { Timeout = TimeSpan.FromMilliseconds(100) }));

        var finished = await tenant.FinishedAsync(execution.Id);

        Assert.Equal((ExecutionStatus.Timeout, WorkReason.NodeTimeout), (finished.Status, finished.Reason));
        Assert.Equal(ExecutionStatus.Timeout, Assert.Single(await tenant.Scope.Executions.NodesAsync(execution.Id)).Status);
        await end.CancelAsync();
    }

    [Fact]
    public async Task What_passes_by_itself_is_no_attempt()
    {
        var tenant = await database.NewTenantAsync();
        var execution = await tenant.StartAsync();
        var times = 0;
        await using var worker = new RunningWorker(database, tenant, async work => await work.StepAsync("n0", _ => ++times < 3
            ? throw new TransientWorkException("Busy.", delay: TimeSpan.FromSeconds(1)) : Task.FromResult<PayloadBody?>(null)));

        await Until.TrueAsync(async () =>
        {
            tenant.Clock.Advance(TimeSpan.FromSeconds(1));
            return (await tenant.Scope.Executions.FindAsync(execution.Id))!.FinishedAt is not null;
        });

        Assert.Equal(ExecutionStatus.Success, (await tenant.FinishedAsync(execution.Id)).Status);
        Assert.Equal([WorkReason.Transient, WorkReason.Transient, null], (await tenant.Scope.Executions.NodesAsync(execution.Id)).Select(step => step.Reason));
    }

    [Fact]
    public async Task Steps_of_several_branches_run_at_the_same_time_and_one_step_only_once()
    {
        var tenant = await database.NewTenantAsync();
        var execution = await tenant.StartAsync();
        await using var worker = new RunningWorker(database, tenant, async work =>
        {
            var (here, there) = (new TaskCompletionSource(), new TaskCompletionSource());
            var branches = Task.WhenAll(work.StepAsync("n0", _ => MeetAsync(here, there)), work.StepAsync("n1", _ => MeetAsync(there, here)));
            await here.Task;
            await Assert.ThrowsAsync<InvalidOperationException>(() => work.StepAsync("n0", _ => throw new UnreachableException()));
            await branches;
            return await work.StepAsync("n0", _ => throw new UnreachableException());
        });

        Assert.Equal(ExecutionStatus.Success, (await tenant.FinishedAsync(execution.Id)).Status);
        Assert.Equal(2, (await tenant.Scope.Executions.NodesAsync(execution.Id)).Count);

        static async Task<PayloadBody?> MeetAsync(TaskCompletionSource mine, TaskCompletionSource others)
        {
            mine.SetResult();
            await others.Task.InTimeAsync();
            await Task.Delay(50);
            return null;
        }
    }

    [Fact]
    public async Task A_step_that_the_version_does_not_have_is_refused()
    {
        var tenant = await database.NewTenantAsync();
        var execution = await tenant.StartAsync();
        await using var worker = new RunningWorker(database, tenant, async work => await work.StepAsync("nowhere", _ => throw new UnreachableException()));

        Assert.Contains("nowhere", (await tenant.FinishedAsync(execution.Id)).Error!, StringComparison.Ordinal);
    }

    static async Task<List<(int, int, ExecutionStatus, string?)>> StepsAsync(TestTenant tenant, Execution execution)
        => [.. (await tenant.Scope.Executions.NodesAsync(execution.Id)).Select(s => (s.Node, (int)s.Attempt, s.Status, s.Reason)).Order()];
}
