using Flowstone.Executions;

namespace Flowstone.Tests.Docs;

public sealed class ExampleTests(TestDatabase database)
{
    [Fact]
    public async Task The_readmes_example_runs()
    {
        var copy = await database.NewDatabaseAsync();   // its tenant has a fixed name, and its worker claims for all tenants
        Assert.Equal(ExecutionStatus.Success, await LibraryExample.RunAsync(database.AppConnectionString(copy)));
    }

    [Fact, Trait("Kind", "Snapshot")]
    public void The_readme_shows_the_example_that_runs()
    {
        var source = File.ReadAllText(Path.Combine(Repository.Root, "tests/Flowstone.Tests/Docs/LibraryExample.cs"));
        var lines = Between(source, "// <README.md>\n", "        // </README.md>").TrimEnd().Split('\n').Select(line => line.Length > 8 ? line[8..] : line.Trim());
        var example = string.Join('\n', lines);

        var readme = Path.Combine(Repository.Root, "README.md");
        var text = File.ReadAllText(readme);
        var shown = Between(text, "```csharp\n", "\n```");
        if (Environment.GetEnvironmentVariable("FLOWSTONE_ACCEPT") == "1")
            File.WriteAllText(readme, text.Replace(shown, example, StringComparison.Ordinal));
        else
            Assert.Equal(example, shown);
    }

    static string Between(string text, string start, string end)
    {
        var from = text.IndexOf(start, StringComparison.Ordinal) + start.Length;
        return text[from..text.IndexOf(end, from, StringComparison.Ordinal)];
    }
}
