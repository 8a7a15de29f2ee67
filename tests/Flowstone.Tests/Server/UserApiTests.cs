using System.Net;
using Flowstone.Users;

namespace Flowstone.Tests.Server;

[Collection<ServerTests>]
public sealed class UserApiTests(TestServer server)
{
    [Fact]
    public async Task An_administrator_makes_finds_changes_and_deletes_users()
    {
        var admin = await server.SignInAsync();
        var email = $"ada{Path.GetRandomFileName()}@example.com";

        var user = await admin.PostAsync("users", new { email, firstName = "Ada", role = "VIEWER", password = "long enough" }, HttpStatusCode.Created);
        var id = user.GetProperty("id").GetString();
        Assert.Equal("VIEWER", user.GetProperty("role").GetString());
        Assert.DoesNotContain("password", user.ToString(), StringComparison.OrdinalIgnoreCase);

        Assert.Equal(id, Assert.Single((await admin.GetAsync("users?role=VIEWER&status=ACTIVE&search=ADA")).GetProperty("items").EnumerateArray()).GetProperty("id").GetString());
        Assert.Empty((await admin.GetAsync("users?status=PENDING_VERIFICATION")).GetProperty("items").EnumerateArray());
        var changed = await admin.SendAsync(HttpMethod.Patch, $"users/{id}", new { role = "USER", lastName = "Lovelace" });
        Assert.Equal(("USER", "Ada", "Lovelace"), (changed.GetProperty("role").GetString(), changed.GetProperty("firstName").GetString(), changed.GetProperty("lastName").GetString()));

        await admin.SendAsync(HttpMethod.Delete, $"users/{id}", expected: HttpStatusCode.NoContent);
        await admin.ProblemAsync(HttpStatusCode.NotFound, HttpMethod.Get, $"users/{id}");
        await admin.ProblemAsync(HttpStatusCode.NotFound, HttpMethod.Delete, $"users/{id}");
    }

