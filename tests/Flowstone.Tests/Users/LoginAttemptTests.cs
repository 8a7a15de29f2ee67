using Flowstone.Users;
using static Flowstone.Data.Sql;

namespace Flowstone.Tests.Users;

/// <summary>Guessing is stopped, and cannot be used to lock somebody out.</summary>
public sealed class LoginAttemptTests(TestDatabase database)
{
    const string Password = "correct horse";
    static readonly string hash = SignIn.HashPassword(Password);
    static readonly SignInSource attacker = new("203.0.113.7");
    static readonly SignInSource home = new("198.51.100.1");

    async Task<(TestTenant Tenant, User User, SignIn SignIn)> UserAsync()
    {
        var tenant = await database.NewTenantAsync();
        return (tenant, await tenant.Scope.Users.CreateAsync(new NewUser { Email = $"ada@{tenant.Tenant.Slug}.example", PasswordHash = hash }), tenant.Store.SignIn);
    }

    [Fact]
    public async Task How_many_failures_lock_and_for_how_long_is_configured()
    {
        var tenant = await database.NewTenantAsync();
        var user = await tenant.Scope.Users.CreateAsync(new NewUser { Email = $"ada@{tenant.Tenant.Slug}.example", PasswordHash = SignIn.HashPassword(Password) });
        await using var store = new FlowstoneStore(Microsoft.Extensions.Options.Options.Create(new FlowstoneOptions { ConnectionString = database.AppConnectionString(), MaxLoginFailures = 7, LoginLock = TimeSpan.FromMinutes(10) }), tenant.Clock);
        foreach (var seconds in new[] { 0, 0, 1, 3, 9, 27, 600 })
        {
            Assert.Null(await store.SignIn.WithPasswordAsync(user.Email, "guess"));
            if (seconds == 0)
                continue;
            Assert.Equal(TimeSpan.FromSeconds(seconds), (await Assert.ThrowsAsync<TooManyAttemptsException>(() => store.SignIn.WithPasswordAsync(user.Email, Password))).RetryAfter);
            tenant.Clock.Advance(TimeSpan.FromSeconds(seconds));
        }
        Assert.NotNull(await store.SignIn.WithPasswordAsync(user.Email, Password));
    }

    [Fact]
    public async Task However_many_failures_are_allowed_the_delays_end_at_the_lock()
    {
        var tenant = await database.NewTenantAsync();
        await using var store = new FlowstoneStore(Microsoft.Extensions.Options.Options.Create(new FlowstoneOptions { ConnectionString = database.AppConnectionString(), MaxLoginFailures = 100, LoginLock = TimeSpan.FromDays(1) }), tenant.Clock);
        var longest = TimeSpan.Zero;
        for (var i = 0; i < 60; i++)
        {
            Assert.Null(await store.SignIn.WithPasswordAsync($"nobody@{tenant.Tenant.Slug}.example", "guess"));
            if (i < 2)
                continue;
            longest = (await Assert.ThrowsAsync<TooManyAttemptsException>(() => store.SignIn.WithPasswordAsync($"nobody@{tenant.Tenant.Slug}.example", "guess"))).RetryAfter;
            await database.ExecuteAsync(null, $"update flowstone.login_failures set retry_at = 'epoch' where account = flowstone.email_hash('nobody@{tenant.Tenant.Slug}.example')");
        }
        Assert.Equal(TimeSpan.FromDays(1), longest);
    }

