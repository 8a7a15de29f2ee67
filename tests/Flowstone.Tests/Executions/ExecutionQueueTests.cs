using Flowstone.Executions;

namespace Flowstone.Tests.Executions;

public sealed class ExecutionQueueTests(TestDatabase database)
{
    static readonly TimeSpan Lease = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task A_claimed_execution_is_running_and_nobody_else_gets_it()
    {
        var tenant = await database.NewTenantAsync();
        var execution = await tenant.StartAsync();

        var claimed = Assert.Single(await tenant.ClaimAsync("first"));

        Assert.Equal(execution.Id, claimed.Execution.Id);
        Assert.Equal(ExecutionStatus.Running, claimed.Execution.Status);
        Assert.Equal(1, claimed.Lease.Fence);
        Assert.Equal(tenant.Clock.Now() + Lease, claimed.LeaseUntil);
        Assert.Empty(await tenant.ClaimAsync("second"));
        Assert.Equal(claimed.Execution, await tenant.Scope.Executions.FindAsync(execution.Id));
    }

    [Fact]
    public async Task When_a_lease_expires_another_worker_takes_the_execution_over_and_the_first_is_refused()
    {
        var tenant = await database.NewTenantAsync();
        await tenant.StartAsync();
        var first = Assert.Single(await tenant.ClaimAsync("first"));

        tenant.Clock.Advance(Lease - TimeSpan.FromSeconds(1));
        Assert.Empty(await tenant.ClaimAsync("second"));
        tenant.Clock.Advance(TimeSpan.FromSeconds(1));
        var second = Assert.Single(await tenant.ClaimAsync("second"));

        Assert.Equal(2, second.Lease.Fence);
        Assert.Equal(2, second.Execution.Claims);
        await Assert.ThrowsAsync<ConflictException>(() => RecordStartAsync(tenant, first, "n0"));
        await Assert.ThrowsAsync<ConflictException>(() => tenant.Queue.FinishAsync(first.Lease, new() { Status = ExecutionStatus.Success }));
        Assert.Equal([first.Lease], await tenant.Queue.RenewAsync([first.Lease], Lease));
        Assert.Empty(await tenant.Scope.Executions.NodesAsync(first.Execution.Id));
        await tenant.Queue.FinishAsync(second.Lease, new() { Status = ExecutionStatus.Success });
    }

    [Fact]
    public async Task A_renewed_lease_is_not_taken_over()
    {
        var tenant = await database.NewTenantAsync();
        var claimed = await tenant.StartAndClaimAsync();

        tenant.Clock.Advance(Lease / 2);
        Assert.Empty(await tenant.Queue.RenewAsync([claimed.Lease], Lease));
        tenant.Clock.Advance(Lease - TimeSpan.FromSeconds(1));

        Assert.Empty(await tenant.ClaimAsync("second"));
    }

    [Fact]
    public async Task Steps_that_a_lost_worker_left_open_are_marked_lost_at_the_next_claim()
    {
        var tenant = await database.NewTenantAsync();
        await tenant.StartAsync();
        var first = Assert.Single(await tenant.ClaimAsync("first"));
        await tenant.Queue.RecordAsync(first.Lease, [new() { NodeId = "n0" }], []);
        await tenant.Queue.RecordAsync(first.Lease, [new() { NodeId = "n1" }], [new() { NodeId = "n0", Status = ExecutionStatus.Success }]);

        tenant.Clock.Advance(Lease);
        await tenant.ClaimAsync("second");

        var steps = await tenant.Scope.Executions.NodesAsync(first.Execution.Id);
        Assert.Equal([(0, ExecutionStatus.Success, null), (1, ExecutionStatus.Failed, "LOST_WORKER")], steps.Select(s => (s.Node, s.Status, s.Reason)).Order());
    }

