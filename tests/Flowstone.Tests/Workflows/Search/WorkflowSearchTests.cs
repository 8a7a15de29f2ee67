using System.Text.Json;
using Flowstone.Executions;
using Flowstone.Permissions;
using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;
using Npgsql;

namespace Flowstone.Tests.Workflows.Search;

/// <summary>Workflows found by their words, and lists in each order.</summary>
public sealed class WorkflowSearchTests(TestDatabase database)
{
    [Theory]
    [InlineData("orders")]
    [InlineData("ORDERS sync")]
    [InlineData("  sync,orders!  ")]
    [InlineData("rder")]
    [InlineData("ny")]
    [InlineData("nightly")]
    [InlineData("überweisung")]
    [InlineData("ÜBERW")]
    [InlineData("slack")]
    [InlineData("httprequest")]
    [InlineData("n8n")]
    [InlineData("post channel")]
    [InlineData("u\u0308berweisung")]
    [InlineData("日本")]
    [InlineData("café")]
    [InlineData("cafe\u0301")]
    [InlineData("ｃａｆé")]
    [InlineData("οδοσ")]
    [InlineData("ΟΔΟΣ")]
    [InlineData("100 orders % _")]
    public async Task Words_are_found_in_any_order_as_parts_of_words(string search) => Assert.Single(await FindAsync(await OneAsync(), search));

    [Theory]
    [InlineData("orders nowhere")]
    [InlineData("rd")]
    [InlineData("%")]
    [InlineData("z%s")]
    [InlineData("syncorders")]
    [InlineData("🚀")]
    public async Task What_is_not_there_is_not_found(string search) => Assert.Empty(await FindAsync(await OneAsync(), search));

    async Task<TestTenant> OneAsync()
    {
        var tenant = await database.NewTenantAsync();
        await CreateAsync(tenant.Scope, "Sync 100% of the orders", ["NYC", "a'b"], "Nightly. Überweisung inbegriffen, 日本. Cafe\u0301 οδος", ("Post to channel", "n8n-nodes-base.slack"), ("Get", "n8n-nodes-base.httpRequest"));
        await CreateAsync(tenant.Scope, "Something else", [], null);
        return tenant;
    }

