using System.Net;
using System.Text.Json;

namespace Flowstone.Tests.Server;

/// <summary>What workers in other languages do in batches, and how they leave an execution before its end.</summary>
[Collection<ServerTests>]
public sealed class WorkApiTests(TestServer server)
{
    [Fact]
    public async Task Several_executions_are_recorded_and_finished_in_one_call_each_with_an_answer_of_its_own()
    {
        var user = await server.SignInAsync();
        var leases = await ClaimAsync(user, count: 3);
        await user.PostAsync("work/finish", new { lease = leases[1], status = "SUCCESS" }, HttpStatusCode.NoContent);

        var recorded = await user.PostAsync("work/nodes", new
        {
            items = new object[]
            {
                new { lease = leases[0], starts = new[] { new { nodeId = "n0" } }, finishes = new[] { new { nodeId = "n0", status = "SUCCESS", output = 1 } } },
                new { lease = leases[1], starts = new[] { new { nodeId = "n0" } } },
                new { lease = leases[2], starts = new[] { new { nodeId = "nowhere" } } },
            },
        });
        Assert.Equal([null, 409, 400], Statuses(recorded));
        Assert.Equal(leases.Select(Id), recorded.GetProperty("items").EnumerateArray().Select(item => item.GetProperty("executionId").GetString()));
        Assert.Equal(["starts[0].nodeId"], recorded.GetProperty("items")[2].GetProperty("problem").GetProperty("errors").EnumerateObject().Select(field => field.Name));
        Assert.Equal("SUCCESS", (await user.GetAsync($"executions/{Id(leases[0])}/nodes")).GetProperty("items")[0].GetProperty("status").GetString());

        var finished = await user.PostAsync("work/finish", new { items = leases.Select(lease => new { lease, status = "SUCCESS" }) });
        Assert.Equal([null, 409, null], Statuses(finished));
        foreach (var lease in leases)
            Assert.Equal("SUCCESS", (await user.GetAsync($"executions/{Id(lease)}")).GetProperty("status").GetString());
    }

    [Fact]
    public async Task One_lease_or_items_and_no_execution_twice()
    {
        var user = await server.SignInAsync();
        var lease = (await ClaimAsync(user, count: 1))[0];
        var item = new { lease, starts = new[] { new { nodeId = "n0" } } };

        Assert.Equal(["lease"], TestClient.Fields(await user.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Post, "work/nodes", new { lease, items = new[] { item } })));
        Assert.Equal(["items"], TestClient.Fields(await user.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Post, "work/nodes", new { items = new[] { item, item } })));
        Assert.Equal(["items[0]"], TestClient.Fields(await user.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Post, "work/finish", """{"items":[null]}""")));
        Assert.Equal(["status"], TestClient.Fields(await user.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Post, "work/finish", new { lease })));
    }

    [Fact]
    public async Task A_claim_waits_for_work_as_long_as_it_is_told()
    {
        var user = await server.SignInAsync();
        var workflow = await user.CreateWorkflowAsync();
        Assert.Empty((await user.PostAsync("work/claim", new { worker = "w", waitMs = 200 })).GetProperty("items").EnumerateArray());

        var claiming = user.PostAsync("work/claim", new { worker = "w", waitMs = 30_000 });
        await Task.Delay(300);
        Assert.False(claiming.IsCompleted);
        var id = await user.StartAsync(workflow);

        var item = Assert.Single((await claiming.WaitAsync(TimeSpan.FromSeconds(20))).GetProperty("items").EnumerateArray());
        Assert.Equal(id, item.GetProperty("execution").GetProperty("id").GetString());
        Assert.Equal(["waitMs"], TestClient.Fields(await user.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Post, "work/claim", new { worker = "w", waitMs = 30_001 })));
    }

    [Fact]
    public async Task A_worker_that_leaves_releases_gives_back_or_waits()
    {
        var user = await server.SignInAsync();
        var lease = (await ClaimAsync(user, count: 1))[0];

        await user.PostAsync("work/release", new { lease }, HttpStatusCode.NoContent);
        await user.ProblemAsync(HttpStatusCode.Conflict, HttpMethod.Post, "work/release", new { lease });
        lease = Assert.Single(await NextAsync(user));
        Assert.Equal(2, lease.GetProperty("fence").GetInt32());

        await user.PostAsync("work/give-back", new { lease, error = "The mail server is away.", delayMs = 0 }, HttpStatusCode.NoContent);
        lease = Assert.Single(await NextAsync(user));

        await user.PostAsync("work/wait", new { lease, signal = "approved" }, HttpStatusCode.NoContent);
        Assert.Equal("WAITING", (await user.GetAsync($"executions/{Id(lease)}")).GetProperty("status").GetString());
        Assert.Empty(await NextAsync(user));
        await user.ProblemAsync(HttpStatusCode.Conflict, HttpMethod.Post, "work/wait", new { lease, signal = "approved" });
    }

    static async Task<List<JsonElement>> ClaimAsync(TestClient user, int count)
    {
        var workflow = await user.CreateWorkflowAsync();
        for (var i = 0; i < count; i++)
            await user.StartAsync(workflow);
        var leases = await NextAsync(user);
        Assert.Equal(count, leases.Count);
        return leases;
    }

    static async Task<List<JsonElement>> NextAsync(TestClient user)
        => [.. (await user.PostAsync("work/claim", new { worker = "w" })).GetProperty("items").EnumerateArray().Select(item => item.GetProperty("lease"))];

    static IEnumerable<int?> Statuses(JsonElement answer)
        => answer.GetProperty("items").EnumerateArray().Select(item => item.GetProperty("problem") is { ValueKind: JsonValueKind.Object } problem ? problem.GetProperty("status").GetInt32() : (int?)null);

    static string? Id(JsonElement lease) => lease.GetProperty("executionId").GetString();
}
