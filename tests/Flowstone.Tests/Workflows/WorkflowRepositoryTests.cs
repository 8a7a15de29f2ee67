using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Flowstone.Data;
using Flowstone.Tenancy;
using Flowstone.Tests.Workflows.N8n;
using Flowstone.Users;
using Flowstone.Workflows;
using Flowstone.Workflows.N8n;

namespace Flowstone.Tests.Workflows;

public sealed class WorkflowRepositoryTests(TestDatabase database)
{
    static JsonElement WithNote(string note) => TestTenant.Definition(note: note);

    /// <summary>As lists show them, whatever else an answer tells.</summary>
    static void AssertSame(Workflow expected, Workflow actual)
        => Assert.All(typeof(Workflow).GetProperties(), property => Assert.Equal(property.GetValue(expected), property.GetValue(actual)));

    [Fact]
    public async Task A_new_workflow_has_version_1_and_the_columns_of_its_definition()
    {
        var tenant = await database.NewTenantAsync();
        var user = await tenant.Scope.Users.CreateAsync(new NewUser { Email = $"ada@{tenant.Tenant.Slug}.example" });
        var team = await tenant.Scope.Teams.CreateAsync("Flow", null, user.Id);
        var definition = N8nDocuments.Parse("""{"name":"Orders","description":"Takes orders","tags":["shop","日本"],"nodes":[]}""");

        var created = await tenant.Store.Tenant(tenant.Id, Actor.User(user.Id)).Workflows.CreateAsync(new NewWorkflow
        {
            Definition = definition,
            Status = WorkflowStatus.Active,
            Visibility = Visibility.Team,
            TeamId = team.Id,
            Message = "First",
        });

        Assert.Equal(("Orders", "Takes orders", 1, user.Id, team.Id), (created.Name, created.Description, created.Version, created.OwnerId, created.TeamId));
        var found = (await tenant.Scope.Workflows.FindAsync(created.Id))!;
        Assert.Equal(["shop", "日本"], found.Tags);
        AssertSame(created, found);
        var version = (await tenant.Scope.Workflows.FindVersionAsync(created.Id, 1))!;
        Assert.Equal((1, "First", user.Id, created.CreatedAt), (version.Number, version.Message, version.AuthorId, version.CreatedAt));
        Assert.Equal(CanonicalJson.Hash(definition), version.Hash);
        N8nDocuments.AssertSame(definition, version.Definition);
    }

    [Fact]
    public async Task A_save_appends_a_version_and_the_old_ones_stay()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        tenant.Clock.Advance(TimeSpan.FromSeconds(1));

        var saved = await tenant.Scope.Workflows.UpdateAsync(workflow.Id, TestTenant.Definition("Renamed", 5), basedOn: 1, "More nodes");

