using Flowstone.Tenancy;
using Flowstone.Users;

namespace Flowstone.Tests.Users;

/// <summary>Sessions, and the tokens that prove something once.</summary>
public sealed class SessionTests(TestDatabase database)
{
    const string Password = "correct horse";
    static readonly string hash = SignIn.HashPassword(Password);

    async Task<(TestTenant Tenant, User User, SignIn SignIn)> UserAsync()
    {
        var tenant = await database.NewTenantAsync();
        return (tenant, await tenant.Scope.Users.CreateAsync(new NewUser { Email = $"ada@{tenant.Tenant.Slug}.example", PasswordHash = hash }), tenant.Store.SignIn);
    }

    [Fact]
    public async Task To_know_a_user_by_a_session_is_one_round_trip()
    {
        var tenant = await database.NewTenantAsync();
        var user = await tenant.Scope.Users.CreateAsync(new NewUser { Email = $"ada@{tenant.Tenant.Slug}.example" });
        var token = (await tenant.Store.SignIn.OpenAsync(tenant.Id, user.Id)).Token;
        await tenant.Store.SignIn.FindAsync(token);
        Assert.Equal(1, await RoundTrips.CountAsync(() => tenant.Store.SignIn.FindAsync(token)));
    }

    [Fact]
    public async Task A_session_ends_when_it_is_not_used_and_its_use_is_written_once_a_minute()
    {
        var (tenant, user, signIn) = await UserAsync();
        var (used, idle) = ((await signIn.OpenAsync(tenant.Id, user.Id)).Token, (await signIn.OpenAsync(tenant.Id, user.Id)).Token);
        tenant.Clock.Advance(TimeSpan.FromSeconds(59));
        Assert.NotNull(await signIn.FindAsync(used));
        Assert.Equal(TimeSpan.FromSeconds(-59), await LastUseAsync());
        tenant.Clock.Advance(TimeSpan.FromSeconds(1));
        Assert.NotNull(await signIn.FindAsync(used));
        Assert.Equal(TimeSpan.Zero, await LastUseAsync());

        tenant.Clock.Advance(SignIn.IdleLength - TimeSpan.FromMinutes(1));
        Assert.NotNull(await signIn.FindAsync(used));
        Assert.Null(await signIn.FindAsync(idle));

        async Task<TimeSpan> LastUseAsync() => (await tenant.Scope.Sessions.ListAsync(user.Id))[0].LastUsedAt - tenant.Clock.Now();
    }

    [Fact]
    public async Task Devices_are_listed_and_signed_out_one_by_one_or_all_but_this()
    {
        var (tenant, user, signIn) = await UserAsync();
        var laptop = (await signIn.OpenAsync(tenant.Id, user.Id, new("203.0.113.7", "Firefox"))).Token;
        tenant.Clock.Advance(TimeSpan.FromMinutes(1));
        var (phone, tablet) = ((await signIn.OpenAsync(tenant.Id, user.Id, new("203.0.113.8", new string('a', 1000)))).Token, (await signIn.OpenAsync(tenant.Id, user.Id)).Token);
        var sessions = tenant.Store.Tenant(tenant.Id, Actor.User(user.Id)).Sessions;

        var listed = await sessions.ListAsync(user.Id);
        Assert.Equal(3, listed.Count);
        Assert.Equal(("203.0.113.7", "Firefox", SessionRepository.Of(laptop)), (listed[2].Address, listed[2].Agent, listed[2].Id));
        Assert.Equal(500, listed.Single(s => s.Id == SessionRepository.Of(phone)).Agent!.Length);

        Assert.True(await sessions.RevokeAsync(user.Id, SessionRepository.Of(laptop)!.Value));
        Assert.False(await sessions.RevokeAsync(user.Id, SessionRepository.Of(laptop)!.Value));
        Assert.Null(await signIn.FindAsync(laptop));
        Assert.Equal(1, await sessions.RevokeAllAsync(user.Id, phone));
        Assert.Null(await signIn.FindAsync(tablet));
        Assert.NotNull(await signIn.FindAsync(phone));

        var other = await tenant.Scope.Users.CreateAsync(new NewUser { Email = $"eve@{tenant.Tenant.Slug}.example" });
        var others = tenant.Store.Tenant(tenant.Id, Actor.User(other.Id)).Sessions;
        await Assert.ThrowsAsync<AccessDeniedException>(() => others.ListAsync(user.Id));
        Assert.False(await others.RevokeAsync(other.Id, SessionRepository.Of(phone)!.Value));   // not theirs
        Assert.NotNull(await signIn.FindAsync(phone));
    }

