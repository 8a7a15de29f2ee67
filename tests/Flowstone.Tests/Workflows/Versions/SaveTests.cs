using System.Text.Json;
using System.Text.Json.Nodes;
using Flowstone.Executions;
using Flowstone.Tenancy;
using Flowstone.Tests.Workflows.N8n;
using Flowstone.Users;
using Flowstone.Workflows;

namespace Flowstone.Tests.Workflows.Versions;

public sealed class SaveTests(TestDatabase database)
{
    /// <summary>The definition with another name for one of its nodes.</summary>
    static JsonElement Renamed(JsonElement definition, int node, string name)
    {
        var renamed = JsonNode.Parse(definition.GetRawText())!;
        renamed["nodes"]![node]!["name"] = name;
        return N8nDocuments.Parse(renamed.ToJsonString());
    }

    [Fact]
    public async Task A_late_save_of_something_else_is_merged_and_its_author_learns_it()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        await tenant.Scope.Workflows.UpdateAsync(workflow.Id, Renamed(TestTenant.Definition(), 0, "Theirs"), basedOn: 1);

        var saved = await tenant.Scope.Workflows.UpdateAsync(workflow.Id, Renamed(TestTenant.Definition(), 2, "Mine"), basedOn: 1, "Late");

        var expected = Renamed(Renamed(TestTenant.Definition(), 0, "Theirs"), 2, "Mine");
        Assert.Equal((3, true), (saved.Version, saved.Merged));
        N8nDocuments.AssertSame(expected, saved.Definition);
        var version = (await tenant.Scope.Workflows.FindVersionAsync(workflow.Id, 3))!;
        N8nDocuments.AssertSame(expected, version.Definition);
        Assert.Equal((2, 1, "Late"), (version.Parent, version.BasedOn, version.Message));
        Assert.Equal([(3, 2, 1), (2, 1, 1), (1, null, null)], (await tenant.Scope.Workflows.VersionsAsync(workflow.Id, null, 9)).Select(v => (v.Number, v.Parent, v.BasedOn)));

