using System.Text;
using Flowstone.Workflows;
using Flowstone.Workflows.N8n;
using static Flowstone.Data.Sql;

namespace Flowstone.Tests.Workflows.N8n;

public sealed class N8nImporterTests(TestDatabase database) : IDisposable
{
    readonly ExportFolder folder = new();

    public void Dispose() => folder.Dispose();

    static string Document(string name, string? id = null, string note = "")
        => $$$"""{"name":"{{{name}}}",{{{(id is null ? "" : $"\"id\":{id},")}}}"nodes":[{"id":"a","name":"A","type":"n8n-nodes-base.set","parameters":{"note":"{{{note}}}"}}],"connections":{}}""";

    Task<N8nImportReport> ImportAsync(TestTenant tenant, string? path = null) => new N8nImporter(tenant.Scope).RunAsync(path ?? folder.Path);

    static async Task<List<string>> NamesAsync(TestTenant tenant)
        => [.. (await tenant.Scope.Workflows.ListAsync(new(), null, 1000)).Select(w => w.Name).Order(StringComparer.Ordinal)];

    static (int Created, int Updated, int Unchanged, int Failed) Counts(N8nImportReport report) => (report.Created, report.Updated, report.Unchanged, report.Failures.Count);

    [Fact]
    public async Task A_folder_goes_in_with_its_sub_folders_and_once_more_changes_nothing()
    {
        var tenant = await database.NewTenantAsync();
        folder.Write("one.json", Document("One"));
        folder.Write("sub/one.json", Document("Sub one"));
        folder.Write("sub/deeper/two.JSON.json", Document("Two"));
        folder.Write("notes.txt", "no workflow");
        var told = new List<(int, int)>();

        var first = await new N8nImporter(tenant.Scope).RunAsync(folder.Path, new Told(told));
        Assert.Equal((3, 0, 0, 0), Counts(first));
        Assert.Equal(3, first.Nodes);
        Assert.Equal([(1, 3), (2, 3), (3, 3)], told);
        Assert.Equal(["One", "Sub one", "Two"], await NamesAsync(tenant));

        Assert.Equal((0, 0, 3, 0), Counts(await ImportAsync(tenant)));
        Assert.Equal(3L, await VersionsAsync(tenant));
    }

    [Fact]
    public async Task A_single_file_is_known_again_by_its_name()
    {
        var tenant = await database.NewTenantAsync();
        var file = folder.Write("sub/one.json", Document("One"));

        Assert.Equal((1, 0, 0, 0), Counts(await ImportAsync(tenant, file)));
        Assert.Equal((0, 0, 1, 0), Counts(await ImportAsync(tenant, file)));
        Assert.Equal((0, 0, 1, 0), Counts(await ImportAsync(tenant, Path.GetDirectoryName(file))));
    }

    [Fact]
    public async Task A_file_without_a_name_takes_that_of_the_file()
    {
        var tenant = await database.NewTenantAsync();
        foreach (var name in new[] { "plain.json", "#1 sale.json", "a#b.json", ".json", " .json" })
            folder.Write(name, """{"nodes":[],"connections":{}}""");

        var report = await ImportAsync(tenant);

        Assert.Empty(report.Failures);
        Assert.Equal(5, report.Created);
        var names = await NamesAsync(tenant);
        Assert.Contains("plain", names);
        Assert.Contains("#1 sale", names);
        Assert.Contains("a#b", names);
        Assert.All(names, name => Assert.False(string.IsNullOrWhiteSpace(name)));
    }

