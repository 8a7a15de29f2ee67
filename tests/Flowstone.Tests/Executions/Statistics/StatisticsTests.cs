using Flowstone.Executions;

namespace Flowstone.Tests.Executions.Statistics;

public sealed class StatisticsTests(TestDatabase database)
{
    [Fact]
    public async Task Figures_are_the_same_before_and_after_a_fold_and_tell_wait_from_work()
    {
        var tenant = await database.NewTenantAsync();
        var (workflow, other) = (await tenant.CreateWorkflowAsync(), await tenant.CreateWorkflowAsync());
        for (var i = 1; i <= 100; i++)
            await RunAsync(workflow, i <= 90 ? ExecutionStatus.Success : ExecutionStatus.Failed, TimeSpan.FromMilliseconds(i * 10));
        await RunAsync(other, ExecutionStatus.Timeout, TimeSpan.FromDays(30));   // longer than 32 bits of milliseconds
        await tenant.Scope.Executions.CancelAsync((await tenant.StartAsync(workflow)).Id);
        await tenant.StartAsync(workflow);

        var before = await Figures();
        Assert.True(await tenant.Store.Statistics.RunAsync() > 0);
        Assert.Equal(0L, await DeltasAsync(tenant));

        foreach (var figures in new[] { before, await Figures() })
        {
            Assert.Equal(new Dictionary<ExecutionStatus, long> { [ExecutionStatus.Success] = 90, [ExecutionStatus.Failed] = 10, [ExecutionStatus.Cancelled] = 1, [ExecutionStatus.Pending] = 1 }, figures.Counts);
            Assert.Equal(0.9, figures.SuccessRate);
            Assert.Equal(TimeSpan.FromMilliseconds(505), figures.Duration!.Average);
            Assert.InRange(figures.Duration.P50.TotalMilliseconds, 500 * 0.98, 500 * 1.02);
            Assert.InRange(figures.Duration.P95.TotalMilliseconds, 950 * 0.98, 950 * 1.02);
            Assert.InRange(figures.Duration.P99.TotalMilliseconds, 990 * 0.98, 990 * 1.02);
            Assert.Equal(TimeSpan.FromSeconds(2), figures.AverageWait);
        }
        Assert.Equal(103, (await tenant.Scope.Executions.StatisticsAsync()).Counts.Values.Sum());
        Assert.Equal(TimeSpan.FromDays(30), (await tenant.Scope.Executions.StatisticsAsync(other.Id)).Duration!.Average);

        var hour = tenant.Clock.Now();
        Assert.Empty((await tenant.Scope.Executions.StatisticsAsync(workflow.Id, to: hour - TimeSpan.FromDays(100))).Counts);
        Assert.Null((await tenant.Scope.Executions.StatisticsAsync(workflow.Id, from: hour + TimeSpan.FromHours(2))).SuccessRate);

        Task<ExecutionFigures> Figures() => tenant.Scope.Executions.StatisticsAsync(workflow.Id);

        async Task RunAsync(Flowstone.Workflows.Workflow of, ExecutionStatus status, TimeSpan takes)
        {
            await tenant.StartAsync(of);
            tenant.Clock.Advance(TimeSpan.FromSeconds(2));
            var claimed = Assert.Single(await tenant.ClaimAsync(lease: TimeSpan.FromHours(1)));
            tenant.Clock.Advance(takes);
            await tenant.Queue.FinishAsync(claimed.Lease, new() { Status = status });
            tenant.Clock.Advance(-takes - TimeSpan.FromSeconds(2));
        }
    }

    [Fact]
    public async Task Totals_equal_their_source_at_every_moment_while_many_finish_and_several_fold()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        const int Runs = 400;
        for (var i = 0; i < Runs; i++)
            await tenant.StartAsync(workflow);
        var finished = 0;
        using var stop = new CancellationTokenSource();
        var folding = Enumerable.Range(0, 3).Select(_ => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
                await tenant.Store.Statistics.RunAsync();
        })).ToList();
        var reading = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                var atLeast = Volatile.Read(ref finished);
                var counted = (await tenant.Scope.Executions.StatisticsAsync(workflow.Id)).Counts.GetValueOrDefault(ExecutionStatus.Success);
                Assert.InRange(counted, atLeast, Runs);
            }
        });

        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            for (var claimed = await tenant.ClaimAsync(limit: 5); claimed.Count > 0; claimed = await tenant.ClaimAsync(limit: 5))
            {
                await Task.WhenAll(claimed.Select(c => tenant.Queue.FinishAsync(c.Lease, new() { Status = ExecutionStatus.Success })));
                Interlocked.Add(ref finished, claimed.Count);
            }
        })));
        await stop.CancelAsync();
        await Task.WhenAll([.. folding, reading]);
        await tenant.Store.Statistics.RunAsync();

        Assert.Equal(Runs, (await tenant.Scope.Executions.StatisticsAsync(workflow.Id)).Counts[ExecutionStatus.Success]);
        Assert.Equal(0L, await DeltasAsync(tenant));
    }

    Task<long> DeltasAsync(TestTenant tenant) => database.ScalarAsync<long>($"select count(*) from flowstone.execution_deltas where tenant_id = '{tenant.Id}'");
}
