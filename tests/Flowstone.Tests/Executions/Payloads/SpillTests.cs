using System.Security.Cryptography;
using Flowstone.Executions;

namespace Flowstone.Tests.Executions.Payloads;

public sealed class SpillTests(TestDatabase database)
{
    static readonly PayloadBody large = TestTenant.Json($"[\"{new string('x', 5_000)}\"]");

    [Fact]
    public async Task What_is_over_the_threshold_lies_in_the_folder_and_comes_back_whole()
    {
        using var folder = new ObjectFolder();
        var tenant = await NewTenantAsync(folder);
        var random = new PayloadBody(RandomNumberGenerator.GetBytes(300_000), "image/png");

        foreach (var body in new[] { large, random })
        {
            var execution = await tenant.StartAsync(input: body);
            var read = (await tenant.Scope.Executions.FindPayloadAsync(execution.Id, execution.Input!))!;
            Assert.True(read.Bytes.Span.SequenceEqual(body.Bytes.Span));
            Assert.Equal(body.ContentType, read.ContentType);
            await using var content = (await tenant.Scope.Executions.OpenPayloadAsync(execution.Id, execution.Input!))!;
            Assert.Equal(body.Bytes.ToArray(), await AllOfAsync(content));
            Assert.Equal((body.ContentType, body.Bytes.Length), (content.ContentType, (int)content.SizeBytes));
        }
        Assert.Equal(2, await database.ScalarAsync<long>($"select count(*) from flowstone.payloads where tenant_id = '{tenant.Id}' and body is null and object_key is not null"));
        Assert.Equal(2, folder.Files.Length);
        if (!OperatingSystem.IsWindows())
        {
            Assert.All(folder.Files, file => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file)));
            Assert.All(Directory.GetDirectories(folder.Path, "*", SearchOption.AllDirectories),
                path => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(path)));
        }
    }

    [Fact]
    public async Task Equal_payloads_of_a_tenant_share_an_object()
    {
        using var folder = new ObjectFolder();
        var tenant = await NewTenantAsync(folder);

        await tenant.StartAsync(input: large);
        await tenant.StartAsync(input: large);

        Assert.Single(folder.Files);
    }

    [Fact]
    public async Task A_policy_spills_what_is_over_its_limit()
    {
        using var folder = new ObjectFolder();
        var tenant = await database.NewTenantAsync(new PayloadSettings(new FolderObjectStore(folder.Path)));
        await tenant.StartAsync(input: large);
        Assert.Empty(folder.Files);

        await tenant.Scope.PayloadPolicies.SetAsync(new TenantPayloadPolicy { LimitBytes = 1_000, Overflow = PayloadOverflow.Spill });
        var execution = await tenant.StartAsync(input: large);

        Assert.Single(folder.Files);
        Assert.True((await tenant.Scope.Executions.FindPayloadAsync(execution.Id, execution.Input!))!.Bytes.Span.SequenceEqual(large.Bytes.Span));
        await Assert.ThrowsAsync<UnavailableException>(() => tenant.InAnotherProcess(database.Source).StartAsync(input: large));
    }

    [Fact]
    public async Task A_missing_object_and_a_changed_one_are_told_clearly()
    {
        using var folder = new ObjectFolder();
        var tenant = await NewTenantAsync(folder);
        var execution = await tenant.StartAsync(input: large);
        var file = Assert.Single(folder.Files);

        var bytes = await File.ReadAllBytesAsync(file);
        foreach (var at in new[] { 0, bytes.Length / 2, bytes.Length - 1 })
        {
            var changed = bytes.ToArray();
            changed[at] ^= 1;
            await File.WriteAllBytesAsync(file, changed);
            await Assert.ThrowsAsync<PayloadDamagedException>(() => tenant.Scope.Executions.FindPayloadAsync(execution.Id, execution.Input!));
            await using var content = (await tenant.Scope.Executions.OpenPayloadAsync(execution.Id, execution.Input!))!;
            await Assert.ThrowsAsync<PayloadDamagedException>(() => AllOfAsync(content));
        }
        await File.WriteAllBytesAsync(file, [.. bytes, 0]);
        await using (var content = (await tenant.Scope.Executions.OpenPayloadAsync(execution.Id, execution.Input!))!)
            await Assert.ThrowsAsync<PayloadDamagedException>(() => AllOfAsync(content));

        File.Delete(file);
        var error = await Assert.ThrowsAsync<PayloadDamagedException>(() => tenant.Scope.Executions.FindPayloadAsync(execution.Id, execution.Input!));
        Assert.Contains("is not in the object store", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task When_the_object_cannot_be_written_nothing_is_stored()
    {
        using var folder = new ObjectFolder();
        var tenant = await NewTenantAsync(folder);
        await File.WriteAllTextAsync(Path.Combine(folder.Path, tenant.Id.ToString()), "in the way");

        await Assert.ThrowsAsync<UnavailableException>(() => tenant.StartAsync(input: large));

        Assert.Equal(0, await database.ScalarAsync<long>($"select count(*) from flowstone.executions where tenant_id = '{tenant.Id}'"));
    }

    [Theory]
    [InlineData("../etc/passwd")]
    [InlineData("0199d1b0-0000-7000-8000-000000000000/20261122/../../x")]
    [InlineData("0199d1b0-0000-7000-8000-000000000000/20261122/0123\n")]
    [InlineData("/0199d1b0-0000-7000-8000-000000000000/20261122/0000000000000000000000000000000000000000000000000000000000000000")]
    public void Nothing_but_a_key_is_a_key(string text) => Assert.Null(ObjectKey.TryParse(text));

    [Fact]
    public async Task A_name_in_the_row_cannot_lead_out_of_the_folder()
    {
        using var folder = new ObjectFolder();
        var tenant = await NewTenantAsync(folder);
        var execution = await tenant.StartAsync(input: large);
        await database.ExecuteAsync("flowstone_test", $"update flowstone.payloads set object_key = '../../etc/passwd' where execution_id = '{execution.Id}'");

        await Assert.ThrowsAsync<PayloadDamagedException>(() => tenant.Scope.Executions.FindPayloadAsync(execution.Id, execution.Input!));
    }

    [Fact]
    public void A_folder_that_is_not_there_is_refused()
        => Assert.Throws<InvalidInputException>(() => ObjectStore.Of(new PayloadOptions { Folder = "/nowhere/payloads" }));

    Task<TestTenant> NewTenantAsync(ObjectFolder folder) => database.NewTenantAsync(new PayloadSettings(new FolderObjectStore(folder.Path), SpillAbove: 1_000));

    static async Task<byte[]> AllOfAsync(PayloadContent content)
    {
        var all = new MemoryStream();
        await content.Body.CopyToAsync(all);
        return all.ToArray();
    }
}
