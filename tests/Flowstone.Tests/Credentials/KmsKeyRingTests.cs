using Flowstone.Credentials;
using Flowstone.Tenancy;

namespace Flowstone.Tests.Credentials;

public sealed class KmsKeyRingTests
{
    static readonly ManualClock clock = new();
    static readonly DataKeyPlace place = new(Id<Tenant>.New(clock), Id<DataKey>.New(clock));
    static readonly byte[] key = [.. Enumerable.Range(0, 32).Select(i => (byte)i)];

    [Fact]
    public async Task A_key_is_wrapped_by_KMS_under_its_tenant_and_id()
    {
        await using var kms = await KmsServer.StartAsync();
        using var ring = new KmsKeyRing(KmsServer.Arn(1), kms.Config);
        var wrapped = await ring.WrapAsync(place, key);

        Assert.Equal(key, await ring.UnwrapAsync(KmsServer.Arn(1), place, wrapped));
        Assert.Equal(["Encrypt", "Decrypt"], kms.Calls);   // the ARN of a key needs no look-up
        foreach (var elsewhere in new[] { place with { TenantId = Id<Tenant>.New(clock) }, place with { Id = Id<DataKey>.New(clock) } })
            await Assert.ThrowsAsync<CredentialSealException>(async () => await ring.UnwrapAsync(KmsServer.Arn(1), elsewhere, wrapped));
        await Assert.ThrowsAsync<CredentialSealException>(async () => await ring.UnwrapAsync(KmsServer.Arn(2), place, wrapped));
        wrapped[20] ^= 1;
        await Assert.ThrowsAsync<CredentialSealException>(async () => await ring.UnwrapAsync(KmsServer.Arn(1), place, wrapped));
    }

    [Fact]
    public async Task An_alias_names_the_key_that_it_stands_for_so_older_ones_open_when_it_moves()
    {
        await using var kms = await KmsServer.StartAsync();
        using var before = new KmsKeyRing(KmsServer.Alias, kms.Config);
        Assert.Equal(KmsServer.Arn(1), await before.CurrentIdAsync());
        var wrapped = await before.WrapAsync(place, key);

        kms.Current = KmsServer.Arn(2);
        using var after = new KmsKeyRing(KmsServer.Alias, kms.Config);
        Assert.Equal((KmsServer.Arn(2), KmsServer.Arn(1)), (await after.CurrentIdAsync(), await before.CurrentIdAsync()));
        Assert.Equal(key, await after.UnwrapAsync(KmsServer.Arn(1), place, wrapped));
    }

    [Fact]
    public async Task What_KMS_refuses_and_that_it_is_away_is_told_with_the_keys_name()
    {
        await using var kms = await KmsServer.StartAsync();
        using var ring = new KmsKeyRing(KmsServer.Arn(3), kms.Config);
        Assert.Contains("NotFoundException", await RefusalAsync(ring), StringComparison.Ordinal);

        using var away = new KmsKeyRing(KmsServer.Arn(3), new() { ServiceURL = "http://127.0.0.1:1", MaxErrorRetry = 0 });
        Assert.Contains("cannot be reached", await RefusalAsync(away), StringComparison.Ordinal);

        Assert.False(ring.Has("ce0dd379e7b5dc05"));
        Assert.Contains("none of AWS KMS", (await Assert.ThrowsAsync<UnavailableException>(async () => await ring.UnwrapAsync("ce0dd379e7b5dc05", place, key))).Message, StringComparison.Ordinal);

        static async Task<string> RefusalAsync(KmsKeyRing ring)
        {
            var refused = await Assert.ThrowsAsync<UnavailableException>(async () => await ring.WrapAsync(place, key));
            Assert.Contains(KmsServer.Arn(3), refused.Message, StringComparison.Ordinal);
            Assert.DoesNotContain(Convert.ToBase64String(key), refused.ToString(), StringComparison.Ordinal);
            return refused.Message;
        }
    }
}