    [Fact]
    public async Task A_new_role_or_password_ends_the_sessions()
    {
        var (tenant, user, signIn) = await UserAsync();
        var first = await signIn.WithPasswordAsync(user.Email, Password);
        var who = await signIn.FindAsync(first!.Token);
        Assert.Null(await signIn.ChangePasswordAsync(who!, "wrong", "new password"));
        Assert.Equal("password", (await Assert.ThrowsAsync<InvalidInputException>(() => signIn.ChangePasswordAsync(who!, Password, Password))).Errors[0].Field);
        Assert.Equal("password", (await Assert.ThrowsAsync<InvalidInputException>(() => signIn.ChangePasswordAsync(who!, Password, "short"))).Errors[0].Field);

        var second = await signIn.ChangePasswordAsync(who!, Password, "new password");
        Assert.Null(await signIn.FindAsync(first.Token));
        Assert.NotNull(await signIn.FindAsync(second!.Token));
        Assert.Null(await signIn.WithPasswordAsync(user.Email, Password));
        Assert.NotNull(await signIn.WithPasswordAsync(user.Email, "new password"));

        await tenant.Scope.Users.UpdateAsync(user.Id, new() { Role = UserRole.Admin });
        Assert.Null(await signIn.FindAsync(second.Token));
    }

    [Fact]
    public async Task A_reset_token_is_good_once_for_an_hour_and_ends_the_sessions()
    {
        var (tenant, user, signIn) = await UserAsync();
        var session = (await signIn.OpenAsync(tenant.Id, user.Id)).Token;
        var replaced = await tenant.Scope.Users.CreateTokenAsync(user.Id, TokenPurpose.ResetPassword);
        var token = await tenant.Scope.Users.CreateTokenAsync(user.Id, TokenPurpose.ResetPassword);

        Assert.False(await signIn.ResetPasswordAsync(replaced, "new password"));
        Assert.False(await signIn.VerifyEmailAsync(token));   // another purpose
        await Assert.ThrowsAsync<InvalidInputException>(() => signIn.ResetPasswordAsync(token, "short"));
        var redeemed = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => signIn.ResetPasswordAsync(token, $"new password {i}")));
        var winner = Array.IndexOf(redeemed, true);
        Assert.Single(redeemed, true);
        Assert.Null(await signIn.FindAsync(session));
        Assert.NotNull(await signIn.WithPasswordAsync(user.Email, $"new password {winner}"));

        token = await tenant.Scope.Users.CreateTokenAsync(user.Id, TokenPurpose.ResetPassword);
        tenant.Clock.Advance(TimeSpan.FromHours(1));
        Assert.False(await signIn.ResetPasswordAsync(token, "late password"));
        Assert.Equal(0L, await database.ScalarAsync<long>($"select count(*) from flowstone.user_tokens t where t::text like '%{token[24..40]}%'"));   // hashes alone
    }

    [Fact]
    public async Task A_verified_address_makes_a_waiting_user_active_and_a_new_address_is_to_be_verified_anew()
    {
        var (tenant, user, signIn) = await UserAsync();
        await tenant.Scope.Users.UpdateAsync(user.Id, new() { Status = UserStatus.PendingVerification });
        Assert.True(await signIn.VerifyEmailAsync(await tenant.Scope.Users.CreateTokenAsync(user.Id, TokenPurpose.VerifyEmail)));
        var verified = await tenant.Scope.Users.FindAsync(user.Id);
        Assert.Equal((UserStatus.Active, tenant.Clock.Now()), (verified!.Status, verified.EmailVerifiedAt!.Value));

        var token = await tenant.Scope.Users.CreateTokenAsync(user.Id, TokenPurpose.VerifyEmail);
        Assert.Null((await tenant.Scope.Users.UpdateAsync(user.Id, new() { Email = $"new@{tenant.Tenant.Slug}.example" })).EmailVerifiedAt);
        Assert.False(await signIn.VerifyEmailAsync(token));   // it was sent to the old one

        token = await tenant.Scope.Users.CreateTokenAsync(user.Id, TokenPurpose.VerifyEmail);
        await tenant.Scope.Users.UpdateAsync(user.Id, new() { Status = UserStatus.Suspended });
        Assert.True(await signIn.VerifyEmailAsync(token));
        Assert.Equal(UserStatus.Suspended, (await tenant.Scope.Users.FindAsync(user.Id))!.Status);   // an administrator's decision stands
    }

    [Fact]
    public async Task No_session_outlives_a_change_of_the_password_or_a_suspension_that_came_at_the_same_moment()
    {
        var (tenant, user, signIn) = await UserAsync();
        var who = await signIn.FindAsync((await signIn.WithPasswordAsync(user.Email, Password))!.Token);
        var device = (await signIn.WithPasswordAsync(user.Email, Password, new("198.51.100.1")))!.Device;
        var signIns = Enumerable.Range(0, 4).Select(i => signIn.WithPasswordAsync(user.Email, Password, new($"198.51.100.{i}", Device: i == 0 ? device : null))).ToList();
        var changed = await signIn.ChangePasswordAsync(who!, Password, "new password");
        foreach (var session in await Task.WhenAll(signIns))
            Assert.True(session is null || await signIn.FindAsync(session.Token) is null, "A session by the old password outlived it.");
        Assert.NotNull(await signIn.FindAsync(changed!.Token));

        var opened = Enumerable.Range(0, 8).Select(_ => Record.ExceptionAsync(() => signIn.OpenAsync(tenant.Id, user.Id)).AsTask()).ToList();
        await tenant.Scope.Users.UpdateAsync(user.Id, new() { Status = UserStatus.Suspended });
        await Task.WhenAll(opened);
        Assert.Equal(0L, await database.ScalarAsync<long>($"select count(*) from flowstone.user_sessions where tenant_id = '{tenant.Id}'"));
    }
}
