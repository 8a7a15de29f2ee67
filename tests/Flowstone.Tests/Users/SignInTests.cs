using System.Buffers.Text;
using System.Text;
using Flowstone.Users;
using static Flowstone.Data.Sql;

namespace Flowstone.Tests.Users;

public sealed class SignInTests(TestDatabase database)
{
    const string Password = "correct horse battery";

    // Made once: a hash takes a tenth of a second, on purpose.
    static readonly string hash = SignIn.HashPassword(Password);

    async Task<(TestTenant Tenant, User User)> UserAsync()
    {
        var tenant = await database.NewTenantAsync();
        await tenant.Scope.Users.CreateAsync(new NewUser { Email = $"other@{tenant.Tenant.Slug}.example", Role = UserRole.Admin });   // a tenant keeps one
        return (tenant, await tenant.Scope.Users.CreateAsync(new NewUser { Email = $"Ada@{tenant.Tenant.Slug}.example", Role = UserRole.Admin, PasswordHash = hash }));
    }

    static async Task<string> SessionAsync(TestTenant tenant, User user) => (await tenant.Store.SignIn.OpenAsync(tenant.Id, user.Id)).Token;

    [Fact]
    public async Task The_right_password_gives_a_token_that_finds_its_user()
    {
        var (tenant, user) = await UserAsync();

        var token = (await tenant.Store.SignIn.WithPasswordAsync($" {user.Email.ToUpperInvariant()} ", Password))?.Token;

        Assert.Equal(new SignedInUser(tenant.Id, user.Id, UserRole.Admin, user.Email), await tenant.Store.SignIn.FindAsync(token!));
        Assert.Equal(tenant.Clock.Now().UtcDateTime, await database.ScalarAsync<DateTime>("select last_login_at from flowstone.user_logins where user_id = $1", P(user.Id)));
    }

    [Fact]
    public async Task Wrong_unknown_inactive_and_over_long_are_answered_alike()
    {
        var (tenant, user) = await UserAsync();
        var withoutPassword = await tenant.Scope.Users.CreateAsync(new NewUser { Email = $"bob@{tenant.Tenant.Slug}.example" });
        var signIn = tenant.Store.SignIn;

        Assert.Null(await signIn.WithPasswordAsync(user.Email, Password + " "));
        Assert.Null(await signIn.WithPasswordAsync(user.Email, ""));
        Assert.Null(await signIn.WithPasswordAsync(user.Email, "\uD800\0"));
        Assert.Null(await signIn.WithPasswordAsync(user.Email, new string('x', 1001)));
        Assert.Null(await signIn.WithPasswordAsync($"nobody@{tenant.Tenant.Slug}.example", Password));
        Assert.Null(await signIn.WithPasswordAsync("", Password));
        Assert.Null(await signIn.WithPasswordAsync("a\0@\uD800", Password));
        Assert.Null(await signIn.WithPasswordAsync(new string('x', 100_000) + "@x.example", Password));
        Assert.Null(await signIn.WithPasswordAsync(withoutPassword.Email, ""));
        foreach (var status in new[] { UserStatus.Inactive, UserStatus.Suspended, UserStatus.PendingVerification })
        {
            tenant.Clock.Advance(TimeSpan.FromMinutes(30));   // past the delays
            await tenant.Scope.Users.UpdateAsync(user.Id, new UserChanges { Status = status });
            Assert.Null(await signIn.WithPasswordAsync(user.Email, Password));
        }
        Assert.Equal(0L, await database.ScalarAsync<long>("select count(*) from flowstone.user_sessions where tenant_id = $1", P(tenant.Id)));
        Assert.True(await database.ScalarAsync<bool>("select bool_and(last_login_at is null) from flowstone.user_logins where tenant_id = $1", P(tenant.Id)));
    }

    [Theory]
    [InlineData("1234567")]
    [InlineData("")]
    public void A_short_password_is_refused(string password)
        => Assert.Equal("password", Assert.Throws<InvalidInputException>(() => SignIn.HashPassword(password)).Errors[0].Field);

    [Fact]
    public void An_endless_password_is_refused()
        => Assert.Throws<InvalidInputException>(() => SignIn.HashPassword(new string('x', 1001)));

    [Fact]
    public async Task A_session_ends_after_seven_days_and_when_its_user_signs_out()
    {
        var (tenant, user) = await UserAsync();
        var (kept, left) = (await SessionAsync(tenant, user), await SessionAsync(tenant, user));
        var signIn = tenant.Store.SignIn;

        await signIn.SignOutAsync(left);
        await signIn.SignOutAsync(left);
        await signIn.SignOutAsync("no token at all");
        Assert.Null(await signIn.FindAsync(left));

        for (var day = 1; day < 7; day++)
        {
            tenant.Clock.Advance(TimeSpan.FromDays(1));
            Assert.NotNull(await signIn.FindAsync(kept));   // used every day
        }
        tenant.Clock.Advance(TimeSpan.FromDays(1) - TimeSpan.FromSeconds(1));
        Assert.NotNull(await signIn.FindAsync(kept));
        tenant.Clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Null(await signIn.FindAsync(kept));
    }

