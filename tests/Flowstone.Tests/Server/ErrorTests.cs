using System.Net;
using System.Text;

namespace Flowstone.Tests.Server;

[Collection<ServerTests>]
public sealed class ErrorTests(TestServer server)
{
    [Fact]
    public async Task A_problem_has_this_shape()
    {
        var user = await server.SignInAsync();
        var problem = await user.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Post, "workflows", new { definition = new { nodes = Array.Empty<int>() } });
        Assert.Equal("""
            {"type":"urn:flowstone:invalid-input","title":"Invalid input","status":400,"detail":"Nothing was stored. See 'errors' for each field.","errors":{"definition.name":["is missing; a string is needed."]}}
            """, problem.ToString());
    }

    [Theory]
    [InlineData("""{"workflowId": """, "workflowId", "is not valid JSON at line 1")]
    [InlineData("""{"workflowId": "x"}""", "workflowId", "is not a UUID.")]
    [InlineData("""{"workflowId": 5}""", "workflowId", "is not a UUID.")]
    [InlineData("""{}""", "workflowId", "is missing.")]
    [InlineData("""{"workflowId": "01900000-0000-7000-8000-000000000001", "trigger": "NOPE"}""", "trigger", "must be one of MANUAL, API, WEBHOOK, SCHEDULE, RETRY, PARENT.")]
    [InlineData("""{"workflowId": "01900000-0000-7000-8000-000000000001", "trigger": 1}""", "trigger", "must be one of MANUAL")]
    [InlineData("""{"workflowId": "01900000-0000-7000-8000-000000000001", "priority": 100000}""", "priority", "must be a whole number")]
    [InlineData("""{"workflowId": "01900000-0000-7000-8000-000000000001", "priority": "1"}""", "priority", "must be a whole number")]
    [InlineData("""{"workflowId": "01900000-0000-7000-8000-000000000001", "dueAt": "soon"}""", "dueAt", "must be a time")]
    [InlineData("[]", "$", "has the wrong shape")]
    [InlineData("null", "$", "is missing")]
    [InlineData("", "$", "is missing")]
    [InlineData("nonsense", "$", "is not valid JSON at line 1")]
    public async Task What_cannot_be_read_is_refused_by_field(string body, string field, string message)
    {
        var user = await server.SignInAsync();
        var error = Assert.Single((await user.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Post, "executions", body)).GetProperty("errors").EnumerateObject());
        Assert.Equal(field, error.Name);
        Assert.StartsWith(message, error.Value[0].GetString(), StringComparison.Ordinal);
        Assert.DoesNotContain("Flowstone.", error.Value[0].GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_null_where_there_must_be_a_value_is_refused_by_field()
    {
        var admin = await server.SignInAsync();
        Assert.Equal(["name"], TestClient.Fields(await admin.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Post, "teams", """{"name":null}""")));
        Assert.Equal(["definition"], TestClient.Fields(await admin.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Post, "workflows", """{"definition":null}""")));
        Assert.Equal(["definition"], TestClient.Fields(await admin.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Put, $"workflows/{await admin.CreateWorkflowAsync()}", "{}", "*")));
        Assert.Equal(["lease"], TestClient.Fields(await admin.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Post, "work/nodes", "{}")));
        Assert.Equal(["leases[0]"], TestClient.Fields(await admin.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Post, "work/renew", """{"leases":[null]}""")));
        Assert.Equal(["name"], TestClient.Fields(await admin.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Post, "teams", $$"""{"name":"{{new string('x', 256)}}"}""")));
    }

    [Fact]
    public async Task Other_refusals_are_problems_too()
    {
        var user = await server.SignInAsync();
        Assert.Equal("urn:flowstone:not-found", Type(await user.ProblemAsync(HttpStatusCode.NotFound, HttpMethod.Get, "nowhere")));
        Assert.Equal("urn:flowstone:method-not-allowed", Type(await user.ProblemAsync(HttpStatusCode.MethodNotAllowed, HttpMethod.Delete, "executions")));
        user.Http.DefaultRequestHeaders.ExpectContinue = true;   // as curl does: the server refuses before it is sent
        Assert.Equal("urn:flowstone:too-large", Type(await user.ProblemAsync(HttpStatusCode.RequestEntityTooLarge, HttpMethod.Post, "executions", $"\"{new string('x', 6 * 1024 * 1024)}\"")));
        using var text = new StringContent("{}", Encoding.UTF8, "text/plain");
        using var response = await user.Http.PostAsync("/api/v1/executions", text);
        Assert.Equal("urn:flowstone:unsupported-media-type", Type(await TestClient.ReadAsync(response, HttpStatusCode.UnsupportedMediaType)));

        static string? Type(System.Text.Json.JsonElement problem) => problem.GetProperty("type").GetString();
    }

    [Fact]
    public async Task A_definition_may_be_as_deep_as_the_rules_allow_and_no_deeper()
    {
        var user = await server.SignInAsync();
        await user.PostAsync("workflows", Nested(190), HttpStatusCode.Created);
        await user.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Post, "workflows", Nested(205));
        await user.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Post, "workflows", Nested(5000));

        static string Nested(int depth)
            => """{"definition":{"name":"Deep","nodes":[],"extra":""" + new string('[', depth) + new string(']', depth) + "}}";
    }

    [Fact]
    public async Task Every_answer_forbids_script_and_frames()
    {
        using var http = await server.AnonymousAsync();
        foreach (var path in new[] { "/", "/sign-in", "/console.css", "/api/v1/workflows", "/health/live", "/openapi/v1.json" })
        {
            using var response = await http.GetAsync(path);
            Assert.StartsWith("default-src 'none'; style-src 'self';", Assert.Single(response.Headers.GetValues("Content-Security-Policy")), StringComparison.Ordinal);
            Assert.Equal("no-referrer", Assert.Single(response.Headers.GetValues("Referrer-Policy")));
            Assert.Equal("DENY", Assert.Single(response.Headers.GetValues("X-Frame-Options")));
            Assert.False(response.Headers.Contains("Server"));
        }
    }
}
