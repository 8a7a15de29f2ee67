using Flowstone.Executions;

namespace Flowstone.Tests.Executions;

public sealed class QueueControlTests(TestDatabase database)
{
    [Fact]
    public async Task A_paused_workflow_hands_out_nothing_and_all_of_it_when_it_is_resumed()
    {
        var tenant = await database.NewTenantAsync();
        var (paused, other) = (await tenant.CreateWorkflowAsync("paused"), await tenant.CreateWorkflowAsync("other"));
        for (var i = 0; i < 3; i++)
            await tenant.StartAsync(paused);
        await tenant.Scope.Queue.PauseAsync(paused.Id);
        var free = await tenant.StartAsync(other);

        Assert.Equal(free.Id, Assert.Single(await tenant.ClaimAsync()).Execution.Id);
        Assert.Empty(await tenant.ClaimAsync());

        await tenant.Scope.Queue.ResumeAsync(paused.Id);
        Assert.Equal(3, (await tenant.ClaimAsync()).Count);
    }

    [Fact]
    public async Task A_paused_tenant_hands_out_nothing()
    {
        var tenant = await database.NewTenantAsync();
        await tenant.StartAsync();
        await tenant.Scope.Queue.PauseAsync();
        Assert.Empty(await tenant.ClaimAsync());

        await tenant.Scope.Queue.ResumeAsync();
        Assert.Single(await tenant.ClaimAsync());
    }

    [Fact]
    public async Task A_workflows_limit_holds_across_claims_ends_losses_and_cancels()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        await tenant.Scope.Queue.LimitAsync(workflow.Id, 2);
        var started = new List<Execution>();
        for (var i = 0; i < 7; i++)
            started.Add(await tenant.StartAsync(workflow));

        var first = await tenant.ClaimAsync();
        Assert.Equal(2, first.Count);
        Assert.Empty(await tenant.ClaimAsync());

        await tenant.Queue.FinishAsync(first[0].Lease, Success);
        var second = Assert.Single(await tenant.ClaimAsync());

        // A lost worker's place is taken over with the execution, not given twice.
        tenant.Clock.Advance(TimeSpan.FromMinutes(1));
        var again = await tenant.ClaimAsync();
        Assert.Equal([first[1].Execution.Id, second.Execution.Id], again.Select(c => c.Execution.Id).Order());
        Assert.Empty(await tenant.ClaimAsync());

        await tenant.Scope.Executions.CancelAsync(again[0].Execution.Id);
        await tenant.Queue.WaitAsync(again[1].Lease, new WaitFor { Signal = "go" });
        Assert.Equal(2, (await tenant.ClaimAsync()).Count);

        await tenant.Scope.Queue.LimitAsync(workflow.Id, 3);
        Assert.Single(await tenant.ClaimAsync());
        await tenant.Scope.Queue.LimitAsync(workflow.Id, null);
        Assert.Single(await tenant.ClaimAsync());
    }

    [Fact]
    public async Task A_keys_limit_counts_over_workflows_and_leaves_other_keys_alone()
    {
        var tenant = await database.NewTenantAsync();
        var workflows = new[] { await tenant.CreateWorkflowAsync("a"), await tenant.CreateWorkflowAsync("b") };
        foreach (var key in new[] { "customer-1", "customer-1", "customer-2", "customer-1" })
            foreach (var workflow in workflows)
                await tenant.Scope.Executions.StartAsync(new NewExecution { WorkflowId = workflow.Id, Concurrency = new(key, key == "customer-1" ? 2 : 1) });

        var claimed = await tenant.ClaimAsync();
        Assert.Equal(3, claimed.Count);
        var done = 0;
        while (claimed.Count > 0)
        {
            foreach (var one in claimed)
                await tenant.Queue.FinishAsync(one.Lease, Success);
            done += claimed.Count;
            claimed = await tenant.ClaimAsync();
            Assert.InRange(claimed.Count, 0, 3);
        }
        Assert.Equal(8, done);
        Assert.Equal(0L, await database.ScalarAsync<long>($"select sum(running) from flowstone.execution_limits where tenant_id = '{tenant.Id}'"));
    }

    [Fact]
    public async Task Many_claims_at_once_never_exceed_a_limit()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        await tenant.Scope.Queue.LimitAsync(workflow.Id, 3);
        await tenant.Scope.Executions.StartManyAsync([.. Enumerable.Range(0, 60).Select(_ => new NewExecution { WorkflowId = workflow.Id })]);
        var stores = Enumerable.Range(0, 4).Select(_ => new FlowstoneStore(database.Source, tenant.Clock)).ToArray();
        var (running, most, done) = (0, 0, 0);

        await Task.WhenAll(stores.Select(async store =>
        {
            while (Volatile.Read(ref done) < 60)
            {
                foreach (var claimed in await store.Queue.ClaimAsync(new ClaimRequest { Worker = "w", Limit = 5, TenantId = tenant.Id }))
                {
                    var now = Interlocked.Increment(ref running);
                    InterlockedMax(ref most, now);
                    await Task.Yield();
                    Interlocked.Decrement(ref running);
                    await store.Queue.FinishAsync(claimed.Lease, Success);
                    Interlocked.Increment(ref done);
                }
            }
        }));

        Assert.Equal(60, done);
        Assert.InRange(most, 1, 3);
    }

    [Fact]
    public async Task A_tenant_with_much_work_does_not_keep_another_waiting()
    {
        var name = await database.NewDatabaseAsync();
        await using var source = FlowstoneStore.Connect(new FlowstoneOptions { ConnectionString = database.AppConnectionString(name), PoolMin = 0, PoolMax = 4 });
        await using var store = new FlowstoneStore(source, TimeProvider.System);
        var tenants = new[] { await store.Tenants.CreateAsync("busy", "Busy"), await store.Tenants.CreateAsync("small", "Small") };
        var counts = new[] { 400, 5 };
        for (var i = 0; i < 2; i++)
        {
            var scope = store.Tenant(tenants[i].Id, Flowstone.Tenancy.Actor.System("test"));
            var workflow = await scope.Workflows.CreateAsync(new() { Definition = TestTenant.Definition() });
            await scope.Executions.StartManyAsync([.. Enumerable.Range(0, counts[i]).Select(_ => new NewExecution { WorkflowId = workflow.Id, Priority = (short)(i == 0 ? 9 : 0) })]);
        }

        var claimed = await store.Queue.ClaimAsync(new ClaimRequest { Worker = "w", Limit = 20 });

        Assert.Equal(20, claimed.Count);
        Assert.Equal(5, claimed.Count(c => c.Execution.TenantId == tenants[1].Id));
    }

    static ExecutionOutcome Success => new() { Status = ExecutionStatus.Success };

    static void InterlockedMax(ref int most, int value)
    {
        for (int seen; (seen = Volatile.Read(ref most)) < value && Interlocked.CompareExchange(ref most, value, seen) != seen;)
            continue;
    }
}
