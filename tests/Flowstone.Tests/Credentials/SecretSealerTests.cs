using Flowstone.Credentials;
using Flowstone.Data;
using Flowstone.Tenancy;

namespace Flowstone.Tests.Credentials;

public sealed class SecretSealerTests(TestDatabase database)
{
    static readonly byte[] secret = [.. "correct horse battery staple"u8];

    [Fact]
    public async Task A_secret_opens_at_its_place_in_another_process_and_nowhere_else()
    {
        var (tenant, other) = (await database.NewTenantAsync(), await database.NewTenantAsync());
        var place = Place(tenant);
        var value = await tenant.Store.Secrets.SealAsync(place, secret);

        Assert.Equal(secret, await tenant.InAnotherProcess(database.Source).Store.Secrets.OpenAsync(place, value));
        await Assert.ThrowsAsync<CredentialSealException>(async () => await tenant.Store.Secrets.OpenAsync(place with { RowId = tenant.Id.Value }, value));
        await Assert.ThrowsAsync<CredentialSealException>(async () => await tenant.Store.Secrets.OpenAsync(place with { Column = "webhooks.secret" }, value));
        await Assert.ThrowsAsync<CredentialSealException>(async () => await tenant.Store.Secrets.OpenAsync(place, value.AsMemory(0, 20)));

        // Another tenant cannot so much as find the key, though it is in this process's memory.
        var refused = await Assert.ThrowsAsync<CredentialSealException>(async () => await tenant.Store.Secrets.OpenAsync(place with { TenantId = other.Id }, value));
        Assert.Contains("which this tenant does not have", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Each_tenant_has_one_current_key_whichever_processes_make_it_at_once()
    {
        var tenant = await database.NewTenantAsync();
        var processes = Enumerable.Range(0, 6).Select(_ => Keys(tenant)).ToArray();
        var values = await Task.WhenAll(processes.SelectMany(keys => Enumerable.Range(0, 3).Select(_ => Task.Run(async () => await new SecretSealer(keys).SealAsync(Place(tenant), secret)))));

        Assert.Equal(1, await CountAsync(tenant));
        Assert.Single(values.Select(value => Seal.KeyOf(default, value)).Distinct());
        foreach (var (value, keys) in values.Zip(processes.Reverse().Concat(processes)))
            Assert.Equal(secret, await new SecretSealer(keys).OpenAsync(Place(tenant), value));
        Assert.Equal(6 * (1 << 20), await UsesAsync(tenant));   // a block for each process, whatever it sealed
    }

    [Fact]
    public async Task A_key_seals_no_more_often_than_it_may_and_the_next_one_takes_over()
    {
        var tenant = await database.NewTenantAsync();
        var limits = new DataKeyLimits(Uses: 100, BlockOfUses: 20);
        var processes = Enumerable.Range(0, 3).Select(_ => Keys(tenant, limits)).ToArray();
        var values = await Task.WhenAll(processes.SelectMany(keys => Enumerable.Range(0, 150).Select(_ => Task.Run(async () => await new SecretSealer(keys).SealAsync(Place(tenant), secret)))));

        var perKey = values.CountBy(value => Seal.KeyOf(default, value)).ToList();
        Assert.All(perKey, key => Assert.InRange(key.Value, 1, 100));
        Assert.InRange(perKey.Count, 5, 6);   // 450 of 100 each, and what processes took last may lie unused
        Assert.Equal(1, await CountAsync(tenant, "retired_at is null"));
        Assert.Equal(0, await CountAsync(tenant, "uses > 100"));
        foreach (var value in values)
            Assert.Equal(secret, await new SecretSealer(processes[0]).OpenAsync(Place(tenant), value));
    }

    [Fact]
    public async Task Many_are_sealedByteswith_one_look_at_the_key()
    {
        var tenant = await database.NewTenantAsync();
        using var keys = Keys(tenant, new DataKeyLimits(Uses: 1_000, BlockOfUses: 10));
        using (var key = await keys.CurrentAsync(tenant.Id, uses: 300, default))
            Assert.All(Enumerable.Range(0, 300), _ => Assert.Equal(key.Id, Seal.KeyOf(default, Seal.Close(key, Place(tenant), secret))));
        Assert.Equal(300, await UsesAsync(tenant));
    }

    [Fact]
    public async Task Keys_are_read_again_after_minutes_and_uses_that_were_taken_are_kept()
    {
        var tenant = await database.NewTenantAsync();
        using var keys = Keys(tenant);
        var sealer = new SecretSealer(keys);
        var first = await sealer.SealAsync(Place(tenant), secret);
        tenant.Clock.Advance(TimeSpan.FromMinutes(6));
        Assert.Equal(Seal.KeyOf(default, first), Seal.KeyOf(default, await sealer.SealAsync(Place(tenant), secret)));
        Assert.Equal(1 << 20, await UsesAsync(tenant));

        await SetAsync(tenant, "retired_at = now()");
        Assert.Equal(Seal.KeyOf(default, first), Seal.KeyOf(default, await sealer.SealAsync(Place(tenant), secret)));
        tenant.Clock.Advance(TimeSpan.FromMinutes(6));
        await sealer.OpenAsync(Place(tenant), first);   // the old key is read again, and does not seal for that
        var second = await sealer.SealAsync(Place(tenant), secret);
        Assert.NotEqual(Seal.KeyOf(default, first), Seal.KeyOf(default, second));
        Assert.Equal(secret, await sealer.OpenAsync(Place(tenant), first));
    }

    [Fact]
    public async Task Nothing_opens_with_a_destroyed_key_at_once_here_and_within_minutes_elsewhere()
    {
        var tenant = await database.NewTenantAsync();
        using var here = Keys(tenant);
        using var elsewhere = Keys(tenant);
        var value = await new SecretSealer(here).SealAsync(Place(tenant), secret);
        await new SecretSealer(elsewhere).OpenAsync(Place(tenant), value);

        await SetAsync(tenant, "destroyed_at = now(), wrapped_key = null");
        here.Forget(new(tenant.Id, Seal.KeyOf(default, value)));
        Assert.Contains("destroyed", await RefusalAsync(here), StringComparison.Ordinal);
        await new SecretSealer(elsewhere).OpenAsync(Place(tenant), value);
        tenant.Clock.Advance(TimeSpan.FromMinutes(5));
        Assert.Contains("destroyed", await RefusalAsync(elsewhere), StringComparison.Ordinal);

        await new SecretSealer(elsewhere).SealAsync(Place(tenant), secret);   // with a new key
        Assert.Equal(2, await CountAsync(tenant));

        async Task<string> RefusalAsync(DataKeys keys)
            => (await Assert.ThrowsAsync<CredentialSealException>(async () => await new SecretSealer(keys).OpenAsync(Place(tenant), value))).Message;
    }

    [Fact]
    public async Task A_key_that_came_along_with_the_row_needs_no_round_trip_and_tells_of_its_end()
    {
        var tenant = await database.NewTenantAsync();
        var value = await tenant.Store.Secrets.SealAsync(Place(tenant), secret);
        var along = new WrappedKey(TestKeys.Ring.Current.Id, await database.ScalarAsync<byte[]>($"select wrapped_key from flowstone.data_keys where tenant_id = '{tenant.Id}'"), IsClosed: false);

        // Without a database at all:
        await using var nowhere = Npgsql.NpgsqlDataSource.Create("Host=/nowhere;Username=flowstone;Database=x");
        var app = new Database(nowhere, TenantPolicies.AppRole);
        using var alone = new SecretSealer(new DataKeys(app, TestKeys.Ring, new MasterKeys(app, TestKeys.Ring, tenant.Clock), tenant.Clock));
        Assert.Equal(secret, await alone.OpenAsync(Place(tenant), value, along, evenIfClosed: false, default));
        Assert.Equal(secret, await alone.OpenAsync(Place(tenant), value));   // from memory
        await Assert.ThrowsAsync<CredentialSealException>(async () => await alone.OpenAsync(Place(tenant), value, along with { Bytes = null }, evenIfClosed: false, default));
        await Assert.ThrowsAsync<UnavailableException>(async () => await alone.OpenAsync(Place(tenant), value));
        along.Bytes![20] ^= 1;
        await Assert.ThrowsAsync<CredentialSealException>(async () => await alone.OpenAsync(Place(tenant), value, along, evenIfClosed: false, default));
    }

    [Fact]
    public async Task The_least_recently_used_key_leaves_memory_first_and_is_wiped_when_nobody_holds_it()
    {
        var clock = new ManualClock();
        var keys = Enumerable.Range(0, 3).Select(_ => (Place: new DataKeyPlace(Id<Tenant>.New(clock), Id<DataKey>.New(clock)), Bytes: TestKeyBytes())).ToArray();
        using var cache = new KeyCache(new DataKeyLimits(Cached: 2), clock);
        Add(0);
        Add(1);
        using (var held = cache.TryHold(keys[0].Place)!)
        {
            Add(2);
            Assert.Null(cache.TryHold(keys[1].Place));
            Assert.All(keys[1].Bytes, b => Assert.Equal(0, b));
            cache.Dispose();
            Assert.All(keys[2].Bytes, b => Assert.Equal(0, b));
            Assert.Equal(1, keys[0].Bytes[0]);
            Seal.Close(held, default(SealedPlace) with { Column = "" }, secret);
        }
        Assert.All(keys[0].Bytes, b => Assert.Equal(0, b));

        void Add(int i)
        {
            using var key = new SealingKey(keys[i].Place.Id, keys[i].Bytes);
            cache.Add(keys[i].Place, key);
        }

        static byte[] TestKeyBytes() => [.. Enumerable.Range(1, 32).Select(b => (byte)b)];
    }

    [Fact]
    public async Task Few_keys_in_memory_serve_many_tenants_at_once()
    {
        var tenants = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => database.NewTenantAsync()));
        using var sealer = new SecretSealer(Keys(tenants[0], new DataKeyLimits(Cached: 1)));
        await Task.WhenAll(Enumerable.Range(0, 60).Select(i => Task.Run(async () =>
        {
            var place = Place(tenants[i % 4]);
            Assert.Equal(secret, await sealer.OpenAsync(place, await sealer.SealAsync(place, secret)));
        })));
        foreach (var tenant in tenants)
            Assert.Equal(1, await CountAsync(tenant));
    }

