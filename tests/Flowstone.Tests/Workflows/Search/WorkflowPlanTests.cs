using System.Text.Json;
using System.Text.RegularExpressions;
using Flowstone.Credentials;
using Flowstone.Permissions;
using Flowstone.Tenancy;
using Flowstone.Tests.Executions;
using Flowstone.Users;
using Flowstone.Workflows;
using Npgsql;

namespace Flowstone.Tests.Workflows.Search;

/// <summary>How PostgreSQL finds workflows, told by itself (auto_explain) while the repositories ask, as the application's role.</summary>
public sealed partial class WorkflowPlanTests(WorkflowPlanTests.FilledDatabase filled) : IClassFixture<WorkflowPlanTests.FilledDatabase>
{
    [Fact]
    public Task A_page_walks_the_key() => UsesAsync(filled.All, s => s.Workflows.ListAsync(new(), null, 50), "pk_workflows");

    [Fact]
    public Task A_later_page_begins_at_its_place() => UsesAsync(filled.All, s => s.Workflows.ListAsync(new(), filled.Middle, 50), "pk_workflows");

    [Fact]
    public Task What_changed_last_has_an_index() => UsesAsync(filled.All, s => s.Workflows.PageAsync(new(), WorkflowOrder.Updated, new(filled.Middle, filled.MiddleAt), 50), "ix_workflows_by_update");

    [Fact]
    public Task Each_way_of_a_user_has_its_index()
        => UsesAsync(filled.Some, s => s.Workflows.ListAsync(new(), null, 50), "ix_workflows_by_owner", "ix_workflows_by_team", "pk_workflow_shares", "ix_workflows_public");

    [Fact]
    public Task Those_of_an_owner_have_an_index() => UsesAsync(filled.All, s => s.Workflows.ListAsync(new() { OwnerId = filled.Some.Actor.UserId }, null, 50), "ix_workflows_by_owner");

    [Fact]
    public Task Those_of_a_team_have_an_index() => UsesAsync(filled.All, s => s.Workflows.ListAsync(new() { TeamId = filled.Team }, null, 50), "ix_workflows_by_team");

    [Fact]
    public Task Templates_have_an_index() => UsesAsync(filled.All, s => s.Workflows.ListAsync(new() { IsTemplate = true, Visibility = Visibility.Public }, null, 50), "ix_workflows_templates");

    [Fact]
    public Task A_rare_tag_is_looked_up() => UsesAsync(filled.All, s => s.Workflows.ListAsync(new() { Tags = ["tag7", "tag8"] }, null, 50), "pk_workflow_references");

    [Fact]
    public Task A_common_tag_is_met_along_the_key() => UsesAsync(filled.All, s => s.Workflows.ListAsync(new() { Tags = ["common"] }, null, 50), "pk_workflows", "pk_workflow_references");

    [Theory]
    [InlineData(ReferenceKind.Credential, "common")]
    [InlineData(ReferenceKind.Credential, "rare7")]
    [InlineData(ReferenceKind.NodeType, "type")]
    [InlineData(ReferenceKind.Url, "api.example.com")]
    public async Task Who_uses_something_is_a_walk_along_the_references(ReferenceKind kind, string value)
    {
        await UsesAsync(filled.All, s => s.Workflows.UsageAsync(kind, value, null, 50), "pk_workflow_references");
        await UsesAsync(filled.Some, s => s.Workflows.UsageAsync(kind, value, filled.Middle, 50), "pk_workflow_references");
    }

    [Fact]
    public Task So_is_who_uses_a_credential() => UsesAsync(filled.All, s => s.Credentials.UsedByAsync(filled.Credential), "pk_workflow_references");

    [Fact]
    public Task A_common_word_is_met_along_the_key() => UsesAsync(filled.All, s => s.Workflows.PageAsync(new() { Search = "orders" }, WorkflowOrder.Relevance, null, 50), "pk_workflow_texts");

    [Fact]
    public Task A_rare_name_is_found_by_its_letters() => UsesAsync(filled.All, s => s.Workflows.PageAsync(new() { Search = "name4720" }, WorkflowOrder.Relevance, null, 50), "ix_workflow_texts_labels");

    [Fact]
    public Task A_rare_node_is_found_by_its_letters() => UsesAsync(filled.All, s => s.Workflows.PageAsync(new() { Search = "node4720 orders" }, WorkflowOrder.Relevance, null, 50), "ix_workflow_texts_words");

    [Fact]
    public Task A_user_finds_a_rare_word_by_its_letters() => UsesAsync(filled.Some, s => s.Workflows.PageAsync(new() { Search = "node4720" }, WorkflowOrder.Relevance, null, 50), "ix_workflow_texts_words");

    [Fact]
    public Task A_user_finds_a_common_word_among_what_is_reached() => UsesAsync(filled.Some, s => s.Workflows.PageAsync(new() { Search = "orders" }, WorkflowOrder.Relevance, null, 50), "pk_workflow_texts");

    [Fact]
    public Task Comments_are_of_one_workflow() => UsesAsync(filled.All, s => s.Comments.ListAsync(filled.Middle, new(), null, 50), "pk_workflow_comments");

    [Fact]
    public Task What_is_not_indexed_has_an_index() => UsesAsync(filled.All, _ => filled.Store.WorkflowIndex.RunAsync(), "ix_workflows_unindexed");

