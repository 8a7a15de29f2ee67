using Flowstone.Tenancy;
using Flowstone.Users;
using Microsoft.AspNetCore.Identity;
using static Flowstone.Data.Sql;

namespace Flowstone.Tests.Users;

/// <summary>The second factor: codes by RFC 6238, each good once, and recovery codes.</summary>
public sealed class TwoFactorTests(TestDatabase database)
{
    const string Password = "correct horse";

    [Theory]
    [InlineData(59, "94287082")]
    [InlineData(1111111109, "07081804")]
    [InlineData(1111111111, "14050471")]
    [InlineData(1234567890, "89005924")]
    [InlineData(2000000000, "69279037")]
    [InlineData(20000000000, "65353130")]
    public void Codes_are_those_of_the_RFC(long seconds, string code)
        => Assert.Equal(code, Totp.Code("12345678901234567890"u8, Totp.StepAt(DateTimeOffset.FromUnixTimeSeconds(seconds)), digits: 8));

    [Fact]
    public void A_secret_is_written_in_base32_as_the_apps_read_it()
    {
        Assert.Equal("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", Totp.ToBase32("12345678901234567890"u8));
        Assert.Equal("12345678901234567890"u8.ToArray(), Totp.FromBase32("gezdgnbvgy3tqojqgezdgnbvgy3tqojq"));
        Assert.Null(Totp.FromBase32("GEZ0"));
        Assert.Equal("otpauth://totp/Acme%20Inc:ada%40acme.example?secret=GEZDGNBV&issuer=Acme%20Inc", Totp.Uri("Acme Inc", "ada@acme.example", "12345"u8));
    }

    [Fact]
    public async Task A_code_is_asked_for_once_the_app_has_shown_that_it_works_and_is_good_once()
    {
        var (tenant, user, factor) = await NewUserAsync();
        var signIn = tenant.Store.SignIn;
        var (other, own) = (await SignInAsync(), await SignInAsync());
        var secret = Totp.FromBase32((await factor.BeginAsync(user.Id, Password))!.Secret)!;
        Assert.NotNull(await SignInAsync());   // nothing has changed yet
        Assert.Null(await factor.ConfirmAsync(user.Id, "000000"));
        var codes = await factor.ConfirmAsync(user.Id, Code(), own!.Token);
        Assert.Equal(new TwoFactorStatus(true, 10), await factor.StatusAsync(user.Id));
        Assert.Equal(10, codes!.Distinct().Count());
        Assert.Null(await signIn.FindAsync(other!.Token));
        Assert.NotNull(await signIn.FindAsync(own.Token));

        await Assert.ThrowsAsync<CodeRequiredException>(() => SignInAsync());
        Assert.Null(await signIn.WithPasswordAsync(user.Email, "guess", null, Code()));   // and no word of a code
        Assert.Null(await SignInAsync(Code()));   // used by the confirmation
        tenant.Clock.Advance(TimeSpan.FromSeconds(30));
        var all = await Task.WhenAll(Enumerable.Range(0, 4).Select(async i =>
        {
            try
            {
                return await signIn.WithPasswordAsync(user.Email, Password, new($"192.0.2.{i}"), Code());
            }
            catch (TooManyAttemptsException)
            {
                return null;
            }
        }));
        Assert.Single(all, session => session is not null);   // replayed at the same moment
        Assert.Null(await signIn.WithPasswordAsync(user.Email, Password, new("192.0.2.9"), Totp.Code(secret, Totp.StepAt(tenant.Clock.Now()) - 1)));   // and before it
        tenant.Clock.Advance(TimeSpan.FromMinutes(10));
        Assert.NotNull(await SignInAsync(Totp.Code(secret, Totp.StepAt(tenant.Clock.Now()) + 1)));   // a fast clock
        Assert.Null(await SignInAsync(Totp.Code(secret, Totp.StepAt(tenant.Clock.Now()) + 2)));

        string Code() => Totp.Code(secret, Totp.StepAt(tenant.Clock.Now()));
        Task<NewSession?> SignInAsync(string? code = null) => signIn.WithPasswordAsync(user.Email, Password, null, code);
    }

    [Fact]
    public async Task Each_recovery_code_signs_in_once_and_is_kept_as_a_hash()
    {
        var (tenant, user, factor) = await NewUserAsync();
        var secret = Totp.FromBase32((await factor.BeginAsync(user.Id, Password))!.Secret)!;
        var codes = (await factor.ConfirmAsync(user.Id, Totp.Code(secret, Totp.StepAt(tenant.Clock.Now()))))!;
        var stored = await database.ScalarAsync<string>("select string_agg(encode(c.code_hash, 'escape'), ',') from flowstone.user_recovery_codes c where tenant_id = $1", P(tenant.Id));
        Assert.DoesNotContain(codes, code => stored.Contains(code[..4], StringComparison.OrdinalIgnoreCase));
        var row = await database.ScalarAsync<byte[]>("select totp_secret from flowstone.user_logins where tenant_id = $1 and user_id = $2", P(tenant.Id), P(user.Id));
        Assert.Equal(-1, row.AsSpan().IndexOf(secret));

        var used = await Task.WhenAll(Enumerable.Range(0, 3).Select(i => tenant.Store.SignIn.WithPasswordAsync(user.Email, Password, new($"192.0.2.{i}"), codes[0])));
        Assert.Single(used, session => session is not null);
        Assert.NotNull(await tenant.Store.SignIn.WithPasswordAsync(user.Email, Password, null, codes[1].Replace("-", "", StringComparison.Ordinal).ToUpperInvariant()));
        Assert.Equal(8, (await factor.StatusAsync(user.Id)).RecoveryCodes);

        tenant.Clock.Advance(TimeSpan.FromMinutes(1));
        var renewed = (await factor.NewRecoveryCodesAsync(user.Id, Totp.Code(secret, Totp.StepAt(tenant.Clock.Now()))))!;
        Assert.Null(await tenant.Store.SignIn.WithPasswordAsync(user.Email, Password, new("192.0.2.7"), codes[2]));
        Assert.NotNull(await tenant.Store.SignIn.WithPasswordAsync(user.Email, Password, new("192.0.2.8"), renewed[2]));
    }

