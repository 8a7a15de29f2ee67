using Flowstone.Credentials;
using Flowstone.Executions;
using Flowstone.Tenancy;

namespace Flowstone.Tests.Executions.Payloads;

public sealed class PayloadSealingTests(TestDatabase database)
{
    static readonly PayloadBody secret = TestTenant.Json("{\"password\":\"correct horse battery staple\"}");
    static readonly PayloadBody large = TestTenant.Json($"[\"{new string('s', 5_000)}\"]");

    [Fact]
    public async Task Nothing_of_a_sealed_payload_is_stored_in_plain_text_not_even_its_hash()
    {
        using var folder = new ObjectFolder();
        var tenant = await SealingTenantAsync(new PayloadSettings(new FolderObjectStore(folder.Path), SpillAbove: 1_000));
        await tenant.StartAsync(input: large);
        var claimed = Assert.Single(await tenant.ClaimAsync());

        await tenant.Queue.RecordAsync(claimed.Lease, [new NodeStart { NodeId = "n0", Input = TestTenant.Json("42") }], []);
        await tenant.Queue.FinishAsync(claimed.Lease, new ExecutionOutcome { Status = ExecutionStatus.Success, Output = secret });

        var execution = (await tenant.Scope.Executions.FindAsync(claimed.Execution.Id))!;
        var step = Assert.Single(await tenant.Scope.Executions.NodesAsync(execution.Id));
        foreach (var (name, body) in new[] { (execution.Input!, large), (step.Input!, TestTenant.Json("42")), (execution.Output!, secret) })
        {
            Assert.Null(name.Value);
            Assert.NotEqual(body.Hash, name.Hash);
            Assert.Equal(body.Bytes.ToArray(), (await tenant.Scope.Executions.FindPayloadAsync(execution.Id, name))!.Bytes.ToArray());
        }
        Assert.Equal(3, await database.ScalarAsync<long>($"select count(*) from flowstone.payloads where tenant_id = '{tenant.Id}' and sealed"));
        Assert.Equal(0, await database.ScalarAsync<long>($"select count(*) from flowstone.payloads where tenant_id = '{tenant.Id}' and position('horse'::bytea in body) > 0"));
        Assert.Equal(1, (await File.ReadAllBytesAsync(Assert.Single(folder.Files)))[0]);   // the format's version
        await using var content = (await tenant.Scope.Executions.OpenPayloadAsync(execution.Id, execution.Input!))!;
        Assert.Equal(large.Bytes.Length, content.Body.Length);
    }

    [Fact]
    public async Task A_sealed_payload_does_not_open_in_another_row()
    {
        var tenant = await SealingTenantAsync();
        var (one, other) = (await tenant.StartAsync(input: secret), await tenant.StartAsync(input: secret));
        Assert.NotEqual(one.Input, other.Input);   // nobody sees that they are equal

        await database.ExecuteAsync("flowstone_test", $"""
            update flowstone.payloads p set body = o.body from flowstone.payloads o
             where p.execution_id = '{one.Id}' and o.execution_id = '{other.Id}'
            """);

        await Assert.ThrowsAsync<PayloadDamagedException>(() => tenant.Scope.Executions.FindPayloadAsync(one.Id, one.Input!));
        Assert.NotNull(await tenant.Scope.Executions.FindPayloadAsync(other.Id, other.Input!));
    }