        // What is in the newest already appends nothing, however old its base.
        var again = await tenant.Scope.Workflows.UpdateAsync(workflow.Id, Renamed(TestTenant.Definition(), 2, "Mine"), basedOn: 1);
        Assert.Equal((3, true), (again.Version, again.Merged));
    }

    [Fact]
    public async Task A_late_save_of_the_same_is_a_conflict_with_both_sides()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        await tenant.Scope.Workflows.UpdateAsync(workflow.Id, Renamed(TestTenant.Definition(), 0, "Theirs"), basedOn: 1);
        var mine = Renamed(Renamed(TestTenant.Definition(), 0, "Mine"), 1, "Also mine");

        var conflict = await Assert.ThrowsAsync<VersionConflictException>(() => tenant.Scope.Workflows.UpdateAsync(workflow.Id, mine, basedOn: 1));

        Assert.Equal((1, 2), (conflict.Base?.Number, conflict.Theirs.Number));
        Assert.Equal((ConflictKind.Node, "/nodes/n0"), Assert.Single(conflict.Conflicts) is var only ? (only.Kind, only.Path) : default);
        N8nDocuments.AssertSame(mine, conflict.Mine);
        Assert.Equal(2, (await tenant.Scope.Workflows.FindAsync(workflow.Id))!.Version);

        var unknown = await Assert.ThrowsAsync<VersionConflictException>(() => tenant.Scope.Workflows.UpdateAsync(workflow.Id, mine, basedOn: 9));
        Assert.Equal((null, 2), (unknown.Base, unknown.Theirs.Number));
    }

    [Fact]
    public async Task Twelve_editors_at_once_lose_nothing_and_every_merge_is_the_oracles()
    {
        const int Editors = 12, Saves = 8;
        var tenant = await database.NewTenantAsync();
        var first = TestTenant.Definition(nodes: Editors);
        var workflow = await tenant.Scope.Workflows.CreateAsync(new() { Definition = first });
        var sent = new System.Collections.Concurrent.ConcurrentDictionary<int, JsonElement>();

        await Task.WhenAll(Enumerable.Range(0, Editors).Select(editor => Task.Run(async () =>
        {
            var (number, definition) = (1, first);
            for (var save = 1; save <= Saves; save++)
            {
                var mine = Renamed(definition, editor, $"{editor}.{save}");
                var saved = await tenant.Scope.Workflows.UpdateAsync(workflow.Id, mine, number);
                Assert.True(sent.TryAdd(saved.Version, mine));
                (number, definition) = (saved.Version, saved.Merged ? saved.Definition : mine);
            }
        })));

        var versions = new List<WorkflowVersion>();
        for (var number = 1; number <= (Editors * Saves) + 1; number++)
            versions.Add((await tenant.Scope.Workflows.FindVersionAsync(workflow.Id, number))!);
        Assert.Null(await tenant.Scope.Workflows.FindVersionAsync(workflow.Id, versions.Count + 1));
        foreach (var version in versions.Skip(1))
            N8nDocuments.AssertSame(MergeOracle.Merge(versions[version.BasedOn!.Value - 1].Definition, versions[version.Parent!.Value - 1].Definition, sent[version.Number])!.Value, version.Definition);
        Assert.Equal(Enumerable.Range(0, Editors).Select(editor => $"{editor}.{Saves}"), versions[^1].Definition.GetProperty("nodes").EnumerateArray().Select(node => node.GetProperty("name").GetString()));
    }

    /// <summary>A clock by which others are always quicker: each time a save looks at it, and is about to write, they do what is next.</summary>
    sealed class Rivals(TimeProvider clock, params Func<Task>[] next) : TimeProvider
    {
        public bool Awake { get; set; }
        public int Looks { get; private set; }

        public override DateTimeOffset GetUtcNow()
        {
            if (Awake && Looks++ < next.Length)
                Task.Run(next[Looks - 1]).GetAwaiter().GetResult();
            return clock.Now();
        }
    }

    /// <summary>One who is late three times.</summary>
    /// <param name="third">What makes it so the third time.</param>
    /// <param name="locked">What happens while the workflow is locked.</param>
    WorkflowRepository Late(TestTenant tenant, Id<Workflow> workflow, out Rivals rivals, Func<Task>? third = null, Func<Task>? locked = null)
    {
        rivals = new Rivals(tenant.Clock, RenameAsync, RenameAsync, third ?? RenameAsync, locked ?? (() => Task.CompletedTask));
        var late = new FlowstoneStore(database.Source, rivals, keys: TestKeys.Ring).Tenant(tenant.Id, Actor.System("test")).Workflows;
        rivals.Awake = true;
        return late;

        async Task RenameAsync()
        {
            var newest = (await tenant.Scope.Workflows.FindVersionAsync(workflow, null))!;
            await tenant.Scope.Workflows.UpdateAsync(workflow, Renamed(newest.Definition, 0, $"Theirs {newest.Number}"), newest.Number);
        }
    }

    [Fact]
    public async Task Whoever_is_late_three_times_is_merged_with_the_workflow_locked()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        var late = Late(tenant, workflow.Id, out var rivals, locked: async () =>
            Assert.Equal("55P03", (await Assert.ThrowsAsync<Npgsql.PostgresException>(() => database.ExecuteAsync(null, $"select 1 from flowstone.workflows where id = '{workflow.Id}' for update nowait"))).SqlState));

        var saved = await late.UpdateAsync(workflow.Id, Renamed(TestTenant.Definition(), 2, "Mine"), basedOn: 1, "Late");

        var expected = Renamed(Renamed(TestTenant.Definition(), 0, "Theirs 3"), 2, "Mine");
        Assert.Equal((4, 5, true), (rivals.Looks, saved.Version, saved.Merged));
        N8nDocuments.AssertSame(expected, saved.Definition);
        var version = (await tenant.Scope.Workflows.FindVersionAsync(workflow.Id, null))!;
        N8nDocuments.AssertSame(expected, version.Definition);
        Assert.Equal((5, 4, 1, "Late"), (version.Number, version.Parent, version.BasedOn, version.Message));
        Assert.Equal(saved.Version, (await tenant.Scope.Workflows.FindAsync(workflow.Id))!.Version);
    }

    [Fact]
    public async Task What_is_there_already_appends_nothing_also_with_the_workflow_locked()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        var both = Renamed(Renamed(TestTenant.Definition(), 0, "Theirs"), 2, "Mine");
        var late = Late(tenant, workflow.Id, out _, third: () => tenant.Scope.Workflows.UpdateAsync(workflow.Id, both, basedOn: null));

        var saved = await late.UpdateAsync(workflow.Id, Renamed(TestTenant.Definition(), 2, "Mine"), basedOn: 1);

        Assert.Equal((4, true), (saved.Version, saved.Merged));
        N8nDocuments.AssertSame(both, saved.Definition);
        Assert.Null(await tenant.Scope.Workflows.FindVersionAsync(workflow.Id, 5));
    }

    [Fact]
    public async Task A_conflict_and_a_deletion_meanwhile_let_the_workflow_go()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        var theirs = Renamed(TestTenant.Definition(), 2, "Theirs");
        var late = Late(tenant, workflow.Id, out _, third: () => tenant.Scope.Workflows.UpdateAsync(workflow.Id, theirs, basedOn: null));

        var conflict = await Assert.ThrowsAsync<VersionConflictException>(() => late.UpdateAsync(workflow.Id, Renamed(TestTenant.Definition(), 2, "Mine"), basedOn: 1));

        Assert.Equal((1, 4), (conflict.Base?.Number, conflict.Theirs.Number));
        N8nDocuments.AssertSame(theirs, conflict.Theirs.Definition);
        Assert.Equal(5, (await tenant.Scope.Workflows.UpdateAsync(workflow.Id, TestTenant.Definition(), basedOn: 4)).Version);

        var other = await tenant.CreateWorkflowAsync();
        late = Late(tenant, other.Id, out _, third: () => tenant.Scope.Workflows.DeleteAsync(other.Id));
        await Assert.ThrowsAsync<NotFoundException>(() => late.UpdateAsync(other.Id, Renamed(TestTenant.Definition(), 2, "Mine"), basedOn: 1));
        Assert.Equal(3, (await tenant.Scope.Workflows.UndeleteAsync(other.Id)).Version);
    }

    [Fact]
    public async Task A_version_is_restored_as_a_new_one_and_any_two_are_compared()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        await tenant.Scope.Workflows.UpdateAsync(workflow.Id, Renamed(TestTenant.Definition(), 1, "Other"), basedOn: 1);

        var restored = await tenant.Scope.Workflows.RestoreVersionAsync(workflow.Id, 1);

        Assert.Equal((3, "Restored from version 1"), (restored.Version, (await tenant.Scope.Workflows.FindVersionAsync(workflow.Id, 3))!.Message));
        Assert.True((await tenant.Scope.Workflows.DiffAsync(workflow.Id, 1, 3)).IsEmpty);
        Assert.Equal("n1", Assert.Single((await tenant.Scope.Workflows.DiffAsync(workflow.Id, 2, 3)).NodesChanged).Id);
        Assert.Equal(3, (await tenant.Scope.Workflows.RestoreVersionAsync(workflow.Id, 1)).Version);
        await Assert.ThrowsAsync<NotFoundException>(() => tenant.Scope.Workflows.RestoreVersionAsync(workflow.Id, 9));
        await Assert.ThrowsAsync<NotFoundException>(() => tenant.Scope.Workflows.DiffAsync(workflow.Id, 1, 9));
    }

    [Fact]
    public async Task Blame_tells_who_changed_each_node_last()
    {
        var tenant = await database.NewTenantAsync();
        var (ada, bob) = (await UserAsync(tenant), await UserAsync(tenant));
        var byAda = tenant.Store.Tenant(tenant.Id, Actor.User(ada.Id)).Workflows;
        var byBob = tenant.Store.Tenant(tenant.Id, Actor.User(bob.Id)).Workflows;
        var workflow = await byAda.CreateAsync(new() { Definition = TestTenant.Definition() });
        await byBob.UpdateAsync(workflow.Id, Renamed(TestTenant.Definition(), 1, "Bob's"), null);
        for (var i = 0; i < 45; i++)   // more than are read at once
            await byAda.UpdateAsync(workflow.Id, Renamed(Renamed(TestTenant.Definition(), 1, "Bob's"), 2, $"Ada's {i}"), null);
        await byAda.UpdateAsync(workflow.Id, Renamed(Renamed(TestTenant.Definition(nodes: 4), 1, "Bob's"), 2, "Ada's 44"), null);

        var blame = await byBob.BlameAsync(workflow.Id);

        Assert.Equal([("n0", 1, ada.Id, false), ("n1", 2, bob.Id, false), ("n2", 47, ada.Id, false), ("n3", 48, ada.Id, false)],
            blame.OrderBy(node => node.Key).Select(node => (node.Key, node.Value.Version, node.Value.AuthorId!.Value, node.Value.Earlier)));
    }

    static Task<User> UserAsync(TestTenant tenant) => tenant.Scope.Users.CreateAsync(new NewUser { Email = $"{Path.GetRandomFileName()}@example.com", Role = UserRole.Admin });

    [Fact]
    public async Task Executions_take_the_published_version_and_its_history_is_kept()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        await tenant.Scope.Workflows.UpdateAsync(workflow.Id, TestTenant.Definition(nodes: 4), basedOn: 1);
        Assert.Equal(2, (await tenant.StartAsync(workflow)).WorkflowVersion);

        Assert.Equal(1, (await tenant.Scope.Workflows.PublishAsync(workflow.Id, 1)).PublishedVersion);
        await tenant.Scope.Workflows.PublishAsync(workflow.Id, 1);   // as it is
        Assert.Equal(1, (await tenant.StartAsync(workflow)).WorkflowVersion);
        Assert.Equal(1, (await tenant.StartAsync(workflow, dueAt: tenant.Clock.Now())).WorkflowVersion);
        Assert.Equal(2, (await tenant.Scope.Executions.StartAsync(new NewExecution { WorkflowId = workflow.Id, WorkflowVersion = 2 })).WorkflowVersion);
        await tenant.Scope.Workflows.UpdateAsync(workflow.Id, TestTenant.Definition(nodes: 5), basedOn: 2);
        Assert.Equal(1, (await tenant.StartAsync(workflow)).WorkflowVersion);
        Assert.Equal(3, (await tenant.Scope.Workflows.PublishAsync(workflow.Id)).PublishedVersion);
        Assert.Equal(3, (await tenant.StartAsync(workflow)).WorkflowVersion);
        Assert.Null((await tenant.Scope.Workflows.UnpublishAsync(workflow.Id)).PublishedVersion);

        Assert.Equal([(3, null), (2, 3), (1, 1)], (await tenant.Scope.Workflows.ListPublicationsAsync(workflow.Id, null, 9)).Select(p => (p.Number, p.Version)));
        Assert.Equal([1], (await tenant.Scope.Workflows.ListPublicationsAsync(workflow.Id, 2, 9)).Select(p => p.Number));
        await Assert.ThrowsAsync<NotFoundException>(() => tenant.Scope.Workflows.PublishAsync(workflow.Id, 9));
    }

    [Fact]
    public async Task Publications_at_once_have_numbers_without_gap()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        await tenant.Scope.Workflows.UpdateAsync(workflow.Id, TestTenant.Definition(nodes: 4), basedOn: 1);

        await Task.WhenAll(Enumerable.Range(0, 20).Select(i => tenant.Scope.Workflows.PublishAsync(workflow.Id, 1 + (i % 2))));

        var history = await tenant.Scope.Workflows.ListPublicationsAsync(workflow.Id, null, 99);
        Assert.Equal(Enumerable.Range(1, history.Count).Reverse(), history.Select(p => p.Number));
        Assert.All(history.Zip(history.Skip(1)), pair => Assert.NotEqual(pair.First.Version, pair.Second.Version));
        Assert.Equal(history[0].Version, (await tenant.Scope.Workflows.FindAsync(workflow.Id))!.PublishedVersion);
    }

    [Fact]
    public async Task A_graph_with_issues_is_saved_with_warnings_and_not_published()
    {
        var tenant = await database.NewTenantAsync();
        var credential = await tenant.Scope.Credentials.CreateAsync(new() { Name = "Key", Type = Flowstone.Credentials.CredentialType.Custom, Secret = JsonElement.Parse("{}") });
        var absent = Id<Flowstone.Credentials.Credential>.New(tenant.Clock);
        JsonElement With(string url) => N8nDocuments.Parse($$$"""
            {"name":"N","nodes":[{"id":"a","name":"A","type":"t","parameters":{"url":"{{{url}}}"},"credentials":{"x":{"id":"{{{credential.Id}}}"},"y":{"id":"{{{absent}}}"} }}]}
            """);

        var saved = await tenant.Scope.Workflows.CreateAsync(new() { Definition = With("={{ $('Z').item }}") });
        Assert.Equal([(GraphIssueCode.UnknownReference, "nodes[0].parameters.url"), (GraphIssueCode.MissingCredential, "nodes[0].credentials.y")], saved.Warnings.Select(issue => (issue.Code, issue.Path)));
        Assert.Single((await tenant.Scope.Workflows.UpdateAsync(saved.Id, With("="), 1)).Warnings);
        var refused = await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Scope.Workflows.PublishAsync(saved.Id, 1));
        Assert.Equal(["nodes[0].parameters.url", "nodes[0].credentials.y"], refused.Errors.Select(error => error.Field));
        Assert.Equal(2, (await tenant.Scope.Workflows.ListIssuesAsync(saved.Id, 1)).Count);
        Assert.Null((await tenant.Scope.Workflows.FindAsync(saved.Id))!.PublishedVersion);
    }
}
