using System.Text;
using Flowstone.Executions;

namespace Flowstone.Tests.Executions.Payloads;

public sealed class PayloadReuseTests(TestDatabase database)
{
    static readonly PayloadBody body = TestTenant.Json($"[\"{new string('x', 200)}\"]");

    [Fact]
    public async Task An_input_equal_to_an_earlier_output_is_not_sent_again()
    {
        var tenant = await database.NewTenantAsync();
        var claimed = await tenant.StartAndClaimAsync();
        await tenant.Queue.RecordAsync(claimed.Lease, [Start("n0")], [Finish("n0", body)]);
        await ForgetRowsAsync(claimed);   // so that sending it again would be seen

        await tenant.Queue.RecordAsync(claimed.Lease, [Start("n1", body)], []);
        Assert.Equal(0, await CountAsync(claimed));

        await tenant.InAnotherProcess(database.Source).Queue.RecordAsync(claimed.Lease, [Start("n2", body)], []);
        Assert.Equal(1, await CountAsync(claimed));
    }

    [Fact]
    public async Task What_was_not_committed_is_sent_again()
    {
        var tenant = await database.NewTenantAsync();
        var claimed = await tenant.StartAndClaimAsync();
        await Assert.ThrowsAsync<ConflictException>(() => tenant.Queue.RecordAsync(claimed.Lease, [], [Finish("n0", body)]));

        await tenant.Queue.RecordAsync(claimed.Lease, [Start("n0")], [Finish("n0", body)]);

        var step = Assert.Single(await tenant.Scope.Executions.NodesAsync(claimed.Execution.Id));
        Assert.NotNull(await tenant.Scope.Executions.FindPayloadAsync(claimed.Execution.Id, step.Output!));
    }

    [Fact]
    public async Task A_claimed_input_is_known_to_be_stored()
    {
        var tenant = await database.NewTenantAsync();
        await tenant.StartAsync(input: body);
        var claimed = Assert.Single(await tenant.ClaimAsync());
        await ForgetRowsAsync(claimed);

        await tenant.Queue.RecordAsync(claimed.Lease, [Start("n0", body)], []);

        Assert.Equal(0, await CountAsync(claimed));
    }

    [Fact]
    public async Task Equal_bytes_of_another_type_are_another_payload()
    {
        var tenant = await database.NewTenantAsync();
        var claimed = await tenant.StartAndClaimAsync();
        var text = new PayloadBody(body.Bytes, "text/plain");

        await tenant.Queue.RecordAsync(claimed.Lease, [Start("n0", body), Start("n1", text)], []);

        var steps = await tenant.Scope.Executions.NodesAsync(claimed.Execution.Id);
        Assert.Equal("application/json", (await tenant.Scope.Executions.FindPayloadAsync(claimed.Execution.Id, steps[0].Input!))!.ContentType);
        Assert.Equal("text/plain", (await tenant.Scope.Executions.FindPayloadAsync(claimed.Execution.Id, steps[1].Input!))!.ContentType);
    }

    [Fact]
    public async Task A_payload_is_stored_under_a_lease_and_named_afterwards()
    {
        var tenant = await database.NewTenantAsync();
        var claimed = await tenant.StartAndClaimAsync();
        var picture = new PayloadBody(Encoding.UTF8.GetBytes("not really a picture"), "image/png");

        var name = await tenant.Queue.StoreAsync(claimed.Lease, picture);
        await tenant.InAnotherProcess(database.Source).Queue.RecordAsync(claimed.Lease,
            [new NodeStart { NodeId = "n0", InputRef = name }], [new NodeFinish { NodeId = "n0", Status = ExecutionStatus.Success, OutputRef = PayloadRef.Of(TestTenant.Json("42"), inline: true) }]);
        await tenant.Queue.FinishAsync(claimed.Lease, new ExecutionOutcome { Status = ExecutionStatus.Success, OutputRef = name });

        var execution = (await tenant.Scope.Executions.FindAsync(claimed.Execution.Id))!;
        Assert.Equal("image/png", (await tenant.Scope.Executions.FindPayloadAsync(execution.Id, execution.Output!))!.ContentType);
        Assert.Equal(name, Assert.Single(await tenant.Scope.Executions.NodesAsync(execution.Id)).Input);
    }

    [Fact]
    public async Task A_name_that_names_nothing_is_refused_by_field()
    {
        var tenant = await database.NewTenantAsync();
        var claimed = await tenant.StartAndClaimAsync();
        var other = await tenant.StartAsync(input: body);

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Queue.RecordAsync(claimed.Lease, [Start("n0"), new NodeStart { NodeId = "n1", InputRef = other.Input }], []));
        Assert.Equal("starts[1].input", error.Errors[0].Field);
        error = await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Queue.RecordAsync(claimed.Lease, [new NodeStart { NodeId = "n1", Input = body, InputRef = other.Input }], []));
        Assert.Equal("starts[0].input", error.Errors[0].Field);
    }

    [Fact]
    public async Task A_retry_may_name_what_lies_with_the_execution_that_it_retries()
    {
        var tenant = await database.NewTenantAsync();
        var first = await tenant.StartAsync(input: body);
        await tenant.Queue.FinishAsync(Assert.Single(await tenant.ClaimAsync()).Lease, new ExecutionOutcome { Status = ExecutionStatus.Failed });
        await tenant.Scope.Executions.RetryAsync(first.Id);
        var retry = Assert.Single(await tenant.ClaimAsync());

        await tenant.Queue.RecordAsync(retry.Lease, [new NodeStart { NodeId = "n0", InputRef = retry.Execution.Input }], []);
        await tenant.Queue.RecordAsync(retry.Lease, [Start("n1", body)], []);   // which is not taken to be stored with the retry

        Assert.Equal(1, await CountAsync(retry));
        Assert.NotNull(await tenant.Scope.Executions.FindPayloadAsync(retry.Execution.Id, retry.Execution.Input!));
    }

    [Fact]
    public async Task Nothing_is_stored_under_a_lease_that_is_lost()
    {
        var tenant = await database.NewTenantAsync();
        var claimed = await tenant.StartAndClaimAsync();

        await Assert.ThrowsAsync<ConflictException>(() => tenant.Queue.StoreAsync(claimed.Lease with { Fence = 7 }, body));

        Assert.Equal(0, await CountAsync(claimed));
    }

    static NodeStart Start(string node, PayloadBody? input = null) => new() { NodeId = node, Input = input };

    static NodeFinish Finish(string node, PayloadBody? output = null) => new() { NodeId = node, Status = ExecutionStatus.Success, Output = output };

    Task ForgetRowsAsync(ClaimedExecution claimed) => database.ExecuteAsync("flowstone_test", $"delete from flowstone.payloads where execution_id = '{claimed.Execution.Id}'");

    Task<long> CountAsync(ClaimedExecution claimed) => database.ScalarAsync<long>($"select count(*) from flowstone.payloads where execution_id = '{claimed.Execution.Id}'");
}
