using Flowstone.Executions;
using Npgsql;

namespace Flowstone.Tests.Executions;

public sealed class LifecycleTests(TestDatabase database)
{
    static readonly ExecutionOutcome success = new() { Status = ExecutionStatus.Success };
    static readonly ExecutionOutcome failure = new() { Status = ExecutionStatus.Failed, Error = "The mail server is away." };

    [Fact]
    public async Task A_dedup_key_starts_one_execution_within_its_window_however_many_ask()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        NewExecution request = new() { WorkflowId = workflow.Id, DedupKey = "order-17", DedupWindow = TimeSpan.FromHours(1) };

        var started = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => tenant.Scope.Executions.StartAsync(request)));
        Assert.Single(started.Select(e => e.Id).Distinct());
        Assert.Single(await tenant.ClaimAsync());

        tenant.Clock.Advance(TimeSpan.FromHours(2));
        Assert.NotEqual(started[0].Id, (await tenant.Scope.Executions.StartAsync(request)).Id);
        await Assert.ThrowsAsync<NotFoundException>(() => tenant.Scope.Executions.StartAsync(request with { WorkflowId = new(Guid.Empty), DedupKey = "other" }));
    }

    [Fact]
    public async Task A_dedup_key_whose_execution_is_gone_starts_another()
    {
        var tenant = await database.NewTenantAsync();
        NewExecution request = new() { WorkflowId = (await tenant.CreateWorkflowAsync()).Id, DedupKey = "order-18", DedupWindow = TimeSpan.FromDays(30) };
        var first = await tenant.Scope.Executions.StartAsync(request);
        await database.ExecuteAsync("flowstone_test", $"delete from flowstone.executions where id = '{first.Id}'");

        var second = await tenant.Scope.Executions.StartAsync(request);

        Assert.NotEqual(first.Id, second.Id);
        Assert.Equal(second.Id, (await tenant.Scope.Executions.StartAsync(request)).Id);
    }

    [Fact]
    public async Task What_is_given_back_waits_longer_each_time_and_ends_as_a_dead_letter_that_can_be_redriven()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        var execution = await tenant.Scope.Executions.StartAsync(new NewExecution { WorkflowId = workflow.Id, MaxAttempts = 3 });

        var waits = new List<double>();
        for (var attempt = 1; attempt < 3; attempt++)
        {
            var claimed = Assert.Single(await tenant.ClaimAsync());
            await tenant.Queue.RecordAsync(claimed.Lease, [new() { NodeId = "n0", Attempt = (short)attempt }], []);
            await tenant.Queue.GiveBackAsync(claimed.Lease, "broken");
            Assert.Equal(ExecutionStatus.Waiting, (await tenant.Scope.Executions.FindAsync(execution.Id))!.Status);
            Assert.Empty(await tenant.ClaimAsync());
            var before = tenant.Clock.Now();
            waits.Add((await database.ScalarAsync<DateTime>($"select visible_at from flowstone.execution_queue where execution_id = '{execution.Id}'") - before.UtcDateTime).TotalSeconds);
            tenant.Clock.Advance(TimeSpan.FromSeconds(10));
        }
        Assert.InRange(waits[0], 0.5, 1);
        Assert.InRange(waits[1], 1, 2);
        await tenant.Queue.GiveBackAsync(Assert.Single(await tenant.ClaimAsync()).Lease, "broken for good");

        var dead = (await tenant.Scope.Executions.FindAsync(execution.Id))!;
        Assert.Equal((ExecutionStatus.Failed, Execution.DeadLetter, "broken for good"), (dead.Status, dead.Reason, dead.Error));
        Assert.All(await tenant.Scope.Executions.NodesAsync(execution.Id), n => Assert.Equal((ExecutionStatus.Failed, "GIVEN_BACK"), (n.Status, n.Reason)));
        var again = Assert.Single(await tenant.Scope.Executions.RedriveAsync());
        Assert.Equal((execution.Id, 0), (again.RetryOf, (int)again.RetryCount));
        Assert.Empty(await tenant.Scope.Executions.RedriveAsync());
        Assert.Equal(again.Id, Assert.Single(await tenant.ClaimAsync()).Execution.Id);
    }

    [Fact]
    public async Task An_execution_that_loses_worker_after_worker_ends_as_a_dead_letter()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        var execution = await tenant.Scope.Executions.StartAsync(new NewExecution { WorkflowId = workflow.Id, MaxAttempts = 2 });
        for (var i = 0; i < 2; i++)
        {
            Assert.Single(await tenant.ClaimAsync());
            tenant.Clock.Advance(TimeSpan.FromMinutes(1));
        }

        Assert.Empty(await tenant.ClaimAsync());
        Assert.Equal(Execution.DeadLetter, (await tenant.Scope.Executions.FindAsync(execution.Id))!.Reason);
    }

    [Fact]
    public async Task A_released_execution_is_taken_at_once_and_counts_no_failure()
    {
        var tenant = await database.NewTenantAsync();
        var claimed = await tenant.StartAndClaimAsync();
        await tenant.Queue.ReleaseAsync(claimed.Lease);

        var again = Assert.Single(await tenant.ClaimAsync());
        Assert.Equal(claimed.Execution.Id, again.Execution.Id);
        await Assert.ThrowsAsync<ConflictException>(() => tenant.Queue.ReleaseAsync(claimed.Lease));
        Assert.Equal((short)0, await database.ScalarAsync<short>($"select failures from flowstone.execution_queue where execution_id = '{claimed.Execution.Id}'"));
    }

    [Fact]
    public async Task A_timer_wakes_an_execution_when_it_is_due()
    {
        var tenant = await database.NewTenantAsync();
        var claimed = await tenant.StartAndClaimAsync();
        await tenant.Queue.WaitAsync(claimed.Lease, new WaitFor { Until = tenant.Clock.Now() + TimeSpan.FromDays(3) });

        Assert.Empty(await tenant.ClaimAsync());
        Assert.Equal(ExecutionStatus.Waiting, (await tenant.Scope.Executions.FindAsync(claimed.Execution.Id))!.Status);
        await Assert.ThrowsAsync<ConflictException>(() => tenant.Queue.FinishAsync(claimed.Lease with { Fence = 7 }, success));

        tenant.Clock.Advance(TimeSpan.FromDays(3));
        var later = new FlowstoneStore(database.Source, tenant.Clock);   // another process
        Assert.Equal(claimed.Execution.Id, Assert.Single(await later.Queue.ClaimAsync(new ClaimRequest { Worker = "w", TenantId = tenant.Id })).Execution.Id);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_signal_is_received_once_whether_it_comes_before_the_wait_or_after(bool before)
    {
        var tenant = await database.NewTenantAsync();
        var claimed = await tenant.StartAndClaimAsync();
        var id = claimed.Execution.Id;
        await tenant.Queue.RecordAsync(claimed.Lease, [new() { NodeId = "n0" }], []);
        Assert.Null(await tenant.Queue.ReceiveAsync(claimed.Lease, "approved", "n0"));
        if (before)
            await tenant.Scope.Executions.SignalAsync(id, "approved", TestTenant.Json($"""["{new string('x', 200)}"]"""));
        await tenant.Queue.WaitAsync(claimed.Lease, new WaitFor { Signal = "approved" });
        if (!before)
        {
            Assert.Empty(await tenant.ClaimAsync());
            await tenant.Scope.Executions.SignalAsync(id, "something else");
            Assert.Empty(await tenant.ClaimAsync());
            await tenant.Scope.Executions.SignalAsync(id, "approved", TestTenant.Json($"""["{new string('x', 200)}"]"""));
        }

        var woken = Assert.Single(await tenant.ClaimAsync());
        var signal = await tenant.Queue.ReceiveAsync(woken.Lease, "approved", "n0");
        Assert.Null(await tenant.Queue.ReceiveAsync(woken.Lease, "approved", "n1"));
        var step = Assert.Single(await tenant.Scope.Executions.NodesAsync(id));
        Assert.Equal((ExecutionStatus.Success, signal!.Body), (step.Status, step.Output));
        Assert.Contains("xxx", System.Text.Encoding.UTF8.GetString((await tenant.Scope.Executions.FindPayloadAsync(id, step.Output!))!.Bytes.Span), StringComparison.Ordinal);
        await tenant.Queue.FinishAsync(woken.Lease, success);
        await Assert.ThrowsAsync<ConflictException>(() => tenant.Scope.Executions.SignalAsync(id, "approved"));
    }

    [Fact]
    public async Task A_retry_keeps_what_succeeded_and_happens_once()
    {
        var tenant = await database.NewTenantAsync();
        var execution = await tenant.StartAsync(input: TestTenant.Json($"""["{new string('i', 100)}"]"""), priority: 4);
        var claimed = Assert.Single(await tenant.ClaimAsync());
        await tenant.Queue.RecordAsync(claimed.Lease, [new() { NodeId = "n0" }, new() { NodeId = "n1" }],
            [new() { NodeId = "n0", Status = ExecutionStatus.Success, Output = TestTenant.Json($"""["{new string('o', 100)}"]""") }, new() { NodeId = "n1", Status = ExecutionStatus.Failed, Error = "no" }]);
        await Assert.ThrowsAsync<ConflictException>(() => tenant.Scope.Executions.RetryAsync(execution.Id));
        await tenant.Queue.FinishAsync(claimed.Lease, failure);

        var outcomes = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => Outcome.OfAsync(() => tenant.Scope.Executions.RetryAsync(execution.Id))));
        Assert.Single(outcomes, error => error is null);
        var retry = Assert.Single(await tenant.ClaimAsync()).Execution;
        Assert.Equal((execution.Id, 1, 4, execution.Trigger, execution.WorkflowVersion), (retry.RetryOf, (int)retry.RetryCount, (int)retry.Priority, retry.Trigger, retry.WorkflowVersion));
        Assert.Equal(retry.Id, (await tenant.Scope.Executions.FindAsync(execution.Id))!.RetriedBy);

        var steps = await tenant.Scope.Executions.NodesAsync(retry.Id);
        Assert.Equal([(0, ExecutionStatus.Success)], steps.Select(s => (s.Node, s.Status)));
        Assert.Equal(104, (await tenant.Scope.Executions.FindPayloadAsync(retry.Id, steps[0].Output!))!.Bytes.Length);
        Assert.Equal(104, (await tenant.Scope.Executions.FindPayloadAsync(retry.Id, retry.Input!))!.Bytes.Length);
        Assert.Equal(0L, await database.ScalarAsync<long>($"select count(*) from flowstone.payloads where execution_id = '{retry.Id}'"));
    }

    [Fact]
    public async Task Without_retries_left_there_is_none_and_zero_can_be_asked_for()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        var execution = await tenant.Scope.Executions.StartAsync(new NewExecution { WorkflowId = workflow.Id, MaxRetries = 0 });
        await tenant.Queue.FinishAsync(Assert.Single(await tenant.ClaimAsync()).Lease, failure);

        var error = await Assert.ThrowsAsync<ConflictException>(() => tenant.Scope.Executions.RetryAsync(execution.Id));
        Assert.Contains("no retry left", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("n0", new int[0])]
    [InlineData("n1", new[] { 0 })]
    [InlineData("n2", new[] { 0, 1 })]
    public async Task A_fork_shares_what_came_before_its_step(string from, int[] shared)
    {
        var tenant = await database.NewTenantAsync();
        var claimed = await tenant.StartAndClaimAsync();
        for (var i = 0; i < 3; i++)
            await tenant.Queue.RecordAsync(claimed.Lease, [new() { NodeId = $"n{i}" }], [new() { NodeId = $"n{i}", Status = ExecutionStatus.Success, Output = TestTenant.Json($"{i}") }]);
        await tenant.Queue.FinishAsync(claimed.Lease, success);

        var fork = await tenant.Scope.Executions.ForkAsync(claimed.Execution.Id, from);
        Assert.Equal(claimed.Execution.Id, fork.ForkedFrom);
        Assert.Equal(shared, (await tenant.Scope.Executions.NodesAsync(fork.Id)).Select(s => s.Node));
        Assert.Equal(fork.Id, Assert.Single(await tenant.ClaimAsync()).Execution.Id);
        await Assert.ThrowsAsync<NotFoundException>(() => tenant.Scope.Executions.ForkAsync(claimed.Execution.Id, "n1", iteration: 4));
    }

    [Fact]
    public async Task A_cancel_reaches_sub_executions_unless_they_are_detached_and_an_ended_parent_calls_nothing()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        var parent = await tenant.StartAsync(workflow);
        Task<Execution> CallAsync(Execution caller, bool detached = false)
            => tenant.Scope.Executions.StartAsync(new NewExecution { WorkflowId = workflow.Id, ParentId = caller.Id, Detached = detached, Trigger = ExecutionTrigger.Parent });
        var child = await CallAsync(parent);
        var grandchild = await CallAsync(child);
        var detached = await CallAsync(parent, detached: true);

        await tenant.Scope.Executions.CancelAsync(parent.Id);

        async Task<string?> ReasonAsync(Execution e) => (await tenant.Scope.Executions.FindAsync(e.Id))!.Reason;
        Assert.Equal("CANCELLED_BY_USER PARENT_CANCELLED PARENT_CANCELLED ",
            $"{await ReasonAsync(parent)} {await ReasonAsync(child)} {await ReasonAsync(grandchild)} {await ReasonAsync(detached)}");
        Assert.Equal(detached.Id, Assert.Single(await tenant.ClaimAsync()).Execution.Id);
        await Assert.ThrowsAsync<NotFoundException>(() => CallAsync(parent));
    }

    [Fact]
    public async Task A_start_in_the_callers_transaction_shares_its_fate_and_leaves_its_role_alone()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        await using var connection = new NpgsqlConnection(database.SuperuserConnectionString());
        await connection.OpenAsync();
        async Task<Execution> StartAsync(NpgsqlTransaction transaction) => await tenant.Scope.Executions.StartAsync(new NewExecution { WorkflowId = workflow.Id }, transaction);
        async Task<string?> RoleAsync() => (string?)await new NpgsqlCommand("select current_user || ' ' || current_setting('flowstone.tenants')", connection).ExecuteScalarAsync();

        await using (var lost = await connection.BeginTransactionAsync())
        {
            await StartAsync(lost);
            Assert.Equal("postgres ", await RoleAsync());
            await lost.RollbackAsync();
        }
        Assert.Empty(await tenant.ClaimAsync());

        await using var kept = await connection.BeginTransactionAsync();
        var execution = await StartAsync(kept);
        Assert.Empty(await tenant.ClaimAsync());
        await kept.CommitAsync();
        Assert.Equal(execution.Id, Assert.Single(await tenant.ClaimAsync()).Execution.Id);
    }

    [Fact]
    public async Task Many_are_started_together_or_not_at_all()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        NewExecution good = new() { WorkflowId = workflow.Id, Input = TestTenant.Json($"""["{new string('x', 90)}"]""") };

        Assert.Equal(5000, (await tenant.Scope.Executions.StartManyAsync([.. Enumerable.Repeat(good, 5000)])).Distinct().Count());
        await Assert.ThrowsAsync<NotFoundException>(() => tenant.Scope.Executions.StartManyAsync([.. Enumerable.Repeat(good, 10), good with { WorkflowId = new(Guid.Empty) }]));

        Assert.Equal((5000L, 5000L), (await CountAsync("executions"), await CountAsync("execution_queue")));
        Task<long> CountAsync(string table) => database.ScalarAsync<long>($"select count(*) from flowstone.{table} where tenant_id = '{tenant.Id}'");
    }
}
