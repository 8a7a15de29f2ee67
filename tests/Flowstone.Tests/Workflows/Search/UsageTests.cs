using System.Text.Json;
using Flowstone.Credentials;
using Flowstone.Permissions;
using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;

namespace Flowstone.Tests.Workflows.Search;

/// <summary>Which workflows use what, told by the index that each save keeps.</summary>
public sealed class UsageTests(TestDatabase database)
{
    static readonly string longUrl = $"https://long.example/{new string('é', 5000)}";

    static JsonElement Caller(string name = "Caller") => JsonElement.Parse($$$$"""
        {"name":"{{{{name}}}}","tags":["sales"],"category":"Shop","settings":{"errorWorkflow":"on-call"},"nodes":[
          {"id":"a","name":"Get","type":"n8n-nodes-base.httpRequest","parameters":{"url":"=https://api.example.com/v1/{{ $json.id }}","list":[{"deep":"see https://b.example/x?key=1"}]},
           "credentials":{"httpBasicAuth":{"id":"c1","name":"Shop login"}}},
          {"id":"b","name":"Get 2","type":"n8n-nodes-base.httpRequest","parameters":{"url":"https://api.example.com/v1"},"credentials":{"old":"Old name"}},
          {"id":"c","name":"Call","type":"n8n-nodes-base.executeWorkflow","parameters":{"workflowId":{"__rl":true,"mode":"id","value":"w1"},"text":"{{{{longUrl}}}}"}},
          {"id":"d","name":"Call","type":"n8n-nodes-base.executeWorkflow","parameters":{"workflowId":"w2"}},
          {"id":"e","name":"Call","type":"n8n-nodes-base.executeWorkflow","parameters":{"workflowId":"={{ $json.w }}"}},
          {"id":"f","name":"Odd","type":"odd","parameters":[1],"credentials":"none"}]}
        """);

    [Theory]
    [InlineData(ReferenceKind.NodeType, "n8n-nodes-base.httpRequest", "a b")]
    [InlineData(ReferenceKind.Credential, "c1", "a")]
    [InlineData(ReferenceKind.Credential, "Shop login", "a")]
    [InlineData(ReferenceKind.Credential, "Old name", "b")]
    [InlineData(ReferenceKind.Workflow, "w1", "c")]
    [InlineData(ReferenceKind.Workflow, "w2", "d")]
    [InlineData(ReferenceKind.Workflow, "on-call", "")]
    [InlineData(ReferenceKind.Url, "https://API.example.com/v1", "a b")]
    [InlineData(ReferenceKind.Url, "api.example.com", "a b")]
    [InlineData(ReferenceKind.Url, "https://b.example/x", "a")]
    [InlineData(ReferenceKind.Tag, "sales", "")]
    [InlineData(ReferenceKind.Category, "Shop", "")]
    public async Task A_workflow_is_found_by_what_it_names_with_the_nodes_that_do(ReferenceKind kind, string value, string nodes)
    {
        var tenant = await database.NewTenantAsync();
        await tenant.CreateWorkflowAsync();
        var workflow = await CreateAsync(tenant.Scope, Caller());

        var use = Assert.Single(await tenant.Scope.Workflows.UsageAsync(kind, value, null, 50));
        Assert.Equal((workflow.Id, "Caller", nodes), (use.Id, use.Name, string.Join(' ', use.NodeIds)));
        Assert.Empty(await tenant.Scope.Workflows.UsageAsync(kind, value + "x", null, 50));
        Assert.Empty(await tenant.Scope.Workflows.UsageAsync(kind, value, workflow.Id, 50));
    }

    [Fact]
    public async Task A_very_long_value_is_found_by_all_of_it()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await CreateAsync(tenant.Scope, Caller());

