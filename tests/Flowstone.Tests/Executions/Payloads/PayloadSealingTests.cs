using System.Security.Cryptography;
using System.Text;
using Flowstone.Credentials;
using Flowstone.Executions;
using Flowstone.Tenancy;

namespace Flowstone.Tests.Executions.Payloads;

public sealed class PayloadSealingTests(TestDatabase database)
{
    static readonly LocalKey key = new(Enumerable.Range(0, 32).Select(i => (byte)i).ToArray());
    static readonly MasterKeySealer sealer = new(new LocalKeyRing([key]));
    static readonly PayloadBody secret = TestTenant.Json("{\"password\":\"correct horse battery staple\"}");
    static readonly PayloadBody large = TestTenant.Json($"[\"{new string('s', 5_000)}\"]");

    // Made with another implementation (Python's hmac and OpenSSL's AES), so that the format is what it says.
    [Fact]
    public void Names_and_seals_are_what_another_implementation_makes_of_them()
    {
        var (tenant, execution) = (Id<Tenant>.Parse("0199d1b0-0000-7000-8000-000000000001"), Id<Execution>.Parse("0199d1b0-0000-7000-8000-000000000002"));
        var name = sealer.Name(tenant, execution, SHA256.HashData("\"hello\""u8).AsSpan(0, 16));
        var bytes = sealer.Seal(new PayloadPlace(tenant, execution, name), "\"hello\""u8, [.. Enumerable.Range(0, 12).Select(i => (byte)i)]);

        Assert.Equal("ce0dd379e7b5dc05", key.Id);
        Assert.Equal("513226d4e1a753739562b25c8f3f0e00", Convert.ToHexStringLower(name));
        Assert.Equal("01ce0dd379e7b5dc05000102030405060708090a0b90c56bc8093dbf581b594d1591fe485f77157f91b72fb2", Convert.ToHexStringLower(bytes));
        Assert.Equal("\"hello\"", Encoding.UTF8.GetString(sealer.Open(new PayloadPlace(tenant, execution, name), bytes)));
    }

