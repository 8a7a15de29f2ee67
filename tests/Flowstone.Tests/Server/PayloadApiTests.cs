using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;

namespace Flowstone.Tests.Server;

[Collection<ServerTests>]
public sealed class PayloadApiTests(TestServer server)
{
    [Fact]
    public async Task A_binary_of_7_MB_goes_in_under_a_lease_and_comes_back_as_it_was()
    {
        var user = await server.SignInAsync();
        var (id, lease) = await ClaimAsync(user);
        var picture = new byte[7_000_000];
        new Random(1).NextBytes(picture);

        var name = (await StoreAsync(user, lease, picture, "image/png")).GetProperty("ref").GetString()!;
        await user.PostAsync("work/nodes", new { lease, starts = new[] { new { nodeId = "n0", inputRef = name } }, finishes = new[] { new { nodeId = "n0", status = "SUCCESS", outputRef = name } } }, HttpStatusCode.NoContent);
        await user.PostAsync("work/finish", new { lease, status = "SUCCESS", outputRef = name }, HttpStatusCode.NoContent);

        Assert.Equal(name, (await user.GetAsync($"executions/{id}")).GetProperty("outputRef").GetString());
        using var response = await user.Http.GetAsync(TestClient.Api($"executions/{id}/payloads/{name}"));
        Assert.Equal("image/png", response.Content.Headers.ContentType!.MediaType);
        Assert.Equal(picture, await response.Content.ReadAsByteArrayAsync());
    }

    [Fact]
    public async Task A_name_that_is_none_and_a_stale_lease_are_refused()
    {
        var user = await server.SignInAsync();
        var (_, lease) = await ClaimAsync(user);

        var problem = await user.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Post, "work/nodes", new { lease, starts = new[] { new { nodeId = "n0", inputRef = new string('0', 34) } } });
        Assert.Equal(["starts[0].input"], TestClient.Fields(problem));
        await user.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Post, "work/finish", new { lease, status = "SUCCESS", outputRef = "nonsense" });
        await StoreAsync(user, lease, [1, 2, 3], "image/png", fence: 9, HttpStatusCode.Conflict);
        var other = await server.SignInAsync();
        await StoreAsync(other, lease, [1, 2, 3], "image/png", expected: HttpStatusCode.NotFound);
    }

    [Fact]
    public async Task A_policy_is_set_by_the_workflow_and_the_tenants_by_administrators()
    {
        var user = await server.SignInAsync();
        var workflow = await user.CreateWorkflowAsync();

        await user.SendAsync(HttpMethod.Put, "tenant/payload-policy", new { limitBytes = 100, overflow = "TRUNCATE" });
        await user.SendAsync(HttpMethod.Put, $"workflows/{workflow}/payload-policy", new { limitBytes = 200 });

        Assert.Equal("""{"seal":false,"limitBytes":100,"overflow":"TRUNCATE"}""", (await user.GetAsync("tenant/payload-policy")).GetRawText());
        Assert.Equal(200, (await user.GetAsync($"workflows/{workflow}/payload-policy")).GetProperty("limitBytes").GetInt64());
        var id = await user.StartAsync(workflow, new string('x', 500));
        var name = (await user.GetAsync($"executions/{id}")).GetProperty("inputRef").GetString();
        using var response = await user.Http.GetAsync(TestClient.Api($"executions/{id}/payloads/{name}"));
        Assert.Equal(("502", 200, "text/plain"), (response.Headers.GetValues("Flowstone-Whole-Size").Single(), (await response.Content.ReadAsByteArrayAsync()).Length, response.Content.Headers.ContentType!.MediaType));
        await user.SendAsync(HttpMethod.Put, $"workflows/{workflow}/payload-policy", new { limitBytes = 200, overflow = "REJECT" });
        Assert.Equal(["input"], TestClient.Fields(await user.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Post, "executions", new { workflowId = workflow, input = new string('x', 500) })));
        Assert.Equal(["overflow"], TestClient.Fields(await user.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Put, "tenant/payload-policy", new { overflow = "SPILL" })));
        await user.ProblemAsync(HttpStatusCode.NotFound, HttpMethod.Put, $"workflows/{Guid.Empty}/payload-policy", new { limitBytes = 200 });

        var writer = await server.SignInAsync(Flowstone.Users.UserRole.User, user.Tenant);
        await writer.ProblemAsync(HttpStatusCode.Forbidden, HttpMethod.Put, "tenant/payload-policy", new { limitBytes = 1 });
    }

    static async Task<(string Id, JsonElement Lease)> ClaimAsync(TestClient user)
    {
        var id = await user.StartAsync(await user.CreateWorkflowAsync());
        return (id, (await user.PostAsync("work/claim", new { worker = "w" })).GetProperty("items")[0].GetProperty("lease"));
    }

    static async Task<JsonElement> StoreAsync(TestClient user, JsonElement lease, byte[] body, string type, int? fence = null, HttpStatusCode expected = HttpStatusCode.OK)
    {
        using var content = new ByteArrayContent(body);
        content.Headers.ContentType = new MediaTypeHeaderValue(type);
        var path = $"work/payloads?executionId={lease.GetProperty("executionId")}&shardKey={lease.GetProperty("shardKey")}&fence={fence ?? lease.GetProperty("fence").GetInt32()}";
        using var response = await user.Http.PostAsync(TestClient.Api(path), content);
        return await TestClient.ReadAsync(response, expected);
    }
}
