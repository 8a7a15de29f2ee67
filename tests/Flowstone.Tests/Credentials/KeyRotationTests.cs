using System.Text.Json;
using Flowstone.Credentials;
using Flowstone.Tenancy;
using Flowstone.Users;
using static Flowstone.Data.Sql;

namespace Flowstone.Tests.Credentials;

public sealed class KeyRotationTests(TestDatabase database)
{
    static NewCredential New(int i) => new() { Name = $"Shop {i}", Type = CredentialType.ApiKey, Secret = JsonSerializer.SerializeToElement(new { apiKey = $"sk_live_{i}" }) };

    static async Task<List<Credential>> FillAsync(TenantScope scope, int count)
    {
        var made = new List<Credential>();
        for (var i = 0; i < count; i++)
            made.Add(await scope.Credentials.CreateAsync(New(i)));
        return made;
    }

    [Fact]
    public async Task Values_are_sealed_anew_while_others_read_and_write_and_none_is_left_behind_nor_fails()
    {
        var tenant = await database.NewTenantAsync();
        var credentials = await FillAsync(tenant.Scope, 60);
        using var stop = new CancellationTokenSource();
        var others = tenant.InAnotherProcess(database.Source).Scope;   // with keys of its own in memory
        var reads = 0;
        var reading = Task.Run(async () =>
        {
            for (var i = 0; !stop.IsCancellationRequested; i++, reads++)
                Assert.StartsWith("sk_live_", (await others.Credentials.RevealAsync(credentials[i % 60].Id)).Secret.GetProperty("apiKey").GetString(), StringComparison.Ordinal);
        });
        var written = 0;
        var writing = Task.Run(async () =>
        {
            for (var i = 0; !stop.IsCancellationRequested; i++, written++)
                await others.Credentials.SetSecretAsync(credentials[i % 60].Id, JsonSerializer.SerializeToElement(new { apiKey = $"sk_live_{i}b" }));
        });
        while (reads < 20 || written < 20)
            await Task.Delay(5);

        var rotation = tenant.Store.KeyRotation;
        Assert.True(await rotation.RotateAsync(tenant.Id, new(BatchSize: 7)) >= 60);
        var soFar = written;
        while (written < soFar + 10)
            await Task.Delay(5);
        await stop.CancelAsync();
        await Task.WhenAll(reading, writing);

        var report = await rotation.ReportAsync(tenant.Id);
        Assert.Equal(0, report.Behind);
        Assert.Equal(60 + written, report.Values.Sum(v => v.Values));
        Assert.Equal(2, report.Keys.Count);
        var current = report.Keys.Single(key => key.RetiredAt is null).Id;
        Assert.Equal(0L, await database.ScalarAsync<long>("select count(*) from flowstone.credential_versions where tenant_id = $1 and substring(secret from 2 for 16) <> uuid_send($2)", P(tenant.Id), P(current)));
    }

    [Fact]
    public async Task A_rotation_that_was_stopped_goes_on_and_several_at_once_do_no_harm()
    {
        var tenant = await database.NewTenantAsync();
        var credentials = await FillAsync(tenant.Scope, 50);
        using var stop = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => tenant.Store.KeyRotation.RotateAsync(tenant.Id, new(BatchSize: 10), new Told(done => { if (done >= 20) stop.Cancel(); }), cancellationToken: stop.Token));
        Assert.InRange((await tenant.Store.KeyRotation.ReportAsync(tenant.Id)).Behind, 1, 30);
        foreach (var credential in credentials)   // half rotated, all open
            await tenant.Scope.Credentials.RevealAsync(credential.Id);