        AssertSame(workflow with { Name = "Renamed", Version = 2, UpdatedAt = tenant.Clock.Now() }, saved);
        AssertSame(saved, (await tenant.Scope.Workflows.FindAsync(workflow.Id))!);
        Assert.False(saved.Merged);
        N8nDocuments.AssertSame(TestTenant.Definition(), (await tenant.Scope.Workflows.FindVersionAsync(workflow.Id, 1))!.Definition);
        N8nDocuments.AssertSame(TestTenant.Definition("Renamed", 5), (await tenant.Scope.Workflows.FindVersionAsync(workflow.Id, 2))!.Definition);
        Assert.Equal(2, (await tenant.Scope.Workflows.FindVersionAsync(workflow.Id, number: null))!.Number);
        Assert.Null(await tenant.Scope.Workflows.FindVersionAsync(workflow.Id, 3));
        Assert.Null(await tenant.Scope.Workflows.FindVersionAsync(workflow.Id, 0));
        await Assert.ThrowsAsync<NotFoundException>(() => tenant.Scope.Workflows.UpdateAsync(Id<Workflow>.New(tenant.Clock), WithNote("x"), basedOn: null));
    }

    [Theory]
    [InlineData("""{"name":"Same","nodes":[{"id":"a","name":"A","type":"t","parameters":{"x":1,"y":"ä"}}]}""")]
    [InlineData("""{"nodes":[{"parameters":{"y":"ä","x":1},"type":"t","id":"a","name":"A"}],"name":"Same"}""")]
    [InlineData("""{"name":"Same","nodes":[{"id":"a","name":"A","type":"t","parameters":{"x":1.0,"y":"\u00e4"}}]}""")]
    [InlineData("""{"name":"Same","nodes":[{"id":"a","name":"A","type":"t","parameters":{"x":10e-1,"x":1e0,"y":"ä"}}]}""")]
    public async Task A_save_of_what_is_there_already_appends_nothing(string same)
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.Scope.Workflows.CreateAsync(new NewWorkflow { Definition = N8nDocuments.Parse("""{"name":"Same","nodes":[{"id":"a","name":"A","type":"t","parameters":{"x":1,"y":"ä"}}]}""") });
        tenant.Clock.Advance(TimeSpan.FromSeconds(1));

        foreach (int? basedOn in new int?[] { null, 1 })
        {
            var saved = await tenant.Scope.Workflows.UpdateAsync(workflow.Id, N8nDocuments.Parse(same), basedOn);
            Assert.Equal((1, workflow.UpdatedAt), (saved.Version, saved.UpdatedAt));
        }
        Assert.Single(await tenant.Scope.Workflows.VersionsAsync(workflow.Id, null, 10));
    }

    [Fact]
    public async Task A_lost_race_is_told_with_the_current_version()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        await tenant.Scope.Workflows.UpdateAsync(workflow.Id, WithNote("theirs"), basedOn: 1);

        var lost = await Assert.ThrowsAsync<VersionConflictException>(() => tenant.Scope.Workflows.UpdateAsync(workflow.Id, WithNote("mine"), basedOn: 1));

        Assert.Contains("at version 2, not 1", lost.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<VersionConflictException>(() => tenant.Scope.Workflows.UpdateAsync(workflow.Id, WithNote("mine"), basedOn: 7));
        Assert.Equal(2, (await tenant.Scope.Workflows.FindAsync(workflow.Id))!.Version);
    }

    [Fact]
    public async Task Twenty_editors_at_once_lose_no_update_and_leave_no_gap()
    {
        const int Editors = 20, Saves = 5;
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.Scope.Workflows.CreateAsync(new NewWorkflow { Definition = N8nDocuments.Parse("""{"name":"Shared","nodes":[],"seen":[]}""") });

        var numbers = (await Task.WhenAll(Enumerable.Range(0, Editors).Select(editor => Task.Run(() => EditAsync(editor))))).SelectMany(n => n).ToList();

        // Each save got a version of its own, and every save is in the newest one: each was based on the one before.
        Assert.Equal(Enumerable.Range(2, Editors * Saves), numbers.Order());
        var versions = await tenant.Scope.Workflows.VersionsAsync(workflow.Id, null, 1000);
        Assert.Equal(Enumerable.Range(1, (Editors * Saves) + 1).Reverse(), versions.Select(v => v.Number));
        var newest = (await tenant.Scope.Workflows.FindVersionAsync(workflow.Id, number: null))!;
        Assert.Equal((Editors * Saves) + 1, newest.Number);
        Assert.Equal(Enumerable.Range(0, Editors).SelectMany(e => Enumerable.Range(0, Saves).Select(s => $"{e}.{s}")).Order(),
            newest.Definition.GetProperty("seen").EnumerateArray().Select(seen => seen.GetString()!).Order());

        async Task<List<int>> EditAsync(int editor)
        {
            var mine = new List<int>();
            var (number, definition) = await ReadAsync();
            while (mine.Count < Saves)
            {
                definition["seen"]!.AsArray().Add($"{editor}.{mine.Count}");
                try
                {
                    // An editor that saved goes on from what it saved, without reading again.
                    number = (await tenant.Scope.Workflows.UpdateAsync(workflow.Id, JsonSerializer.SerializeToElement(definition), basedOn: number)).Version;
                    mine.Add(number);
                }
                catch (ConflictException)
                {
                    (number, definition) = await ReadAsync();
                }
            }
            return mine;
        }

        async Task<(int, JsonNode)> ReadAsync()
        {
            var version = (await tenant.Scope.Workflows.FindVersionAsync(workflow.Id, number: null))!;
            return (version.Number, JsonNode.Parse(version.Definition.GetRawText())!);
        }
    }

    [Fact]
    public async Task The_same_save_many_times_at_once_appends_one_version()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        for (var round = 1; round <= 5; round++)
        {
            var definition = TestTenant.Definition(nodes: 3 + round);
            await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => tenant.Scope.Workflows.UpdateAsync(workflow.Id, definition, basedOn: null)));
            Assert.Equal(1 + round, (await tenant.Scope.Workflows.FindAsync(workflow.Id))!.Version);
        }
    }

    [Fact]
    public async Task Saves_at_once_that_are_based_on_nothing_are_all_kept()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();

        var saved = await Task.WhenAll(Enumerable.Range(0, 30).Select(i => Task.Run(
            async () => (Note: $"note {i}", (await tenant.Scope.Workflows.UpdateAsync(workflow.Id, WithNote($"note {i}"), basedOn: null)).Version))));

        Assert.Equal(Enumerable.Range(2, 30), saved.Select(s => s.Version).Order());
        foreach (var (note, number) in saved)
            N8nDocuments.AssertSame(WithNote(note), (await tenant.Scope.Workflows.FindVersionAsync(workflow.Id, number))!.Definition);
    }

    [Fact]
    public async Task Lists_filter_and_pages_walk_over_all_without_skip_or_repeat()
    {
        var tenant = await database.NewTenantAsync();
        var made = new List<Workflow>();
        for (var i = 0; i < 17; i++)
        {
            made.Add(await tenant.Scope.Workflows.CreateAsync(new NewWorkflow
            {
                Definition = N8nDocuments.Parse($$"""{"name":"{{(i % 4 == 0 ? "100% Orders" : "100 Invoices")}}","tags":{{(i % 3 == 0 ? "[\"a'b\",\"x\"]" : "[\"x\"]")}},"nodes":[]}"""),
                Status = i % 5 == 0 ? WorkflowStatus.Archived : WorkflowStatus.Draft,
            }));
            if (i % 3 == 0)
                tenant.Clock.Advance(TimeSpan.FromMilliseconds(1));
        }

        Assert.Equal(Ids((_, _) => true), await WalkAsync(new(), 4));
        Assert.Equal(Ids((_, i) => i % 4 == 0), await WalkAsync(new() { Search = "% oRD" }, 2));
        Assert.Equal(Ids((_, i) => i % 3 == 0), await WalkAsync(new() { Tags = ["a'b"] }, 3));
        Assert.Equal(Ids((_, i) => i % 5 == 0), await WalkAsync(new() { Status = WorkflowStatus.Archived }, 3));
        Assert.Equal(Ids((_, i) => i % 15 == 0), await WalkAsync(new() { Status = WorkflowStatus.Archived, Tags = ["a'b"] }, 3));
        Assert.Empty(await WalkAsync(new() { Search = "_00" }, 3));
        Assert.Empty(await WalkAsync(new() { Tags = ["A'B"] }, 3));
        Assert.Equal(17, await tenant.Scope.Workflows.CountAsync());

        IEnumerable<Id<Workflow>> Ids(Func<Workflow, int, bool> which) => made.Where(which).Select(w => w.Id).OrderDescending();

        async Task<List<Id<Workflow>>> WalkAsync(WorkflowFilter filter, int limit)
        {
            var walked = new List<Id<Workflow>>();
            for (Id<Workflow>? before = null; ; before = walked[^1])
            {
                var page = await tenant.Scope.Workflows.ListAsync(filter, before, limit);
                if (page.Count == 0)
                    return walked;
                walked.AddRange(page.Select(w => w.Id));
            }
        }
    }

    [Fact]
    public async Task The_list_of_versions_is_paged_newest_first_and_has_no_bodies()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        for (var i = 2; i <= 7; i++)
            await tenant.Scope.Workflows.UpdateAsync(workflow.Id, WithNote($"{i}"), basedOn: i - 1, $"Change {i}");

        var first = await tenant.Scope.Workflows.VersionsAsync(workflow.Id, null, 4);
        Assert.Equal([(7, "Change 7"), (6, "Change 6"), (5, "Change 5"), (4, "Change 4")], first.Select(v => (v.Number, v.Message!)));
        Assert.Equal([3, 2, 1], (await tenant.Scope.Workflows.VersionsAsync(workflow.Id, 4, 4)).Select(v => v.Number));
        Assert.Empty(await tenant.Scope.Workflows.VersionsAsync(Id<Workflow>.New(tenant.Clock), null, 4));
        Assert.DoesNotContain("nodes", JsonSerializer.Serialize(first, FlowstoneJson.Options), StringComparison.Ordinal);
        Assert.DoesNotContain(typeof(WorkflowVersionSummary).GetProperties(), p => p.PropertyType == typeof(JsonElement));
    }

    [Fact]
    public async Task Status_and_visibility_change_without_a_version()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();

        var changed = await tenant.Scope.Workflows.SetAsync(workflow.Id, WorkflowStatus.Active, null);
        Assert.Equal((WorkflowStatus.Active, Visibility.Private, 1), (changed.Status, changed.Visibility, changed.Version));
        changed = await tenant.Scope.Workflows.SetAsync(workflow.Id, null, Visibility.Public);
        Assert.Equal((WorkflowStatus.Active, Visibility.Public, 1), (changed.Status, changed.Visibility, changed.Version));
        await Assert.ThrowsAsync<NotFoundException>(() => tenant.Scope.Workflows.SetAsync(Id<Workflow>.New(tenant.Clock), WorkflowStatus.Active, null));
    }

    public static TheoryData<string, string> Kept => new()
    {
        { "big numbers", """[0,-0,1.0,1e0,123456789012345678901234567890.123456789012345678901234567890,1e300,-1E-300,1e1000,9007199254740993,0.1,2.5e-5]""" },
        { "odd keys", """{"":1," ":2,"__proto__":3,"a.b['c']":4,"日本語":5,"🦆":6,"e\u0301":7,"\u00e9":8,"\u0001\"\\\/\u2028":9,"$ref":10}""" },
        { "odd strings", "[\"\",\" \",\"\\u0001\\u001f\\u007f\",\"\\ud83e\\udd86\",\"\\uFFFF\",\"\\\\u0000\",\"'; drop table x; --\"]" },
        { "duplicate keys", """{"a":1,"a":{"b":2},"a":3}""" },
        { "a long string", $"\"{new string('ä', 200_000)}\"" },
        { "a long key", $"{{\"{new string('k', 50_000)}\":1}}" },
        { "a long array", $"[{string.Join(',', Enumerable.Range(0, 50_000))}]" },
        { "arrays as deep as may be", new string('[', WorkflowDefinition.MaxDepth - 1) + "1" + new string(']', WorkflowDefinition.MaxDepth - 1) },
        { "objects as deep as may be", string.Concat(Enumerable.Repeat("{\"a\":", WorkflowDefinition.MaxDepth - 1)) + "1" + new string('}', WorkflowDefinition.MaxDepth - 1) },
        { "a number of thousands of digits", "1e10000" },
    };

    [Theory, MemberData(nameof(Kept))]
    public async Task A_definition_comes_back_as_it_went_in(string what, string value)
    {
        var tenant = await database.NewTenantAsync();
        var definition = JsonDocuments.Parse(Encoding.UTF8.GetBytes($$"""{"name":"{{what}}","nodes":[{"id":"a","name":"A","type":"t"}],"odd":{{value}}}"""));

        var workflow = await tenant.Scope.Workflows.CreateAsync(new NewWorkflow { Definition = definition });

        var version = (await tenant.Scope.Workflows.FindVersionAsync(workflow.Id, 1))!;
        N8nDocuments.AssertSame(definition, version.Definition);
        Assert.Equal(CanonicalJson.Hash(version.Definition), version.Hash);
        Assert.Equal(1, (await tenant.Scope.Workflows.UpdateAsync(workflow.Id, version.Definition, basedOn: 1)).Version);
        Assert.Single(await tenant.Scope.Workflows.ListAsync(new(), null, 10));
    }

    public static TheoryData<string, string> Refused => new()
    {
        { "$", "[]" },
        { "$", "\"text\"" },
        { "nodes", """{"name":"x"}""" },
        { "name", """{"nodes":[]}""" },
        { "name", """{"name":7,"nodes":[]}""" },
        { "name", $$"""{"name":"{{new string('x', 256)}}","nodes":[]}""" },
        { "nodes[1].id", """{"name":"x","nodes":[{"id":"a","name":"A","type":"t"},{"id":"a","name":"B","type":"t"}]}""" },
        { "name", """{"name":"\u0000","nodes":[]}""" },
        { "a", """{"a":"\ud800","name":"x","nodes":[]}""" },
        { "a", """{"name":"x","nodes":[],"a":1e131073}""" },
        { "tags[0]", """{"name":"x","nodes":[],"tags":[null]}""" },
        { "tags", """{"name":"x","nodes":[],"tags":null}""" },
    };

    [Theory, MemberData(nameof(Refused))]
    public async Task What_breaks_a_rule_is_refused_by_field_and_nothing_is_stored(string field, string definition)
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();

        var refused = await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Scope.Workflows.CreateAsync(new NewWorkflow { Definition = N8nDocuments.Parse(definition) }));
        Assert.Contains(refused.Errors, error => error.Field == field);
        await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Scope.Workflows.UpdateAsync(workflow.Id, N8nDocuments.Parse(definition), basedOn: null));

        Assert.Equal(1, await tenant.Scope.Workflows.CountAsync());
        Assert.Single(await tenant.Scope.Workflows.VersionsAsync(workflow.Id, null, 10));
    }

    [Fact]
    public async Task A_message_that_does_not_fit_is_refused_by_field()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        foreach (var message in new[] { new string('x', 2001), "\0" })
        {
            Assert.Equal("message", (await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Scope.Workflows.CreateAsync(new() { Definition = WithNote("x"), Message = message }))).Errors[0].Field);
            Assert.Equal("message", (await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Scope.Workflows.UpdateAsync(workflow.Id, WithNote("x"), null, message))).Errors[0].Field);
        }
        await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Scope.Workflows.CreateAsync(new() { Definition = WithNote("x"), TeamId = Id<Team>.New(tenant.Clock) }));
        Assert.Equal(1, await tenant.Scope.Workflows.CountAsync());
    }

    [Fact]
    public async Task Every_published_workflow_comes_back_through_the_database_as_it_went_in()
    {
        var tenant = await database.NewTenantAsync();
        var files = N8nDocuments.Files(N8nDocuments.Fixtures).ToList();
        Assert.Equal(40, files.Count);
        foreach (var file in files)
        {
            var document = JsonDocuments.Parse(await File.ReadAllBytesAsync(file));
            var definition = N8nFormat.Read(document, "unnamed").Definition;
            var workflow = await tenant.Scope.Workflows.CreateAsync(new NewWorkflow { Definition = definition });
            var stored = (await tenant.Scope.Workflows.FindVersionAsync(workflow.Id, null))!.Definition;
            N8nDocuments.AssertSame(definition, stored);
            N8nDocuments.AssertSame(document, N8nFormat.Write(stored));
        }
    }

    [Fact]
    public async Task No_way_in_lets_a_larger_definition_pass_than_is_configured()
    {
        var tenant = await database.NewTenantAsync();
        var limited = new FlowstoneStore(database.Source, tenant.Clock, keys: TestKeys.Ring, maxDefinitionBytes: 100_000).Tenant(tenant.Id, tenant.Scope.Actor);
        var large = await tenant.Scope.Workflows.CreateAsync(new NewWorkflow { Definition = TestTenant.Definition(nodes: 1, note: new string('x', 110_000)) });
        using var document = new MemoryStream();
        await tenant.Scope.Transfer.ExportAsync(large.Id, document);
        var workflow = await limited.Workflows.CreateAsync(new NewWorkflow { Definition = With() });
        await limited.Workflows.UpdateAsync(workflow.Id, With("a"), basedOn: 1);

        Assert.Equal("$", await RefusedAsync(() => limited.Workflows.CreateAsync(new NewWorkflow { Definition = With("a", "b") })));
        Assert.Equal("$", await RefusedAsync(() => limited.Workflows.UpdateAsync(workflow.Id, With("a", "b"), basedOn: 2)));
        Assert.Equal("$", await RefusedAsync(() => limited.Workflows.UpdateAsync(workflow.Id, With("b"), basedOn: 1)));   // merged, it has both
        Assert.Equal("$", await RefusedAsync(() => limited.Workflows.RestoreVersionAsync(large.Id, 1)));
        Assert.Equal("versions[0].definition", await RefusedAsync(() => limited.Transfer.ImportAsync(JsonElement.Parse(document.ToArray()))));
        Assert.Equal((2, 2), (await limited.Workflows.CountAsync(), (await limited.Workflows.FindAsync(workflow.Id))!.Version));

        static async Task<string> RefusedAsync(Func<Task> call)
        {
            var error = Assert.Single((await Assert.ThrowsAsync<InvalidInputException>(call)).Errors);
            Assert.EndsWith("at most 100,000 are allowed.", error.Message);
            return error.Field;
        }

        static JsonElement With(params string[] large) => JsonSerializer.SerializeToElement(new
        {
            name = "Test",
            nodes = large.Prepend("start").Select(id => new { id, name = id, type = "test.node", note = id == "start" ? "" : new string('x', 60_000) }),
        });
    }
}
