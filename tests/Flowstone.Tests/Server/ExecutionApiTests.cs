using System.Net;
using System.Text.Json;

namespace Flowstone.Tests.Server;

[Collection<ServerTests>]
public sealed class ExecutionApiTests(TestServer server)
{
    [Fact]
    public async Task A_worker_in_any_language_runs_an_execution_to_its_end()
    {
        var user = await server.SignInAsync();
        var id = await user.StartAsync(await user.CreateWorkflowAsync(), new { order = 17 });

        var item = Assert.Single((await user.PostAsync("work/claim", new { worker = "w1", leaseMs = 60_000 })).GetProperty("items").EnumerateArray());
        var lease = item.GetProperty("lease");
        Assert.Equal((id, "RUNNING", 1), (item.GetProperty("execution").GetProperty("id").GetString(), item.GetProperty("execution").GetProperty("status").GetString(), lease.GetProperty("fence").GetInt32()));
        Assert.Empty((await user.PostAsync("work/claim", new { worker = "w2" })).GetProperty("items").EnumerateArray());

        var started = DateTimeOffset.Parse("2026-01-01T12:00:00+02:00", null);
        await RecordAsync(new { lease, starts = new[] { new { nodeId = "n0", input = (object)new { order = 17 }, startedAt = started } } });
        await RecordAsync(new
        {
            lease,
            starts = new object[] { new { nodeId = "n1" }, new { nodeId = "n2", attempt = 2 } },
            finishes = new object[]
            {
                new { nodeId = "n0", status = "SUCCESS", output = new { total = 3 }, finishedAt = started.AddMilliseconds(840) },
                new { nodeId = "n1", status = "FAILED", error = "no route", reason = "HTTP_503" },
            },
        });
        Assert.Empty((await user.PostAsync("work/renew", new { leases = new[] { lease } })).GetProperty("lost").EnumerateArray());
        await user.PostAsync("work/finish", new { lease, status = "FAILED", error = "no route", output = new { total = 3 } }, HttpStatusCode.NoContent);

        var timeline = await user.GetAsync($"executions/{id}/timeline");
        var execution = timeline.GetProperty("execution");
        Assert.Equal(("FAILED", "no route", 1), (execution.GetProperty("status").GetString(), execution.GetProperty("error").GetString(), execution.GetProperty("claims").GetInt32()));
        Assert.True(execution.GetProperty("durationMs").GetDouble() >= 0);
        var steps = timeline.GetProperty("steps").EnumerateArray().ToList();
        Assert.Equal([("n0", "SUCCESS"), ("n1", "FAILED"), ("n2", "CANCELLED")], steps.Select(s => (s.GetProperty("nodeId").GetString(), s.GetProperty("execution").GetProperty("status").GetString())));
        Assert.Equal(840, steps[0].GetProperty("execution").GetProperty("durationMs").GetDouble());
        Assert.Equal(3, (await user.GetAsync($"executions/{id}/nodes")).GetProperty("items").GetArrayLength());
        Assert.Equal(steps[0].GetProperty("execution").GetProperty("outputRef").GetString(), execution.GetProperty("outputRef").GetString());

        // The lease ended with the execution.
        await user.ProblemAsync(HttpStatusCode.Conflict, HttpMethod.Post, "work/finish", new { lease, status = "SUCCESS" });
        await user.ProblemAsync(HttpStatusCode.Conflict, HttpMethod.Post, "work/nodes", new { lease, starts = new[] { new { nodeId = "n0", attempt = 9 } } });
        Assert.Equal(id, Assert.Single((await user.PostAsync("work/renew", new { leases = new[] { lease } })).GetProperty("lost").EnumerateArray()).GetString());

        Task RecordAsync(object body) => user.PostAsync("work/nodes", body, HttpStatusCode.NoContent);
    }

    [Fact]
    public async Task Work_is_only_that_of_the_callers_tenant()
    {
        var (mine, theirs) = (await server.SignInAsync(), await server.SignInAsync());
        await theirs.StartAsync(await theirs.CreateWorkflowAsync());
        Assert.Empty((await mine.PostAsync("work/claim", new { worker = "w", limit = 1000 })).GetProperty("items").EnumerateArray());

        var lease = (await theirs.PostAsync("work/claim", new { worker = "w" })).GetProperty("items")[0].GetProperty("lease");
        await mine.ProblemAsync(HttpStatusCode.NotFound, HttpMethod.Post, "work/nodes", new { lease, starts = new[] { new { nodeId = "n0" } } });
        await mine.ProblemAsync(HttpStatusCode.Conflict, HttpMethod.Post, "work/finish", new { lease, status = "SUCCESS" });
        Assert.Single((await mine.PostAsync("work/renew", new { leases = new[] { lease } })).GetProperty("lost").EnumerateArray());
        await theirs.PostAsync("work/finish", new { lease, status = "SUCCESS" }, HttpStatusCode.NoContent);
    }