        var left = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => tenant.InAnotherProcess(database.Source).Store.KeyRotation.ResealAsync(tenant.Id, new(BatchSize: 5))));
        Assert.Equal(30, left.Sum());
        Assert.Equal(0, (await tenant.Store.KeyRotation.ReportAsync(tenant.Id)).Behind);
        for (var i = 0; i < 50; i++)
            Assert.Equal($"sk_live_{i}", (await tenant.Scope.Credentials.RevealAsync(credentials[i].Id)).Secret.GetProperty("apiKey").GetString());
        Assert.Equal(0L, await tenant.Store.KeyRotation.ResealAsync(tenant.Id));
    }

    [Fact]
    public async Task A_key_that_another_process_retires_meanwhile_seals_nothing_that_is_stored()
    {
        var tenant = await database.NewTenantAsync();
        var credential = (await FillAsync(tenant.Scope, 1))[0];   // this process has the key at hand
        var others = tenant.InAnotherProcess(database.Source);
        await others.Store.KeyRotation.RotateAsync(tenant.Id);
        await tenant.Scope.Credentials.SetSecretAsync(credential.Id, JsonSerializer.SerializeToElement(new { apiKey = "later" }));
        Assert.Equal(0, (await others.Store.KeyRotation.ReportAsync(tenant.Id)).Behind);
        Assert.Equal("later", (await others.Scope.Credentials.RevealAsync(credential.Id)).Secret.GetProperty("apiKey").GetString());
    }

    [Fact]
    public async Task Authenticators_are_sealed_anew_too()
    {
        var tenant = await database.NewTenantAsync();
        var user = await tenant.Scope.Users.CreateAsync(new NewUser { Email = $"ada@{tenant.Tenant.Slug}.example", PasswordHash = SignIn.HashPassword("correct horse") });
        var factor = tenant.Store.Tenant(tenant.Id, Actor.User(user.Id)).TwoFactor;
        var secret = Totp.FromBase32((await factor.BeginAsync(user.Id, "correct horse"))!.Secret)!;
        Assert.Equal(1, await tenant.Store.KeyRotation.RotateAsync(tenant.Id));
        Assert.NotNull(await factor.ConfirmAsync(user.Id, Totp.Code(secret, Totp.StepAt(tenant.Clock.Now()))));
        Assert.Equal("user_logins.totp_secret", Assert.Single((await tenant.Store.KeyRotation.ReportAsync(tenant.Id)).Values).Column);
    }

    [Fact]
    public async Task What_does_not_open_is_named_left_as_it_is_and_keeps_nothing_else_from_being_sealed_anew()
    {
        var tenant = await database.NewTenantAsync();
        var credentials = await FillAsync(tenant.Scope, 10);
        await database.ExecuteAsync(null, $"update flowstone.credential_versions set secret = set_byte(secret, 40, (get_byte(secret, 40) + 1) % 256) where tenant_id = '{tenant.Id}' and credential_id = '{credentials[3].Id}'");
        var id = await database.ScalarAsync<Guid>("select id from flowstone.credential_versions where tenant_id = $1 and credential_id = $2", P(tenant.Id), P(credentials[3].Id));

        var broken = await Assert.ThrowsAsync<CredentialSealException>(() => tenant.Store.KeyRotation.RotateAsync(tenant.Id, new(BatchSize: 4)));
        Assert.Contains($"{id}", broken.Message, StringComparison.Ordinal);
        Assert.Equal(1, (await tenant.Store.KeyRotation.ReportAsync(tenant.Id)).Behind);
        await tenant.Scope.Credentials.RevealAsync(credentials[4].Id);
    }

    [Fact]
    public async Task A_new_master_key_wraps_all_data_keys_at_once_and_the_old_one_is_needed_no_more()
    {
        var alone = await database.AloneAsync();
        var (old, now) = (TestKeys.New(), TestKeys.New());
        var before = await alone.NewTenantAsync(new LocalKeyRing([old]));
        var credential = (await FillAsync(before.Scope, 1))[0];
        Assert.Equal(1, await before.InAnotherProcess(alone.Source, keys: new LocalKeyRing([now, old])).Store.KeyRotation.RewrapAsync());
        var after = before.InAnotherProcess(alone.Source, keys: new LocalKeyRing([now]));
        Assert.Equal("sk_live_0", (await after.Scope.Credentials.RevealAsync(credential.Id)).Secret.GetProperty("apiKey").GetString());
        Assert.Equal(now.Id, Assert.Single((await after.Store.KeyRotation.ReportAsync(before.Id)).Keys).MasterKeyId);
        Assert.Equal(0, await after.Store.KeyRotation.RewrapAsync());
        Assert.Empty((await after.Store.Health.CheckAsync()).Problems);
    }

    [Fact]
    public async Task Destroyed_keys_lose_a_tenants_secrets_and_no_others_and_the_audit_trail_tells()
    {
        var (tenant, other) = (await database.NewTenantAsync(), await database.NewTenantAsync());
        var (lost, kept) = ((await FillAsync(tenant.Scope, 1))[0], (await FillAsync(other.Scope, 1))[0]);
        Assert.Equal(1, await tenant.Store.KeyRotation.DestroyAsync(tenant.Id, Actor.System("test")));
        Assert.Contains("lost for ever", (await Assert.ThrowsAsync<CredentialSealException>(() => tenant.Scope.Credentials.RevealAsync(lost.Id))).Message, StringComparison.Ordinal);
        await other.Scope.Credentials.RevealAsync(kept.Id);
        Assert.Equal(1L, await database.ScalarAsync<long>("select count(*) from flowstone.audit_entries where tenant_id = $1 and action = 'DATA_KEYS_DESTROYED'", P(tenant.Id)));
        Assert.Equal(0L, await database.ScalarAsync<long>("select count(*) from flowstone.data_keys where tenant_id = $1 and wrapped_key is not null", P(tenant.Id)));
        await FillAsync(tenant.Scope, 1);   // what comes later has another key
    }

    [Fact]
    public async Task What_was_begun_and_left_is_taken_up_by_whoever_maintains_and_only_once()
    {
        var alone = await database.AloneAsync();
        var tenant = await alone.NewTenantAsync();
        await FillAsync(tenant.Scope, 5);
        await tenant.Store.KeyRotation.BeginAsync(tenant.Id, Actor.System("test"));
        Assert.Equal(5, (await tenant.Store.KeyRotation.ReportAsync(tenant.Id)).Behind);
        Assert.Contains("5 values", (await Assert.ThrowsAsync<ConflictException>(() => tenant.Store.KeyRotation.CloseAsync(tenant.Id, Actor.System("test")))).Message, StringComparison.Ordinal);

        var another = tenant.InAnotherProcess(alone.Source).Store.KeyRotation;
        Assert.Equal(5, await another.ResumeAsync());

        var report = await another.ReportAsync(tenant.Id);
        Assert.Equal(0, report.Behind);
        Assert.NotNull(report.Keys.Single(key => key.RetiredAt is not null).ResealedAt);
        Assert.Equal(2, await RoundTrips.CountAsync(async () => Assert.Equal(0, await another.ResumeAsync())));   // the tenants, and whether there is anything to do
    }

    [Fact]
    public async Task Once_older_keys_are_closed_a_value_from_an_old_copy_is_refused_and_payloads_still_open()
    {
        var tenant = await database.NewTenantAsync();
        await tenant.Scope.PayloadPolicies.SetAsync(new() { Seal = true });
        var execution = await tenant.StartAsync(input: TestTenant.Json("[1]"));
        var credential = (await FillAsync(tenant.Scope, 1))[0];
        var before = await database.ScalarAsync<byte[]>("select secret from flowstone.credential_versions where credential_id = $1", P(credential.Id));
        await tenant.Store.KeyRotation.RotateAsync(tenant.Id);
        var rotated = await database.ScalarAsync<byte[]>("select secret from flowstone.credential_versions where credential_id = $1", P(credential.Id));
        await PutAsync(before);
        await tenant.Scope.Credentials.RevealAsync(credential.Id);   // an old copy still opens
        await PutAsync(rotated);

        Assert.Equal(1, await tenant.Store.KeyRotation.CloseAsync(tenant.Id, Actor.System("test")));

        await tenant.Scope.Credentials.RevealAsync(credential.Id);
        await PutAsync(before);
        foreach (var scope in new[] { tenant.Scope, tenant.InAnotherProcess(database.Source).Scope })
        {
            Assert.Contains("was closed", (await Assert.ThrowsAsync<CredentialSealException>(() => scope.Credentials.RevealAsync(credential.Id))).Message, StringComparison.Ordinal);
            Assert.NotNull(await scope.Executions.FindPayloadAsync(execution.Id, execution.Input!));
        }
        Assert.Equal(1L, await database.ScalarAsync<long>("select count(*) from flowstone.audit_entries where tenant_id = $1 and action = 'DATA_KEYS_CLOSED'", P(tenant.Id)));

        Task PutAsync(byte[] secret)
            => database.ExecuteAsync(null, $"update flowstone.credential_versions set secret = '\\x{Convert.ToHexString(secret)}' where credential_id = '{credential.Id}'");
    }

    sealed class Told(Action<long> tell) : IProgress<long>
    {
        public void Report(long value) => tell(value);
    }
}
