using System.Net;
using System.Text.Json;
using Flowstone.Workflows;

namespace Flowstone.Tests.Server;

[Collection<ServerTests>]
public sealed class WorkflowListApiTests(TestServer server)
{
    [Theory]
    [InlineData("", 7)]
    [InlineData("sort=updated", 7)]
    [InlineData("search=flow", 7)]
    [InlineData("search=FLO%20even", 4)]
    [InlineData("search=even&sort=newest", 4)]
    [InlineData("tag=even&tag=third", 5)]
    [InlineData("category=Shop&status=DRAFT&visibility=PRIVATE&template=false", 4)]
    public async Task Lists_are_filtered_counted_and_paged_in_each_order(string query, int expected)
    {
        var user = await server.SignInAsync();
        for (var i = 0; i < 7; i++)
            await user.SendAsync(HttpMethod.Post, "workflows", new { definition = new { name = $"Flow {i}", nodes = Array.Empty<object>(), category = i % 2 == 0 ? "Shop" : null, tags = i % 2 == 0 ? ["even"] : i == 3 ? new[] { "third" } : [] } }, HttpStatusCode.Created);

        var (ids, cursor) = (new List<string>(), "");
        do
        {
            var page = await user.GetAsync($"workflows?{query}&limit=2&count=exact{cursor}");
            Assert.Equal(("EXACT", expected), (page.GetProperty("total").GetProperty("kind").GetString(), page.GetProperty("total").GetProperty("value").GetInt32()));
            ids.AddRange(page.GetProperty("items").EnumerateArray().Select(w => w.GetProperty("id").GetString()!));
            cursor = page.TryGetProperty("nextCursor", out var next) && next.ValueKind == JsonValueKind.String ? $"&cursor={next.GetString()}" : "";
        }
        while (cursor.Length > 0);
        Assert.Equal(expected, ids.Distinct().Count());
        Assert.Equal(expected, ids.Count);
    }

    [Theory]
    [InlineData("workflows?sort=oldest", "sort")]
    [InlineData("workflows?sort=relevance", "sort")]
    [InlineData("workflows?search=a&sort=updated", "sort")]
    [InlineData("workflows?status=GONE", "status")]
    [InlineData("workflows?count=some", "count")]
    [InlineData("workflows?sort=updated&cursor=dTEgeA", "cursor")]
    [InlineData("workflows/usage", "nodeType")]
    [InlineData("workflows/usage?nodeType=a&url=b", "nodeType")]
    public async Task What_is_wrong_is_named(string path, string field)
        => Assert.Equal([field], TestClient.Fields(await (await server.SignInAsync()).ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Get, path)));

    [Fact]
    public async Task Usage_templates_statistics_and_comments()
    {
        var user = await server.SignInAsync();
        var id = await user.CreateWorkflowAsync("Template");
        await user.Tenant.Scope.Workflows.SetAsync(new(Guid.Parse(id)), null, Visibility.Public);
        await user.SendAsync(HttpMethod.Patch, $"workflows/{id}", new { isTemplate = true });

        var use = Assert.Single((await user.GetAsync("workflows/usage?nodeType=test.node")).GetProperty("items").EnumerateArray());
        Assert.Equal((id, "Template", "n0"), (use.GetProperty("id").GetString(), use.GetProperty("name").GetString(), use.GetProperty("nodeIds")[0].GetString()));
        Assert.Equal(id, Assert.Single((await user.GetAsync("workflows/templates")).GetProperty("items").EnumerateArray()).GetProperty("id").GetString());
        Assert.Empty((await user.GetAsync("workflows/templates?category=Shop")).GetProperty("items").EnumerateArray());
        var figures = await user.GetAsync("workflows/statistics");
        Assert.Equal((1, 1, 1, 1, 0), (figures.GetProperty("total").GetInt32(), figures.GetProperty("byVisibility").GetProperty("PUBLIC").GetInt32(), figures.GetProperty("templates").GetInt32(),
            figures.GetProperty("versions").GetInt32(), figures.GetProperty("executions").GetProperty("total").GetInt32()));

        var comment = (await user.SendAsync(HttpMethod.Post, $"workflows/{id}/comments", new { text = "Why?", nodeId = "n0", x = 1, y = 2 }, HttpStatusCode.Created)).GetProperty("id").GetString();
        await user.SendAsync(HttpMethod.Patch, $"workflows/{id}/comments/{comment}", new { resolved = true });
        var listed = Assert.Single((await user.GetAsync($"workflows/{id}/comments?resolved=true&nodeId=n0")).GetProperty("items").EnumerateArray());
        Assert.Equal(("Why?", user.User.Id.ToString(), false), (listed.GetProperty("text").GetString(), listed.GetProperty("resolvedBy").GetString(), listed.GetProperty("nodeIsGone").GetBoolean()));
        Assert.Equal(["nodeId"], TestClient.Fields(await user.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Post, $"workflows/{id}/comments", new { text = "Why?", nodeId = "gone" })));
    }
}
