using System.Text;
using Flowstone.Executions;
using Flowstone.Workflows;

namespace Flowstone.Tests.Executions.Payloads;

public sealed class PayloadPolicyTests(TestDatabase database)
{
    static readonly PayloadBody large = TestTenant.Json($"[\"{new string('ü', 500)}\"]");   // 1,004 bytes

    [Fact]
    public async Task Without_a_policy_there_is_no_limit()
    {
        var tenant = await database.NewTenantAsync();
        Assert.Equal(new TenantPayloadPolicy(), await tenant.Scope.PayloadPolicies.GetAsync());

        var execution = await tenant.StartAsync(input: new PayloadBody(new byte[10_000_000], "application/octet-stream"));

        Assert.Equal(10_000_000, (await tenant.Scope.Executions.FindPayloadAsync(execution.Id, execution.Input!))!.Bytes.Length);
    }

    [Fact]
    public async Task What_is_over_the_limit_is_refused_by_field_and_nothing_is_stored()
    {
        var tenant = await database.NewTenantAsync();
        var claimed = await tenant.StartAndClaimAsync();
        await tenant.Scope.PayloadPolicies.SetAsync(new TenantPayloadPolicy { LimitBytes = 1_000 });
        NodeStart Start(string node, PayloadBody? input) => new() { NodeId = node, Input = input };

        Assert.Equal(new FieldError("input", "has 1,004 bytes; at most 1,000 are allowed."), await ErrorAsync(() => tenant.StartAsync(input: large)));
        Assert.Equal("starts[1].input", (await ErrorAsync(() => tenant.Queue.RecordAsync(claimed.Lease, [Start("n0", null), Start("n1", large)], []))).Field);
        Assert.Equal("finishes[0].output", (await ErrorAsync(() => tenant.Queue.RecordAsync(claimed.Lease, [Start("n0", null)],
            [new NodeFinish { NodeId = "n0", Status = ExecutionStatus.Success, Output = large }]))).Field);
        Assert.Equal("output", (await ErrorAsync(() => tenant.Queue.FinishAsync(claimed.Lease, new ExecutionOutcome { Status = ExecutionStatus.Success, Output = large }))).Field);
        Assert.Empty(await tenant.Scope.Executions.NodesAsync(claimed.Execution.Id));
        await tenant.Queue.FinishAsync(claimed.Lease, new ExecutionOutcome { Status = ExecutionStatus.Success });

        static async Task<FieldError> ErrorAsync(Func<Task> call) => Assert.Single((await Assert.ThrowsAsync<InvalidInputException>(call)).Errors);
    }

    [Fact]
    public async Task What_is_cut_is_text_and_tells_its_former_size()
    {
        var tenant = await database.NewTenantAsync();
        await tenant.Scope.PayloadPolicies.SetAsync(new TenantPayloadPolicy { LimitBytes = 501, Overflow = PayloadOverflow.Truncate });

        var execution = await tenant.StartAsync(input: large);

        var read = (await tenant.Scope.Executions.FindPayloadAsync(execution.Id, execution.Input!))!;
        Assert.Equal($"[\"{new string('ü', 249)}", Encoding.UTF8.GetString(read.Bytes.Span));   // 500 bytes: not half a letter
        Assert.Equal(("text/plain", 1004L), (read.ContentType, read.WholeSizeBytes));
    }

    [Fact]
    public async Task A_binary_that_is_cut_is_bytes_and_a_short_value_is_cut_too()
    {
        var tenant = await database.NewTenantAsync();
        await tenant.Scope.PayloadPolicies.SetAsync(new TenantPayloadPolicy { LimitBytes = 10, Overflow = PayloadOverflow.Truncate });

        Assert.Equal(("application/octet-stream", 10, 200L), await StartAsync(new PayloadBody(new byte[200], "image/png")));
        Assert.Equal(("text/plain", 10, 22L), await StartAsync(TestTenant.Json($"\"{new string('x', 20)}\"")));
        Assert.Equal(("application/json", 10, null), await StartAsync(TestTenant.Json("\"12345678\"")));

        async Task<(string, int, long?)> StartAsync(PayloadBody body)
        {
            var execution = await tenant.StartAsync(input: body);
            var read = (await tenant.Scope.Executions.FindPayloadAsync(execution.Id, execution.Input!))!;
            return (read.ContentType, read.Bytes.Length, read.WholeSizeBytes);
        }
    }

    [Fact]
    public async Task A_workflow_goes_before_its_tenant_and_inherits_what_it_leaves_open()
    {
        var tenant = await database.NewTenantAsync();
        var (own, inherits) = (await tenant.CreateWorkflowAsync(), await tenant.CreateWorkflowAsync());
        await tenant.Scope.PayloadPolicies.SetAsync(new TenantPayloadPolicy { LimitBytes = 10, Overflow = PayloadOverflow.Truncate });

        await tenant.Scope.PayloadPolicies.SetAsync(own.Id, new PayloadPolicy { LimitBytes = 100 });

        Assert.Equal(100, await SizeAsync(own));
        Assert.Equal(10, await SizeAsync(inherits));
        await tenant.Scope.PayloadPolicies.SetAsync(own.Id, new PayloadPolicy { LimitBytes = 100, Overflow = PayloadOverflow.Reject });
        await Assert.ThrowsAsync<InvalidInputException>(() => SizeAsync(own));
        Assert.Equal(new PayloadPolicy { LimitBytes = 100, Overflow = PayloadOverflow.Reject }, await tenant.Scope.PayloadPolicies.GetAsync(own.Id));
        await Assert.ThrowsAsync<NotFoundException>(() => tenant.Scope.PayloadPolicies.SetAsync(Id<Workflow>.New(tenant.Clock), new PayloadPolicy()));

        async Task<int> SizeAsync(Workflow workflow)
        {
            var execution = await tenant.StartAsync(workflow, input: large);
            return (await tenant.Scope.Executions.FindPayloadAsync(execution.Id, execution.Input!))!.Bytes.Length;
        }
    }

    [Fact]
    public async Task A_change_takes_effect_in_other_processes_within_seconds()
    {
        var tenant = await database.NewTenantAsync();
        var elsewhere = tenant.InAnotherProcess(database.Source);
        var workflow = await tenant.CreateWorkflowAsync();
        await elsewhere.StartAsync(workflow, input: large);
        await tenant.Scope.PayloadPolicies.SetAsync(new TenantPayloadPolicy { LimitBytes = 1_000 });

        await elsewhere.StartAsync(workflow, input: large);
        tenant.Clock.Advance(PayloadPolicies.GoodFor);

        await Assert.ThrowsAsync<InvalidInputException>(() => elsewhere.StartAsync(workflow, input: large));
    }

    [Fact]
    public async Task A_policy_that_needs_what_is_not_there_is_refused()
    {
        var tenant = await database.NewTenantAsync();

        Assert.Equal("overflow", await FieldAsync(new TenantPayloadPolicy { Overflow = PayloadOverflow.Spill }));
        Assert.Equal("limitBytes", await FieldAsync(new TenantPayloadPolicy { LimitBytes = -1 }));

        async Task<string> FieldAsync(TenantPayloadPolicy policy)
            => (await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Scope.PayloadPolicies.SetAsync(policy))).Errors[0].Field;
    }

    [Fact]
    public async Task What_no_row_can_hold_is_refused()
    {
        var tenant = await database.NewTenantAsync();
        var huge = new PayloadBody(new byte[PayloadRows.MostInRow + 1], "application/octet-stream");

        await Assert.ThrowsAsync<InvalidInputException>(() => tenant.StartAsync(input: huge));
    }
}
