using Flowstone.Cli.Simulation;
using Flowstone.Workflows;

namespace Flowstone.Tests.Simulation;

public sealed class SimulatorTests(TestDatabase database) : IAsyncDisposable
{
    // Time passes here, since leases have to run out.
    FlowstoneStore Store => field ??= new(FlowstoneStore.Connect(new() { ConnectionString = database.AppConnectionString(), PoolMin = 0, PoolMax = 10 }), TimeProvider.System);

    public ValueTask DisposeAsync() => Store.DisposeAsync();

    static readonly SimulationOptions Small = new() { Executions = 40, Workers = 4, FailureRate = 0.2, ReadBack = 1 };

    [Fact]
    public async Task A_small_simulation_is_stored_as_planned()
    {
        var tenant = await TenantAsync();

        var report = await new Simulator(Store, Small with { TenantSlugs = [tenant.Tenant.Slug] }).RunAsync(default);

        Assert.Empty(report.Check.Examples);
        Assert.Equal((40, 0), (report.Check.Executions, report.Check.Mismatches));
        Assert.Equal(40, report.Measurements.FinishedExecutions);
        Assert.Equal(report.Check.Steps, report.Measurements.Steps);
        Assert.True(report.Measurements.FailedSteps > 10);
        Assert.True(report.Check.Bodies > 100);
        Assert.False(report.Interrupted);
    }

    [Theory]
    [InlineData("delete from flowstone.node_executions where tenant_id = '{0}' and ctid in (select ctid from flowstone.node_executions where tenant_id = '{0}' limit 1)")]
    [InlineData("update flowstone.node_executions set output = decode('0000112233445566778899aabbccddeeff', 'hex') where tenant_id = '{0}' and node = 0 and status = 'SUCCESS'")]
    [InlineData("update flowstone.executions set status = 'TIMEOUT', reason = 'TIMEOUT' where tenant_id = '{0}'")]
    [InlineData("delete from flowstone.payloads where tenant_id = '{0}'")]
    [InlineData("insert into flowstone.node_executions select tenant_id, execution_id, node, iteration + 7, 1, status, reason, error, started_at, finished_at, input, output from flowstone.node_executions where tenant_id = '{0}' and attempt = 1 and iteration = 0")]
    [InlineData("delete from flowstone.executions where tenant_id = '{0}'")]
    public async Task The_check_notices_what_was_tampered_with(string sql)
    {
        var tenant = await TenantAsync();
        var journal = Path.GetTempFileName();
        await new Simulator(Store, Small with { Executions = 3, TenantSlugs = [tenant.Tenant.Slug], Journal = journal }).RunAsync(default);
        Assert.Equal(0, (await new Simulator(Store, Small).CheckAsync(journal, default)).Check.Mismatches);

        await database.ExecuteAsync("flowstone_test", string.Format(null, sql, tenant.Id));

        Assert.NotEqual(0, (await new Simulator(Store, Small).CheckAsync(journal, default)).Check.Mismatches);
        File.Delete(journal);
    }

    [Fact]
    public async Task What_a_dead_worker_left_is_taken_over_and_the_result_is_right()
    {
        var tenant = await TenantAsync();
        var options = Small with { Executions = 12, TenantSlugs = [tenant.Tenant.Slug], Lease = TimeSpan.FromSeconds(1), Workers = 2 };
        var journal = Path.GetTempFileName();
        await using (var file = Journal.Append(journal, "first", options))
        {
            var crew = new Crew(Store, await WorkflowCatalog.LoadAsync(Store, options, default), options, new Ledger("first"), file, new Measurements());
            await new Starter(crew).RunAsync(default);
            using var death = new CancellationTokenSource();
            var working = new SimulationWorkers(crew, "first").RunAsync(() => Task.FromResult(false), default, death.Token);
            while (crew.Measurements.Steps < 15)
                await Task.Delay(1);
            await death.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => working);
            Assert.True(crew.Measurements.FinishedExecutions < 12);
        }

        var report = await new Simulator(Store, options).CheckAsync(journal, default);