    [Fact]
    public async Task Names_come_before_tags_before_everything_else_and_pages_walk_over_all_without_skip_or_repeat()
    {
        var tenant = await database.NewTenantAsync();
        var expected = new List<(int Rank, Id<Workflow> Id)>();
        for (var i = 0; i < 24; i++)
        {
            var rank = i * 7 % 4;
            var workflow = await CreateAsync(tenant.Scope, rank == 0 ? "Late payments" : "Other", rank == 1 ? ["late", "payments"] : rank == 3 ? ["late"] : [], rank == 2 ? "Payments that are late." : null);
            if (rank < 3)
                expected.Add((rank, workflow.Id));
        }
        var sorted = expected.OrderBy(e => e.Rank).ThenByDescending(e => e.Id).Select(e => e.Id).ToList();

        foreach (var limit in new[] { 1, 4, 7, 50 })
            Assert.Equal(sorted, await WalkAsync(tenant.Scope, new() { Search = "late payments" }, WorkflowOrder.Relevance, limit));
        Assert.Equal(sorted.OrderDescending(), await WalkAsync(tenant.Scope, new() { Search = "late payments" }, WorkflowOrder.Newest, 5));
        Assert.Equal(new Total(18, TotalKind.Exact), await tenant.Scope.Workflows.CountAsync(new WorkflowFilter { Search = "late payments" }));
        await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Scope.Workflows.PageAsync(new(), WorkflowOrder.Relevance, null, 5));
        await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Scope.Workflows.PageAsync(new() { Search = "late" }, WorkflowOrder.Updated, null, 5));
    }

    [Fact]
    public async Task Every_filter_restricts_lists_searches_and_counts_alike_for_all_who_ask()
    {
        var tenant = await database.NewTenantAsync();
        var user = await tenant.Scope.Users.CreateAsync(new NewUser { Email = $"{tenant.Tenant.Slug}@example.com" });
        var own = tenant.Store.Tenant(tenant.Id, Actor.User(user.Id));
        var team = await tenant.Scope.Teams.CreateAsync("Team", null, user.Id);
        var all = new List<Workflow>();
        for (var i = 0; i < 48; i++)
        {
            var scope = i % 3 == 0 ? own : tenant.Scope;
            Workflow made = await scope.Workflows.CreateAsync(new NewWorkflow
            {
                Definition = JsonSerializer.SerializeToElement(new { name = $"Flow {i}", nodes = Array.Empty<object>(), tags = i % 4 == 0 ? ["a", "b"] : i % 4 == 1 ? new[] { "b" } : [], category = i % 5 == 0 ? "Shop" : "Office" }),
                Status = (WorkflowStatus)(i % 4),
                TeamId = i % 6 == 1 ? team.Id : null,
            });
            made = await tenant.Scope.Workflows.SetAsync(made.Id, null, i % 8 == 2 ? Visibility.Public : null, i % 7 == 0);
            if (i % 11 == 5)
                await tenant.Scope.Shares.SetAsync(made.Id, tenant.Scope.Actor.UserId ?? user.Id, ShareLevel.Read);
            all.Add(made);
            tenant.Clock.Advance(TimeSpan.FromSeconds(1));
        }
        foreach (var i in new[] { 40, 3, 17, 0 })
            all[i] = await tenant.Scope.Workflows.SetAsync(all[i].Id, WorkflowStatus.Active, null);
        var theirs = new HashSet<Id<Workflow>>();
        foreach (var workflow in all)
            if (await own.Workflows.FindAsync(workflow.Id) is not null)
                theirs.Add(workflow.Id);
        Assert.InRange(theirs.Count, 20, 40);

        var filters = new (WorkflowFilter Filter, Func<Workflow, bool> Which)[]
        {
            (new(), _ => true),
            (new() { Status = WorkflowStatus.Active }, w => w.Status == WorkflowStatus.Active),
            (new() { Visibility = Visibility.Public }, w => w.Visibility == Visibility.Public),
            (new() { Category = "Shop" }, w => w.Category == "Shop"),
            (new() { Tags = ["b"] }, w => w.Tags.Contains("b")),
            (new() { Tags = ["a", "zzz"] }, w => w.Tags.Contains("a")),
            (new() { IsTemplate = true }, w => w.IsTemplate),
            (new() { IsTemplate = false, Category = "Shop" }, w => !w.IsTemplate && w.Category == "Shop"),
            (new() { OwnerId = user.Id }, w => w.OwnerId == user.Id),
            (new() { TeamId = team.Id, Tags = ["b"] }, w => w.TeamId == team.Id && w.Tags.Contains("b")),
        };
        foreach (var (filter, which) in filters)
        {
            foreach (var (scope, reach) in new[] { (tenant.Scope, all), (own, all.FindAll(w => theirs.Contains(w.Id))) })
            {
                var expected = reach.Where(which).OrderByDescending(w => w.Id).ToList();
                Assert.Equal(expected.Select(w => w.Id), await WalkAsync(scope, filter, WorkflowOrder.Newest, 5));
                Assert.Equal(expected.OrderByDescending(w => w.UpdatedAt).ThenByDescending(w => w.Id).Select(w => w.Id), await WalkAsync(scope, filter, WorkflowOrder.Updated, 5));
                Assert.Equal(expected.Select(w => w.Id), await WalkAsync(scope, filter with { Search = "flo" }, WorkflowOrder.Relevance, 5));
                Assert.Equal(expected.Count, (await scope.Workflows.CountAsync(filter)).Value);
                Assert.Equal(expected.Count, (await scope.Workflows.CountAsync(filter with { Search = "flow" })).Value);
            }
        }
        var listed = await tenant.Scope.Workflows.ListAsync(new(), null, 1);
        Assert.Equivalent(await tenant.Scope.Workflows.FindAsync(listed[0].Id), listed[0], strict: true);
        var figures = await own.Workflows.StatisticsAsync();
        Assert.Equal((theirs.Count, theirs.Count, all.Count(w => w.IsTemplate && theirs.Contains(w.Id))), ((int)figures.Total, (int)figures.Versions, (int)figures.Templates));
        Assert.Equal(all.Count(w => w.Status == WorkflowStatus.Active), (await tenant.Scope.Workflows.StatisticsAsync()).ByStatus[WorkflowStatus.Active]);
    }

    [Fact]
    public async Task Nobody_searches_another_tenants_workflows_past_the_repository()
    {
        var (mine, theirs) = (await database.NewTenantAsync(), await database.NewTenantAsync());
        await theirs.CreateWorkflowAsync("Secret");
        await using var connection = new NpgsqlConnection(database.AppConnectionString() + ";Pooling=false");
        await connection.OpenAsync();
        foreach (var tenants in new[] { $"set flowstone.tenants = '{mine.Id}'", "set flowstone.tenants = ''", "reset flowstone.tenants" })
        {
            await using var ask = new NpgsqlCommand(
                $"set role flowstone_app; {tenants}; select * from flowstone.find_workflows('{theirs.Id}', array['%secret%'], null, null, null, null, null, null, null, null, true, null, null, 10)", connection);
            Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, (await Assert.ThrowsAsync<PostgresException>(ask.ExecuteNonQueryAsync)).SqlState);
        }
        Assert.Empty(await FindAsync(mine, "secret"));
    }

    [Fact]
    public async Task A_save_changes_what_is_found()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync("Before");
        await tenant.Scope.Workflows.UpdateAsync(workflow.Id, TestTenant.Definition("After"), basedOn: 1);
        Assert.Empty(await FindAsync(tenant, "before"));
        Assert.Equal("After", Assert.Single(await FindAsync(tenant, "after")).Name);
    }

    [Fact]
    public async Task A_description_of_very_many_words_is_found_by_its_first()
    {
        var tenant = await database.NewTenantAsync();
        await CreateAsync(tenant.Scope, "Long", [], string.Join(' ', Enumerable.Range(0, 100_000).Select(i => $"word{i}x")) + new string('z', 100_000));
        Assert.Single(await FindAsync(tenant, "word77x"));
    }

    static Task<List<Workflow>> FindAsync(TestTenant tenant, string search) => tenant.Scope.Workflows.ListAsync(new() { Search = search }, null, 50);

    static async Task<List<Id<Workflow>>> WalkAsync(TenantScope scope, WorkflowFilter filter, WorkflowOrder order, int limit)
    {
        var walked = new List<Id<Workflow>>();
        for (WorkflowPlace? after = null; await scope.Workflows.PageAsync(filter, order, after, limit) is { Count: > 0 } page; after = page[^1].Place)
            walked.AddRange(page.Select(listed => listed.Workflow.Id));
        return walked;
    }

    static Task<SavedWorkflow> CreateAsync(TenantScope scope, string name, string[] tags, string? description, params (string Name, string Type)[] nodes)
        => scope.Workflows.CreateAsync(new NewWorkflow
        {
            Definition = JsonSerializer.SerializeToElement(new { name, tags, description, nodes = nodes.Select((node, i) => new { id = $"n{i}", name = node.Name, type = node.Type }) }),
        });
}