    [Fact]
    public async Task An_address_is_taken_once_and_what_is_wrong_is_named()
    {
        var admin = await server.SignInAsync();
        await admin.ProblemAsync(HttpStatusCode.Conflict, HttpMethod.Post, "users", new { email = admin.User.Email.ToUpperInvariant() });
        Assert.Equal(["email"], TestClient.Fields(await admin.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Post, "users", new { email = "nobody" })));
        Assert.Equal(["email"], TestClient.Fields(await admin.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Post, "users", new { })));
        Assert.Equal(["password"], TestClient.Fields(await admin.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Post, "users", new { email = "x@example.com", password = "short" })));
        Assert.Equal(["role"], TestClient.Fields(await admin.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Get, "users?role=KING")));
    }

    [Fact]
    public async Task Administrators_cannot_lock_themselves_out()
    {
        var admin = await server.SignInAsync();
        var self = $"users/{admin.User.Id}";
        await admin.ProblemAsync(HttpStatusCode.Conflict, HttpMethod.Delete, self);
        await admin.ProblemAsync(HttpStatusCode.Conflict, HttpMethod.Patch, self, new { role = "USER" });
        await admin.ProblemAsync(HttpStatusCode.Conflict, HttpMethod.Patch, self, new { status = "INACTIVE" });
    }

    [Fact]
    public async Task Viewers_only_read_and_users_do_not_administer()
    {
        var admin = await server.SignInAsync();
        var viewer = await server.SignInAsync(UserRole.Viewer, admin.Tenant);
        var user = await server.SignInAsync(UserRole.User, admin.Tenant);
        var workflow = await admin.CreateWorkflowAsync();

        await viewer.ProblemAsync(HttpStatusCode.NotFound, HttpMethod.Get, $"workflows/{workflow}");
        await admin.SendAsync(HttpMethod.Put, $"workflows/{workflow}/shares/{viewer.User.Id}", new { level = "ADMIN" });
        foreach (var path in new[] { "users", "teams", "workflows", $"workflows/{workflow}", "executions", "auth/me" })
            await viewer.GetAsync(path);
        await viewer.ProblemAsync(HttpStatusCode.Forbidden, HttpMethod.Get, $"workflows/{workflow}/shares");
        foreach (var (method, path) in new[] { (HttpMethod.Post, "workflows"), (HttpMethod.Post, "executions"), (HttpMethod.Put, $"workflows/{workflow}"), (HttpMethod.Delete, $"workflows/{workflow}"), (HttpMethod.Post, "work/claim"), (HttpMethod.Post, "users"), (HttpMethod.Post, "teams") })
            Assert.Equal("urn:flowstone:forbidden", (await viewer.ProblemAsync(HttpStatusCode.Forbidden, method, path, new { })).GetProperty("type").GetString());
        await viewer.SendAsync(HttpMethod.Post, "auth/logout", expected: HttpStatusCode.NoContent);

        await user.CreateWorkflowAsync();
        await user.SendAsync(HttpMethod.Patch, $"users/{user.User.Id}", new { language = "de" });
        await user.PostAsync("teams", new { name = "Theirs" }, HttpStatusCode.Created);
        foreach (var (method, path, body) in new (HttpMethod, string, object)[]
        {
            (HttpMethod.Post, "users", new { email = "x@example.com" }), (HttpMethod.Patch, $"users/{user.User.Id}", new { role = "ADMIN" }), (HttpMethod.Patch, $"users/{admin.User.Id}", new { language = "de" }),
            (HttpMethod.Delete, $"users/{viewer.User.Id}", new { }), (HttpMethod.Post, "teams", new { name = "Another's", ownerId = admin.User.Id }), (HttpMethod.Post, "work/claim", new { worker = "w" }),
        })
            await user.ProblemAsync(HttpStatusCode.Forbidden, method, path, body);
    }

    [Fact]
    public async Task Teams_have_members_and_keep_an_owner()
    {
        var admin = await server.SignInAsync();
        var user = await server.SignInAsync(UserRole.User, admin.Tenant);
        var team = $"teams/{(await admin.PostAsync("teams", new { name = "Ops" }, HttpStatusCode.Created)).GetProperty("id").GetString()}";

        await admin.SendAsync(HttpMethod.Put, $"{team}/members/{user.User.Id}", new { role = "MEMBER" }, HttpStatusCode.NoContent);
        var members = (await admin.GetAsync($"{team}/members")).GetProperty("items").EnumerateArray().Select(m => (m.GetProperty("userId").GetString(), m.GetProperty("role").GetString()));
        Assert.Equal([(admin.User.Id.ToString(), "OWNER"), (user.User.Id.ToString(), "MEMBER")], members);

        await admin.ProblemAsync(HttpStatusCode.Conflict, HttpMethod.Delete, $"{team}/members/{admin.User.Id}");
        await admin.SendAsync(HttpMethod.Delete, $"{team}/members/{user.User.Id}", expected: HttpStatusCode.NoContent);
        await admin.ProblemAsync(HttpStatusCode.NotFound, HttpMethod.Delete, $"{team}/members/{user.User.Id}");
        Assert.Equal("Operations", (await admin.SendAsync(HttpMethod.Patch, team, new { name = "Operations" })).GetProperty("name").GetString());
        Assert.Single((await admin.GetAsync("teams")).GetProperty("items").EnumerateArray());
        await admin.SendAsync(HttpMethod.Delete, team, expected: HttpStatusCode.NoContent);
        await admin.ProblemAsync(HttpStatusCode.NotFound, HttpMethod.Get, $"{team}/members");
    }

    [Fact]
    public async Task A_key_acts_for_its_user_within_its_scopes_and_is_refused_when_it_was_used_too_often()
    {
        var admin = await server.SignInAsync();
        var workflow = await admin.CreateWorkflowAsync();
        var read = await KeyAsync(new { name = "Dashboard", scopes = new[] { "READ" }, rateLimit = 5 });
        var work = await KeyAsync(new { name = "Worker", scopes = new[] { "WORK" } });

        Assert.Equal(HttpStatusCode.OK, (await SendAsync(read, HttpMethod.Get, $"workflows/{workflow}")).Status);
        Assert.Equal(HttpStatusCode.Forbidden, (await SendAsync(read, HttpMethod.Post, "executions", new { workflowId = workflow })).Status);
        Assert.Equal(HttpStatusCode.Forbidden, (await SendAsync(read, HttpMethod.Post, "work/claim", new { worker = "w" })).Status);
        Assert.Equal(HttpStatusCode.Forbidden, (await SendAsync(read, HttpMethod.Post, "auth/password", new { current = "x", password = "long enough" })).Status);
        Assert.Equal(HttpStatusCode.Forbidden, (await SendAsync(read, HttpMethod.Post, "users", new { email = "x@example.com" })).Status);
        var (status, body, retryAfter) = await SendAsync(read, HttpMethod.Get, "auth/me");
        Assert.Equal((HttpStatusCode.TooManyRequests, true), (status, retryAfter > TimeSpan.Zero));
        Assert.Contains("urn:flowstone:rate-limit", body, StringComparison.Ordinal);

        Assert.Equal(HttpStatusCode.OK, (await SendAsync(work, HttpMethod.Post, "work/claim", new { worker = "w" })).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await SendAsync(work, HttpMethod.Get, $"workflows/{workflow}")).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await SendAsync(work + "x", HttpMethod.Get, "auth/me")).Status);

        var listed = (await admin.GetAsync("api-keys")).GetProperty("items").EnumerateArray().ToList();
        Assert.Equal(["Worker", "Dashboard"], listed.Select(k => k.GetProperty("name").GetString()));
        Assert.DoesNotContain("hash", listed[0].ToString(), StringComparison.OrdinalIgnoreCase);
        await admin.SendAsync(HttpMethod.Delete, $"api-keys/{listed[0].GetProperty("id").GetString()}", expected: HttpStatusCode.NoContent);
        Assert.Equal(HttpStatusCode.Unauthorized, (await SendAsync(work, HttpMethod.Get, "auth/me")).Status);

        async Task<string> KeyAsync(object request) => (await admin.PostAsync("api-keys", request, HttpStatusCode.Created)).GetProperty("key").GetString()!;
        async Task<(HttpStatusCode Status, string Body, TimeSpan? RetryAfter)> SendAsync(string key, HttpMethod method, string path, object? body = null)
        {
            using var http = await server.AnonymousAsync();
            http.DefaultRequestHeaders.Add("X-Api-Key", key);
            using var request = new HttpRequestMessage(method, $"/api/v1/{path}") { Content = body is null ? null : System.Net.Http.Json.JsonContent.Create(body) };
            using var response = await http.SendAsync(request);
            return (response.StatusCode, await response.Content.ReadAsStringAsync(), response.Headers.RetryAfter?.Delta);
        }
    }
}
