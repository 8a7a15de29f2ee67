using System.Net;
using System.Text.Json;

namespace Flowstone.Tests.Server;

[Collection<ServerTests>]
public sealed class ExecutionSearchApiTests(TestServer server)
{
    [Fact]
    public async Task Executions_are_found_by_what_is_asked_and_counted_if_asked()
    {
        var user = await server.SignInAsync();
        var workflow = await user.CreateWorkflowAsync();
        var declared = new { customer = "TEXT", amount = "NUMBER", placed = "TIME" };
        Assert.Equal("NUMBER", (await user.SendAsync(HttpMethod.Put, $"workflows/{workflow}/search-attributes", declared)).GetProperty("amount").GetString());
        Assert.Equal(3, (await user.GetAsync($"workflows/{workflow}/search-attributes")).EnumerateObject().Count());
        var ids = new List<string>();
        for (var i = 0; i < 4; i++)
            ids.Add(Id(await user.PostAsync("executions", new { workflowId = workflow, attributes = new { customer = "acme & co", amount = i, placed = "2026-01-31T12:00:00Z" } }, HttpStatusCode.Created)));
        await user.FinishNextAsync("FAILED", "The order was refused");

        var failed = Assert.Single(await ItemsAsync("status=FAILED&status=TIMEOUT&error=ORDER%20was"));
        Assert.Equal(failed, Assert.Single(await ItemsAsync("retryable=true")));
        Assert.Equal(3, (await ItemsAsync("status=PENDING&status=RUNNING")).Count);
        Assert.Equal(4, (await ItemsAsync($"startedBy={user.User.Id}&trigger=API&from=2026-01-01T00:00:00Z")).Count);
        Assert.Empty(await ItemsAsync("to=2026-01-01T00:00:00Z"));
        Assert.Empty(await ItemsAsync($"parentId={ids[0]}"));
        Assert.Equal([ids[3], ids[2]], (await ItemsAsync($"workflowId={workflow}&attribute=customer%3Dacme%20%26%20co&attribute=amount%3E%3D2")).OrderByDescending(id => ids.IndexOf(id)));

        Assert.Equal(JsonValueKind.Null, (await user.GetAsync("executions")).GetProperty("total").ValueKind);
        Assert.Equal((4, "EXACT"), Total(await user.GetAsync("executions?limit=1&count=exact")));
        Assert.Equal((4, "ESTIMATE"), Total(await user.GetAsync("executions?limit=1&count=estimated")));

        await user.SendAsync(HttpMethod.Patch, $"executions/{ids[0]}/attributes", new { amount = 7.5 });
        var attributes = await user.GetAsync($"executions/{ids[0]}/attributes");
        Assert.Equal(("acme & co", 7.5, "2026-01-31T12:00:00+00:00"), (attributes.GetProperty("customer").GetString(), attributes.GetProperty("amount").GetDouble(), attributes.GetProperty("placed").GetString()));

        Assert.Equal(["status"], await FieldsAsync(HttpMethod.Get, "executions?status=DONE"));
        Assert.Equal(["count"], await FieldsAsync(HttpMethod.Get, "executions?count=all"));
        Assert.Equal(["attribute"], await FieldsAsync(HttpMethod.Get, $"executions?workflowId={workflow}&attribute=amount"));
        Assert.Equal(["workflowId"], await FieldsAsync(HttpMethod.Get, "executions?attribute=amount%3D1"));
        Assert.Equal(["attributes.amount"], await FieldsAsync(HttpMethod.Get, $"executions?workflowId={workflow}&attribute=amount%3Dmany"));
        Assert.Equal(["attributes.colour"], await FieldsAsync(HttpMethod.Post, "executions", new { workflowId = workflow, attributes = new { colour = "red" } }));
        Assert.Equal(["attributes.amount"], await FieldsAsync(HttpMethod.Patch, $"executions/{ids[0]}/attributes", new { amount = Array.Empty<int>() }));

        async Task<List<string>> ItemsAsync(string query) => [.. (await user.GetAsync($"executions?{query}")).GetProperty("items").EnumerateArray().Select(Id)];

        async Task<IEnumerable<string>> FieldsAsync(HttpMethod method, string path, object? body = null) => TestClient.Fields(await user.ProblemAsync(HttpStatusCode.BadRequest, method, path, body));

        static (int, string?) Total(JsonElement page) => (page.GetProperty("total").GetProperty("value").GetInt32(), page.GetProperty("total").GetProperty("kind").GetString());
    }

    [Fact]
    public async Task What_is_active_logs_and_statistics()
    {
        var user = await server.SignInAsync();
        var workflow = await user.CreateWorkflowAsync();
        for (var i = 0; i < 3; i++)
            await user.StartAsync(workflow);
        var finished = await user.FinishNextAsync("SUCCESS", error: null, nodes: ["n2", "n0", "n1"]);

        var active = await WorkflowApiTests.WalkAsync(user, "executions/active?limit=1");
        Assert.Equal(2, active.Count);
        Assert.All(active, a => Assert.Equal("PENDING", a.GetProperty("execution").GetProperty("status").GetString()));
        var logs = await WorkflowApiTests.WalkAsync(user, $"executions/{finished}/logs?limit=2");
        Assert.Equal(["n0", "n1", "n2"], logs.Select(step => step.GetProperty("nodeId").GetString()).Order());
        await user.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Get, $"executions/active?cursor={Convert.ToBase64String("1 9999999999999999999 x"u8)}");
        await user.ProblemAsync(HttpStatusCode.NotFound, HttpMethod.Get, $"executions/{Guid.Empty}/logs");

        var statistics = await user.GetAsync($"executions/statistics?workflowId={workflow}");
        Assert.Equal((1, 2), (statistics.GetProperty("counts").GetProperty("SUCCESS").GetInt32(), statistics.GetProperty("counts").GetProperty("PENDING").GetInt32()));
        Assert.Equal(1.0, statistics.GetProperty("successRate").GetDouble());
        Assert.True(statistics.GetProperty("durationMs").GetProperty("p99").GetDouble() >= 0);
        Assert.Equal(JsonValueKind.Null, (await user.GetAsync("executions/statistics?to=2026-01-01T00:00:00Z")).GetProperty("successRate").ValueKind);
    }

    static string Id(JsonElement execution) => execution.GetProperty("id").GetString()!;
}

static class TestWorker
{
    /// <summary>Claims one execution, records the nodes, and ends it.</summary>
    /// <returns>Its id.</returns>
    public static async Task<string> FinishNextAsync(this TestClient user, string status, string? error, params string[] nodes)
    {
        var lease = (await user.PostAsync("work/claim", new { worker = "test", limit = 1 })).GetProperty("items")[0].GetProperty("lease");
        if (nodes.Length > 0)
            await user.PostAsync("work/nodes", new { lease, starts = nodes.Select(nodeId => new { nodeId }), finishes = nodes.Select(nodeId => new { nodeId, status = "SUCCESS" }) }, HttpStatusCode.NoContent);
        await user.PostAsync("work/finish", new { lease, status, error }, HttpStatusCode.NoContent);
        return lease.GetProperty("executionId").GetString()!;
    }
}
