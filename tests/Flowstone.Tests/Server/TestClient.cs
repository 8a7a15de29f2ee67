using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Flowstone.Users;

namespace Flowstone.Tests.Server;

/// <summary>A user at the other end of HTTP: sends and reads JSON as an outside client does, without the server's types.</summary>
public sealed record TestClient(HttpClient Http, TestTenant Tenant, User User, string Token)
{
    public Task<JsonElement> GetAsync(string path) => SendAsync(HttpMethod.Get, path);

    public Task<JsonElement> PostAsync(string path, object body, HttpStatusCode expected = HttpStatusCode.OK) => SendAsync(HttpMethod.Post, path, body, expected);

    /// <summary>Sends, checks the status, and reads the answer's JSON, if any.</summary>
    public async Task<JsonElement> SendAsync(HttpMethod method, string path, object? body = null, HttpStatusCode expected = HttpStatusCode.OK, string? ifMatch = null)
    {
        using var request = new HttpRequestMessage(method, Api(path));
        if (body is not null)
            request.Content = body is string text ? new StringContent(text, Encoding.UTF8, "application/json") : JsonContent.Create(body);
        if (ifMatch is not null)
            request.Headers.TryAddWithoutValidation("If-Match", ifMatch);
        using var response = await Http.SendAsync(request);
        return await ReadAsync(response, expected);
    }

    /// <summary>An error's problem details; the content type and the status within are checked.</summary>
    public async Task<JsonElement> ProblemAsync(HttpStatusCode expected, HttpMethod method, string path, object? body = null, string? ifMatch = null)
    {
        var problem = await SendAsync(method, path, body, expected, ifMatch);
        Assert.Equal((int)expected, problem.GetProperty("status").GetInt32());
        return problem;
    }

    public static async Task<JsonElement> ReadAsync(HttpResponseMessage response, HttpStatusCode expected)
    {
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == expected, $"{(int)response.StatusCode} instead of {(int)expected}: {text}");
        if ((int)expected >= 400)
            Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        return text.Length == 0 ? default : JsonElement.Parse(text);
    }

    public static string Api(string path) => path.StartsWith('/') ? path : $"/api/v1/{path}";

    /// <summary>Makes a workflow and says its id.</summary>
    public async Task<string> CreateWorkflowAsync(string name = "Test", int nodes = 3)
        => (await PostAsync("workflows", new { definition = TestTenant.Definition(name, nodes) }, HttpStatusCode.Created)).GetProperty("id").GetString()!;

    public async Task<string> StartAsync(string workflow, object? input = null)
        => (await PostAsync("executions", new { workflowId = workflow, input }, HttpStatusCode.Created)).GetProperty("id").GetString()!;

    /// <summary>The fields of a 400.</summary>
    public static IEnumerable<string> Fields(JsonElement problem) => problem.GetProperty("errors").EnumerateObject().Select(e => e.Name);
}
