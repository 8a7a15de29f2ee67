using System.Text;
using Flowstone.Executions;

namespace Flowstone.Tests.Executions.Payloads;

public sealed class S3Tests(TestDatabase database)
{
    static readonly PayloadBody large = TestTenant.Json($"[\"{new string('x', 5_000)}\"]");

    [Fact]
    public async Task What_is_spilled_lies_in_the_bucket_and_comes_back_whole()
    {
        await using var server = await S3Server.StartAsync();
        using var objects = new S3ObjectStore(server.Options);
        var tenant = await database.NewTenantAsync(new PayloadSettings(objects, SpillAbove: 1_000));

        var execution = await tenant.StartAsync(input: large);

        Assert.Equal(large.Bytes.ToArray(), (await tenant.Scope.Executions.FindPayloadAsync(execution.Id, execution.Input!))!.Bytes.ToArray());
        await using var content = (await tenant.Scope.Executions.OpenPayloadAsync(execution.Id, execution.Input!))!;
        Assert.Equal(Encoding.UTF8.GetString(large.Bytes.Span), await new StreamReader(content.Body).ReadToEndAsync());
        Assert.All(server.Objects.Keys, key => Assert.StartsWith($"{server.Options.Prefix}{tenant.Id}/", key, StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_sweeper_finds_orphans_on_every_page_and_leaves_the_rest()
    {
        await using var server = await S3Server.StartAsync();
        using var objects = new S3ObjectStore(server.Options);
        var tenant = await database.NewTenantAsync(new PayloadSettings(objects, SpillAbove: 1_000));
        var execution = await tenant.StartAsync(input: large);
        for (var i = 0; i < 7; i++)
            await objects.PutAsync(ObjectKey.Of(tenant.Id, tenant.Clock.Now(), [(byte)i]), new[] { (byte)i }, default);

        Assert.Equal(new PayloadSweep(0, 0), await tenant.Store.PayloadSweeper.SweepAsync());
        tenant.Clock.Advance(TimeSpan.FromHours(48));
        Assert.Equal(new PayloadSweep(8, 7), await tenant.Store.PayloadSweeper.SweepAsync());
        Assert.Equal(new PayloadSweep(1, 0), await tenant.Store.PayloadSweeper.SweepAsync());
        Assert.NotNull(await tenant.Scope.Executions.FindPayloadAsync(execution.Id, execution.Input!));
    }

    [Fact]
    public async Task A_missing_object_is_told_from_a_store_that_is_away()
    {
        await using var server = await S3Server.StartAsync();
        using var objects = new S3ObjectStore(server.Options);
        var tenant = await database.NewTenantAsync(new PayloadSettings(objects, SpillAbove: 1_000));
        var execution = await tenant.StartAsync(input: large);
        await foreach (var key in objects.ListAsync(tenant.Id, DateOnly.MaxValue, default))
            await objects.DeleteAsync(key, default);

        await Assert.ThrowsAsync<PayloadDamagedException>(() => tenant.Scope.Executions.FindPayloadAsync(execution.Id, execution.Input!));
        using var elsewhere = new S3ObjectStore(new S3Options { Endpoint = server.Options.Endpoint, Bucket = "elsewhere" });
        await Assert.ThrowsAsync<UnavailableException>(() => tenant.InAnotherProcess(database.Source, new PayloadSettings(elsewhere)).Scope.Executions.FindPayloadAsync(execution.Id, execution.Input!));
    }
}