    [Fact]
    public async Task The_tokens_of_a_deleted_or_suspended_user_are_nobodys()
    {
        var (tenant, user) = await UserAsync();
        var token = await SessionAsync(tenant, user);
        foreach (var status in new[] { UserStatus.Suspended, UserStatus.Inactive, UserStatus.PendingVerification })
        {
            await tenant.Scope.Users.UpdateAsync(user.Id, new UserChanges { Status = status });
            Assert.Null(await tenant.Store.SignIn.FindAsync(token));
        }
        await tenant.Scope.Users.UpdateAsync(user.Id, new UserChanges { Status = UserStatus.Active });
        Assert.Null(await tenant.Store.SignIn.FindAsync(token));   // ended, not paused
        token = await SessionAsync(tenant, user);
        Assert.NotNull(await tenant.Store.SignIn.FindAsync(token));

        await tenant.Scope.Users.DeleteAsync(user.Id);
        Assert.Null(await tenant.Store.SignIn.FindAsync(token));
        Assert.Equal(0L, await database.ScalarAsync<long>("select count(*) from flowstone.user_sessions where tenant_id = $1", P(tenant.Id)));
    }

    [Fact]
    public async Task A_token_that_was_tampered_with_is_nobodys()
    {
        var (tenant, user) = await UserAsync();
        var (other, _) = await UserAsync();
        var token = await SessionAsync(tenant, user);
        var bytes = Base64Url.DecodeFromChars(token);
        for (var i = 0; i < bytes.Length; i += 5)
        {
            var changed = bytes.ToArray();
            changed[i] ^= 1;
            Assert.Null(await tenant.Store.SignIn.FindAsync(Base64Url.EncodeToString(changed)));
        }
        var moved = bytes.ToArray();
        other.Id.Value.TryWriteBytes(moved);
        Assert.Null(await tenant.Store.SignIn.FindAsync(Base64Url.EncodeToString(moved)));
        Assert.NotNull(await tenant.Store.SignIn.FindAsync(token));
    }

    [Theory]
    [InlineData("")]
    [InlineData("A")]
    [InlineData("not a token")]
    [InlineData("!!!!")]
    [InlineData("====")]
    [InlineData("ä🦆\0\uD800")]
    [InlineData("++//++//")]
    [InlineData("null")]
    public async Task What_is_no_token_is_nobodys_whatever_its_letters(string token)
    {
        var tenant = await database.NewTenantAsync();
        Assert.Null(await tenant.Store.SignIn.FindAsync(token));
        Assert.Null(await tenant.Store.SignIn.FindAsync(token.PadRight(64, 'A')));
        Assert.Null(await tenant.Store.SignIn.FindAsync(token.PadRight(64, '!')));
        Assert.Null(await tenant.Store.SignIn.FindAsync(token.PadRight(100_000, 'A')));
        await tenant.Store.SignIn.SignOutAsync(token);
    }

    [Fact]
    public async Task Only_hashes_are_stored()
    {
        var (tenant, user) = await UserAsync();
        var token = await SessionAsync(tenant, user);

        var logins = await database.ScalarAsync<string>("select string_agg(l::text, '|') from flowstone.user_logins l where tenant_id = $1", P(tenant.Id));
        Assert.Contains(hash, logins, StringComparison.Ordinal);
        Assert.DoesNotContain(Password, logins, StringComparison.Ordinal);
        Assert.DoesNotContain(Convert.ToBase64String(Encoding.UTF8.GetBytes(Password)), logins, StringComparison.Ordinal);

        var session = await database.ScalarAsync<string>("select string_agg(s::text, '|') from flowstone.user_sessions s where tenant_id = $1", P(tenant.Id));
        var secret = Base64Url.DecodeFromChars(token)[16..];
        Assert.DoesNotContain(token[22..], session, StringComparison.Ordinal);
        Assert.DoesNotContain(Convert.ToHexStringLower(secret), session, StringComparison.Ordinal);
        Assert.Equal(32, await database.ScalarAsync<int>("select length(token_hash) from flowstone.user_sessions where tenant_id = $1", P(tenant.Id)));

        // The directory of addresses tells none.
        var directory = await database.ScalarAsync<string>("select string_agg(e::text, '|') from flowstone.user_emails e where tenant_id = $1", P(tenant.Id));
        Assert.DoesNotContain("@", directory, StringComparison.Ordinal);
    }
}
