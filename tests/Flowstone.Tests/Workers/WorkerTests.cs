using System.Diagnostics.Metrics;
using Flowstone.Executions;
using Flowstone.Workers;

namespace Flowstone.Tests.Workers;

public sealed class WorkerTests(TestDatabase database)
{
    static readonly PayloadBody done = TestTenant.Json("\"done\"");

    [Fact]
    public async Task A_worker_runs_what_is_queued_and_records_its_output()
    {
        var tenant = await database.NewTenantAsync();
        var execution = await tenant.StartAsync(input: TestTenant.Json("7"));
        await using var worker = new RunningWorker(database, tenant, async work => await work.InputAsync());

        var finished = await tenant.FinishedAsync(execution.Id);

        Assert.Equal((ExecutionStatus.Success, null), (finished.Status, finished.Reason));
        Assert.Equal("7"u8, finished.Output!.Value!.Bytes.Span);
    }

    [Fact]
    public async Task It_runs_no_more_at_once_than_it_may_and_all_in_the_end()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        var executions = await Task.WhenAll(Enumerable.Range(0, 30).Select(_ => tenant.StartAsync(workflow)));
        var (now, most) = (0, 0);
        await using var worker = new RunningWorker(database, tenant, async _ =>
        {
            most = Math.Max(most, Interlocked.Increment(ref now));
            await Task.Delay(20);
            Interlocked.Decrement(ref now);
            return done;
        }, options => options.Concurrency = 4);