    [Fact]
    public async Task An_array_goes_in_by_ids_and_what_has_none_or_a_doubled_one_by_its_place()
    {
        var tenant = await database.NewTenantAsync();
        folder.Write("all.json", $"[{Document("A", "\"x1\"")},{Document("B", "7")},{Document("C")},{Document("D", "\"x1\"")},{Document("E", "null")}]");

        Assert.Equal((5, 0, 0, 0), Counts(await ImportAsync(tenant)));
        Assert.Equal((0, 0, 5, 0), Counts(await ImportAsync(tenant)));
        Assert.Equal(["A", "B", "C", "D", "E"], await NamesAsync(tenant));

        // Ids stay theirs when the order changes.
        folder.Write("all.json", $"[{Document("B", "7")},{Document("A2", "\"x1\"")}]");
        Assert.Equal((0, 1, 1, 0), Counts(await ImportAsync(tenant)));
        Assert.Equal(["A2", "B", "C", "D", "E"], await NamesAsync(tenant));
    }

    [Fact]
    public async Task An_array_reports_its_bad_documents_by_place_and_takes_the_others()
    {
        var tenant = await database.NewTenantAsync();
        folder.Write("all.json", $$"""
            [{{Document("A")}}, 7, null, "text", [], {}, {"id":"\ud800","nodes":[],"name":"half"}, {"\ud800":1,"nodes":[],"name":"half key"},
             {"id":"\u0000","name":"zero","nodes":[]}, {"id":"{{new string('x', 2000)}}","name":"long id","nodes":[]}, {{Document("B")}}]
            """);

        var report = await ImportAsync(tenant);

        Assert.Equal(["A", "B"], await NamesAsync(tenant));
        Assert.Equal(Enumerable.Range(1, 9).Select(place => $"all.json#{place}"), report.Failures.Select(f => f.Document));
        Assert.Equal(2, report.Created);
        Assert.Equal(2L, await VersionsAsync(tenant));
    }

    [Fact]
    public async Task The_same_id_in_two_files_of_one_import_is_told_in_words()
    {
        var tenant = await database.NewTenantAsync();
        folder.Write("a.json", $"[{Document("A", "1")}]");
        folder.Write("b.json", $"[{Document("B", "1")},{Document("C", "2")}]");

        var report = await ImportAsync(tenant);

        Assert.Equal(2, report.Created);
        Assert.Equal("b.json#0", Assert.Single(report.Failures).Document);
        Assert.Contains("id", report.Failures[0].Message, StringComparison.Ordinal);
        Assert.DoesNotContain("uq_", report.Failures[0].Message, StringComparison.Ordinal);
        Assert.Equal(["A", "C"], await NamesAsync(tenant));
    }

    [Fact]
    public async Task A_changed_file_appends_one_version_that_says_so()
    {
        var tenant = await database.NewTenantAsync();
        folder.Write("one.json", Document("One"));
        folder.Write("two.json", Document("Two"));
        await ImportAsync(tenant);

        folder.Write("one.json", Document("One, changed", note: "new"));
        Assert.Equal((0, 1, 1, 0), Counts(await ImportAsync(tenant)));
        Assert.Equal((0, 0, 2, 0), Counts(await ImportAsync(tenant)));

        var workflow = Assert.Single(await tenant.Scope.Workflows.ListAsync(new() { Search = "changed" }, null, 10));
        var versions = await tenant.Scope.Workflows.VersionsAsync(workflow.Id, null, 10);
        Assert.Equal([(2, "Imported again from one.json"), (1, "Imported from one.json")], versions.Select(v => (v.Number, v.Message!)));
    }

    [Fact]
    public async Task An_edit_survives_the_import_of_an_unchanged_file()
    {
        var tenant = await database.NewTenantAsync();
        folder.Write("one.json", Document("One"));
        await ImportAsync(tenant);
        var workflow = Assert.Single(await tenant.Scope.Workflows.ListAsync(new(), null, 10));
        await tenant.Scope.Workflows.UpdateAsync(workflow.Id, TestTenant.Definition("Edited"), basedOn: 1);

        Assert.Equal((0, 0, 1, 0), Counts(await ImportAsync(tenant)));

        Assert.Equal(("Edited", 2), ((await tenant.Scope.Workflows.FindAsync(workflow.Id))!.Name, (await tenant.Scope.Workflows.FindAsync(workflow.Id))!.Version));
    }

    [Fact]
    public async Task A_file_that_changed_to_what_is_there_already_is_remembered()
    {
        var tenant = await database.NewTenantAsync();
        var (a, b) = (Document("One", note: "a"), Document("One", note: "b"));
        folder.Write("one.json", a);
        await ImportAsync(tenant);
        var workflow = Assert.Single(await tenant.Scope.Workflows.ListAsync(new(), null, 10));
        await tenant.Scope.Workflows.UpdateAsync(workflow.Id, N8nDocuments.Read(b).Definition, basedOn: 1);

        folder.Write("one.json", b);
        await ImportAsync(tenant);
        Assert.Equal((0, 0, 1, 0), Counts(await ImportAsync(tenant)));
        Assert.Equal(2L, await VersionsAsync(tenant));

        // Back to the first: that is a change of the file, and not what was imported last.
        folder.Write("one.json", a);
        Assert.Equal((0, 1, 0, 0), Counts(await ImportAsync(tenant)));
        N8nDocuments.AssertSame(a, N8nFormat.Write((await tenant.Scope.Workflows.FindVersionAsync(workflow.Id, null))!.Definition));
    }

    [Fact]
    public async Task Damaged_files_are_reported_by_name_and_reason_and_the_good_ones_go_in()
    {
        var tenant = await database.NewTenantAsync();
        folder.Write("00 good.json", Document("First"));
        folder.Write("zz good.json", Document("Last"));
        var damaged = new (string File, byte[] Content, string Reason)[]
        {
            ("big.json", Utf8(Document("Big", note: new string('x', WorkflowDefinition.MaxBytes))), "at most 5,242,880 are allowed"),
            ("cut.json", Utf8(Document("Cut")[..^10]), "not valid JSON at line 1"),
            ("deep.json", Utf8($$"""{"name":"Deep","nodes":[],"a":{{new string('[', 1000)}}{{new string(']', 1000)}}}"""), "nested deeper than 200 levels"),
            ("doubled.json", Utf8("""{"name":"Doubled","nodes":[{"id":"a","name":"A","type":"t"},{"id":"a","name":"B","type":"t"}]}"""), "already the id of nodes[0]"),
            ("empty.json", [], "is empty"),
            ("html.json", Utf8("<!doctype html>"), "not valid JSON"),
            ("long.json", Utf8(Document(new string('n', 10_000))), "at most 255 are allowed"),
            ("no nodes.json", Utf8("""{"name":"None"}"""), "nodes: is missing"),
            ("number.json", Utf8("42"), "must be an object"),
            ("other.json", Utf8("""{"name":"x","nodes":{}}"""), "nodes: must be an array"),
            ("string.json", Utf8("\"a workflow\""), "must be an object"),
            ("two.json", Utf8(Document("A") + Document("B")), "not valid JSON"),
            ("utf16.json", [0xFF, 0xFE, .. Encoding.Unicode.GetBytes(Document("Wide"))], "Save it as UTF-8"),
            ("utf8.json", [.. Utf8("{\"name\":\""), 0xC3, 0x28, .. Utf8("\"}")], "Save it as UTF-8"),
            ("zero.json", Utf8(Document("Zero", note: "a\\u0000b")), "U+0000"),
        };
        foreach (var (file, content, _) in damaged)
            File.WriteAllBytes(Path.Combine(folder.Path, file), content);
        File.CreateSymbolicLink(Path.Combine(folder.Path, "gone.json"), "/nowhere/at/all.json");
        Directory.CreateDirectory(Path.Combine(folder.Path, "folder.json"));   // a folder whatever its name: nothing in it, nothing to say

        var report = await ImportAsync(tenant);

        Assert.Equal(damaged.Select(d => d.File).Append("gone.json").Order(StringComparer.Ordinal), report.Failures.Select(f => f.Document));
        foreach (var (file, _, reason) in damaged)
            Assert.Contains(reason, report.Failures.Single(f => f.Document == file).Message, StringComparison.Ordinal);
        Assert.All(report.Failures, failure => Assert.InRange(failure.Message.Length, 1, 500));
        Assert.Equal((2, 0, 0), (report.Created, report.Updated, report.Unchanged));
        Assert.Equal(["First", "Last"], await NamesAsync(tenant));
        Assert.Equal(2L, await VersionsAsync(tenant));

        static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text);
    }

    [Fact]
    public async Task A_file_that_was_damaged_leaves_the_workflow_as_it_was()
    {
        var tenant = await database.NewTenantAsync();
        folder.Write("one.json", Document("One"));
        await ImportAsync(tenant);

        folder.Write("one.json", Document("One, damaged", note: "\\ud800"));
        Assert.Equal((0, 0, 0, 1), Counts(await ImportAsync(tenant)));

        Assert.Equal(["One"], await NamesAsync(tenant));
        Assert.Equal(1L, await VersionsAsync(tenant));
    }

    [Fact]
    public async Task A_path_that_is_not_there_or_has_nothing_to_import_is_refused()
    {
        var tenant = await database.NewTenantAsync();
        folder.Write("readme.md", "nothing");
        Assert.Equal("path", (await Assert.ThrowsAsync<InvalidInputException>(() => ImportAsync(tenant))).Errors[0].Field);
        Assert.Equal("path", (await Assert.ThrowsAsync<InvalidInputException>(() => ImportAsync(tenant, Path.Combine(folder.Path, "nowhere")))).Errors[0].Field);
    }

    Task<long> VersionsAsync(TestTenant tenant) => database.ScalarAsync<long>("select count(*) from flowstone.workflow_versions where tenant_id = $1", P(tenant.Id));

    sealed class Told(List<(int, int)> told) : IProgress<(int Done, int Total)>
    {
        public void Report((int Done, int Total) value) => told.Add(value);
    }
}