    [Fact]
    public async Task Of_a_thousand_parallel_guesses_none_is_looked_at_once_the_lock_stands_and_all_that_were_are_counted()
    {
        var (tenant, user, signIn) = await UserAsync();
        var device = (await signIn.WithPasswordAsync(user.Email, Password, home))!.Device;
        var (lookedAt, refused) = (0, 0);
        for (var wave = 0; wave < 4; wave++)
        {
            await Task.WhenAll(Enumerable.Range(0, 250).Select(async i =>
            {
                try
                {
                    Assert.Null(await signIn.WithPasswordAsync(user.Email, $"guess {i}", attacker));
                    Interlocked.Increment(ref lookedAt);
                }
                catch (TooManyAttemptsException)
                {
                    Interlocked.Increment(ref refused);
                }
            }));
            tenant.Clock.Advance(TimeSpan.FromSeconds(3));   // past the delays, so that the lock itself is met
        }

        Assert.Equal((5, 995), (lookedAt, refused));
        Assert.Equal(5, await database.ScalarAsync<int>("select max(failures) from flowstone.login_failures where tenant_id = $1 and source <> ''", P(tenant.Id)));
        await Assert.ThrowsAsync<TooManyAttemptsException>(() => signIn.WithPasswordAsync(user.Email, Password, attacker));   // the right one, too

        Assert.NotNull(await signIn.WithPasswordAsync(user.Email, Password, attacker with { Device = device }));   // the victim, even from there
        Assert.NotNull(await signIn.WithPasswordAsync(user.Email, Password, home));
        Assert.Equal(UserStatus.Active, (await tenant.Scope.Users.FindAsync(user.Id))!.Status);   // a lock is no suspension
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Delays_grow_a_lock_ends_after_half_an_hour_and_nobodys_addresses_are_treated_alike(bool known)
    {
        var (tenant, user, signIn) = await UserAsync();
        var email = known ? user.Email : $"nobody@{tenant.Tenant.Slug}.example";
        for (var round = 0; round < 2; round++)
        {
            foreach (var seconds in new[] { 0, 0, 1, 3, 1800 })
            {
                Assert.Null(await signIn.WithPasswordAsync(email, "guess", attacker));
                if (seconds > 0)
                    Assert.Equal(TimeSpan.FromSeconds(seconds), (await Assert.ThrowsAsync<TooManyAttemptsException>(() => signIn.WithPasswordAsync(email, "guess", attacker))).RetryAfter);
                tenant.Clock.Advance(TimeSpan.FromSeconds(seconds));
            }
        }
    }

    [Fact]
    public async Task The_right_password_clears_what_was_counted()
    {
        var (_, user, signIn) = await UserAsync();
        for (var round = 0; round < 4; round++)
        {
            Assert.Null(await signIn.WithPasswordAsync(user.Email, "mistyped", home));
            Assert.Null(await signIn.WithPasswordAsync(user.Email, "mistyped", home));
            Assert.NotNull(await signIn.WithPasswordAsync(user.Email, Password, home));
        }
    }

    [Fact]
    public async Task Many_places_together_have_a_hundred_attempts_an_hour_and_known_devices_their_own()
    {
        var (tenant, user, signIn) = await UserAsync();
        var device = (await signIn.WithPasswordAsync(user.Email, Password, home))!.Device;
        Assert.Null(await signIn.WithPasswordAsync(user.Email, "guess", new("192.0.2.1")));
        Assert.Equal(1, await EverywhereAsync());   // the success is not among them
        await database.ExecuteAsync(null, $"update flowstone.login_failures set failures = 99 where tenant_id = '{tenant.Id}' and source = ''");   // 98 more places

        Assert.Null(await signIn.WithPasswordAsync(user.Email, "guess", new("192.0.2.2")));
        await Assert.ThrowsAsync<TooManyAttemptsException>(() => signIn.WithPasswordAsync(user.Email, Password, new("192.0.2.3")));
        Assert.NotNull(await signIn.WithPasswordAsync(user.Email, Password, new("192.0.2.4", Device: device)));
        tenant.Clock.Advance(TimeSpan.FromHours(1));
        Assert.NotNull(await signIn.WithPasswordAsync(user.Email, Password, new("192.0.2.5")));

        Task<int> EverywhereAsync() => database.ScalarAsync<int>("select failures from flowstone.login_failures where tenant_id = $1 and source = ''", P(tenant.Id));
    }

    [Fact]
    public async Task A_device_is_known_for_its_own_user_alone()
    {
        var (tenant, user, signIn) = await UserAsync();
        var other = await tenant.Scope.Users.CreateAsync(new NewUser { Email = $"eve@{tenant.Tenant.Slug}.example", PasswordHash = hash });
        var device = (await signIn.WithPasswordAsync(other.Email, Password, attacker))!.Device;
        foreach (var seconds in new[] { 0, 0, 1, 3, 0 })
        {
            Assert.Null(await signIn.WithPasswordAsync(user.Email, "guess", attacker with { Device = device }));
            tenant.Clock.Advance(TimeSpan.FromSeconds(seconds));
        }
        await Assert.ThrowsAsync<TooManyAttemptsException>(() => signIn.WithPasswordAsync(user.Email, "guess", attacker with { Device = device }));
    }

    [Theory]
    [InlineData("2001:db8:1:2:aaaa::1", "2001:db8:1:2:bbbb::2", true)]
    [InlineData("2001:db8:1:2::1", "2001:db8:1:3::1", false)]
    [InlineData("::ffff:203.0.113.7", "203.0.113.7", true)]
    [InlineData("203.0.113.7", "203.0.113.8", false)]
    [InlineData(null, "", true)]
    public void An_IPv6_network_is_one_place(string? one, string? other, bool same)
        => Assert.Equal(same, new SignInSource(one).Place == new SignInSource(other).Place);
}