        foreach (var execution in executions)
            Assert.Equal(ExecutionStatus.Success, (await tenant.FinishedAsync(execution.Id)).Status);
        Assert.InRange(most, 2, 4);
    }

    [Fact]
    public async Task An_exception_ends_the_execution_with_its_type_and_message()
    {
        var tenant = await database.NewTenantAsync();
        var execution = await tenant.StartAsync();
        await using var worker = new RunningWorker(database, tenant, _ => throw new FormatException("No such date.", new IOException("cut")));

        var finished = await tenant.FinishedAsync(execution.Id);

        Assert.Equal((ExecutionStatus.Failed, WorkReason.Crashed), (finished.Status, finished.Reason));
        Assert.Equal("System.FormatException: No such date. <- System.IO.IOException: cut", finished.Error);
    }

    [Fact]
    public async Task A_handler_says_how_its_execution_failed()
    {
        var tenant = await database.NewTenantAsync();
        var execution = await tenant.StartAsync();
        await using var worker = new RunningWorker(database, tenant, _ => Task.FromResult(WorkResult.Failed("NO_STOCK", "Sold out.")));

        var finished = await tenant.FinishedAsync(execution.Id);

        Assert.Equal((ExecutionStatus.Failed, "NO_STOCK", "Sold out."), (finished.Status, finished.Reason, finished.Error));
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task What_takes_too_long_ends_as_a_timeout_whether_it_listens_or_not(bool deaf)
    {
        var tenant = await database.NewTenantAsync();
        var execution = await tenant.StartAsync();
        using var end = new CancellationTokenSource();
        await using var worker = new RunningWorker(database, tenant, async work =>
        {
            await Task.Delay(Timeout.Infinite, deaf ? end.Token : work.CancellationToken);
            return done;
        }, options => options.ExecutionTimeout = TimeSpan.FromMilliseconds(200));

        var finished = await tenant.FinishedAsync(execution.Id);

        Assert.Equal((ExecutionStatus.Timeout, "TIMEOUT"), (finished.Status, finished.Reason));
        await end.CancelAsync();
    }

    [Fact]
    public async Task Leases_are_renewed_while_a_handler_works()
    {
        var tenant = await database.NewTenantAsync();
        var execution = await tenant.StartAsync();
        var (began, over) = (new TaskCompletionSource(), new TaskCompletionSource());
        var lease = TimeSpan.FromSeconds(3);
        await using var worker = new RunningWorker(database, tenant, async work =>
        {
            began.SetResult();
            await over.Task.WaitAsync(work.CancellationToken);
            return done;
        }, options => options.Lease = lease);
        await began.Task.InTimeAsync();

        // By the tenant's clock the lease would be over after two of these rounds, if it were not renewed in each.
        for (var round = 0; round < 3; round++)
        {
            tenant.Clock.Advance(lease * 0.7);
            await Renewed().InTimeAsync();
            Assert.Empty(await tenant.ClaimAsync("thief"));
        }
        over.SetResult();
        Assert.Equal(1, (await tenant.FinishedAsync(execution.Id)).Claims);

        async Task Renewed()
        {
            while (await database.ScalarAsync<DateTime>($"select visible_at from flowstone.execution_queue where execution_id = '{execution.Id}'") < (tenant.Clock.Now() + lease).UtcDateTime)
                await Task.Delay(20);
        }
    }

    [Fact]
    public async Task When_the_lease_is_lost_the_handler_is_cancelled_and_nothing_of_it_is_written()
    {
        var tenant = await database.NewTenantAsync();
        var execution = await tenant.StartAsync();
        var (began, ended) = (new TaskCompletionSource(), new TaskCompletionSource<Exception?>());
        await using var worker = new RunningWorker(database, tenant, async work =>
        {
            began.SetResult();
            try
            {
                await Task.Delay(Timeout.Infinite, work.CancellationToken);
            }
            catch (OperationCanceledException)
            {
                ended.SetResult(await Record.ExceptionAsync(() => work.StepAsync("n0", _ => Task.FromResult<PayloadBody?>(done))));
                throw;
            }
            return done;
        }, options => (options.Lease, options.Concurrency) = (TimeSpan.FromSeconds(12), 1));
        await began.Task.InTimeAsync();
        tenant.Clock.Advance(TimeSpan.FromSeconds(13));   // the next renewal is seconds away
        var thief = Assert.Single(await tenant.ClaimAsync("thief"));

        Assert.IsType<OperationCanceledException>(await ended.Task.InTimeAsync(), exactMatch: false);

        Assert.Empty(await tenant.Scope.Executions.NodesAsync(execution.Id));
        await tenant.Queue.FinishAsync(thief.Lease, new() { Status = ExecutionStatus.Success });
        Assert.Equal(2, (await tenant.FinishedAsync(execution.Id)).Claims);
    }

    [Fact]
    public async Task A_cancelled_execution_stops_its_handler()
    {
        var tenant = await database.NewTenantAsync();
        var execution = await tenant.StartAsync();
        var (began, ended) = (new TaskCompletionSource(), new TaskCompletionSource());
        await using var worker = new RunningWorker(database, tenant, async work =>
        {
            began.SetResult();
            await Task.Delay(Timeout.Infinite, work.CancellationToken).ContinueWith(_ => ended.SetResult(), TaskScheduler.Default);
            return done;
        }, options => options.Lease = TimeSpan.FromSeconds(1));
        await began.Task.InTimeAsync();

        await tenant.Scope.Executions.CancelAsync(execution.Id);

        await ended.Task.InTimeAsync();
        Assert.Equal(ExecutionStatus.Cancelled, (await tenant.FinishedAsync(execution.Id)).Status);
    }

    [Fact]
    public async Task A_stop_lets_what_runs_come_to_its_end_and_takes_nothing_more()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        var running = await tenant.StartAsync(workflow);
        var began = new TaskCompletionSource();
        await using var worker = new RunningWorker(database, tenant, async work =>
        {
            began.SetResult();
            await Task.Delay(Timeout.Infinite, work.Stopping).ContinueWith(_ => { }, TaskScheduler.Default);
            await Task.Delay(200, work.CancellationToken);
            return done;
        });
        await began.Task.InTimeAsync();

        var stopping = worker.StopAsync();
        var waiting = await tenant.StartAsync(workflow);
        await stopping.InTimeAsync();

        Assert.Equal(ExecutionStatus.Success, (await tenant.Scope.Executions.FindAsync(running.Id))!.Status);

        // Not taken, or taken by a claim that was under way and given back.
        Assert.Contains((await tenant.Scope.Executions.FindAsync(waiting.Id))!.Status, new[] { ExecutionStatus.Pending, ExecutionStatus.Waiting });
        Assert.Single(await tenant.ClaimAsync("another"));
    }

    [Fact]
    public async Task What_does_not_end_in_time_is_cancelled_and_given_to_the_next_worker_at_once()
    {
        var tenant = await database.NewTenantAsync();
        var execution = await tenant.StartAsync();
        var began = new TaskCompletionSource();
        await using var worker = new RunningWorker(database, tenant, async work =>
        {
            await work.StepAsync("n0", async step =>
            {
                began.SetResult();
                await Task.Delay(Timeout.Infinite, step.CancellationToken);
                return done;
            });
            return done;
        }, options => options.DrainTimeout = TimeSpan.FromMilliseconds(100));
        await began.Task.InTimeAsync();

        await worker.StopAsync().InTimeAsync();

        Assert.Equal(2, Assert.Single(await tenant.ClaimAsync("next")).Execution.Claims);
        var step = Assert.Single(await tenant.Scope.Executions.NodesAsync(execution.Id));
        Assert.Equal((ExecutionStatus.Cancelled, WorkReason.Drained), (step.Status, step.Reason));
    }

    [Fact]
    public async Task What_fails_for_a_reason_that_passes_is_tried_again()
    {
        var tenant = await database.NewTenantAsync();
        var execution = await tenant.StartAsync();
        var times = 0;
        await using var worker = new RunningWorker(database, tenant, _ => ++times < 3
            ? throw new TransientWorkException("The service is busy.", delay: TimeSpan.FromSeconds(1)) : Task.FromResult<WorkResult>(done),
            options => options.Lease = TimeSpan.FromHours(1));   // the clock runs fast

        await Until.TrueAsync(async () =>
        {
            tenant.Clock.Advance(TimeSpan.FromSeconds(1));
            return (await tenant.Scope.Executions.FindAsync(execution.Id))!.FinishedAt is not null;
        });

        Assert.Equal(ExecutionStatus.Success, (await tenant.FinishedAsync(execution.Id)).Status);
        Assert.Equal(3, times);
    }

    [Fact]
    public async Task A_worker_with_nothing_to_do_sends_less_than_a_query_a_second()
    {
        var copy = await database.NewDatabaseAsync();   // in which nobody else is busy
        await using var store = new FlowstoneStore(FlowstoneStore.Connect(new() { ConnectionString = database.AppConnectionString(copy) }), TimeProvider.System);
        var sent = 0;
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, self) =>
        {
            if (instrument is { Meter.Name: "Npgsql", Name: "db.client.operation.duration" })
                self.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<double>((_, _, tags, _) =>
        {
            foreach (var tag in tags)
                if (tag.Value is string pool && pool.Contains($"{copy};", StringComparison.Ordinal))
                    Interlocked.Increment(ref sent);
        });
        listener.Start();
        using var stop = new CancellationTokenSource();
        var running = new Worker(store, new WorkerOptions(), _ => throw new InvalidOperationException()).RunAsync(stop.Token);
        await Task.Delay(TimeSpan.FromSeconds(3));
        Assert.NotEqual(0, sent);   // what comes with the start; it is counted at all

        sent = 0;
        await Task.Delay(TimeSpan.FromSeconds(10));
        Assert.InRange(sent, 0, 9);
        await Until.TrueAsync(() => Task.FromResult(sent > 0));   // it goes on looking: less often where looking took long

        await stop.CancelAsync();
        await running.InTimeAsync();
    }
}
