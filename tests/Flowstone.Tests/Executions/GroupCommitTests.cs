using Flowstone.Executions;
using Flowstone.Tenancy;

namespace Flowstone.Tests.Executions;

public sealed class GroupCommitTests(TestDatabase database)
{
    [Fact]
    public async Task Calls_of_many_tenants_at_once_take_few_transactions_and_each_is_stored_under_its_own_tenant()
    {
        var tenants = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => database.NewTenantAsync()));
        await using var source = FlowstoneStore.Connect(new FlowstoneOptions { ConnectionString = database.AppConnectionString(), PoolMin = 0, PoolMax = 8 });
        var store = new FlowstoneStore(source, TimeProvider.System);
        var scopes = tenants.Select(tenant => store.Tenant(tenant.Id, Actor.System("test"))).ToArray();
        var workflows = await Task.WhenAll(tenants.Select(tenant => tenant.CreateWorkflowAsync()));

        var started = await Task.WhenAll(Enumerable.Range(0, 400).Select(i => scopes[i % 4].Executions.StartAsync(new NewExecution
        {
            WorkflowId = workflows[i % 4].Id,
            Input = TestTenant.Json($"{i}"),
        })));

        // A transaction leaves its id in the rows it writes.
        var ids = string.Join(',', started.Select(e => $"'{e.Id}'"));
        var transactions = await database.ScalarAsync<long>($"select count(distinct xmin::text) from flowstone.executions where id in ({ids})");
        Assert.InRange(transactions, 1, 200);
        for (var i = 0; i < 4; i++)
            Assert.Equal(started.Where((_, n) => n % 4 == i).Select(e => e.Id).Order(), (await scopes[i].Executions.ListAsync(new(), null, 200)).Select(e => e.Id).Order());
    }

    [Fact]
    public async Task One_bad_call_among_many_fails_alone()
    {
        var tenant = await database.NewTenantAsync();
        var claimed = new List<ClaimedExecution>();
        var workflow = await tenant.CreateWorkflowAsync();
        for (var i = 0; i < 40; i++)
            await tenant.StartAsync(workflow);
        while (await tenant.ClaimAsync() is { Count: > 0 } some)
            claimed.AddRange(some);
        var (twice, lost) = (claimed[7], claimed[23]);
        await tenant.Queue.RecordAsync(twice.Lease, [new() { NodeId = "n0" }], []);
        await tenant.Scope.Executions.CancelAsync(lost.Execution.Id);

        var outcomes = await Task.WhenAll(claimed.Select(async c =>
        {
            var record = tenant.Queue.RecordAsync(c.Lease, [new() { NodeId = "n0", Input = TestTenant.Json("1") }], []);
            await record.ContinueWith(_ => { }, TaskScheduler.Default);
            return record.Exception?.InnerException;
        }));

        Assert.Equal(2, outcomes.Count(error => error is ConflictException));
        Assert.Equal(38, outcomes.Count(error => error is null));
        Assert.IsType<ConflictException>(outcomes[claimed.IndexOf(twice)]);
        Assert.Contains("is lost", outcomes[claimed.IndexOf(lost)]!.Message, StringComparison.Ordinal);
        Assert.Equal(39L, await database.ScalarAsync<long>($"select count(*) from flowstone.node_executions where tenant_id = '{tenant.Id}'"));
    }

    [Fact]
    public async Task A_call_that_was_called_off_before_it_was_sent_is_not_written_and_one_that_was_sent_is_told_as_it_ends()
    {
        var tenant = await database.NewTenantAsync();
        var claimed = await tenant.StartAndClaimAsync();

        // Somebody holds the queue's row: the first call is sent and waits, the second waits for its turn in the same lane.
        await using var connection = new Npgsql.NpgsqlConnection(database.SuperuserConnectionString());
        await connection.OpenAsync();
        await using var holding = await connection.BeginTransactionAsync();
        await using (var hold = new Npgsql.NpgsqlCommand($"select 1 from flowstone.execution_queue where execution_id = '{claimed.Execution.Id}' for update", connection))
            await hold.ExecuteNonQueryAsync();
        using var cancelled = new CancellationTokenSource();
        var sent = tenant.Queue.RecordAsync(claimed.Lease, [new() { NodeId = "n0" }], [], cancelled.Token);
        while (await database.ScalarAsync<long>($"select count(*) from pg_stat_activity where pg_blocking_pids(pid) = array[{connection.ProcessID}]") == 0)
            Assert.False(sent.IsCompleted);
        var waiting = tenant.Queue.RecordAsync(claimed.Lease, [new() { NodeId = "n1" }], [], cancelled.Token);

        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        await holding.RollbackAsync();
        await sent;

        Assert.Equal([0], (await tenant.Scope.Executions.NodesAsync(claimed.Execution.Id)).Select(n => n.Node));
    }

    [Fact]
    public async Task What_was_asked_for_before_the_store_closes_is_written()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        var store = new FlowstoneStore(FlowstoneStore.Connect(new FlowstoneOptions { ConnectionString = database.AppConnectionString(), PoolMin = 0, PoolMax = 4 }), TimeProvider.System);
        var scope = store.Tenant(tenant.Id, Actor.System("test"));

        var starts = Enumerable.Range(0, 50).Select(_ => scope.Executions.StartAsync(new NewExecution { WorkflowId = workflow.Id })).ToList();
        await store.DisposeAsync();
        await Task.WhenAll(starts);

        Assert.Equal(50, (await tenant.Scope.Executions.ListAsync(new(), null, 100)).Count);
    }

    [Fact]
    public async Task Whoever_is_answered_may_block_its_thread_with_the_next_call()
    {
        var tenant = await database.NewTenantAsync();
        var claimed = await tenant.StartAndClaimAsync();

        await Task.Run(() => BlockAsync(tenant.Queue, claimed.Lease)).WaitAsync(TimeSpan.FromSeconds(30));

        Assert.Equal([ExecutionStatus.Success], (await tenant.Scope.Executions.NodesAsync(claimed.Execution.Id)).Select(n => n.Status));
    }

    // Goes on where the lane has answered it: the lane must not be waiting for it.
    static async Task BlockAsync(ExecutionQueue queue, ExecutionLease lease)
    {
        await queue.RecordAsync(lease, [new() { NodeId = "n0" }], []);
        queue.RecordAsync(lease, [], [new() { NodeId = "n0", Status = ExecutionStatus.Success }]).GetAwaiter().GetResult();
    }

    [Fact]
    public async Task A_caller_whose_own_thread_is_stuck_holds_up_nobody_else()
    {
        var tenant = await database.NewTenantAsync();
        var (stuck, other) = (await tenant.StartAndClaimAsync(), await tenant.StartAndClaimAsync());

        // One lane, and the first caller would go on in a user interface that has stopped to run what is posted to it.
        var before = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(new Stopped());
        var never = tenant.Queue.RecordAsync(stuck.Lease, [new() { NodeId = "n0" }], []);
        SynchronizationContext.SetSynchronizationContext(before);
        await tenant.Queue.RecordAsync(other.Lease, [new() { NodeId = "n0" }], []).WaitAsync(TimeSpan.FromSeconds(30));

        Assert.False(never.IsCompleted);
        Assert.Single(await tenant.Scope.Executions.NodesAsync(other.Execution.Id));
    }

    sealed class Stopped : SynchronizationContext
    {
        public override void Post(SendOrPostCallback d, object? state)
        {
        }
    }

    [Fact]
    public async Task A_lost_database_is_told_to_every_caller_of_the_group()
    {
        await using var store = new FlowstoneStore(FlowstoneStore.Connect(new FlowstoneOptions { ConnectionString = "Host=/nowhere;Username=flowstone;Database=x", PoolMin = 0 }), TimeProvider.System);
        var scope = store.Tenant(Id<Tenant>.New(TimeProvider.System), Actor.System("test"));

        var starts = Enumerable.Range(0, 20).Select(_ => scope.Executions.StartAsync(new NewExecution { WorkflowId = new(Guid.Empty) })).ToList();

        foreach (var start in starts)
            await Assert.ThrowsAsync<UnavailableException>(() => start);
    }

    [Fact]
    public async Task After_a_lost_connection_the_mark_tells_whether_the_group_was_committed_and_what_became_of_each_call()
    {
        var tenant = await database.NewTenantAsync();
        var app = new Flowstone.Data.Database(database.Source, TenantPolicies.AppRole);
        var claimed = await tenant.StartAndClaimAsync();
        StartCall Start(int? version) => new(new Execution
        {
            TenantId = tenant.Id, Id = Id<Execution>.New(tenant.Clock), WorkflowId = claimed.Execution.WorkflowId, WorkflowVersion = 0, Status = ExecutionStatus.Pending,
            Trigger = ExecutionTrigger.Api, Priority = 0, CreatedAt = tenant.Clock.Now(), DueAt = tenant.Clock.Now(), Claims = 0,
        }, new NewExecution { WorkflowId = claimed.Execution.WorkflowId, WorkflowVersion = version }, null, [], tenant.Clock.Now());
        WriteGroup Group(params WriteCall[] calls) => new(calls, tenant.Clock);
        RenewCall Renewal() => new(claimed.Lease, TimeSpan.FromMinutes(1));

        // The answer did not come, but the commit did.
        StartCall[] starts = [Start(null), Start(7)];
        var committed = Group([Renewal(), .. starts]);
        await committed.CommitAsync(app);
        foreach (var start in starts)
            start.Version = null;
        Assert.True(await committed.FindOutcomeAsync(app));
        Assert.Equal([1, null], starts.Select(start => start.Version));

        // Neither came; and what is still on its way comes too late.
        var late = Group(Renewal());
        Assert.False(await late.FindOutcomeAsync(app));
        await Assert.ThrowsAsync<ConflictException>(() => late.CommitAsync(app));
    }

    [Fact]
    public async Task A_connection_that_is_lost_in_the_middle_of_a_group_is_told_truly_to_every_caller()
    {
        var tenant = await database.NewTenantAsync();
        var claimed = await tenant.StartAndClaimAsync();
        await using var source = FlowstoneStore.Connect(new FlowstoneOptions { ConnectionString = database.AppConnectionString() + ";Application Name=doomed", PoolMin = 0, PoolMax = 4 });
        var store = new FlowstoneStore(source, tenant.Clock);
        await using var connection = new Npgsql.NpgsqlConnection(database.SuperuserConnectionString());
        await connection.OpenAsync();
        await using var holding = await connection.BeginTransactionAsync();
        await using (var hold = new Npgsql.NpgsqlCommand($"select 1 from flowstone.execution_queue where execution_id = '{claimed.Execution.Id}' for update", connection))
            await hold.ExecuteNonQueryAsync();
        var record = store.Queue.RecordAsync(claimed.Lease, [new() { NodeId = "n0" }], []);
        while (await database.ScalarAsync<long>($"select count(*) from pg_stat_activity where pg_blocking_pids(pid) = array[{connection.ProcessID}]") == 0)
            Assert.False(record.IsCompleted);

        await database.ScalarAsync<bool>($"select pg_terminate_backend(pid) from pg_stat_activity where pg_blocking_pids(pid) = array[{connection.ProcessID}]");
        await holding.RollbackAsync();

        var error = await Assert.ThrowsAsync<UnavailableException>(() => record);
        Assert.False(error.OutcomeUnknown);
        Assert.Empty(await tenant.Scope.Executions.NodesAsync(claimed.Execution.Id));
        await store.Queue.RecordAsync(claimed.Lease, [new() { NodeId = "n0" }], []);
    }
}
