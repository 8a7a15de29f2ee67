using System.Text.Json;
using System.Text.Json.Nodes;
using Flowstone.Credentials;
using Flowstone.Data;
using Flowstone.Permissions;
using Flowstone.Tenancy;
using Flowstone.Tests.Workflows.N8n;
using Flowstone.Tests.Workflows.Versions;
using Flowstone.Users;
using Flowstone.Workflows;
using Flowstone.Workflows.N8n;

namespace Flowstone.Tests.Workflows.Transfer;

public sealed class TransferTests(TestDatabase database)
{
    [Fact]
    public async Task Workflows_with_their_edits_come_back_elsewhere_as_they_were_and_each_diff_leads_to_the_next_version()
        => await RoundTripAsync(N8nDocuments.Files(N8nDocuments.Fixtures).Take(20), database);

    [Fact]
    public async Task So_do_all_that_were_collected()
    {
        var collection = N8nDocuments.Collection;
        Assert.SkipWhen(collection is null, "The collection of 600 workflows is not beside the repository.");
        await RoundTripAsync(N8nDocuments.Files(collection!), database);
    }

    static async Task RoundTripAsync(IEnumerable<string> files, TestDatabase database)
    {
        var (here, elsewhere) = (await database.NewTenantAsync(), await database.NewTenantAsync());
        await Parallel.ForEachAsync(files.Select((file, i) => (file, i)), new ParallelOptions { MaxDegreeOfParallelism = 4 }, async (one, cancellation) =>
        {
            var definition = N8nFormat.Read(N8nDocuments.Parse(await File.ReadAllTextAsync(one.file, cancellation)), Path.GetFileName(one.file)).Definition;
            var id = (await here.Scope.Workflows.CreateAsync(new() { Definition = definition }, cancellation)).Id;
            var edits = new RandomEdits(one.i);
            for (var version = 1; version <= 3; version++)
            {
                definition = edits.Edit(definition, 1);
                await here.Scope.Workflows.UpdateAsync(id, definition, basedOn: null, $"Edit {version}", cancellation);
            }

            var document = await ExportAsync(here, id);
            var imported = (await elsewhere.Scope.Transfer.ImportAsync(document, cancellation)).Workflow;

            N8nDocuments.AssertSame(document.GetProperty("versions"), (await ExportAsync(elsewhere, imported.Id)).GetProperty("versions"));
            var definitions = document.GetProperty("versions").EnumerateArray().Select(v => v.GetProperty("definition")).ToList();
            N8nDocuments.AssertSame(definition, definitions[^1]);
            for (var version = 1; version < definitions.Count; version++)
                N8nDocuments.AssertSame(definitions[version], DefinitionDiff.Apply(definitions[version - 1], await elsewhere.Scope.Workflows.DiffAsync(imported.Id, version, version + 1, cancellation)));
        });
    }

    [Fact]
    public async Task The_originals_format_brings_its_fields_and_leaves_everything_else_behind()
    {
        var tenant = await database.NewTenantAsync();
        var document = N8nDocuments.Parse("""
            {"version":"1.0.0","name":"Mail","description":"Sends","nodes":[{"id":"1","type":"trigger","data":{"label":"Start"}},{"id":"2","type":"mail","name":"Send","position":{"x":1}}],
             "edges":[{"id":"e","source":"1","target":"2"}],"variables":{"a":1},"settings":{"timezone":"UTC"},"tags":["x"],"category":"Mail","exportedAt":"2024-01-01T00:00:00Z","status":"ACTIVE","visibility":"PUBLIC"}
            """);

        var workflow = (await tenant.Scope.Transfer.ImportAsync(document)).Workflow;

        Assert.Equal((WorkflowStatus.Draft, Visibility.Private, 1), (workflow.Status, workflow.Visibility, workflow.Version));
        var exported = await ExportAsync(tenant, workflow.Id, WorkflowFormat.Plain);
        N8nDocuments.AssertSame("""
            {"version":"1.0.0","name":"Mail","description":"Sends","nodes":[{"id":"1","type":"trigger","data":{"label":"Start"},"name":"Start"},{"id":"2","type":"mail","name":"Send","position":{"x":1}}],
             "edges":[{"id":"e","source":"1","target":"2"}],"variables":{"a":1},"settings":{"timezone":"UTC"},"tags":["x"],"category":"Mail"}
            """, exported);
    }