    [Fact]
    public async Task The_most_urgent_comes_first_and_what_is_not_due_waits()
    {
        var tenant = await database.NewTenantAsync();
        var now = tenant.Clock.Now();
        var workflow = await tenant.CreateWorkflowAsync();
        var later = await tenant.StartAsync(workflow, dueAt: now + TimeSpan.FromMinutes(1));
        var normal = await tenant.StartAsync(workflow, dueAt: now);
        var overdue = await tenant.StartAsync(workflow, dueAt: now - TimeSpan.FromMinutes(1));
        var urgent = await tenant.StartAsync(workflow, priority: 5, dueAt: now);

        Assert.Equal([urgent.Id, overdue.Id, normal.Id], (await tenant.ClaimAsync()).Select(c => c.Execution.Id));
        tenant.Clock.Advance(TimeSpan.FromMinutes(1) - Lease / 2);
        Assert.DoesNotContain(later.Id, (await tenant.ClaimAsync(lease: TimeSpan.FromHours(1))).Select(c => c.Execution.Id));
        tenant.Clock.Advance(Lease / 2);
        Assert.Equal([later.Id], (await tenant.ClaimAsync()).Select(c => c.Execution.Id));
    }

    [Fact]
    public async Task Many_workers_at_once_never_get_the_same_execution()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        for (var i = 0; i < 60; i++)
            await tenant.StartAsync(workflow);

        var claims = await Task.WhenAll(Enumerable.Range(0, 8).Select(async worker =>
        {
            var mine = new List<Id<Execution>>();
            while (await tenant.ClaimAsync($"worker {worker}", limit: 3) is { Count: > 0 } claimed)
                mine.AddRange(claimed.Select(c => c.Execution.Id));
            return mine;
        }));

