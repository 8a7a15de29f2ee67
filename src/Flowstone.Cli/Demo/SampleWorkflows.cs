using System.Text.Json;
using Flowstone.Data;

namespace Flowstone.Cli.Demo;

/// <summary>Twenty workflows in n8n's format, written for this project: demo data, and examples for an import.</summary>
static class SampleWorkflows
{
    const string Folder = "Demo/";

    /// <summary>By file name without extension, in alphabetical order.</summary>
    public static IEnumerable<(string Name, JsonElement Document)> All()
    {
        var assembly = typeof(SampleWorkflows).Assembly;
        foreach (var resource in assembly.GetManifestResourceNames().Where(name => name.StartsWith(Folder, StringComparison.Ordinal)).Order(StringComparer.Ordinal))
        {
            using var stream = assembly.GetManifestResourceStream(resource)!;
            var bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            yield return (Path.GetFileNameWithoutExtension(resource), JsonDocuments.Parse(bytes));
        }
    }
}