    [Fact]
    public async Task Shares_authors_and_credentials_are_found_again_by_name_and_what_is_not_here_is_said()
    {
        var (here, elsewhere) = (await (await database.AloneAsync()).NewTenantAsync(), await (await database.AloneAsync()).NewTenantAsync());
        var (ada, bob, eve) = (await UserAsync(here, "ada"), await UserAsync(here, "bob"), await UserAsync(here, "eve"));
        var credentials = here.Store.Tenant(here.Id, Actor.User(ada.Id)).Credentials;
        var (shop, lost) = (await credentials.CreateAsync(Secret("Shop")), await credentials.CreateAsync(Secret("Lost")));
        var asAda = here.Store.Tenant(here.Id, Actor.User(ada.Id));
        var id = (await asAda.Workflows.CreateAsync(new() { Definition = Using(shop.Id, lost.Id) })).Id;
        await asAda.Shares.SetAsync(id, bob.Id, ShareLevel.Write);
        await asAda.Shares.SetAsync(id, eve.Id, ShareLevel.Read);
        await here.Scope.Workflows.PublishAsync(id, 1);
        await asAda.Schedules.CreateAsync(id, new() { Name = "Nightly", Cron = "0 2 * * *", TimeZone = "Europe/Berlin", JitterSeconds = 60, Overlap = OverlapRule.Skip, Input = JsonElement.Parse("""{"a":1}""") });
        var document = await ExportAsync(here, id);
        Assert.DoesNotContain("sk_live", document.GetRawText(), StringComparison.Ordinal);

        var (ada2, bob2) = (await UserAsync(elsewhere, "ada"), await UserAsync(elsewhere, "bob"));
        var shop2 = await elsewhere.Scope.Credentials.CreateAsync(Secret("Shop"));
        var (imported, notes) = await elsewhere.Scope.Transfer.ImportAsync(document);

        Assert.Equal(["Its credential Lost (CUSTOM) is not here: choose one in the nodes that use it.", "It was shared with eve@example.com, who is not here.", "Its schedules are paused: resume them where they are to fire."], notes);
        var schedule = Assert.Single(await elsewhere.Scope.Schedules.ListAsync(imported.Id, null, 10));
        Assert.Equal(("Nightly", "0 2 * * *", "Europe/Berlin", 60, OverlapRule.Skip, false, "{\"a\": 1}"), (schedule.Name, schedule.Cron, schedule.TimeZone, schedule.JitterSeconds, schedule.Overlap, schedule.Active, schedule.Input?.GetRawText()));
        Assert.Equal((bob2.Id, ShareLevel.Write), Assert.Single((await elsewhere.Scope.Shares.ListAsync(imported.Id)).Select(s => (s.UserId, s.Level))));
        Assert.Equal(ada2.Id, (await elsewhere.Scope.Workflows.FindVersionAsync(imported.Id, 1))!.AuthorId);
        N8nDocuments.AssertSame(Using(shop2.Id, lost.Id), (await elsewhere.Scope.Workflows.FindVersionAsync(imported.Id, 2))!.Definition);

        // Whoever is no administrator cannot say that somebody else wrote it, nor when.
        var byBob = (await elsewhere.Store.Tenant(elsewhere.Id, Actor.User(bob2.Id)).Transfer.ImportAsync(document)).Workflow;
        var version = (await elsewhere.Scope.Workflows.FindVersionAsync(byBob.Id, 1))!;
        Assert.Equal((bob2.Id, bob2.Id), (byBob.OwnerId, version.AuthorId));

        static Task<User> UserAsync(TestTenant tenant, string name) => tenant.Scope.Users.CreateAsync(new() { Email = $"{name}@example.com", Role = UserRole.User });
        static NewCredential Secret(string name) => new() { Name = name, Type = CredentialType.Custom, Secret = JsonElement.Parse("""{"key":"sk_live"}"""), Visibility = Visibility.Public };
        static JsonElement Using(Id<Credential> one, Id<Credential> other) => N8nDocuments.Parse($$"""
            {"name":"Uses","nodes":[{"id":"a","name":"A","type":"n8n-nodes-base.manualTrigger","credentials":{"api":{"id":"{{one}}","name":"Shop"},"other":{"id":"{{other}}","name":"Lost"} } }]}
            """);
    }

