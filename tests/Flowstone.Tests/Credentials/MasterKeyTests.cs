using Flowstone.Credentials;
using Flowstone.Server;
using Flowstone.Server.Health;
using Flowstone.Tenancy;
using Flowstone.Tests.Server;
using Microsoft.Extensions.DependencyInjection;

namespace Flowstone.Tests.Credentials;

/// <summary>What is asked of master keys at every start. In databases of their own: the shared one has one master key.</summary>
public sealed class MasterKeyTests(TestDatabase shared)
{
    [Fact]
    public async Task A_start_without_the_master_key_of_a_databases_secrets_is_refused_and_names_it()
    {
        var database = await shared.AloneAsync();
        var (old, current) = (TestKeys.New(), TestKeys.New());
        var (tenant, value) = await SealAsync(database, new LocalKeyRing([old]));

        foreach (var (ring, problem) in new (IKeyRing?, string?)[]
        {
            (new LocalKeyRing([old]), null),
            (new LocalKeyRing([current, old]), null),
            (new LocalKeyRing([current]), $"sealed with the master key {old.Id}, and this process has only {current.Id}. Put it back"),
            (null, $"sealed with the master key {old.Id}, and none is set: set FLOWSTONE_KEY_FILE"),
        })
        {
            await using var store = Open(database, ring);
            var status = await store.Health.CheckAsync();
            Assert.Equal(problem is null, status.IsSafe);
            if (problem is null)
                Assert.Empty(status.Problems);
            else
                Assert.Contains(problem, Assert.Single(status.Problems), StringComparison.Ordinal);
        }

        // And what the old key's data key sealed opens beside a new current one.
        await using var rotated = Open(database, new LocalKeyRing([current, old]));
        Assert.Equal("s"u8.ToArray(), await rotated.Secrets.OpenAsync(Place(tenant), value));
    }

    [Fact]
    public async Task Another_key_under_the_same_name_is_noticed()
    {
        var database = await shared.AloneAsync();
        var key = TestKeys.New();
        await SealAsync(database, new LocalKeyRing([key]));
        await database.ExecuteAsync(null, "update flowstone.master_keys set fingerprint = set_byte(fingerprint, 20, get_byte(fingerprint, 20) # 1)");

        await using var store = Open(database, new LocalKeyRing([key]));
        var status = await store.Health.CheckAsync();
        Assert.False(status.IsSafe);
        Assert.Contains($"The master key {key.Id} is not the one", Assert.Single(status.Problems), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_without_the_master_key_does_not_start()
    {
        var database = await shared.AloneAsync();
        var key = TestKeys.New();
        await SealAsync(database, new LocalKeyRing([key]));

        await using var server = TestServer.Build(database.AppConnectionString());
        Assert.Equal(1, await FlowstoneServer.RunAsync(server));
        Assert.Contains(key.Id, server.Services.GetRequiredService<StartCheck>().Refusal, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_KMS_that_is_away_is_waited_for_and_asked_once()
    {
        var database = await shared.AloneAsync();
        await using var kms = await KmsServer.StartAsync();
        var (tenant, value) = await SealAsync(database, new KmsKeyRing(KmsServer.Alias, kms.Config));
        Assert.Equal(KmsServer.Arn(1), await database.ScalarAsync<string>("select id from flowstone.master_keys"));

        await using (var away = Open(database, new KmsKeyRing(KmsServer.Arn(1), new() { ServiceURL = "http://127.0.0.1:1", MaxErrorRetry = 0 })))
        {
            var status = await away.Health.CheckAsync();
            Assert.Null(status.IsSafe);
            Assert.Contains("AWS KMS cannot be reached", Assert.Single(status.Problems), StringComparison.Ordinal);
        }
        kms.Calls.Clear();
        await using var store = Open(database, new KmsKeyRing(KmsServer.Alias, kms.Config));
        for (var i = 0; i < 3; i++)
            Assert.True((await store.Health.CheckAsync()).IsReady);
        Assert.Equal(["Decrypt"], kms.Calls);
        Assert.Equal("s"u8.ToArray(), await store.Secrets.OpenAsync(Place(tenant), value));
        Assert.Equal("s"u8.ToArray(), await store.Secrets.OpenAsync(Place(tenant), value));
        Assert.Equal(["Decrypt", "Decrypt"], kms.Calls);
    }

    static async Task<(Tenant, byte[])> SealAsync(TestDatabase database, IKeyRing ring)
    {
        await using var store = Open(database, ring);
        Assert.True((await store.Health.CheckAsync()).IsReady);
        var tenant = await store.Tenants.CreateAsync("acme", "Acme");
        return (tenant, await store.Secrets.SealAsync(Place(tenant), "s"u8.ToArray()));
    }

    static FlowstoneStore Open(TestDatabase database, IKeyRing? ring)
        => new(FlowstoneStore.Connect(new() { ConnectionString = database.AppConnectionString(), PoolMin = 0 }), TimeProvider.System, keys: ring);

    static SealedPlace Place(Tenant tenant) => new(tenant.Id, "credentials.secret", tenant.Id.Value);
}
