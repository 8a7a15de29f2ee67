using Flowstone.Data;
using Flowstone.Workflows;
using Flowstone.Workflows.N8n;

namespace Flowstone.Tests.Workflows.N8n;

public sealed class N8nExporterTests(TestDatabase database) : IDisposable
{
    readonly ExportFolder folder = new();

    public void Dispose() => folder.Dispose();

    async Task<int> ExportAsync(TestTenant tenant) => await new N8nExporter(tenant.Scope).RunAsync(folder.Path);

    // As an import of a file of that name would, without the file.
    static Task<Workflow> ImportedAsync(TestTenant tenant, string key, string name = "Imported")
    {
        tenant.Clock.Advance(TimeSpan.FromMilliseconds(1));   // exports go by age
        return tenant.Scope.Workflows.ImportAsync(new NewWorkflow { Definition = TestTenant.Definition(name) }, key, importHash: [1], CancellationToken.None);
    }

    [Fact]
    public async Task What_was_imported_goes_to_files_of_its_names()
    {
        var tenant = await database.NewTenantAsync();
        foreach (var key in new[] { "one.json", "sub/deeper/two.json", "日本 #1.json", "..json", "a..b.json", @"..\..\x.json" })
            await ImportedAsync(tenant, key);

        Assert.Equal(6, await ExportAsync(tenant));

        Assert.Equal(new[] { "one.json", "sub/deeper/two.json", "日本 #1.json", "..json", "a..b.json", @"..\..\x.json" }.Order(StringComparer.Ordinal), folder.Names);
    }

    [Fact]
    public async Task What_was_made_here_goes_to_files_of_its_names_and_a_part_of_its_id()
    {
        var tenant = await database.NewTenantAsync();
        var names = new[] { "Orders, new!", "Orders, new!", "!", "日本", "../../etc/passwd", new string('x', 255), "CON", ".hidden" };
        var ids = new List<string>();
        foreach (var name in names)
            ids.Add((await tenant.CreateWorkflowAsync(name)).Id.ToString()[^8..]);

        Assert.Equal(8, await ExportAsync(tenant));

        var expected = new[] { "orders-new-", "orders-new-", "", "", "etc-passwd-", new string('x', 60) + "-", "con-", "hidden-" };
        Assert.Equal(expected.Zip(ids, (slug, id) => $"{slug}{id}.json").Order(StringComparer.Ordinal), folder.Names);
    }

    [Fact]
    public async Task No_key_leads_out_of_the_folder_or_ends_the_export()
    {
        var tenant = await database.NewTenantAsync();
        var keys = new[]
        {
            "../evil.json", "sub/../../evil.json", "/tmp/flowstone-evil.json", "../../../../tmp/flowstone-evil.json", "a/..", "id:../evil.json", "id:x/../../../evil.json",
            $"id:{new string('x', 300)}.json", $"{new string('y', 300)}.json", "file.json", "file.json/below.json", "FILE.json", "sub/.json", "id:7", "all.json#3", "sub//two.json", "sub/", "./one.json",
        };
        foreach (var key in keys)
            await ImportedAsync(tenant, key);
        var outside = Directory.GetParent(folder.Path)!.FullName;

        Assert.Equal(keys.Length, await ExportAsync(tenant));

        Assert.Equal(keys.Length, folder.Names.Count());
        Assert.All(folder.Names, name => Assert.EndsWith(".json", name, StringComparison.Ordinal));
        Assert.Empty(Directory.EnumerateFiles(outside, "*evil.json"));
        Assert.Contains("file.json", folder.Names);
    }

    [Fact]
    public async Task Export_replaces_what_it_wrote_before_and_leaves_nothing_half_written()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await ImportedAsync(tenant, "one.json");
        await ExportAsync(tenant);
        await tenant.Scope.Workflows.UpdateAsync(workflow.Id, TestTenant.Definition("Edited, with ümlaut"), basedOn: 1);

        await ExportAsync(tenant);

        var text = await File.ReadAllTextAsync(Path.Combine(folder.Path, Assert.Single(folder.Names)));
        Assert.Contains("Edited, with ümlaut", text, StringComparison.Ordinal);
        Assert.EndsWith("}\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_published_workflows_come_back_as_they_went_in()
        => await AssertRoundTripAsync(N8nDocuments.Fixtures);

    [Fact]
    public async Task The_whole_collection_comes_back_as_it_went_in()
    {
        var collection = N8nDocuments.Collection;
        Assert.SkipWhen(collection is null, "The collection of 600 workflows is not beside the repository.");
        await AssertRoundTripAsync(collection!);
    }

    async Task AssertRoundTripAsync(string documents)
    {
        var tenant = await database.NewTenantAsync();
        var report = await new N8nImporter(tenant.Scope).RunAsync(documents);
        Assert.Empty(report.Failures);

        Assert.Equal(report.Created, await ExportAsync(tenant));

        var files = Directory.EnumerateFiles(documents, "*.json", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(documents, file)).Order(StringComparer.Ordinal).ToList();
        Assert.Equal(files, folder.Names);
        foreach (var file in files)
            N8nDocuments.AssertSame(JsonDocuments.Parse(await File.ReadAllBytesAsync(Path.Combine(documents, file))), JsonDocuments.Parse(await File.ReadAllBytesAsync(Path.Combine(folder.Path, file))));

        var again = await new N8nImporter(tenant.Scope).RunAsync(folder.Path);
        Assert.Equal((0, 0, files.Count), (again.Created, again.Updated, again.Unchanged));
    }
}