        Assert.Equal(workflow.Id, Assert.Single(await tenant.Scope.Workflows.UsageAsync(ReferenceKind.Url, longUrl, null, 50)).Id);
        Assert.Empty(await tenant.Scope.Workflows.UsageAsync(ReferenceKind.Url, longUrl[..^1], null, 50));
    }

    [Fact]
    public async Task A_save_replaces_what_the_version_before_named_and_a_refused_one_changes_nothing()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await CreateAsync(tenant.Scope, Caller());

        await Assert.ThrowsAsync<VersionConflictException>(() => tenant.Scope.Workflows.UpdateAsync(workflow.Id, TestTenant.Definition(), basedOn: 7));
        Assert.Single(await tenant.Scope.Workflows.UsageAsync(ReferenceKind.Credential, "c1", null, 50));
        await tenant.Scope.Workflows.UpdateAsync(workflow.Id, TestTenant.Definition(), basedOn: 1);
        Assert.Empty(await tenant.Scope.Workflows.UsageAsync(ReferenceKind.Credential, "c1", null, 50));
        Assert.Equal(["n0", "n1", "n2"], Assert.Single(await tenant.Scope.Workflows.UsageAsync(ReferenceKind.NodeType, "test.node", null, 50)).NodeIds);
        Assert.Equal(1, await database.ScalarAsync<long>($"select count(*) from flowstone.workflow_references where workflow_id = '{workflow.Id}'"));
    }

    [Fact]
    public async Task Savers_at_the_same_time_leave_the_index_of_the_newest()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await CreateAsync(tenant.Scope, Caller());
        await Task.WhenAll(Enumerable.Range(0, 20).Select(i => Task.Run(() => tenant.Scope.Workflows.UpdateAsync(workflow.Id, With($"type{i}", "shared"), basedOn: null))));

        var newest = (await tenant.Scope.Workflows.FindVersionAsync(workflow.Id, null))!.Definition.GetProperty("nodes")[0].GetProperty("type").GetString()!;
        for (var i = 0; i < 20; i++)
            Assert.Equal($"type{i}" == newest ? 1 : 0, (await tenant.Scope.Workflows.UsageAsync(ReferenceKind.NodeType, $"type{i}", null, 50)).Count);
        Assert.Single(await tenant.Scope.Workflows.UsageAsync(ReferenceKind.NodeType, "shared", null, 50));
        Assert.Single(await tenant.Scope.Workflows.ListAsync(new() { Search = newest + " shared" }, null, 50));
    }

    [Fact]
    public async Task Users_see_the_use_in_their_own_workflows_page_by_page()
    {
        var tenant = await database.NewTenantAsync();
        var user = await tenant.Scope.Users.CreateAsync(new NewUser { Email = $"{tenant.Tenant.Slug}@example.com" });
        var own = tenant.Store.Tenant(tenant.Id, Actor.User(user.Id));
        var (mine, others) = (new List<Id<Workflow>>(), new List<Id<Workflow>>());
        for (var i = 0; i < 5; i++)
        {
            mine.Add((await CreateAsync(own, Caller())).Id);
            others.Add((await CreateAsync(tenant.Scope, Caller())).Id);
        }
        await tenant.Scope.Shares.SetAsync(others[2], user.Id, ShareLevel.Read);
        await tenant.Scope.Workflows.SetAsync(others[4], null, Visibility.Public);

        Assert.Equal(mine.Append(others[2]).Append(others[4]).OrderDescending(), await WalkAsync(own));
        Assert.Equal(mine.Concat(others).OrderDescending(), await WalkAsync(tenant.Scope));

        static async Task<List<Id<Workflow>>> WalkAsync(TenantScope scope)
        {
            var walked = new List<Id<Workflow>>();
            for (Id<Workflow>? before = null; await scope.Workflows.UsageAsync(ReferenceKind.Url, "b.example", before, 2) is { Count: > 0 } page; before = walked[^1])
                walked.AddRange(page.Select(use => use.Id));
            return walked;
        }
    }

    [Fact]
    public async Task What_was_saved_without_an_index_is_indexed_later_and_what_is_in_the_trash_is_not_found()
    {
        var alone = await database.AloneAsync();
        var tenant = await alone.NewTenantAsync();
        var workflows = new List<Workflow>();
        for (var i = 0; i < 45; i++)
            workflows.Add(await CreateAsync(tenant.Scope, Caller($"Caller {i}")));
        await alone.ExecuteAsync(null, $"""
            delete from flowstone.workflow_references; delete from flowstone.workflow_texts where workflow_id <> '{workflows[3].Id}';
            update flowstone.workflow_texts set words = 'wrong'; update flowstone.workflows set indexed_version = case when id = '{workflows[3].Id}' then 7 end;
            """);
        Assert.Empty(await tenant.Scope.Workflows.UsageAsync(ReferenceKind.Credential, "c1", null, 50));

        Assert.Equal(45, await tenant.Store.WorkflowIndex.RunAsync());
        Assert.Equal(0, await tenant.Store.WorkflowIndex.RunAsync());
        Assert.Equal(45, (await tenant.Scope.Workflows.UsageAsync(ReferenceKind.Credential, "c1", null, 50)).Count);
        Assert.Equal(45, (await tenant.Scope.Workflows.CountAsync(new WorkflowFilter { Search = "caller" })).Value);
        await alone.ExecuteAsync(null, $"update flowstone.workflows set deleted_at = now() where id = '{workflows[0].Id}'");
        Assert.Equal(44, (await tenant.Scope.Workflows.UsageAsync(ReferenceKind.Credential, "c1", null, 50)).Count);
        Assert.Equal(44, (await tenant.Scope.Workflows.CountAsync(new WorkflowFilter { Search = "caller" })).Value);
        Assert.DoesNotContain(await tenant.Scope.Workflows.ListAsync(new(), null, 100), w => w.Id == workflows[0].Id);
    }

    [Fact]
    public async Task A_credential_tells_the_workflows_that_use_it()
    {
        var tenant = await database.NewTenantAsync();
        var credential = await tenant.Scope.Credentials.CreateAsync(new() { Name = "Key", Type = CredentialType.Custom, Secret = JsonElement.Parse("{}") });
        var workflow = await CreateAsync(tenant.Scope, JsonElement.Parse($$$$"""{"name":"Uses","nodes":[{"id":"a","name":"A","type":"t","credentials":{"x":{"id":"{{{{credential.Id}}}}","name":"Key"}}}]}"""));
        Assert.Equal([workflow.Id], (await tenant.Scope.Credentials.UsedByAsync(credential.Id)).Keys);
    }

    static JsonElement With(params string[] types) => JsonSerializer.SerializeToElement(new { name = "Typed", nodes = types.Select((type, i) => new { id = $"n{i}", name = "N", type }) });

    static Task<SavedWorkflow> CreateAsync(TenantScope scope, JsonElement definition) => scope.Workflows.CreateAsync(new NewWorkflow { Definition = definition });
}