    [Fact]
    public async Task Wrong_work_is_refused_by_field()
    {
        var user = await server.SignInAsync();
        await user.StartAsync(await user.CreateWorkflowAsync());
        var lease = (await user.PostAsync("work/claim", new { worker = "w" })).GetProperty("items")[0].GetProperty("lease");

        Assert.Equal(["worker"], await FieldsAsync("work/claim", new { worker = "" }));
        Assert.Equal(["worker"], await FieldsAsync("work/claim", new { limit = 1 }));
        Assert.Equal(["leaseMs"], await FieldsAsync("work/claim", new { worker = "w", leaseMs = 5 }));
        Assert.Equal(["limit"], await FieldsAsync("work/claim", new { worker = "w", limit = 1001 }));
        Assert.Equal(["status"], await FieldsAsync("work/finish", new { lease, status = "RUNNING" }));
        Assert.Equal(["starts[0].nodeId"], await FieldsAsync("work/nodes", new { lease, starts = new[] { new { nodeId = "nowhere" } } }));
        Assert.Equal(["finishes[0].status"], await FieldsAsync("work/nodes", new { lease, finishes = new[] { new { nodeId = "n0", status = "DONE" } } }));

        async Task<IEnumerable<string>> FieldsAsync(string path, object body)
            => TestClient.Fields(await user.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Post, path, body));
    }

    [Fact]
    public async Task A_payload_comes_back_byte_for_byte_and_no_browser_shows_it()
    {
        var user = await server.SignInAsync();
        const string Input = """{ "big": 12345678901234567890.10, "text":"\ud800 \u0000 <script>", "a":1, "a":2 }""";
        var body = $$"""{"workflowId":"{{await user.CreateWorkflowAsync()}}","input":{{Input}},"dueAt":"2026-01-01T10:00:00+05:00"}""";
        var execution = await user.PostAsync("executions", body, HttpStatusCode.Created);
        Assert.Equal("2026-01-01T05:00:00+00:00", execution.GetProperty("dueAt").GetString());
        Assert.Matches("^00[0-9a-f]{32}$", execution.GetProperty("inputRef").GetString());
        var path = $"/api/v1/executions/{execution.GetProperty("id").GetString()}/payloads/";

        using var payload = await user.Http.GetAsync(path + execution.GetProperty("inputRef").GetString());
        Assert.Equal(Input, await payload.Content.ReadAsStringAsync());
        Assert.Equal("application/json", payload.Content.Headers.ContentType?.MediaType);
        Assert.Equal("nosniff", Assert.Single(payload.Headers.GetValues("X-Content-Type-Options")));
        Assert.Equal("attachment", payload.Content.Headers.ContentDisposition?.DispositionType);
        await user.ProblemAsync(HttpStatusCode.NotFound, HttpMethod.Get, path + new string('0', 34));
        Assert.Equal(["payload"], TestClient.Fields(await user.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Get, path + "xyz")));
    }

    [Fact]
    public async Task Executions_are_listed_filtered_and_cancelled()
    {
        var user = await server.SignInAsync();
        var (first, second) = (await user.CreateWorkflowAsync("First"), await user.CreateWorkflowAsync("Second"));
        var ids = new List<string>();
        for (var i = 0; i < 5; i++)
            ids.Add(await user.StartAsync(i < 4 ? first : second));

        Assert.Equal(ids.Order(), (await WorkflowApiTests.WalkAsync(user, "executions?limit=2")).Select(Id).Order());
        Assert.Equal(ids[4], Id(Assert.Single((await user.GetAsync($"executions?workflowId={second}")).GetProperty("items").EnumerateArray())));

        Assert.Equal("CANCELLED", (await user.PostAsync($"executions/{ids[0]}/cancel", new { })).GetProperty("status").GetString());
        await user.ProblemAsync(HttpStatusCode.Conflict, HttpMethod.Post, $"executions/{ids[0]}/cancel");
        Assert.Equal(ids[0], Id(Assert.Single((await user.GetAsync("executions?status=CANCELLED")).GetProperty("items").EnumerateArray())));

        static string Id(JsonElement execution) => execution.GetProperty("id").GetString()!;
    }

    [Fact]
    public async Task A_certain_version_can_be_started_and_a_missing_one_cannot()
    {
        var user = await server.SignInAsync();
        var workflowId = await user.CreateWorkflowAsync();
        await user.SendAsync(HttpMethod.Put, $"workflows/{workflowId}", new { definition = TestTenant.Definition("Two") }, ifMatch: "\"1\"");

        var execution = await user.PostAsync("executions", new { workflowId, version = 1, priority = -3, trigger = "SCHEDULE" }, HttpStatusCode.Created);
        Assert.Equal((1, -3, "SCHEDULE", "PENDING"), (execution.GetProperty("workflowVersion").GetInt32(), execution.GetProperty("priority").GetInt32(), execution.GetProperty("trigger").GetString(), execution.GetProperty("status").GetString()));
        await user.ProblemAsync(HttpStatusCode.NotFound, HttpMethod.Post, "executions", new { workflowId, version = 3 });
        await user.ProblemAsync(HttpStatusCode.NotFound, HttpMethod.Post, "executions", new { workflowId = Guid.Empty });
    }
}
