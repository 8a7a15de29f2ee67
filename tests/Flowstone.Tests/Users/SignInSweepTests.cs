using Flowstone.Users;

namespace Flowstone.Tests.Users;

/// <summary>In a database of its own: the sweep goes over all tenants.</summary>
public sealed class SignInSweepTests(TestDatabase database)
{
    [Fact]
    public async Task What_has_ended_is_swept_and_what_has_not_stays()
    {
        var alone = await database.AloneAsync();
        var tenant = await alone.NewTenantAsync();
        var user = await tenant.Scope.Users.CreateAsync(new NewUser { Email = $"ada@{tenant.Tenant.Slug}.example", PasswordHash = SignIn.HashPassword("correct horse") });
        var signIn = tenant.Store.SignIn;
        await signIn.OpenAsync(tenant.Id, user.Id);
        await tenant.Scope.Users.CreateTokenAsync(user.Id, TokenPurpose.ResetPassword);
        await signIn.WithPasswordAsync(user.Email, "guess");
        await signIn.WithPasswordAsync($"nobody@{tenant.Tenant.Slug}.example", "guess");
        await tenant.Store.SignInSweep.RunAsync();
        Assert.Equal((1L, 1L, 4L), await RowsAsync());   // each place, and all places together

        tenant.Clock.Advance(TimeSpan.FromDays(2));
        var kept = (await signIn.OpenAsync(tenant.Id, user.Id)).Token;
        await signIn.WithPasswordAsync(user.Email, "guess");
        await tenant.Store.SignInSweep.RunAsync();
        Assert.Equal((1L, 0L, 2L), await RowsAsync());
        Assert.NotNull(await signIn.FindAsync(kept));

        async Task<(long, long, long)> RowsAsync()
            => (await CountAsync($"user_sessions where tenant_id = '{tenant.Id}'"), await CountAsync($"user_tokens where tenant_id = '{tenant.Id}'"),
                await CountAsync($"login_failures where tenant_id = '{tenant.Id}' or account = flowstone.email_hash('nobody@{tenant.Tenant.Slug}.example')"));
        Task<long> CountAsync(string of) => alone.ScalarAsync<long>($"select count(*) from flowstone.{of}");
    }
}
