using System.Net;
using System.Net.Http.Json;
using Flowstone.Server.Auth;
using Flowstone.Users;
using Microsoft.Extensions.DependencyInjection;

namespace Flowstone.Tests.Server;

[Collection<ServerTests>]
public sealed class AuthTests(TestDatabase database, TestServer server)
{
    const string Password = "correct horse battery";

    [Fact]
    public async Task A_login_gives_a_token_and_a_cookie_and_a_logout_ends_both()
    {
        var email = await CreateUserAsync();
        using var http = await server.AnonymousAsync();

        using var response = await http.PostAsJsonAsync("/api/v1/auth/login", new { email, password = Password });
        var login = await TestClient.ReadAsync(response, HttpStatusCode.OK);
        var token = login.GetProperty("token").GetString();
        Assert.Equal([$"flowstone_session={token}", $"flowstone_device={login.GetProperty("device").GetString()}"], response.Headers.GetValues("Set-Cookie").Select(cookie => cookie.Split(';')[0]));
        Assert.All(response.Headers.GetValues("Set-Cookie"), cookie => Assert.Contains("samesite=strict; httponly", cookie, StringComparison.Ordinal));
        Assert.Equal("USER", login.GetProperty("user").GetProperty("role").GetString());

        http.DefaultRequestHeaders.Add("Authorization", $"Bearer {token}");
        Assert.Equal(email, (await http.GetFromJsonAsync<System.Text.Json.JsonElement>("/api/v1/auth/me")).GetProperty("email").GetString());
        Assert.Equal(HttpStatusCode.NoContent, (await http.PostAsync("/api/v1/auth/logout", null)).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await http.GetAsync("/api/v1/auth/me")).StatusCode);
    }

    [Fact]
    public async Task All_failed_logins_look_alike()
    {
        var email = await CreateUserAsync();
        var suspended = await CreateUserAsync(UserStatus.Suspended);
        using var http = await server.AnonymousAsync();

        var answers = new List<string>();
        foreach (var (address, password) in new[] { (email, "wrong password"), ("nobody@example.com", Password), (suspended, Password), ("no address", ""), (email, new string('x', 5000)) })
        {
            using var response = await http.PostAsJsonAsync("/api/v1/auth/login", new { email = address, password });
            Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
            Assert.False(response.Headers.Contains("Set-Cookie"));
            answers.Add(await response.Content.ReadAsStringAsync());
        }
        Assert.Contains("urn:flowstone:sign-in-failed", Assert.Single(answers.Distinct()), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Guessing_is_slowed_down()
    {
        var email = $"{Path.GetRandomFileName()}@example.com";
        using var http = await server.AnonymousAsync();
        var looked = 0;   // the third brings a second, which a slow machine lets pass; the fifth half an hour
        HttpResponseMessage answer;
        while ((answer = await LoginAsync(looked % 2 == 0 ? email : email.ToUpperInvariant())).StatusCode == HttpStatusCode.Unauthorized)
            looked++;
        using var refused = answer;
        Assert.InRange(looked, 3, 5);
        Assert.Equal("urn:flowstone:too-many-attempts", (await TestClient.ReadAsync(refused, HttpStatusCode.TooManyRequests)).GetProperty("type").GetString());
        Assert.True(int.Parse(refused.Headers.RetryAfter!.ToString(), null) >= 1);

        Task<HttpResponseMessage> LoginAsync(string address) => http.PostAsJsonAsync("/api/v1/auth/login", new { email = address, password = "guess" });
    }

    [Theory]
    [InlineData("/api/v1/workflows", null)]
    [InlineData("/api/v1/workflows", "Bearer nonsense")]
    [InlineData("/api/v1/workflows", "Bearer !!!")]
    [InlineData("/api/v1/workflows", "Bearer AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("/api/v1/nowhere", null)]
    [InlineData("/api/v1/auth/me", "Basic dXNlcjpwYXNz")]
    public async Task Without_a_session_there_is_nothing(string path, string? authorization)
    {
        using var http = await server.AnonymousAsync();
        if (authorization is not null)
            http.DefaultRequestHeaders.TryAddWithoutValidation("Authorization", authorization);

        using var response = await http.GetAsync(path);

        Assert.Equal("urn:flowstone:unauthenticated", (await TestClient.ReadAsync(response, HttpStatusCode.Unauthorized)).GetProperty("type").GetString());
        Assert.Equal("Bearer", response.Headers.WwwAuthenticate.ToString());
    }

    [Theory]
    [InlineData("cross-site", null, HttpStatusCode.Forbidden)]
    [InlineData("same-site", null, HttpStatusCode.Forbidden)]
    [InlineData("none", null, HttpStatusCode.Forbidden)]
    [InlineData(null, "https://evil.example", HttpStatusCode.Forbidden)]
    [InlineData(null, "null", HttpStatusCode.Forbidden)]
    [InlineData(null, null, HttpStatusCode.Forbidden)]
    [InlineData("same-origin", null, HttpStatusCode.Created)]
    [InlineData(null, "self", HttpStatusCode.Created)]
    public async Task A_change_signed_in_by_cookie_must_come_from_the_consoles_own_pages(string? site, string? origin, HttpStatusCode expected)
    {
        var user = await server.SignInAsync();
        using var http = await server.AnonymousAsync();
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/v1/workflows") { Content = JsonContent.Create(new { definition = TestTenant.Definition() }) };
        request.Headers.Add("Cookie", $"flowstone_session={user.Token}");
        if (site is not null)
            request.Headers.Add("Sec-Fetch-Site", site);
        if (origin is not null)
            request.Headers.Add("Origin", origin == "self" ? http.BaseAddress!.GetLeftPart(UriPartial.Authority) : origin);

        using var response = await http.SendAsync(request);

        var answer = await TestClient.ReadAsync(response, expected);
        if (expected == HttpStatusCode.Forbidden)
            Assert.Equal("urn:flowstone:cross-site", answer.GetProperty("type").GetString());
    }

    [Fact]
    public async Task A_bearer_token_may_come_from_anywhere()
    {
        var user = await server.SignInAsync();
        user.Http.DefaultRequestHeaders.Add("Origin", "https://elsewhere.example");
        user.Http.DefaultRequestHeaders.Add("Cookie", "flowstone_session=other");
        await user.CreateWorkflowAsync();
    }

    [Fact]
    public async Task A_sign_in_link_is_good_once()
    {
        var user = await server.SignInAsync();
        using var http = await server.AnonymousAsync();
        var link = (await server.AppAsync()).Services.GetRequiredService<SignInLinks>().Create(user.Tenant.Id, user.User.Id);

        using var first = await http.GetAsync(link);
        Assert.Equal("/", first.Headers.Location?.ToString());
        http.DefaultRequestHeaders.Add("Cookie", first.Headers.GetValues("Set-Cookie").First().Split(';')[0]);
        Assert.Equal(user.User.Id.ToString(), (await http.GetFromJsonAsync<System.Text.Json.JsonElement>("/api/v1/auth/me")).GetProperty("id").GetString());

        using var second = await http.GetAsync(link);
        Assert.Equal(HttpStatusCode.OK, second.StatusCode);
        Assert.False(second.Headers.TryGetValues("Set-Cookie", out var cookies) && cookies.Any(c => c.StartsWith("flowstone_session", StringComparison.Ordinal)));
        Assert.Contains("was used before", await second.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_sign_in_link_is_too_old_after_ten_minutes()
    {
        var tenant = await database.NewTenantAsync();
        var links = new SignInLinks(tenant.Clock);
        var code = links.Create(tenant.Id, Id<User>.New(tenant.Clock)).Split('=')[1];
        tenant.Clock.Advance(TimeSpan.FromMinutes(10));
        Assert.Null(links.Redeem(code));
    }

    [Fact]
    public async Task A_user_verifies_the_address_forgets_the_password_changes_it_and_signs_devices_out()
    {
        var admin = await server.SignInAsync();
        var email = $"{Path.GetRandomFileName()}@example.com";
        var user = $"users/{(await admin.PostAsync("users", new { email, password = Password }, HttpStatusCode.Created)).GetProperty("id").GetString()}";
        using var http = await server.AnonymousAsync();
        http.DefaultRequestHeaders.UserAgent.ParseAdd("Test/1.0");

        await PostAsync("verify-email", new { token = await TokenAsync("VERIFY_EMAIL") }, HttpStatusCode.NoContent);
        Assert.NotNull((await admin.GetAsync(user)).GetProperty("emailVerifiedAt").GetString());
        var reset = await TokenAsync("RESET_PASSWORD");
        await PostAsync("password/reset", new { token = reset, password = "another horse" }, HttpStatusCode.NoContent);
        Assert.Equal(["token"], TestClient.Fields(await PostAsync("password/reset", new { token = reset, password = "a third horse" }, HttpStatusCode.BadRequest)));
        await PostAsync("login", new { email, password = Password }, HttpStatusCode.Unauthorized);
        var first = await PostAsync("login", new { email, password = "another horse" }, HttpStatusCode.OK);
        await PostAsync("login", new { email, password = "another horse", device = first.GetProperty("device").GetString() }, HttpStatusCode.OK);

        SignedInBy(first);
        Assert.Equal(["current"], TestClient.Fields(await PostAsync("password", new { current = Password, password = "a third horse" }, HttpStatusCode.BadRequest)));
        SignedInBy(await PostAsync("password", new { current = "another horse", password = "a third horse" }, HttpStatusCode.OK));
        await PostAsync("login", new { email, password = "a third horse" }, HttpStatusCode.OK);
        var sessions = await SessionsAsync();
        Assert.Equal([false, true], sessions.Select(s => s.GetProperty("current").GetBoolean()).Order());
        Assert.All(sessions, s => Assert.Equal("Test/1.0", s.GetProperty("agent").GetString()));
        var other = sessions.Single(s => !s.GetProperty("current").GetBoolean()).GetProperty("id").GetString();
        Assert.Equal(HttpStatusCode.NoContent, (await http.DeleteAsync($"/api/v1/auth/sessions/{other}")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await http.DeleteAsync($"/api/v1/auth/sessions/{other}")).StatusCode);
        await PostAsync("login", new { email, password = "a third horse" }, HttpStatusCode.OK);
        Assert.Equal(HttpStatusCode.NoContent, (await http.DeleteAsync("/api/v1/auth/sessions")).StatusCode);
        Assert.True(Assert.Single(await SessionsAsync()).GetProperty("current").GetBoolean());
        await admin.SendAsync(HttpMethod.Delete, $"{user}/sessions", expected: HttpStatusCode.NoContent);
        Assert.Equal(HttpStatusCode.Unauthorized, (await http.GetAsync("/api/v1/auth/me")).StatusCode);

        async Task<string?> TokenAsync(string purpose) => (await admin.PostAsync($"{user}/tokens", new { purpose })).GetProperty("token").GetString();
        async Task<System.Text.Json.JsonElement[]> SessionsAsync() => [.. (await http.GetFromJsonAsync<System.Text.Json.JsonElement>("/api/v1/auth/sessions")).GetProperty("items").EnumerateArray()];
        void SignedInBy(System.Text.Json.JsonElement login) => http.DefaultRequestHeaders.Authorization = new("Bearer", login.GetProperty("token").GetString());
        async Task<System.Text.Json.JsonElement> PostAsync(string path, object body, HttpStatusCode expected)
        {
            using var response = await http.PostAsJsonAsync($"/api/v1/auth/{path}", body);
            return await TestClient.ReadAsync(response, expected);
        }
    }

    async Task<string> CreateUserAsync(UserStatus status = UserStatus.Active)
    {
        var tenant = await database.NewTenantAsync();
        var user = await tenant.Scope.Users.CreateAsync(
            new NewUser { Email = $"{Path.GetRandomFileName()}@example.com", Role = UserRole.User, PasswordHash = SignIn.HashPassword(Password) });
        await tenant.Scope.Users.UpdateAsync(user.Id, new UserChanges { Status = status });
        return user.Email;
    }
}