    [Fact]
    public async Task Codes_cannot_be_guessed_from_a_session_and_only_the_user_or_an_administrator_turns_it_off()
    {
        var (tenant, user, factor) = await NewUserAsync();
        var secret = Totp.FromBase32((await factor.BeginAsync(user.Id, Password))!.Secret)!;
        var codes = (await factor.ConfirmAsync(user.Id, Totp.Code(secret, Totp.StepAt(tenant.Clock.Now()))))!;
        await Assert.ThrowsAsync<ConflictException>(() => factor.BeginAsync(user.Id, Password));
        var colleague = tenant.Store.Tenant(tenant.Id, Actor.User((await tenant.Scope.Users.CreateAsync(new NewUser { Email = $"bob@{tenant.Tenant.Slug}.example" })).Id));
        var admin = tenant.Store.Tenant(tenant.Id, Actor.User((await tenant.Scope.Users.CreateAsync(new NewUser { Email = $"eve@{tenant.Tenant.Slug}.example", Role = UserRole.Admin })).Id));
        await Assert.ThrowsAsync<AccessDeniedException>(() => colleague.TwoFactor.DisableAsync(user.Id, null));
        await Assert.ThrowsAsync<AccessDeniedException>(() => factor.DisableAsync(user.Id, null));
        await Assert.ThrowsAsync<AccessDeniedException>(() => admin.TwoFactor.BeginAsync(user.Id, Password));

        var looked = 0;
        for (var i = 0; i < 20; i++)
        {
            try
            {
                Assert.False(await factor.DisableAsync(user.Id, "000000"));
                looked++;
            }
            catch (TooManyAttemptsException)
            {
            }
        }
        Assert.InRange(looked, 1, 5);
        await Assert.ThrowsAsync<TooManyAttemptsException>(() => factor.DisableAsync(user.Id, codes[0]));
        tenant.Clock.Advance(TimeSpan.FromHours(1));
        Assert.True(await factor.DisableAsync(user.Id, codes[0]));
        Assert.Equal(new TwoFactorStatus(false, 0), await factor.StatusAsync(user.Id));
        Assert.NotNull(await tenant.Store.SignIn.WithPasswordAsync(user.Email, Password));

        Assert.Null(await factor.BeginAsync(user.Id, "guess"));
        await factor.BeginAsync(user.Id, Password);
        Assert.True(await admin.TwoFactor.DisableAsync(user.Id, null));
    }

    [Theory]
    [InlineData("$2b$04$bPhnMMS0FGR9BOcvIxgPyOuyI1sOPpoDCiLBT2EpCJAsZrluBrUli")]   // python's and the C library's
    [InlineData("$2a$04$bPhnMMS0FGR9BOcvIxgPyOuyI1sOPpoDCiLBT2EpCJAsZrluBrUli")]   // the original's
    public async Task A_password_that_another_platform_kept_as_bcrypt_signs_in_and_is_kept_anew(string hash)
    {
        var tenant = await database.NewTenantAsync();
        var user = await tenant.Scope.Users.CreateAsync(new NewUser { Email = $"ada@{tenant.Tenant.Slug}.example", PasswordHash = hash });
        Assert.Null(await tenant.Store.SignIn.WithPasswordAsync(user.Email, Password + "!"));
        Assert.Equal(hash, await StoredAsync());
        Assert.NotNull(await tenant.Store.SignIn.WithPasswordAsync(user.Email, Password));
        Assert.Equal(PasswordVerificationResult.Success, Passwords.Verify(await StoredAsync(), Password));
        Assert.NotNull(await tenant.Store.SignIn.WithPasswordAsync(user.Email, Password));

        Task<string> StoredAsync() => database.ScalarAsync<string>("select password_hash from flowstone.user_logins where tenant_id = $1", P(tenant.Id));
    }

    [Theory]
    [InlineData("secret")]
    [InlineData("$2b$31$bPhnMMS0FGR9BOcvIxgPyOuyI1sOPpoDCiLBT2EpCJAsZrluBrUli")]   // would take days
    [InlineData("$1$abcdefgh$abcdefghijklmnopqrstuv")]
    public async Task What_is_no_hash_is_not_stored_as_one(string hash)
    {
        var tenant = await database.NewTenantAsync();
        var refused = await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Scope.Users.CreateAsync(new NewUser { Email = "ada@acme.example", PasswordHash = hash }));
        Assert.Equal("passwordHash", refused.Errors[0].Field);
        Assert.DoesNotContain(hash, refused.Message, StringComparison.Ordinal);
    }

    async Task<(TestTenant Tenant, User User, TwoFactor Factor)> NewUserAsync()
    {
        var tenant = await database.NewTenantAsync();
        var user = await tenant.Scope.Users.CreateAsync(new NewUser { Email = $"ada@{tenant.Tenant.Slug}.example", PasswordHash = SignIn.HashPassword(Password) });
        return (tenant, user, tenant.Store.Tenant(tenant.Id, Actor.User(user.Id)).TwoFactor);
    }
}