    [Fact]
    public async Task Without_a_master_key_both_ways_say_what_to_set()
    {
        var tenant = await database.NewTenantAsync();
        await using var store = new FlowstoneStore(FlowstoneStore.Connect(new() { ConnectionString = database.AppConnectionString(), PoolMin = 0 }), tenant.Clock);
        foreach (var attempt in new Func<Task>[] { async () => await store.Secrets.SealAsync(Place(tenant), secret), async () => await store.Secrets.OpenAsync(Place(tenant), new byte[100]) })
        {
            var refused = await Assert.ThrowsAsync<UnavailableException>(attempt);
            foreach (var setting in new[] { "FLOWSTONE_KEY_FILE", "FLOWSTONE_MASTER_KEY", "FLOWSTONE_KMS_KEY" })
                Assert.Contains(setting, refused.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_key_at_hand_seals_and_opens_with_no_allocation_but_the_result()
    {
        var tenant = await database.NewTenantAsync();
        var (sealer, place, content) = (tenant.Store.Secrets, Place(tenant), new byte[1024]);
        await sealer.OpenAsync(place, await sealer.SealAsync(place, content));
        var empty = GC.GetAllocatedBytesForCurrentThread();
        _ = new byte[content.Length + Seal.Overhead];
        var ofResult = GC.GetAllocatedBytesForCurrentThread() - empty;

        var before = GC.GetAllocatedBytesForCurrentThread();
        var sealing = sealer.SealAsync(place, content);
        var sealedBytes = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.True(sealing.IsCompletedSuccessfully);
        var value = await sealing;
        before = GC.GetAllocatedBytesForCurrentThread();
        var opening = sealer.OpenAsync(place, value);
        var opened = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.True(opening.IsCompletedSuccessfully);
        Assert.Equal(content, await opening);

        // A debug build makes an object of an asynchronous method's state: there are two and three of them. A release build has none.
        var states = typeof(SecretSealer).Assembly.GetCustomAttributes(false).OfType<System.Diagnostics.DebuggableAttribute>().Any(d => d.IsJITOptimizerDisabled) ? 3 * 200 : 0;
        Assert.InRange(sealedBytes - ofResult, 0, states + 23);
        Assert.InRange(opened - ofResult, -Seal.Overhead - 7, states + 23);
    }

    DataKeys Keys(TestTenant tenant, DataKeyLimits? limits = null)
    {
        var app = new Database(database.Source, TenantPolicies.AppRole);
        return new DataKeys(app, TestKeys.Ring, new MasterKeys(app, TestKeys.Ring, tenant.Clock), tenant.Clock, limits);
    }

    static SealedPlace Place(TestTenant tenant) => new(tenant.Id, "credentials.secret", Guid.Parse("0199d1b0-0000-7000-8000-000000000002"));

    Task<long> CountAsync(TestTenant tenant, string condition = "true")
        => database.ScalarAsync<long>($"select count(*) from flowstone.data_keys where tenant_id = '{tenant.Id}' and {condition}");

    Task<long> UsesAsync(TestTenant tenant) => database.ScalarAsync<long>($"select sum(uses)::bigint from flowstone.data_keys where tenant_id = '{tenant.Id}'");

    Task SetAsync(TestTenant tenant, string change) => database.ExecuteAsync(null, $"update flowstone.data_keys set {change} where tenant_id = '{tenant.Id}'");
}