    [Fact]
    public async Task Moved_to_another_execution_with_its_name_it_does_not_open_either()
    {
        var tenant = await SealingTenantAsync();
        var (one, other) = (await tenant.StartAsync(input: secret), await tenant.StartAsync(input: secret));

        await database.ExecuteAsync("flowstone_test", $"""
            insert into flowstone.payloads select (jsonb_populate_record(p, jsonb_build_object('execution_id', '{other.Id}'))).* from flowstone.payloads p where p.execution_id = '{one.Id}'
            """);

        var error = await Assert.ThrowsAsync<PayloadDamagedException>(() => tenant.Scope.Executions.FindPayloadAsync(other.Id, one.Input!));
        Assert.Contains("it belongs to another row", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_the_key_writes_are_refused_and_reads_name_it()
    {
        var tenant = await SealingTenantAsync();
        var execution = await tenant.StartAsync(input: secret);

        await using var without = new FlowstoneStore(FlowstoneStore.Connect(new FlowstoneOptions { ConnectionString = database.AppConnectionString(), PoolMin = 0 }), tenant.Clock);
        var scope = without.Tenant(tenant.Id, Actor.System("test"));
        var refused = await Assert.ThrowsAsync<UnavailableException>(() => scope.Executions.StartAsync(new NewExecution { WorkflowId = execution.WorkflowId, Input = secret }));
        Assert.Contains("FLOWSTONE_KEY_FILE", refused.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<UnavailableException>(() => scope.Executions.FindPayloadAsync(execution.Id, execution.Input!));

        var wrong = tenant.InAnotherProcess(database.Source, keys: new LocalKeyRing([TestKeys.New()]));
        var error = await Assert.ThrowsAsync<UnavailableException>(() => wrong.Scope.Executions.FindPayloadAsync(execution.Id, execution.Input!));
        Assert.Contains(TestKeys.Ring.Current.Id, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_rotation_leaves_payloads_readable_and_new_ones_are_sealed_with_the_new_key()
    {
        var tenant = await SealingTenantAsync();
        var before = await tenant.StartAsync(input: secret);

        await tenant.Store.KeyRotation.RotateAsync(tenant.Id);
        var after = await tenant.StartAsync(input: secret);

        foreach (var execution in new[] { before, after })
            Assert.Equal(secret.Bytes.ToArray(), (await tenant.Scope.Executions.FindPayloadAsync(execution.Id, execution.Input!))!.Bytes.ToArray());
        Assert.Equal(2, await database.ScalarAsync<long>($"select count(distinct substring(body from 2 for 16)) from flowstone.payloads where tenant_id = '{tenant.Id}'"));
    }

    [Fact]
    public async Task A_tenant_whose_keys_were_destroyed_has_lost_its_payloads_too()
    {
        var tenant = await SealingTenantAsync();
        var execution = await tenant.StartAsync(input: secret);

        await tenant.Store.KeyRotation.DestroyAsync(tenant.Id, Actor.System("test"));

        var error = await Assert.ThrowsAsync<PayloadDamagedException>(() => tenant.Scope.Executions.FindPayloadAsync(execution.Id, execution.Input!));
        Assert.Contains("was destroyed", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_was_stored_before_sealing_stays_readable_and_equal_payloads_of_a_run_are_sealed_once()
    {
        var tenant = await database.NewTenantAsync();
        var before = await tenant.StartAsync(input: large);
        await tenant.Scope.PayloadPolicies.SetAsync(new TenantPayloadPolicy { Seal = true });
        var claimed = Assert.Single(await tenant.ClaimAsync());

        await tenant.Queue.RecordAsync(claimed.Lease, [new NodeStart { NodeId = "n0", Input = large }], [new NodeFinish { NodeId = "n0", Status = ExecutionStatus.Success, Output = large }]);
        await tenant.Queue.RecordAsync(claimed.Lease, [new NodeStart { NodeId = "n1", Input = large }], []);

        Assert.NotNull(await tenant.Scope.Executions.FindPayloadAsync(before.Id, before.Input!));
        Assert.Equal(2, await database.ScalarAsync<long>($"select count(*) from flowstone.payloads where tenant_id = '{tenant.Id}'"));
    }

    [Fact]
    public async Task Without_a_master_key_no_tenant_can_ask_for_sealing()
    {
        var tenant = await database.NewTenantAsync();
        await using var without = new FlowstoneStore(FlowstoneStore.Connect(new FlowstoneOptions { ConnectionString = database.AppConnectionString(), PoolMin = 0 }), tenant.Clock);

        var refused = await Assert.ThrowsAsync<InvalidInputException>(() => without.Tenant(tenant.Id, Actor.System("test")).PayloadPolicies.SetAsync(new TenantPayloadPolicy { Seal = true }));

        Assert.Contains("seal: needs a master key", refused.Message, StringComparison.Ordinal);
    }

    async Task<TestTenant> SealingTenantAsync(PayloadSettings? settings = null)
    {
        var tenant = settings is null ? await database.NewTenantAsync() : await database.NewTenantAsync(settings);
        await tenant.Scope.PayloadPolicies.SetAsync(new TenantPayloadPolicy { Seal = true });
        return tenant;
    }
}
