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
    public Task So_has_each_by_change()
        => UsesAsync(filled.Some, s => s.Workflows.PageAsync(new(), WorkflowOrder.Updated, null, 50), "ix_workflows_by_owner_update", "ix_workflows_by_team_update", "pk_workflow_shares", "ix_workflows_public_by_update");

    [Fact]
    public Task Those_of_an_owner_have_an_index() => UsesAsync(filled.All, s => s.Workflows.ListAsync(new() { OwnerId = filled.Some.Actor.UserId }, null, 50), "ix_workflows_by_owner");

    [Fact]
    public Task Those_of_a_team_have_an_index() => UsesAsync(filled.All, s => s.Workflows.ListAsync(new() { TeamId = filled.Team }, null, 50), "ix_workflows_by_team");

    [Fact]
    public Task Templates_have_an_index() => UsesAsync(filled.All, s => s.Workflows.ListAsync(new() { IsTemplate = true, Visibility = Visibility.Public }, null, 50), "ix_workflows_templates");

    [Theory]
    [InlineData("tag7", "tag8")]
    [InlineData("common", "tag8")]
    public async Task Tags_are_walked_along(params string[] tags)
    {
        foreach (var scope in new[] { filled.All, filled.Some, filled.Few })
        {
            await UsesAsync(scope, s => s.Workflows.ListAsync(new() { Tags = tags, Visibility = Visibility.Public }, null, 50), "pk_workflow_references", "pk_workflows");
            await UsesAsync(scope, s => s.Workflows.PageAsync(new() { Tags = tags }, WorkflowOrder.Updated, null, 50));

            // As they are without tags, but for those that have none of these.
            var every = (await scope.Workflows.ListAsync(new(), null, 20_000)).Select(workflow => workflow.Id).Where(await filled.HaveAsync(tags)).ToList();
            var pages = new List<Workflow>();
            do
                pages.AddRange(await scope.Workflows.ListAsync(new() { Tags = tags }, pages.Count > 0 ? pages[^1].Id : null, 333));
            while (pages.Count % 333 == 0 && pages.Count is > 0 and < 3_000);
            Assert.Equal(every.Take(pages.Count), pages.Select(workflow => workflow.Id));
            Assert.True(pages.Count >= Math.Min(every.Count, 3_000));
        }
    }

    [Theory]
    [InlineData(ReferenceKind.Credential, "common")]
    [InlineData(ReferenceKind.Credential, "rare7")]
    [InlineData(ReferenceKind.NodeType, "type")]
    [InlineData(ReferenceKind.Url, "api.example.com")]
    public async Task Who_uses_something_is_a_walk_along_the_references(ReferenceKind kind, string value)
    {
        await UsesAsync(filled.All, s => s.Workflows.UsageAsync(kind, value, null, 50), "pk_workflow_references");
        await UsesAsync(filled.Some, s => s.Workflows.UsageAsync(kind, value, filled.Middle, 50), "pk_workflow_references");
        await UsesAsync(filled.Few, s => s.Workflows.UsageAsync(kind, value, filled.Middle, 50), "pk_workflow_references");
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
    public Task Who_reaches_few_has_each_looked_at() => UsesAsync(filled.Few, s => s.Workflows.PageAsync(new() { Search = "node4720" }, WorkflowOrder.Relevance, null, 50), "pk_workflow_texts");

    /// <summary>Whichever way a search goes: in names, in labels, in the rest; in nearly all, in some, in one, in none.</summary>
    [Theory]
    [InlineData("orders")]
    [InlineData("type")]
    [InlineData("name")]
    [InlineData("invoices")]
    [InlineData("ame1 orders")]
    [InlineData("node47 orders")]
    [InlineData("node4747")]
    [InlineData("name 7 orders")]
    [InlineData("zebra")]
    public async Task Pages_hold_what_a_look_at_each_row_finds(string words)
    {
        foreach (var (scope, user) in new[] { (filled.All, (Id<User>?)null), (filled.Some, filled.Some.Actor.UserId), (filled.Few, filled.Few.Actor.UserId) })
        {
            var expected = await filled.LookAsync(words, user);
            var pages = new List<ListedWorkflow>();
            for (WorkflowPlace? after = null; pages.Count < 2_000; after = pages[^1].Place)
            {
                var page = await scope.Workflows.PageAsync(new() { Search = words }, WorkflowOrder.Relevance, after, 170);
                pages.AddRange(page);
                if (page.Count < 170)
                    break;
            }
            Assert.Equal(expected.Take(pages.Count), pages.Select(one => one.Workflow.Id));
            Assert.True(pages.Count >= Math.Min(expected.Count, 2_000), $"{pages.Count} of {expected.Count}");
            Assert.Equal(Math.Min(expected.Count, 10_000), (await scope.Workflows.CountAsync(new WorkflowFilter { Search = words })).Value);
            Assert.Equal(expected.OrderDescending().Take(300), (await scope.Workflows.ListAsync(new() { Search = words }, null, 300)).Select(one => one.Id));
        }
    }

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
        string superuser = null!;

        public FlowstoneStore Store { get; private set; } = null!;
        public TenantScope All { get; private set; } = null!;
        public TenantScope Some { get; private set; } = null!;
        public TenantScope Few { get; private set; } = null!;
        public Id<Team> Team { get; private set; }
        public Id<Workflow> Middle { get; private set; }
        public DateTimeOffset MiddleAt { get; private set; }
        public Id<Credential> Credential { get; private set; }

        public List<string> TakePlans() => log.Take();

        public async Task<Func<Id<Workflow>, bool>> HaveAsync(string[] tags)
        {
            await using var connection = new NpgsqlConnection(superuser);
            await connection.OpenAsync();
            await using var command = new NpgsqlCommand("select workflow_id from flowstone.workflow_references where tenant_id = $1 and kind = 'TAG' and value = any($2)", connection) { Parameters = { new() { Value = All.TenantId.Value }, new() { Value = tags } } };
            var found = new HashSet<Id<Workflow>>();
            await using var reader = await command.ExecuteReaderAsync();
            while (await reader.ReadAsync())
                found.Add(new(reader.GetGuid(0)));
            return found.Contains;
        }

        /// <summary>All that have the words, by rank, newest first: found without any index.</summary>
        public async Task<List<Id<Workflow>>> LookAsync(string words, Id<User>? user)
        {
            await using var connection = new NpgsqlConnection(superuser);
            await connection.OpenAsync();
            await using var command = new NpgsqlCommand("""
                select w.id from flowstone.workflows w join flowstone.workflow_texts t on t.tenant_id = w.tenant_id and t.workflow_id = w.id
                 where w.tenant_id = $1 and ($2::uuid is null or w.owner_id = $2 or w.visibility = 'PUBLIC' or w.id = $3
                        or (w.visibility = 'TEAM' and exists (select from flowstone.team_members m where m.tenant_id = $1 and m.team_id = w.team_id and m.user_id = $2)))
                   and (select bool_and(strpos(t.words, p) > 0) from unnest($4) p)
                 order by case when (select bool_and(strpos(t.name, p) > 0) from unnest($4) p) then 0 when (select bool_and(strpos(t.labels, p) > 0) from unnest($4) p) then 1 else 2 end, w.id desc
                """, connection);
            command.Parameters.Add(new() { Value = All.TenantId.Value });
            command.Parameters.Add(new() { Value = (object?)user?.Value ?? DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Uuid });
            command.Parameters.Add(new() { Value = user == Few.Actor.UserId ? Guid.Empty : Middle.Value });
            command.Parameters.Add(new() { Value = WorkflowSearch.Patterns(words).Select(pattern => pattern.Trim('%')).ToArray() });
            var found = new List<Id<Workflow>>();
            await using var reader = await command.ExecuteReaderAsync();
            while (await reader.ReadAsync())
                found.Add(new(reader.GetGuid(0)));
            return found;
        }

        public async ValueTask InitializeAsync()
        {
            var copy = await database.NewDatabaseAsync();
            superuser = database.SuperuserConnectionString(copy);
            source = await log.ConnectAsync(database, copy);
            Store = new FlowstoneStore(source, TimeProvider.System, keys: TestKeys.Ring);
            foreach (var slug in new[] { "a", "b", "c" })
            {
                var tenant = await Store.Tenants.CreateAsync(slug, "Test");
                All = Store.Tenant(tenant.Id, Actor.System("test"));
                var user = await All.Users.CreateAsync(new NewUser { Email = $"u@{slug}.example" });
                Team = (await All.Teams.CreateAsync("Team", null, user.Id)).Id;
                Some = Store.Tenant(tenant.Id, Actor.User(user.Id));
                Few = Store.Tenant(tenant.Id, Actor.User((await All.Users.CreateAsync(new NewUser { Email = $"few@{slug}.example" })).Id));
                await database.ExecuteAsync(copy, $"""
                    insert into flowstone.workflows (tenant_id, id, name, status, visibility, tags, owner_id, team_id, version, indexed_version, is_template, created_at, updated_at)
                    select '{tenant.Id}', ('01a00000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 'name' || i, 'DRAFT', case when i % 10 = 1 then 'TEAM' when i % 50 = 2 then 'PUBLIC' else 'PRIVATE' end, '{"{}"}',
                           case when i % 50 = 3 then '{user.Id}'::uuid end, case when i % 10 = 1 then '{Team}'::uuid end, 1, 1, i % 500 = 2, now(), now() - i * interval '1 minute'
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
