using Flowstone.Executions;

namespace Flowstone.Tests.Executions;

public sealed class NodeRecordTests(TestDatabase database)
{
    [Fact]
    public async Task Starts_and_finishes_of_one_call_are_stored_together()
    {
        var tenant = await database.NewTenantAsync();
        var claimed = await tenant.StartAndClaimAsync();
        var input = TestTenant.Json($"""["{new string('x', 100)}"]""");

        await RecordAsync(tenant, claimed, [Start("n0", input)], []);
        tenant.Clock.Advance(TimeSpan.FromMilliseconds(840));
        await RecordAsync(tenant, claimed, [Start("n1"), Start("n2")], [Finish("n0", input), Finish("n1")]);

        var steps = await tenant.Scope.Executions.NodesAsync(claimed.Execution.Id);
        Assert.Equal([ExecutionStatus.Success, ExecutionStatus.Success, ExecutionStatus.Running], steps.Select(s => s.Status));
        Assert.Equal(TimeSpan.FromMilliseconds(840), steps[0].Duration);
        Assert.Equal(steps[0].Input, steps[0].Output);
        Assert.Equal(1, await database.ScalarAsync<long>($"select count(*) from flowstone.payloads where execution_id = '{claimed.Execution.Id}'"));
    }

    [Fact]
    public async Task A_step_is_recorded_once_and_a_call_with_one_bad_step_stores_nothing()
    {
        var tenant = await database.NewTenantAsync();
        var claimed = await tenant.StartAndClaimAsync();
        await RecordAsync(tenant, claimed, [Start("n0")], []);
        await RecordAsync(tenant, claimed, [], [Finish("n0")]);

        await Assert.ThrowsAsync<ConflictException>(() => RecordAsync(tenant, claimed, [Start("n0"), Start("n1")], []));
        await Assert.ThrowsAsync<ConflictException>(() => RecordAsync(tenant, claimed, [Start("n1")], [Finish("n0")]));
        await Assert.ThrowsAsync<ConflictException>(() => RecordAsync(tenant, claimed, [Start("n1")], [Finish("n2")]));

        Assert.Equal(0, Assert.Single(await tenant.Scope.Executions.NodesAsync(claimed.Execution.Id)).Node);
        await RecordAsync(tenant, claimed, [Start("n1")], []);
    }

    [Fact]
    public async Task Iterations_and_attempts_are_records_of_their_own()
    {
        var tenant = await database.NewTenantAsync();
        var claimed = await tenant.StartAndClaimAsync();

        await RecordAsync(tenant, claimed,
            [Start("n0"), Start("n0") with { Attempt = 2 }, Start("n0") with { Iteration = 1 }],
            [Finish("n0") with { Status = ExecutionStatus.Failed, Error = "no route", Reason = "HTTP_503" }]);

        var steps = await tenant.Scope.Executions.NodesAsync(claimed.Execution.Id);
        Assert.Equal([(0, 1, ExecutionStatus.Failed), (0, 2, ExecutionStatus.Running), (1, 1, ExecutionStatus.Running)],
            steps.Select(s => (s.Iteration, (int)s.Attempt, s.Status)).Order());
        Assert.Equal(("no route", "HTTP_503"), (steps[0].Error, steps[0].Reason));
    }

    [Fact]
    public async Task A_finish_before_its_start_counts_as_no_time()
    {
        var tenant = await database.NewTenantAsync();
        var claimed = await tenant.StartAndClaimAsync();
        var now = tenant.Clock.Now();

        await RecordAsync(tenant, claimed, [Start("n0") with { StartedAt = now }], [Finish("n0") with { FinishedAt = now - TimeSpan.FromSeconds(1) }]);

        Assert.Equal(TimeSpan.Zero, Assert.Single(await tenant.Scope.Executions.NodesAsync(claimed.Execution.Id)).Duration);
    }

    [Fact]
    public async Task What_makes_no_sense_is_refused_by_field()
    {
        var tenant = await database.NewTenantAsync();
        var claimed = await tenant.StartAndClaimAsync();

        Assert.Equal("starts[1].nodeId", await FieldAsync([Start("n0"), Start("nowhere")], []));
        Assert.Equal("starts[1]", await FieldAsync([Start("n0"), Start("n0")], []));
        Assert.Equal("finishes[1]", await FieldAsync([Start("n0")], [Finish("n0"), Finish("n0")]));
        Assert.Equal("starts[0]", await FieldAsync([Start("n0") with { Iteration = -1 }], []));
        Assert.Equal("finishes[0].status", await FieldAsync([], [Finish("n0") with { Status = ExecutionStatus.Running }]));
        Assert.Empty(await tenant.Scope.Executions.NodesAsync(claimed.Execution.Id));

        async Task<string> FieldAsync(NodeStart[] starts, NodeFinish[] finishes)
            => (await Assert.ThrowsAsync<InvalidInputException>(() => RecordAsync(tenant, claimed, starts, finishes))).Errors[0].Field;
    }

    [Theory]
    [InlineData(0)]
    [InlineData(159)]
    [InlineData(100_000)]
    public async Task A_payload_comes_back_byte_for_byte_whatever_it_holds(int length)
    {
        var tenant = await database.NewTenantAsync();
        var bytes = Enumerable.Range(0, length).Select(i => (byte)(i * i / 7)).ToArray();
        var text = System.Text.Encoding.UTF8.GetBytes($"\"\\u0000 \\ud800 1e999 {new string('x', length)}\"");

        foreach (var body in new[] { new PayloadBody(bytes, "application/octet-stream"), new PayloadBody(text) })
        {
            var execution = await tenant.StartAsync(input: body);
            var read = (await tenant.Scope.Executions.FindPayloadAsync(execution.Id, execution.Input!))!;
            Assert.Equal(body.Bytes.ToArray(), read.Bytes.ToArray());
            Assert.Equal(body.ContentType, read.ContentType);
        }
    }

    [Fact]
    public async Task The_timeline_names_the_nodes_in_the_order_in_which_they_started()
    {
        var tenant = await database.NewTenantAsync();
        var claimed = await tenant.StartAndClaimAsync();
        foreach (var node in new[] { "n2", "n0", "n1" })
        {
            await RecordAsync(tenant, claimed, [Start(node)], [Finish(node)]);
            tenant.Clock.Advance(TimeSpan.FromSeconds(1));
        }

        var timeline = await tenant.Scope.Executions.TimelineAsync(claimed.Execution.Id);

        Assert.Equal(["Node 2", "Node 0", "Node 1"], timeline.Steps.Select(s => s.Node.Name));
        Assert.Equal("test.node", timeline.Steps[0].Node.Type);
    }

    static NodeStart Start(string node, PayloadBody? input = null) => new() { NodeId = node, Input = input };

    static NodeFinish Finish(string node, PayloadBody? output = null) => new() { NodeId = node, Status = ExecutionStatus.Success, Output = output };

    static Task RecordAsync(TestTenant tenant, ClaimedExecution claimed, NodeStart[] starts, NodeFinish[] finishes)
        => tenant.Queue.RecordAsync(claimed.Lease, starts, finishes);
}