        Assert.Empty(report.Check.Examples);
        Assert.Equal((12, 0), (report.Check.Executions, report.Check.Unfinished));
        Assert.True(report.Measurements.Resumed > 0);
        File.Delete(journal);
    }

    [Fact]
    public async Task A_start_that_nobody_acknowledged_is_checked_and_a_double_is_found()
    {
        var tenant = await TenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        var run = new SimulatedRun("lost", Seed: 1, Ordinal: 0, FailureRate: 0, MaxAttempts: 3);
        using var input = run.Input();
        var journal = Path.GetTempFileName();
        var first = await tenant.Scope.Executions.StartAsync(new() { WorkflowId = workflow.Id, Input = input.Payload });
        await using (var file = Journal.Append(journal, "lost", Small with { FailureRate = 0 }))
            file.Started(new StartedRun(0, tenant.Id, workflow.Id, 1, first.Id));
        Assert.Equal((1, 0), await CheckAsync());

        using var other = (run with { Ordinal = 1 }).Input();
        await tenant.Scope.Executions.StartAsync(new() { WorkflowId = workflow.Id, Input = other.Payload });
        Assert.Equal((2, 0), await CheckAsync());

        await tenant.Scope.Executions.StartAsync(new() { WorkflowId = workflow.Id, Input = input.Payload });
        Assert.Equal((3, 1), await CheckAsync());
        File.Delete(journal);

        async Task<(long, long)> CheckAsync()
        {
            var check = (await new Simulator(Store, Small).CheckAsync(journal, default)).Check;
            return (check.Executions, check.Mismatches);
        }
    }

    [Fact]
    public async Task Two_simulations_of_the_same_tenants_share_the_work_and_both_are_right()
    {
        // The lease is one that a slow machine does not lose: what another takes over is counted by neither.
        var both = Small with { TenantSlugs = [(await TenantAsync()).Tenant.Slug, (await TenantAsync()).Tenant.Slug], Lease = TimeSpan.FromSeconds(10) };

        var reports = await Task.WhenAll(new Simulator(Store, both).RunAsync(default), new Simulator(Store, both with { Seed = 2 }).RunAsync(default));

        Assert.All(reports, report => Assert.Empty(report.Check.Examples));
        Assert.All(reports, report => Assert.Equal((40, 0), (report.Check.Executions, report.Check.Unfinished)));
        Assert.Equal(80, reports.Sum(report => report.Measurements.FinishedExecutions));
    }

    [Fact]
    public async Task A_stop_finishes_the_steps_at_hand_and_says_what_it_left()
    {
        var tenant = await TenantAsync();
        using var stop = new CancellationTokenSource();
        var simulator = new Simulator(Store, Small with { Executions = 100_000, TenantSlugs = [tenant.Tenant.Slug] });
        var running = simulator.RunAsync(stop.Token);
        while (simulator.Measurements.FinishedExecutions < 5)
            await Task.Delay(1);
        await stop.CancelAsync();
        var report = await running;

        Assert.True(report.Interrupted);
        Assert.Equal(0, report.Check.Mismatches);
        Assert.True(report.Check.Unfinished > 0);
        Assert.Equal(0L, await database.ScalarAsync<long>($"select count(*) from flowstone.node_executions where tenant_id = '{tenant.Id}' and status = 'RUNNING'"));
    }

    [Fact]
    public async Task Somebody_elses_execution_is_left_alone_and_stops_the_simulation()
    {
        var tenant = await TenantAsync();
        await tenant.Scope.Executions.StartAsync(new() { WorkflowId = (await tenant.CreateWorkflowAsync()).Id, Input = TestTenant.Json("{}"), DueAt = DateTimeOffset.UnixEpoch });

        await Assert.ThrowsAsync<SimulationException>(() => new Simulator(Store, Small with { TenantSlugs = [tenant.Tenant.Slug] }).RunAsync(default));

        Assert.Equal(0L, await database.ScalarAsync<long>(
            $"select count(*) from flowstone.node_executions n join flowstone.executions e on e.id = n.execution_id where e.tenant_id = '{tenant.Id}' and e.trigger = 'MANUAL'"));
    }

    async Task<TestTenant> TenantAsync()
    {
        var tenant = await database.NewTenantAsync();
        foreach (var edges in new[] { "a>b b>c c>d d>e", "t>if if:0>x if:1>y x>m y>m m>end tool-ai_tool>m", "s>loop loop:0>done loop:1>body body>loop" })
            await tenant.Scope.Workflows.CreateAsync(new NewWorkflow { Definition = Graphs.Definition(edges) });
        return tenant;
    }
}
