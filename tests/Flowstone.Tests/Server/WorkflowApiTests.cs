using System.Net;

namespace Flowstone.Tests.Server;

[Collection<ServerTests>]
public sealed class WorkflowApiTests(TestServer server, TestDatabase database)
{
    [Fact]
    public async Task Definitions_may_be_as_large_as_the_operator_says_and_bodies_a_little_larger()
    {
        var user = await server.SignInAsync();
        await using var limited = TestServer.Build(database.AppConnectionString(), builder => builder.Configuration["FLOWSTONE_MAX_DEFINITION_BYTES"] = "100000");
        await limited.StartAsync();
        using var http = new HttpClient { BaseAddress = new Uri(limited.Urls.First()), DefaultRequestHeaders = { Authorization = user.Http.DefaultRequestHeaders.Authorization, ExpectContinue = true } };
        var other = user with { Http = http };
        var large = new { definition = TestTenant.Definition(nodes: 1, note: new string('x', 120_000)) };

        var refused = await other.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Post, "workflows", large);
        Assert.Contains("at most 100,000 are allowed", refused.GetProperty("errors").GetProperty("definition")[0].GetString());
        var body = await other.ProblemAsync(HttpStatusCode.RequestEntityTooLarge, HttpMethod.Post, "workflows", new { definition = TestTenant.Definition(nodes: 1, note: new string('x', 1_200_000)) });
        Assert.Equal("The request's body is larger than the 1,148,576 bytes that are allowed here.", body.GetProperty("detail").GetString());
        Assert.Empty((await user.GetAsync("workflows")).GetProperty("items").EnumerateArray());
        await user.PostAsync("workflows", large, HttpStatusCode.Created);
    }

    [Fact]
    public async Task A_save_needs_the_version_that_was_edited_and_a_lost_race_tells_the_current_one()
    {
        var user = await server.SignInAsync();
        var path = $"workflows/{await user.CreateWorkflowAsync()}";
        using var got = await user.Http.GetAsync(TestClient.Api(path));
        Assert.Equal("\"1\"", got.Headers.ETag?.Tag);
        var edited = new { definition = TestTenant.Definition("Edited"), message = "renamed" };

        Assert.Equal("urn:flowstone:precondition-required", (await user.ProblemAsync(HttpStatusCode.PreconditionRequired, HttpMethod.Put, path, edited)).GetProperty("type").GetString());
        Assert.Equal(["If-Match"], TestClient.Fields(await user.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Put, path, edited, "nonsense")));
        Assert.Equal(2, (await user.SendAsync(HttpMethod.Put, path, edited, ifMatch: "\"1\"")).GetProperty("version").GetInt32());

        var lost = await user.ProblemAsync(HttpStatusCode.PreconditionFailed, HttpMethod.Put, path, new { definition = TestTenant.Definition("Mine") }, "\"1\"");
        Assert.Equal(("urn:flowstone:version-conflict", 2), (lost.GetProperty("type").GetString(), lost.GetProperty("currentVersion").GetInt32()));
        var conflict = Assert.Single(lost.GetProperty("conflicts").EnumerateArray());
        Assert.Equal(("FIELD", "/name", "Test", "Edited", "Mine"), (conflict.GetProperty("kind").GetString(), conflict.GetProperty("path").GetString(),
            conflict.GetProperty("base").GetString(), conflict.GetProperty("theirs").GetString(), conflict.GetProperty("mine").GetString()));
        Assert.Equal((1, "Edited"), (lost.GetProperty("basedOn").GetInt32(), lost.GetProperty("theirs").GetProperty("fields")[0].GetProperty("after").GetString()));
        Assert.Equal(3, (await user.SendAsync(HttpMethod.Put, path, new { definition = TestTenant.Definition("Mine") }, ifMatch: "*")).GetProperty("version").GetInt32());
        Assert.Equal(3, (await user.SendAsync(HttpMethod.Put, path, new { definition = TestTenant.Definition("Mine") }, ifMatch: "W/\"3\"")).GetProperty("version").GetInt32());
    }

    [Fact]
    public async Task A_late_save_of_something_else_is_merged_and_says_so()
    {
        var user = await server.SignInAsync();
        var path = $"workflows/{await user.CreateWorkflowAsync()}";
        await user.SendAsync(HttpMethod.Put, path, new { definition = TestTenant.Definition(nodes: 4) }, ifMatch: "\"1\"");

        var saved = await user.SendAsync(HttpMethod.Put, path, new { definition = TestTenant.Definition("Mine") }, ifMatch: "\"1\"");

        Assert.Equal((3, true), (saved.GetProperty("version").GetInt32(), saved.GetProperty("merged").GetBoolean()));
        var definition = saved.GetProperty("definition");
        Assert.Equal(("Mine", 4), (definition.GetProperty("name").GetString(), definition.GetProperty("nodes").GetArrayLength()));
        var version = await user.GetAsync($"{path}/versions/3");
        Assert.Equal((1, 2), (version.GetProperty("basedOn").GetInt32(), version.GetProperty("parent").GetInt32()));
        Assert.False((await user.SendAsync(HttpMethod.Put, path, new { definition = TestTenant.Definition("Next") }, ifMatch: "\"3\"")).TryGetProperty("definition", out _));
    }

    [Fact]
    public async Task Versions_are_compared_restored_blamed_and_published()
    {
        var user = await server.SignInAsync();
        var path = $"workflows/{await user.CreateWorkflowAsync()}";
        await user.SendAsync(HttpMethod.Put, path, new { definition = TestTenant.Definition("Renamed", 4) }, ifMatch: "\"1\"");

        var diff = await user.GetAsync($"{path}/diff");
        Assert.Equal((1, 2), (diff.GetProperty("from").GetInt32(), diff.GetProperty("to").GetInt32()));
        Assert.Equal("n3", Assert.Single(diff.GetProperty("diff").GetProperty("nodesAdded").EnumerateArray()).GetProperty("id").GetString());
        await user.ProblemAsync(HttpStatusCode.NotFound, HttpMethod.Get, $"{path}/diff?from=1&to=7");
        Assert.Equal(2, (await user.GetAsync($"{path}/blame")).GetProperty("n3").GetProperty("version").GetInt32());

        Assert.Equal(1, (await user.SendAsync(HttpMethod.Post, $"{path}/publish", new { version = 1 })).GetProperty("publishedVersion").GetInt32());
        Assert.Equal(3, (await user.SendAsync(HttpMethod.Post, $"{path}/versions/1/restore")).GetProperty("version").GetInt32());
        await user.SendAsync(HttpMethod.Post, $"{path}/unpublish");
        Assert.Equal([2, 1], (await WalkAsync(user, $"{path}/publications?limit=1")).Select(p => p.GetProperty("number").GetInt32()));

        var broken = new { name = "Broken", nodes = new[] { new { id = "a", name = "A", type = "t", parameters = new { x = "={{ $('No') }}" } } } };
        var warned = await user.SendAsync(HttpMethod.Put, path, new { definition = broken }, ifMatch: "\"3\"");
        Assert.Equal("UNKNOWN_REFERENCE", Assert.Single(warned.GetProperty("warnings").EnumerateArray()).GetProperty("code").GetString());
        Assert.Single((await user.GetAsync($"{path}/issues")).EnumerateArray());
        Assert.Equal(["nodes[0].parameters.x"], TestClient.Fields(await user.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Post, $"{path}/publish", new { })));
    }

    [Fact]
    public async Task Every_version_can_be_read()
    {
        var user = await server.SignInAsync();
        var path = $"workflows/{await user.CreateWorkflowAsync("One")}";
        for (var i = 2; i <= 5; i++)
            await user.SendAsync(HttpMethod.Put, path, new { definition = TestTenant.Definition($"Name {i}"), message = $"change {i}" }, ifMatch: $"\"{i - 1}\"");

        Assert.Equal([5, 4, 3, 2, 1], (await WalkAsync(user, $"{path}/versions?limit=2")).Select(v => v.GetProperty("number").GetInt32()));
        var version = await user.GetAsync($"{path}/versions/2");
        Assert.Equal(("Name 2", "change 2"), (version.GetProperty("definition").GetProperty("name").GetString(), version.GetProperty("message").GetString()));
        Assert.Matches("^[0-9a-f]{64}$", version.GetProperty("hash").GetString());
        await user.ProblemAsync(HttpStatusCode.NotFound, HttpMethod.Get, $"{path}/versions/6");
        await user.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Get, $"{path}/versions/x");
    }

    [Fact]
    public async Task Pages_repeat_nothing_and_skip_nothing()
    {
        var user = await server.SignInAsync();
        var ids = new List<string>();
        for (var i = 0; i < 7; i++)
            ids.Add(await user.CreateWorkflowAsync($"W{i}"));

        foreach (var limit in new[] { 1, 3, 7, 200 })
            Assert.Equal(ids.Order(), (await WalkAsync(user, $"workflows?limit={limit}")).Select(w => w.GetProperty("id").GetString()!).Order());
    }

    [Theory]
    [InlineData("limit=0", "limit")]
    [InlineData("limit=201", "limit")]
    [InlineData("limit=many", "limit")]
    [InlineData("cursor=!!!", "cursor")]
    [InlineData("cursor=bm9uc2Vuc2U", "cursor")]
    [InlineData("status=NONE", "status")]
    public async Task A_wrong_question_is_refused_by_field(string query, string field)
        => Assert.Equal([field], TestClient.Fields(await (await server.SignInAsync()).ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Get, $"workflows?{query}")));

    [Fact]
    public async Task Filters_and_states()
    {
        var user = await server.SignInAsync();
        var invoices = await user.CreateWorkflowAsync("Send invoices");
        await user.CreateWorkflowAsync("Backup");

        var changed = await user.SendAsync(HttpMethod.Patch, $"workflows/{invoices}", new { status = "ACTIVE", visibility = "PUBLIC" });
        Assert.Equal(("ACTIVE", "PUBLIC"), (changed.GetProperty("status").GetString(), changed.GetProperty("visibility").GetString()));
        foreach (var query in new[] { "status=ACTIVE", "search=INVOICE" })
            Assert.Equal(invoices, Assert.Single((await user.GetAsync($"workflows?{query}")).GetProperty("items").EnumerateArray()).GetProperty("id").GetString());

        await user.StartAsync(invoices);
        await user.SendAsync(HttpMethod.Delete, $"workflows/{invoices}", expected: HttpStatusCode.NoContent);
        await user.ProblemAsync(HttpStatusCode.NotFound, HttpMethod.Get, $"workflows/{invoices}");
        Assert.Equal(invoices, Assert.Single((await user.GetAsync("trash")).GetProperty("items").EnumerateArray()).GetProperty("id").GetString());
        await user.ProblemAsync(HttpStatusCode.Conflict, HttpMethod.Delete, $"trash/{invoices}");
        await user.SendAsync(HttpMethod.Post, $"trash/{invoices}/restore");
        Assert.Equal("Send invoices", (await user.GetAsync($"workflows/{invoices}")).GetProperty("name").GetString());
        await user.SendAsync(HttpMethod.Delete, $"workflows/{await user.CreateWorkflowAsync()}", expected: HttpStatusCode.NoContent);
    }

    [Fact]
    public async Task Another_tenants_rows_look_like_absent_ones()
    {
        var (mine, theirs) = (await server.SignInAsync(), await server.SignInAsync());
        var workflow = await theirs.CreateWorkflowAsync();
        var execution = await theirs.StartAsync(workflow, new { secret = 1 });
        var absent = Guid.Parse("01900000-0000-7000-8000-000000000001");

        foreach (var (path, id) in new[] { ("workflows/{0}", workflow), ("workflows/{0}/versions", workflow), ("executions/{0}", execution), ("executions/{0}/timeline", execution), ("executions/{0}/nodes", execution), ("users/{0}", theirs.User.Id.ToString()) })
            Assert.Equal(await BodyAsync(path, absent.ToString()), await BodyAsync(path, id));
        await mine.ProblemAsync(HttpStatusCode.NotFound, HttpMethod.Post, "executions", new { workflowId = workflow });
        await mine.ProblemAsync(HttpStatusCode.NotFound, HttpMethod.Post, $"executions/{execution}/cancel");
        await mine.ProblemAsync(HttpStatusCode.NotFound, HttpMethod.Put, $"workflows/{workflow}", new { definition = TestTenant.Definition() }, "\"1\"");
        await mine.ProblemAsync(HttpStatusCode.NotFound, HttpMethod.Delete, $"workflows/{workflow}");
        Assert.Empty((await mine.GetAsync("executions")).GetProperty("items").EnumerateArray());

        async Task<string> BodyAsync(string path, string id)
            => (await mine.ProblemAsync(HttpStatusCode.NotFound, HttpMethod.Get, string.Format(null, path, id))).ToString().Replace(id, "ID", StringComparison.Ordinal);
    }

    internal static async Task<List<System.Text.Json.JsonElement>> WalkAsync(TestClient user, string path)
    {
        var all = new List<System.Text.Json.JsonElement>();
        string? cursor = null;
        do
        {
            var page = await user.GetAsync(cursor is null ? path : $"{path}&cursor={cursor}");
            all.AddRange(page.GetProperty("items").EnumerateArray());
            cursor = page.GetProperty("nextCursor").GetString();
        }
        while (cursor is not null);
        return all;
    }
}
