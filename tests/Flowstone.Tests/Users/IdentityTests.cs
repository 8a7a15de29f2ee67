using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.RegularExpressions;
using Flowstone.IdentitySample;
using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Users.Identity;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Identity;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using static Flowstone.Data.Sql;

namespace Flowstone.Tests.Users;

/// <summary>ASP.NET Core Identity's own flows, in the sample application, on Flowstone's stores.</summary>
public sealed partial class IdentityTests(TestDatabase database)
{
    const string Password = "Correct-horse-1", Other = "Battery-staple-2";

    [Fact]
    public async Task A_user_registers_confirms_the_address_and_signs_in()
    {
        await using var sample = await SampleAsync();
        Assert.Equal(HttpStatusCode.OK, (await sample.PostAsync("/register", new { email = "Ada@Acme.example", password = Password })).StatusCode);
        Assert.Contains("DuplicateUserName", await (await sample.PostAsync("/register", new { email = "ada@acme.example", password = Password })).Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Contains("PasswordTooShort", await (await sample.PostAsync("/register", new { email = "bob@acme.example", password = "Short-1" })).Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.BadRequest, (await sample.PostAsync("/register", new { email = "bob@acme.example", password = $"A1-{new string('a', 1000)}" })).StatusCode);

        Assert.Equal("NotAllowed", await sample.RefusedAsync("ada@acme.example", Password));   // not confirmed yet
        var link = Link().Match(sample.Mails.Single()).Value.Replace("&amp;", "&", StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.Unauthorized, (await sample.Http.GetAsync(link.Replace("code=", "code=Q", StringComparison.Ordinal))).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await sample.Http.GetAsync(link)).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await sample.Http.GetAsync(link)).StatusCode);   // good once
        await sample.SignInAsync("ADA@acme.example", Password);
        Assert.Equal("[]", await sample.Http.GetStringAsync("/workflows"));
        var stored = Assert.Single(await sample.Tenant.Scope.Users.ListAsync(new(), null, 10));
        Assert.Equal(("Ada@Acme.example", UserRole.User, sample.Tenant.Clock.Now()), (stored.Email, stored.Role, stored.EmailVerifiedAt));
        Assert.NotNull(await sample.Tenant.Store.SignIn.WithPasswordAsync("ada@acme.example", Password));   // the server's own sign-in knows it, too
    }

    [Fact]
    public async Task Wrong_passwords_lock_the_place_and_a_new_password_is_set_by_a_token_that_is_good_once()
    {
        await using var sample = await SampleAsync();
        var user = await sample.UserAsync();
        var session = (await sample.Tenant.Store.SignIn.OpenAsync(sample.Tenant.Id, user.Id)).Token;
        var answers = await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => sample.RefusedAsync(user.Email, "Wrong-horse-1")));
        Assert.InRange(answers.Count(answer => answer == "Failed"), 3, 5);   // those whose password was looked at
        Assert.All(answers, answer => Assert.Contains(answer, new[] { "Failed", "LockedOut" }));
        Assert.Equal(answers.Count(answer => answer == "Failed"), (await sample.Tenant.Scope.Users.LoginFailuresAsync(user.Id)).Failures);
        sample.Tenant.Clock.Advance(TimeSpan.FromSeconds(3));
        while (await sample.RefusedAsync(user.Email, "Wrong-horse-1") == "Failed")
            sample.Tenant.Clock.Advance(TimeSpan.FromSeconds(3));
        Assert.Equal("LockedOut", await sample.RefusedAsync(user.Email, Password));
        Assert.Equal(UserStatus.Active, (await sample.Tenant.Scope.Users.FindAsync(user.Id))!.Status);

        await sample.PostAsync("/forgotPassword", new { email = user.Email });
        await sample.PostAsync("/forgotPassword", new { email = "nobody@acme.example" });
        var code = Code().Match(sample.Mails.Single()).Value;
        Assert.Equal(HttpStatusCode.BadRequest, (await ResetAsync(code, "short")).StatusCode);   // and the code stays good
        var both = await Task.WhenAll(ResetAsync(code, Other), ResetAsync(code, Other));
        Assert.Single(both, answer => answer.StatusCode == HttpStatusCode.OK);
        Assert.Equal(HttpStatusCode.BadRequest, (await ResetAsync(code, Password)).StatusCode);
        Assert.Null(await sample.Tenant.Store.SignIn.FindAsync(session));
        sample.Tenant.Clock.Advance(TimeSpan.FromMinutes(31));
        Assert.Equal("Failed", await sample.RefusedAsync(user.Email, Password));
        await sample.SignInAsync(user.Email, Other);

        Task<HttpResponseMessage> ResetAsync(string resetCode, string newPassword) => sample.PostAsync("/resetPassword", new { email = user.Email, resetCode, newPassword });
    }

    [Fact]
    public async Task Two_factor_sign_in_takes_each_code_once_and_recovery_codes()
    {
        await using var sample = await SampleAsync();
        var user = await sample.UserAsync();
        await sample.SignInAsync(user.Email, Password);
        var key = (await TwoFactorAsync(new { })).GetProperty("sharedKey").GetString()!;
        var secret = Totp.FromBase32(key)!;
        Assert.Equal(HttpStatusCode.BadRequest, (await sample.PostAsync("/manage/2fa", new { enable = true, twoFactorCode = "000000" })).StatusCode);
        var enabled = await TwoFactorAsync(new { enable = true, twoFactorCode = Now() });
        Assert.True(enabled.GetProperty("isTwoFactorEnabled").GetBoolean());
        var recovery = enabled.GetProperty("recoveryCodes").EnumerateArray().Select(code => code.GetString()!).ToList();
        Assert.Equal(10, recovery.Count);
        var stored = await database.ScalarAsync<byte[]>("select totp_secret from flowstone.user_logins where tenant_id = $1", P(sample.Tenant.Id));
        Assert.Equal(-1, stored.AsSpan().IndexOf(secret));

        Assert.Equal("RequiresTwoFactor", await sample.RefusedAsync(user.Email, Password));
        Assert.Equal("Failed", await sample.RefusedAsync(user.Email, Password, new { twoFactorCode = Now() }));   // used by the confirmation
        sample.Tenant.Clock.Advance(TimeSpan.FromSeconds(30));
        await sample.SignInAsync(user.Email, Password, new { twoFactorCode = Now() });
        Assert.Equal("Failed", await sample.RefusedAsync(user.Email, Password, new { twoFactorCode = Now() }));
        await sample.SignInAsync(user.Email, Password, new { twoFactorRecoveryCode = recovery[3] });
        Assert.Equal("Failed", await sample.RefusedAsync(user.Email, Password, new { twoFactorRecoveryCode = recovery[3] }));
        var looked = 0;   // neither does the right password open the way to more codes
        for (string answer; (answer = await sample.RefusedAsync(user.Email, Password, new { twoFactorCode = "000000" })) != "LockedOut"; looked++)
            sample.Tenant.Clock.Advance(TimeSpan.FromSeconds(3));
        Assert.InRange(looked, 1, 5);
        Assert.Equal(9, (await sample.Tenant.Store.Tenant(sample.Tenant.Id, Actor.User(user.Id)).TwoFactor.StatusAsync(user.Id)).RecoveryCodes);
        sample.Tenant.Clock.Advance(TimeSpan.FromMinutes(31));
        Assert.NotNull(await sample.Tenant.Store.SignIn.WithPasswordAsync(user.Email, Password, null, Now()));   // by the server's own sign-in

        async Task<JsonElement> TwoFactorAsync(object request) => (await (await sample.PostAsync("/manage/2fa", request)).EnsureSuccessStatusCode().Content.ReadFromJsonAsync<JsonElement>())!;
        string Now() => Totp.Code(secret, Totp.StepAt(sample.Tenant.Clock.Now()));
    }

    [Fact]
    public async Task A_change_of_what_changed_meanwhile_is_refused_and_nothing_else_is_overwritten()
    {
        await using var sample = await SampleAsync();
        var user = await sample.UserAsync();
        using var scope = sample.Services.CreateScope();
        var manager = scope.ServiceProvider.GetRequiredService<UserManager<FlowstoneUser>>();
        var id = FlowstoneUser.IdOf(sample.Tenant.Id, user.Id);
        var (one, two) = ((await manager.FindByIdAsync(id))!, (await manager.FindByEmailAsync(user.Email.ToUpperInvariant()))!);

        one.FirstName = "Ada";
        Assert.True((await manager.UpdateAsync(one)).Succeeded);
        two.LastName = "Lovelace";
        Assert.Equal("ConcurrencyFailure", Assert.Single((await manager.UpdateAsync(two)).Errors).Code);
        var stamp = await manager.GetSecurityStampAsync(one);
        await sample.Tenant.Scope.Users.UpdateAsync(user.Id, new() { Role = UserRole.Viewer, LastName = "Byron" });
        Assert.False((await manager.SetEmailAsync(one, "late@acme.example")).Succeeded);
        var now = (await manager.FindByIdAsync(id))!;
        Assert.Equal(("Ada", "Byron", UserRole.Viewer), (now.FirstName, now.LastName, now.Role));
        Assert.NotEqual(stamp, await manager.GetSecurityStampAsync(now));   // whoever is signed in is asked again
        Assert.Null(await manager.FindByIdAsync(FlowstoneUser.IdOf((await database.NewTenantAsync()).Id, user.Id)));
        Assert.Null(await manager.FindByIdAsync("1"));
    }

    [Fact]
    public async Task Accounts_elsewhere_sign_in_one_user_each()
    {
        await using var sample = await SampleAsync();
        var (ada, bob) = (await sample.UserAsync(), await sample.UserAsync());
        using var scope = sample.Services.CreateScope();
        var manager = scope.ServiceProvider.GetRequiredService<UserManager<FlowstoneUser>>();
        var (asAda, asBob) = ((await manager.FindByEmailAsync(ada.Email))!, (await manager.FindByEmailAsync(bob.Email))!);
        var login = new UserLoginInfo("Google", $"account of {sample.Tenant.Id}", "Google");

        Assert.True((await manager.AddLoginAsync(asAda, login)).Succeeded);
        Assert.Equal("LoginAlreadyAssociated", Assert.Single((await manager.AddLoginAsync(asBob, login)).Errors).Code);
        Assert.Equal(ada.Id, (await manager.FindByLoginAsync("Google", login.ProviderKey))!.Id);
        Assert.Equal(login.ProviderKey, Assert.Single(await manager.GetLoginsAsync(asAda)).ProviderKey);
        Assert.True((await manager.RemoveLoginAsync(asAda, "Google", login.ProviderKey)).Succeeded);
        Assert.Null(await manager.FindByLoginAsync("Google", login.ProviderKey));
        Assert.True((await manager.AddLoginAsync(asAda, login)).Succeeded);
        Assert.True((await manager.DeleteAsync(asAda)).Succeeded);
        Assert.Null(await manager.FindByLoginAsync("Google", login.ProviderKey));
        Assert.Null(await manager.FindByEmailAsync(ada.Email));
    }

    [Fact]
    public async Task Who_is_suspended_is_not_let_in_and_no_end_of_a_lock_changes_that()
    {
        await using var sample = await SampleAsync();
        var user = await sample.UserAsync();
        await sample.Tenant.Scope.Users.UpdateAsync(user.Id, new() { Status = UserStatus.Suspended });
        Assert.Equal("NotAllowed", await sample.RefusedAsync(user.Email, Password));
        Assert.Equal("Failed", await sample.RefusedAsync(user.Email, "Wrong-horse-1"));
        using var scope = sample.Services.CreateScope();
        var manager = scope.ServiceProvider.GetRequiredService<UserManager<FlowstoneUser>>();
        var loaded = (await manager.FindByEmailAsync(user.Email))!;
        await Assert.ThrowsAsync<NotSupportedException>(() => manager.SetLockoutEndDateAsync(loaded, sample.Tenant.Clock.Now().AddYears(1)));
        await manager.SetLockoutEndDateAsync(loaded, null);
        Assert.Equal(new LoginFailures(0, null), await sample.Tenant.Scope.Users.LoginFailuresAsync(user.Id));
        Assert.Equal(UserStatus.Suspended, (await sample.Tenant.Scope.Users.FindAsync(user.Id))!.Status);
    }

    async Task<Sample> SampleAsync() => new(database, await database.NewTenantAsync());

    [GeneratedRegex(@"http\S+")]
    private static partial Regex Link();

    [GeneratedRegex(@"\S+$")]
    private static partial Regex Code();

    /// <summary>The sample application, with a tenant and its clock, and a letter box.</summary>
    sealed class Sample : WebApplicationFactory<MailToTheLog>
    {
        readonly TestDatabase database;

        public Sample(TestDatabase database, TestTenant tenant)
        {
            (this.database, Tenant) = (database, tenant);
            Http = CreateClient();
        }

        public TestTenant Tenant { get; }
        public HttpClient Http { get; }
        public ConcurrentQueue<string> Mails { get; } = new();

        protected override void ConfigureWebHost(IWebHostBuilder builder)
        {
            builder.UseSetting("DATABASE_URL", database.AppConnectionString());
            builder.UseSetting("FLOWSTONE_MASTER_KEY", TestKeys.Text);
            builder.UseSetting("Flowstone:Identity:Tenant", Tenant.Tenant.Slug);
            builder.ConfigureLogging(logging => logging.ClearProviders());
            builder.ConfigureTestServices(services =>
            {
                services.AddSingleton<TimeProvider>(Tenant.Clock);
                services.AddSingleton<IEmailSender<FlowstoneUser>>(new LetterBox(Mails));
            });
        }

        public async Task<User> UserAsync()
        {
            var user = await Tenant.Scope.Users.CreateAsync(new NewUser { Email = $"{Path.GetRandomFileName()}@acme.example", PasswordHash = SignIn.HashPassword(Password) });
            await Tenant.Store.SignIn.VerifyEmailAsync(await Tenant.Scope.Users.CreateTokenAsync(user.Id, TokenPurpose.VerifyEmail));
            return user;
        }

        public Task<HttpResponseMessage> PostAsync(string path, object body) => Http.PostAsJsonAsync(path, body);

        public async Task SignInAsync(string email, string password, object? more = null)
        {
            using var answer = await LoginAsync(email, password, more);
            Assert.Equal("", answer.IsSuccessStatusCode ? "" : await answer.Content.ReadAsStringAsync());
            Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("accessToken").GetString());
        }

        /// <summary>Why: Failed, LockedOut, NotAllowed, RequiresTwoFactor.</summary>
        public async Task<string> RefusedAsync(string email, string password, object? more = null)
        {
            using var answer = await LoginAsync(email, password, more);
            Assert.True(answer.StatusCode == HttpStatusCode.Unauthorized, await answer.Content.ReadAsStringAsync());
            return (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("detail").GetString()!;
        }

        Task<HttpResponseMessage> LoginAsync(string email, string password, object? more)
        {
            var body = JsonSerializer.SerializeToNode(more ?? new { })!;
            (body["email"], body["password"]) = (email, password);
            return Http.PostAsJsonAsync("/login", body);
        }
    }

    sealed class LetterBox(ConcurrentQueue<string> mails) : IEmailSender<FlowstoneUser>
    {
        public Task SendConfirmationLinkAsync(FlowstoneUser user, string email, string confirmationLink) => Put(confirmationLink);
        public Task SendPasswordResetLinkAsync(FlowstoneUser user, string email, string resetLink) => Put(resetLink);
        public Task SendPasswordResetCodeAsync(FlowstoneUser user, string email, string resetCode) => Put(resetCode);

        Task Put(string text)
        {
            mails.Enqueue(text);
            return Task.CompletedTask;
        }
    }
}