        var all = claims.SelectMany(c => c).ToList();
        Assert.Equal(60, all.Count);
        Assert.Equal(60, all.Distinct().Count());
    }

    [Fact]
    public async Task A_finish_keeps_outcome_output_and_times_and_leaves_the_queue()
    {
        var tenant = await database.NewTenantAsync();
        await tenant.StartAsync();
        tenant.Clock.Advance(TimeSpan.FromSeconds(5));
        var claimed = Assert.Single(await tenant.ClaimAsync());
        tenant.Clock.Advance(TimeSpan.FromSeconds(2));

        var output = TestTenant.Json("""{"sum":3}""");
        await tenant.Queue.FinishAsync(claimed.Lease, new() { Status = ExecutionStatus.Success, Output = output });

        var execution = (await tenant.Scope.Executions.FindAsync(claimed.Execution.Id))!;
        Assert.Equal(ExecutionStatus.Success, execution.Status);
        Assert.Equal(TimeSpan.FromSeconds(2), execution.Duration);
        Assert.Equal(TimeSpan.FromSeconds(5), execution.StartedAt - execution.DueAt);
        Assert.Equal(output.Bytes.ToArray(), (await tenant.Scope.Executions.FindPayloadAsync(execution.Id, execution.Output!))!.Bytes.ToArray());
        tenant.Clock.Advance(TimeSpan.FromDays(1));
        Assert.Empty(await tenant.ClaimAsync());
        await Assert.ThrowsAsync<ConflictException>(() => tenant.Queue.FinishAsync(claimed.Lease, new() { Status = ExecutionStatus.Failed }));
    }

    [Fact]
    public async Task Cancel_and_finish_at_the_same_time_have_one_winner_and_the_loser_learns_it()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        for (var round = 0; round < 20; round++)
        {
            await tenant.StartAsync(workflow);
            var claimed = Assert.Single(await tenant.ClaimAsync());

            var finish = Outcome(tenant.Queue.FinishAsync(claimed.Lease, new() { Status = ExecutionStatus.Success }));
            var cancel = Outcome(tenant.Scope.Executions.CancelAsync(claimed.Execution.Id));

            Assert.NotEqual(await finish, await cancel);
            var status = (await tenant.Scope.Executions.FindAsync(claimed.Execution.Id))!.Status;
            Assert.Equal(await finish ? ExecutionStatus.Success : ExecutionStatus.Cancelled, status);
        }

        static async Task<bool> Outcome(Task task)
        {
            try
            {
                await task;
                return true;
            }
            catch (ConflictException)
            {
                return false;
            }
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_step_that_is_recorded_while_the_execution_ends_is_closed_with_it(bool cancel)
    {
        var tenant = await database.NewTenantAsync();
        var claimed = await tenant.StartAndClaimAsync();

        // A recording under way: it holds the queue's row, its step is not yet visible.
        await using var connection = new Npgsql.NpgsqlConnection(database.SuperuserConnectionString());
        await connection.OpenAsync();
        await using var recording = await connection.BeginTransactionAsync();
        await using (var record = new Npgsql.NpgsqlCommand($"""
            select 1 from flowstone.execution_queue where execution_id = '{claimed.Execution.Id}' for share;
            insert into flowstone.node_executions (tenant_id, execution_id, node, iteration, attempt, status, started_at)
            values ('{tenant.Id}', '{claimed.Execution.Id}', 0, 0, 1, 'RUNNING', now())
            """, connection))
            await record.ExecuteNonQueryAsync();
        var end = cancel ? tenant.Scope.Executions.CancelAsync(claimed.Execution.Id) : tenant.Queue.FinishAsync(claimed.Lease, new() { Status = ExecutionStatus.Success });
        while (await database.ScalarAsync<long>($"select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%execution_queue%' and pg_blocking_pids(pid) = array[{connection.ProcessID}]") == 0)
            Assert.False(end.IsCompleted);

        await recording.CommitAsync();
        await end;

        Assert.Equal(ExecutionStatus.Cancelled, Assert.Single(await tenant.Scope.Executions.NodesAsync(claimed.Execution.Id)).Status);
    }

    [Fact]
    public async Task A_lease_that_no_claim_gave_is_refused_and_nothing_is_lost()
    {
        var tenant = await database.NewTenantAsync();
        var execution = await tenant.StartAsync();
        var forged = new ExecutionLease(tenant.Id, execution.Id, tenant.Tenant.ShardKey, Fence: 0);

        await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Queue.FinishAsync(forged, new() { Status = ExecutionStatus.Success }));
        await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Queue.RecordAsync(forged, [new() { NodeId = "n0" }], []));
        await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Queue.RenewAsync([forged], Lease));

        Assert.Equal(execution.Id, Assert.Single(await tenant.ClaimAsync()).Execution.Id);
    }

    [Fact]
    public async Task Of_two_leases_on_one_execution_the_older_is_told_as_lost()
    {
        var tenant = await database.NewTenantAsync();
        var first = await tenant.StartAndClaimAsync();
        tenant.Clock.Advance(Lease);
        var second = Assert.Single(await tenant.ClaimAsync("second"));

        Assert.Equal([first.Lease], await tenant.Queue.RenewAsync([first.Lease, second.Lease], Lease));
    }

    [Fact]
    public async Task A_cancelled_execution_closes_its_steps_and_refuses_its_worker()
    {
        var tenant = await database.NewTenantAsync();
        var claimed = await tenant.StartAndClaimAsync();
        await RecordStartAsync(tenant, claimed, "n0");

        await tenant.Scope.Executions.CancelAsync(claimed.Execution.Id);

        await Assert.ThrowsAsync<ConflictException>(() => RecordStartAsync(tenant, claimed, "n1"));
        Assert.Equal(ExecutionStatus.Cancelled, Assert.Single(await tenant.Scope.Executions.NodesAsync(claimed.Execution.Id)).Status);
        Assert.Equal(ExecutionStatus.Cancelled, (await tenant.Scope.Executions.FindAsync(claimed.Execution.Id))!.Status);
        await Assert.ThrowsAsync<ConflictException>(() => tenant.Scope.Executions.CancelAsync(claimed.Execution.Id));
    }

    [Fact]
    public async Task An_execution_of_the_newest_version_is_pinned_to_it()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        await tenant.Scope.Workflows.UpdateAsync(workflow.Id, TestTenant.Definition(nodes: 4), basedOn: 1);

        Assert.Equal(2, (await tenant.StartAsync(workflow)).WorkflowVersion);
        Assert.Equal(1, (await tenant.Scope.Executions.StartAsync(new() { WorkflowId = workflow.Id, WorkflowVersion = 1 })).WorkflowVersion);
        await Assert.ThrowsAsync<NotFoundException>(() => tenant.Scope.Executions.StartAsync(new() { WorkflowId = workflow.Id, WorkflowVersion = 3 }));
        await Assert.ThrowsAsync<NotFoundException>(() => tenant.Scope.Executions.StartAsync(new() { WorkflowId = new(Guid.Empty) }));
    }

    static Task RecordStartAsync(TestTenant tenant, ClaimedExecution claimed, string node)
        => tenant.Queue.RecordAsync(claimed.Lease, [new() { NodeId = node }], []);
}