    [Fact]
    public async Task A_duplicate_is_a_private_draft_of_ones_own_with_the_newest_definition_and_nothing_else()
    {
        var tenant = await database.NewTenantAsync();
        var (ada, bob) = (await tenant.Scope.Users.CreateAsync(new() { Email = $"ada@{tenant.Tenant.Slug}.example" }), await tenant.Scope.Users.CreateAsync(new() { Email = $"bob@{tenant.Tenant.Slug}.example" }));
        var asAda = tenant.Store.Tenant(tenant.Id, Actor.User(ada.Id));
        var original = await asAda.Workflows.CreateAsync(new() { Definition = TestTenant.Definition(new string('n', 255), note: "1"), Visibility = Visibility.Public, Status = WorkflowStatus.Active });
        await asAda.Workflows.UpdateAsync(original.Id, TestTenant.Definition(new string('n', 255), note: "2"), basedOn: 1);

        var copy = await tenant.Store.Tenant(tenant.Id, Actor.User(bob.Id)).Transfer.DuplicateAsync(original.Id);
        Assert.Equal((bob.Id, WorkflowStatus.Draft, Visibility.Private, 1), (copy.OwnerId, copy.Status, copy.Visibility, copy.Version));
        Assert.Equal($"{new string('n', 247)}… (Copy)", copy.Name);
        Assert.Equal("2", (await tenant.Scope.Workflows.FindVersionAsync(copy.Id, null))!.Definition.GetProperty("nodes")[0].GetProperty("note").GetString());
        Assert.Equal("Mine", (await tenant.Scope.Transfer.DuplicateAsync(original.Id, "Mine")).Name);
        await tenant.Scope.Workflows.SetAsync(original.Id, null, Visibility.Private);
        await Assert.ThrowsAsync<NotFoundException>(() => tenant.Store.Tenant(tenant.Id, Actor.User(bob.Id)).Transfer.DuplicateAsync(original.Id));
    }

    [Fact]
    public async Task Without_its_history_a_workflow_comes_as_version_1()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        await tenant.Scope.Workflows.UpdateAsync(workflow.Id, TestTenant.Definition(note: "new"), 1, "New");

        var document = await ExportAsync(tenant, workflow.Id, history: false);