    async Task UsesAsync(TenantScope scope, Func<TenantScope, Task> ask, params string[] indexes)
    {
        filled.TakePlans();
        for (var i = 0; i < 7; i++)   // more often than PostgreSQL tries before it may settle on a plan for any value
            await ask(scope);
        var plans = string.Join('\n', filled.TakePlans());
        var used = Index().Matches(plans).Select(match => match.Groups[1].Value).ToHashSet();
        Assert.All(indexes, index => Assert.True(used.Contains(index), $"{index} is not among {string.Join(", ", used)}:\n{plans}"));
        Assert.DoesNotMatch(Whole(), plans);
        Assert.DoesNotContain("workflow_versions", plans.Replace("WorkflowIndex", "", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [GeneratedRegex(@"(?:using|Scan on|Backward using) ((?:pk|ix)_\w+)")]
    private static partial Regex Index();

    [GeneratedRegex(@"Seq Scan on workflow\w*")]
    private static partial Regex Whole();

    /// <summary>Twenty thousand workflows of one tenant, of which a user sees some; neighbours; analyzed.</summary>
    public sealed class FilledDatabase(TestDatabase database) : IAsyncLifetime
    {
        readonly PlanLog log = new();
        NpgsqlDataSource source = null!;

        public FlowstoneStore Store { get; private set; } = null!;
        public TenantScope All { get; private set; } = null!;
        public TenantScope Some { get; private set; } = null!;
        public Id<Team> Team { get; private set; }
        public Id<Workflow> Middle { get; private set; }
        public DateTimeOffset MiddleAt { get; private set; }
        public Id<Credential> Credential { get; private set; }

        public List<string> TakePlans() => log.Take();

        public async ValueTask InitializeAsync()
        {
            var copy = await database.NewDatabaseAsync();
            source = await log.ConnectAsync(database, copy);
            Store = new FlowstoneStore(source, TimeProvider.System, keys: TestKeys.Ring);
            foreach (var slug in new[] { "a", "b", "c" })
            {
                var tenant = await Store.Tenants.CreateAsync(slug, "Test");
                All = Store.Tenant(tenant.Id, Actor.System("test"));
                var user = await All.Users.CreateAsync(new NewUser { Email = $"u@{slug}.example" });
                Team = (await All.Teams.CreateAsync("Team", null, user.Id)).Id;
                Some = Store.Tenant(tenant.Id, Actor.User(user.Id));
                await database.ExecuteAsync(copy, $"""
                    insert into flowstone.workflows (tenant_id, id, name, status, visibility, tags, owner_id, team_id, version, indexed_version, is_template, created_at, updated_at)
                    select '{tenant.Id}', ('01a00000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 'name' || i, 'DRAFT', case when i % 50 = 1 then 'TEAM' when i % 50 = 2 then 'PUBLIC' else 'PRIVATE' end, '{"{}"}',
                           case when i % 100 = 3 then '{user.Id}'::uuid end, case when i % 50 = 1 then '{Team}'::uuid end, 1, 1, i % 500 = 2, now(), now() - i * interval '1 minute'
                      from generate_series(1, {(slug == "c" ? 20_000 : 2_000)}) i;
                    insert into flowstone.workflow_texts (tenant_id, workflow_id, name, labels, words)
                    select tenant_id, id, ' ' || name, ' ' || name || case when ascii(right(name, 1)) % 2 = 0 then ' orders' else ' invoices' end,
                           ' ' || name || case when ascii(right(name, 1)) % 2 = 0 then ' orders' else ' invoices' end || ' ' || replace(name, 'name', 'node') || ' orders type'
                      from flowstone.workflows where tenant_id = '{tenant.Id}';
                    insert into flowstone.workflow_references (tenant_id, kind, value, workflow_id, node_ids)
                    select w.tenant_id, r.kind, r.value, w.id, array['n1'] from flowstone.workflows w, lateral (values ('NODE_TYPE', 'type'), ('NODE_TYPE', 'type' || right(w.name, 3)), ('URL', 'api.example.com'),
                           ('CREDENTIAL', 'common'), ('CREDENTIAL', 'rare' || right(w.name, 4)), ('TAG', 'common'), ('TAG', 'tag' || right(w.name, 3))) r (kind, value) where w.tenant_id = '{tenant.Id}';
                    insert into flowstone.workflow_comments (tenant_id, workflow_id, id, text, created_at, updated_at)
                    select tenant_id, id, id, 'text', now(), now() from flowstone.workflows where tenant_id = '{tenant.Id}';
                    """);
            }
            var workflows = await All.Workflows.ListAsync(new(), null, 10_000);
            (Middle, MiddleAt) = (workflows[^1].Id, workflows[^1].UpdatedAt);
            await All.Shares.SetAsync(Middle, Some.Actor.UserId!.Value, ShareLevel.Read);
            Credential = (await All.Credentials.CreateAsync(new() { Name = "Key", Type = CredentialType.Custom, Secret = JsonElement.Parse("{}") })).Id;
            await database.ExecuteAsync(copy, "vacuum analyze");
            log.Take();
        }

        public async ValueTask DisposeAsync() => await source.DisposeAsync();
    }
}
