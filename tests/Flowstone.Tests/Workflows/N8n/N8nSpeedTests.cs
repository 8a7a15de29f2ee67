using Flowstone.Data;
using Flowstone.Workflows.N8n;

namespace Flowstone.Tests.Workflows.N8n;

/// <summary>Alone, because the processor time of a process is that of all its tests.</summary>
[CollectionDefinition(nameof(N8nSpeedTests), DisableParallelization = true)]
[Collection(nameof(N8nSpeedTests))]
public sealed class N8nSpeedTests(ITestOutputHelper output)
{
    [Fact]
    public void The_whole_collection_converts_in_two_seconds_of_one_processor()
    {
        var collection = N8nDocuments.Collection;
        Assert.SkipWhen(collection is null, "The collection of 600 workflows is not beside the repository.");
        var documents = N8nDocuments.Files(collection!).Select(file => new ReadOnlyMemory<byte>(File.ReadAllBytes(file))).ToList();

        var before = Environment.CpuUsage.TotalTime;
        var warnings = 0;
        foreach (var document in documents)
        {
            var workflow = N8nFormat.Read(JsonDocuments.Parse(document), "unnamed");
            warnings += workflow.Warnings.Count;
            N8nFormat.Write(workflow.Definition);
            CanonicalJson.Hash(workflow.Definition);
        }
        var busy = Environment.CpuUsage.TotalTime - before;

        output.WriteLine($"{documents.Count} documents, {documents.Sum(d => d.Length):N0} bytes, {warnings} with warnings: "
            + $"parsed, read, written and hashed in {busy.TotalMilliseconds:N0} ms of processor time.");
        // Measured: 0.5 s in a debug build, the just-in-time compiler included.
        Assert.InRange(busy, TimeSpan.Zero, TimeSpan.FromSeconds(2));
    }
}