        Assert.Equal((1, "New"), (Assert.Single(document.GetProperty("versions").EnumerateArray()).GetProperty("number").GetInt32(), document.GetProperty("versions")[0].GetProperty("message").GetString()));
        Assert.Equal(1, (await tenant.Scope.Transfer.ImportAsync(document)).Workflow.Version);
    }

    [Fact]
    public async Task A_key_that_may_write_shares_nothing_by_an_import()
    {
        var tenant = await database.NewTenantAsync();
        var (ada, bob) = (await tenant.Scope.Users.CreateAsync(new() { Email = $"ada@{tenant.Tenant.Slug}.example" }), await tenant.Scope.Users.CreateAsync(new() { Email = $"bob@{tenant.Tenant.Slug}.example" }));
        var asAda = tenant.Store.Tenant(tenant.Id, Actor.User(ada.Id));
        var id = (await asAda.Workflows.CreateAsync(new() { Definition = TestTenant.Definition() })).Id;
        await asAda.Shares.SetAsync(id, bob.Id, ShareLevel.Admin);
        var document = await ExportAsync(tenant, id);
        var key = (await tenant.Store.ApiKeys.FindAsync((await asAda.ApiKeys.CreateAsync(ada.Id, new() { Name = "Importer", Scopes = [ApiScope.Write] })).Key))!;

        var (imported, notes) = await tenant.Store.Tenant(tenant.Id, Actor.Key(key)).Transfer.ImportAsync(document);

        Assert.Equal(["Its shares are left out: sharing needs ADMIN."], notes);
        Assert.Empty(await asAda.Shares.ListAsync(imported.Id));
        Assert.Equal(bob.Id, Assert.Single(await asAda.Shares.ListAsync((await asAda.Transfer.ImportAsync(document)).Workflow.Id)).UserId);
    }

    [Fact]
    public async Task What_is_nested_as_deep_as_allowed_comes_back()
    {
        var tenant = await database.NewTenantAsync();
        var deep = N8nDocuments.Parse($$"""{"name":"Deep","nodes":[],"x":{{new string('[', WorkflowDefinition.MaxDepth - 1)}}{{new string(']', WorkflowDefinition.MaxDepth - 1)}} }""");
        var id = (await tenant.Scope.Workflows.CreateAsync(new() { Definition = deep })).Id;

        var imported = (await tenant.Scope.Transfer.ImportAsync(await ExportAsync(tenant, id))).Workflow;

        N8nDocuments.AssertSame(deep, (await tenant.Scope.Workflows.FindVersionAsync(imported.Id, 1))!.Definition);
    }

    [Theory]
    [InlineData("versions[0].basedOn", "versions", "1")]
    [InlineData("versions[0].basedOn", "versions", "\"one\"")]
    [InlineData("shares[1].user", "shares", """[{"user":"ada@example.com","level":"READ"},{"user":"ADA@example.com","level":"WRITE"}]""")]
    [InlineData("schedules[0].timeZone", "schedules", """[{"name":"A","cron":"0 2 * * *","timeZone":null}]""")]
    [InlineData("schedules[1].cron", "schedules", """[{"name":"A","cron":"0 2 * * *"},{"name":"A","cron":"0 25 * * *"}]""")]
    public async Task A_wrong_document_is_refused_though_its_checksum_is_right(string place, string field, string value)
    {
        var tenant = await database.NewTenantAsync();
        var id = (await tenant.CreateWorkflowAsync()).Id;
        var document = JsonNode.Parse((await ExportAsync(tenant, id)).GetRawText())!;
        var given = JsonNode.Parse(value)!;
        if (field == "versions")
            document["versions"]![0]!["basedOn"] = given;
        else
            document[field] = given;
        document["checksum"] = WorkflowDocument.Checksum(N8nDocuments.Parse(document.ToJsonString()));

        var refused = await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Scope.Transfer.ImportAsync(N8nDocuments.Parse(document.ToJsonString())));

        Assert.Equal(place, refused.Errors[0].Field);
        Assert.Equal(1, await tenant.Scope.Workflows.CountAsync());
    }

    [Theory]
    [InlineData("schedules", """{"name":"A","cron":"0 2 * * *"}""")]
    [InlineData("credentials", """{"id":"a","name":"A","type":"CUSTOM"}""")]
    public async Task A_document_with_more_of_them_than_anybody_has_is_refused(string field, string item)
    {
        var tenant = await database.NewTenantAsync();
        var document = JsonNode.Parse((await ExportAsync(tenant, (await tenant.CreateWorkflowAsync()).Id)).GetRawText())!;
        document[field] = JsonNode.Parse($"[{string.Join(',', Enumerable.Repeat(item, 1_001))}]");

        var refused = await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Scope.Transfer.ImportAsync(N8nDocuments.Parse(document.ToJsonString())));

        Assert.Equal(field, refused.Errors[0].Field);
        Assert.Equal(1, await tenant.Scope.Workflows.CountAsync());
    }

    public static TheoryData<string, string, string?> Damages => new()
    {
        { "checksum", "workflow.name", "\"Another\"" },
        { "checksum", "checksum", "\"sha256:00\"" },
        { "checksum", "checksum", null },
        { "checksum", "versions.1.message", "\"Another\"" },
        { "versions[1].definition", "versions.1.definition.name", "\"Another\"" },
        { "versions[1].definition", "versions.1.hash", "\"00\"" },
        { "versions[1].definition", "versions.1.definition", null },
        { "versions[0].definition.nodes[1].id", "versions.0.definition.nodes.1.id", "\"n0\"" },
        { "versions[0].number", "versions.0.number", "2" },
        { "versions", "versions", "[]" },
        { "versions", "versions", null },
        { "versions[0]", "versions.0", "7" },
        { "versions[0].createdAt", "versions.0.createdAt", "\"yesterday\"" },
        { "shares[0].level", "shares", "[{\"user\":\"a\",\"level\":\"ALL\"}]" },
        { "shares", "shares", "{}" },
        { "checksum", "schedules", "[{\"name\":\"A\",\"cron\":\"0 25 * * *\"}]" },
        { "schedules[0].overlap", "schedules", "[{\"name\":\"A\",\"cron\":\"0 2 * * *\",\"overlap\":\"NO\"}]" },
        { "credentials[0].name", "credentials", "[{\"id\":\"a\",\"type\":\"CUSTOM\"}]" },
        { "version", "version", "\"2.0.1\"" },
        { "version", "version", "\"3.0.0\"" },
        { "version", "version", "\"0.9.0\"" },
        { "version", "version", "2" },
        { "version", "version", null },
        { "format", "format", null },
        { "format", "format", "\"other\"" },
    };

    [Theory, MemberData(nameof(Damages))]
    public async Task A_damaged_document_is_refused_with_the_place_and_nothing_is_stored(string place, string path, string? value)
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        await tenant.Scope.Workflows.UpdateAsync(workflow.Id, TestTenant.Definition(note: "new"), 1, "New");
        var document = JsonNode.Parse((await ExportAsync(tenant, workflow.Id)).GetRawText())!;
        var steps = path.Split('.');
        var parent = steps[..^1].Aggregate(document, (node, step) => int.TryParse(step, out var index) ? node[index]! : node[step]!);
        if (value is null)
            parent.AsObject().Remove(steps[^1]);
        else if (int.TryParse(steps[^1], out var index))
            parent[index] = JsonNode.Parse(value);
        else
            parent[steps[^1]] = JsonNode.Parse(value);

        var refused = await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Scope.Transfer.ImportAsync(N8nDocuments.Parse(document.ToJsonString())));

        Assert.Equal(place, refused.Errors[0].Field);
        Assert.Equal(1, await tenant.Scope.Workflows.CountAsync());
    }

    static async Task<JsonElement> ExportAsync(TestTenant tenant, Id<Workflow> id, WorkflowFormat format = WorkflowFormat.Full, bool history = true)
    {
        using var stream = new MemoryStream();
        await tenant.Scope.Transfer.ExportAsync(id, stream, format, history);
        return JsonDocuments.Parse(stream.ToArray(), WorkflowTransfer.MaxBytes, WorkflowTransfer.MaxDepth);
    }
}
