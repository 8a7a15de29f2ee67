using System.Text.Json;
using Flowstone.Data;
using Flowstone.Workflows;
using Flowstone.Workflows.N8n;

namespace Flowstone.Tests.Workflows.N8n;

/// <summary>Where tests find real documents, and what must hold for each.</summary>
static class N8nDocuments
{
    public static string Fixtures => Path.Combine(AppContext.BaseDirectory, "Fixtures", "n8n");

    /// <summary>The 600 documents that were collected for this project, if they lie beside the repository.</summary>
    public static string? Collection
    {
        get
        {
            var folder = new DirectoryInfo(AppContext.BaseDirectory);
            while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Flowstone.slnx")))
                folder = folder.Parent;
            for (; folder is not null; folder = folder.Parent)
            {
                var data = Path.Combine(folder.FullName, "shared", "data", "n8n-workflows");
                if (Directory.Exists(data))
                    return data;
            }
            return null;
        }
    }

    public static IEnumerable<string> Files(string folder) => Directory.EnumerateFiles(folder, "*.json").Order(StringComparer.Ordinal);

    public static JsonElement Parse(string json) => JsonElement.Parse(json, new JsonDocumentOptions { MaxDepth = 1000 });

    public static N8nWorkflow Read(string json, string fallbackName = "from file.json") => N8nFormat.Read(Parse(json), fallbackName);

    /// <summary>Import, store, load, export.</summary>
    public static JsonElement RoundTrip(JsonElement document, string fallbackName = "from file.json")
        => N8nFormat.Write(SimulatedJsonb.RoundTrip(N8nFormat.Read(document, fallbackName).Definition));

    public static void AssertRoundTrip(JsonElement document)
    {
        var workflow = N8nFormat.Read(document, "from file.json");
        Assert.Empty(WorkflowDefinition.Validate(workflow.Definition));
        Assert.Equal(WorkflowGraph.Read(workflow.Definition).Nodes.Count, document.GetProperty("nodes").GetArrayLength());

        var stored = SimulatedJsonb.RoundTrip(workflow.Definition);
        AssertSame(workflow.Definition, stored);
        AssertSame(document, N8nFormat.Write(stored));
        AssertSame(document, N8nFormat.Write(workflow.Definition));
    }

    public static void AssertSame(JsonElement expected, JsonElement actual)
    {
        if (!CanonicalJson.Equal(expected, actual))
            Assert.Fail($"Expected {expected.GetRawText()}{Environment.NewLine}but got {actual.GetRawText()}");
    }

    public static void AssertSame(string expected, JsonElement? actual) => AssertSame(Parse(expected), Assert.NotNull(actual));
}
