using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Flowstone.Credentials;
using Flowstone.Executions;
using Flowstone.Permissions;
using Flowstone.Users;
using Flowstone.Workflows;

namespace Flowstone.Tests.Server;

/// <summary>Every endpoint that takes an id, as the OpenAPI document lists them: of another tenant's nothing is told, not even that it is there.</summary>
[Collection<ServerTests>]
public sealed class ForeignIdTests(TestServer server)
{
    static readonly JsonElement document = JsonElement.Parse(File.ReadAllBytes(Path.Combine(Repository.Root, "tests", "Flowstone.Tests", "Snapshots", "openapi.json")));

    public static TheoryData<string, string> Endpoints =>
        [.. document.GetProperty("paths").EnumerateObject().Where(path => path.Name.Contains('{', StringComparison.Ordinal))
            .SelectMany(path => path.Value.EnumerateObject().Select(method => (method.Name.ToUpperInvariant(), path.Name)))];

    [Theory]
    [MemberData(nameof(Endpoints))]
    public async Task Another_tenants_id_is_answered_like_one_that_never_was(string method, string path)
    {
        var (owner, other) = (await server.SignInAsync(), await server.SignInAsync());
        var things = await Things.MakeAsync(owner);
        var never = things.Never(owner.Tenant.Clock);

        var foreign = await SendAsync(other, things);
        Assert.True(foreign.Status == HttpStatusCode.NotFound, $"{foreign.Status}: {foreign.Body}");
        var absent = await SendAsync(other, never);
        Assert.Equal(HttpStatusCode.NotFound, absent.Status);
        Assert.Equal(never.Hide(absent.Body), things.Hide(foreign.Body));

        // It is the tenant that makes the difference.
        var own = await SendAsync(owner, things);
        Assert.True(own.Status is not (HttpStatusCode.NotFound or HttpStatusCode.Forbidden or HttpStatusCode.Unauthorized), $"{own.Status}: {own.Body}");

        async Task<(HttpStatusCode Status, string Body)> SendAsync(TestClient client, Things of)
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), of.Fill(path)) { Content = method is "GET" or "DELETE" ? null : JsonContent.Create(of.Body(path)) };
            if (method == "PUT")
                request.Headers.Add("If-Match", "*");
            using var response = await client.Http.SendAsync(request);
            return (response.StatusCode, await response.Content.ReadAsStringAsync());
        }
    }

    /// <summary>Texts for the places in paths and bodies.</summary>
    sealed record Things(string User, string Team, string Workflow, string Execution, string Payload, string Session, string Key, string Credential, string Trash, string Schedule, string Comment)
    {
        public static async Task<Things> MakeAsync(TestClient owner)
        {
            var scope = owner.Tenant.Scope;
            var user = await scope.Users.CreateAsync(new NewUser { Email = $"{Path.GetRandomFileName()}@example.com" });
            var team = await scope.Teams.CreateAsync("Team", null, owner.User.Id);
            await scope.Teams.SetMemberAsync(team.Id, user.Id, TeamRole.Member);
            var workflow = await owner.Tenant.CreateWorkflowAsync();
            await scope.Workflows.SetSearchAttributesAsync(workflow.Id, new Dictionary<string, AttributeType> { ["a"] = AttributeType.Text });
            await scope.Shares.SetAsync(workflow.Id, user.Id, ShareLevel.Read);
            var execution = await scope.Executions.StartAsync(new NewExecution { WorkflowId = workflow.Id, Input = TestTenant.Json($"\"{new string('x', 500)}\"") });
            var claimed = Assert.Single(await owner.Tenant.ClaimAsync());
            await owner.Tenant.Queue.RecordAsync(claimed.Lease, [new() { NodeId = "n0" }], []);
            var session = SessionRepository.Of((await owner.Tenant.Store.SignIn.OpenAsync(owner.Tenant.Id, owner.User.Id)).Token)!.Value;
            var key = (await scope.ApiKeys.CreateAsync(user.Id, new() { Name = "Key", Scopes = [ApiScope.Read] })).Stored;
            var credential = await scope.Credentials.CreateAsync(new() { Name = "Key", Type = CredentialType.ApiKey, Secret = JsonElement.Parse("""{"apiKey":"k"}""") });
            await scope.CredentialShares.SetAsync(credential.Id, user.Id, [CredentialRight.Read]);
            var comment = await scope.Comments.CreateAsync(workflow.Id, new() { Text = "Why?" });
            var trash = await owner.Tenant.CreateWorkflowAsync();
            await scope.Workflows.DeleteAsync(trash.Id);
            var schedule = await scope.Schedules.CreateAsync(workflow.Id, new() { Name = "Yearly", Cron = "0 0 1 1 *" });
            return new($"{user.Id}", $"{team.Id}", $"{workflow.Id}", $"{execution.Id}", $"{execution.Input}", $"{session}", $"{key.Id}", $"{credential.Id}", $"{trash.Id}", $"{schedule.Id}", $"{comment.Id}");
        }

        /// <summary>Ids of the same kinds that nobody has.</summary>
        public Things Never(TimeProvider clock)
            => new($"{Id<User>.New(clock)}", $"{Id<Team>.New(clock)}", $"{Id<Workflow>.New(clock)}", $"{Id<Execution>.New(clock)}", $"{Payload[..^8]}00000000", $"{Id<Session>.New(clock)}", $"{Id<ApiKey>.New(clock)}", $"{Id<Credential>.New(clock)}", $"{Id<Workflow>.New(clock)}", $"{Id<Schedule>.New(clock)}", $"{Id<WorkflowComment>.New(clock)}");

        public string Fill(string path)
        {
            var id = path.Split('/')[3] switch
            {
                "auth" => Session,
                "users" => User,
                "teams" => Team,
                "api-keys" => Key,
                "workflows" => Workflow,
                "executions" => Execution,
                "credentials" => Credential,
                "trash" => Trash,
                "schedules" => Schedule,
                var unknown => throw new InvalidOperationException($"Say here what id /{unknown} takes."),
            };
            var filled = path.Replace("{id}", id, StringComparison.Ordinal).Replace("{userId}", User, StringComparison.Ordinal).Replace("{commentId}", Comment, StringComparison.Ordinal).Replace("{number}", "1", StringComparison.Ordinal)
                .Replace("{name}", Payload, StringComparison.Ordinal);
            return path.StartsWith("/api/v1/api-keys/", StringComparison.Ordinal) ? $"{filled}?userId={User}" : filled;
        }

        public object Body(string path) => path.Split('/')[^1] switch
        {
            "tokens" => new { purpose = "VERIFY_EMAIL" },
            "transfer" => new { to = User },
            "search-attributes" => new { a = "TEXT" },
            "attributes" => new { a = "x" },
            "fork" => new { nodeId = "n0" },
            "signals" => new { name = "go" },
            "concurrency" => new { maximum = 3 },
            "{userId}" when path.Contains("members", StringComparison.Ordinal) => new { role = "MEMBER" },
            "{userId}" when path.Contains("credentials", StringComparison.Ordinal) => new { rights = new[] { "USE" } },
            "{userId}" => new { level = "READ" },
            "comments" => new { text = "Because." },
            "secret" => new { secret = new { apiKey = "another" } },
            "schedules" => new { name = "Yearly", cron = "0 0 1 1 *" },
            "{id}" when path.Contains("schedules", StringComparison.Ordinal) => new { name = "Yearly", cron = "0 0 1 1 *" },
            "{id}" when path.Contains("workflows", StringComparison.Ordinal) => new { definition = TestTenant.Definition(nodes: 2) },
            _ => new { },
        };

        /// <summary>The body without what was asked for.</summary>
        public string Hide(string body)
            => new[] { User, Team, Workflow, Execution, Payload, Session, Key, Credential, Trash, Schedule, Comment }.Aggregate(body, (text, id) => text.Replace(id, "it", StringComparison.Ordinal));
    }
}