    [Fact]
    public async Task Nothing_of_a_sealed_payload_is_stored_in_plain_text_not_even_its_hash()
    {
        using var folder = new ObjectFolder();
        var tenant = await SealingTenantAsync(new PayloadSettings(new FolderObjectStore(folder.Path), sealer, SpillAbove: 1_000));
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
        var tenant = await SealingTenantAsync(new PayloadSettings(Sealer: sealer));
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
    public void Every_bit_and_every_part_of_the_place_counts()
    {
        var clock = new ManualClock();
        var place = new PayloadPlace(Id<Tenant>.New(clock), Id<Execution>.New(clock), new byte[16]);
        var bytes = sealer.Seal(place, secret.Bytes.Span);

        for (var i = 0; i < bytes.Length; i++)
        {
            var changed = bytes.ToArray();
            changed[i] ^= 0x80;
            Assert.ThrowsAny<FlowstoneException>(() => sealer.Open(place, changed));
        }
        Assert.Throws<PayloadDamagedException>(() => sealer.Open(place, bytes.AsSpan(0, 20)));
        foreach (var elsewhere in new[] { place with { TenantId = Id<Tenant>.New(clock) }, place with { ExecutionId = Id<Execution>.New(clock) }, place with { Hash = new byte[] { 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 } } })
            Assert.Throws<PayloadDamagedException>(() => sealer.Open(elsewhere, bytes));
        Assert.NotEqual(bytes, sealer.Seal(place, secret.Bytes.Span));
    }

    [Fact]
    public async Task Without_the_key_writes_are_refused_and_reads_name_it()
    {
        var tenant = await SealingTenantAsync(new PayloadSettings(Sealer: sealer));
        var execution = await tenant.StartAsync(input: secret);

        var without = tenant.InAnotherProcess(database.Source);
        var refused = await Assert.ThrowsAsync<UnavailableException>(() => without.StartAsync(input: secret));
        Assert.Contains("FLOWSTONE_KEY_FILE", refused.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<UnavailableException>(() => without.Scope.Executions.FindPayloadAsync(execution.Id, execution.Input!));

        var wrong = tenant.InAnotherProcess(database.Source, new PayloadSettings(Sealer: new MasterKeySealer(new LocalKeyRing([TestKeys.New()]))));
        var error = await Assert.ThrowsAsync<UnavailableException>(() => wrong.Scope.Executions.FindPayloadAsync(execution.Id, execution.Input!));
        Assert.Contains(key.Id, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_was_stored_before_sealing_stays_readable_and_equal_payloads_of_a_run_are_sealed_once()
    {
        var tenant = await database.NewTenantAsync(new PayloadSettings(Sealer: sealer));
        var before = await tenant.StartAsync(input: large);
        await tenant.Scope.PayloadPolicies.SetAsync(new TenantPayloadPolicy { Seal = true });
        var claimed = Assert.Single(await tenant.ClaimAsync());

        await tenant.Queue.RecordAsync(claimed.Lease, [new NodeStart { NodeId = "n0", Input = large }], [new NodeFinish { NodeId = "n0", Status = ExecutionStatus.Success, Output = large }]);
        await tenant.Queue.RecordAsync(claimed.Lease, [new NodeStart { NodeId = "n1", Input = large }], []);

        Assert.NotNull(await tenant.Scope.Executions.FindPayloadAsync(before.Id, before.Input!));
        Assert.Equal(2, await database.ScalarAsync<long>($"select count(*) from flowstone.payloads where tenant_id = '{tenant.Id}'"));
    }

    [Fact]
    public void After_a_new_master_key_came_older_payloads_open_and_new_ones_are_sealed_with_it()
    {
        var (clock, next) = (new ManualClock(), TestKeys.New());
        var place = new PayloadPlace(Id<Tenant>.New(clock), Id<Execution>.New(clock), new byte[16]);
        var both = new MasterKeySealer(new LocalKeyRing([next, key]));
        var before = sealer.Seal(place, secret.Bytes.Span);

        Assert.Equal(secret.Bytes.ToArray(), both.Open(place, before));
        var after = both.Seal(place, secret.Bytes.Span);
        Assert.Equal(secret.Bytes.ToArray(), new MasterKeySealer(new LocalKeyRing([next])).Open(place, after));
        Assert.Contains(next.Id, Assert.Throws<UnavailableException>(() => sealer.Open(place, after)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_local_master_key_of_the_options_seals_payloads_and_one_of_KMS_does_not()
    {
        var tenant = await database.NewTenantAsync();
        await SealAsync(new FlowstoneOptions { MasterKey = TestKeys.Text });
        var refused = await Assert.ThrowsAsync<InvalidInputException>(() => SealAsync(new FlowstoneOptions { KmsKey = "alias/flowstone" }, new KmsKeyRing("alias/flowstone", new() { ServiceURL = "http://127.0.0.1:1" })));
        Assert.Contains("KMS does not seal payloads", refused.Message, StringComparison.Ordinal);

        async Task SealAsync(FlowstoneOptions options, IKeyRing? keys = null)
        {
            options.ConnectionString = database.AppConnectionString();
            options.PoolMin = 0;
            await using var store = new FlowstoneStore(Microsoft.Extensions.Options.Options.Create(options), TimeProvider.System, keys: keys);
            await store.Tenant(tenant.Id, Actor.System("test")).PayloadPolicies.SetAsync(new TenantPayloadPolicy { Seal = true });
        }
    }

    async Task<TestTenant> SealingTenantAsync(PayloadSettings settings)
    {
        var tenant = await database.NewTenantAsync(settings);
        await tenant.Scope.PayloadPolicies.SetAsync(new TenantPayloadPolicy { Seal = true });
        return tenant;
    }
}
