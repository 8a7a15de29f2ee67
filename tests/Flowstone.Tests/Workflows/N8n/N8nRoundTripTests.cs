using System.Diagnostics;
using Flowstone.Data;
using Flowstone.Workflows.N8n;

namespace Flowstone.Tests.Workflows.N8n;

public sealed class N8nRoundTripTests(ITestOutputHelper output)
{
    public static TheoryData<string> Fixtures => [.. N8nDocuments.Files(N8nDocuments.Fixtures).Select(file => Path.GetFileName(file))];

    [Theory]
    [MemberData(nameof(Fixtures))]
    public void A_published_workflow_comes_back_as_it_went_in(string file)
        => N8nDocuments.AssertRoundTrip(JsonDocuments.Parse(File.ReadAllBytes(Path.Combine(N8nDocuments.Fixtures, file))));

    [Fact]
    public void Every_workflow_of_the_collection_comes_back_as_it_went_in()
    {
        var collection = N8nDocuments.Collection;
        Assert.SkipWhen(collection is null, "The collection of 600 workflows is not beside the repository.");
        foreach (var file in N8nDocuments.Files(collection!))
            N8nDocuments.AssertRoundTrip(JsonDocuments.Parse(File.ReadAllBytes(file)));
    }

    [Fact]
    public void The_whole_collection_converts_in_two_seconds_of_one_processor()
    {
        var collection = N8nDocuments.Collection;
        Assert.SkipWhen(collection is null, "The collection of 600 workflows is not beside the repository.");
        var documents = N8nDocuments.Files(collection!).Select(file => new ReadOnlyMemory<byte>(File.ReadAllBytes(file))).ToList();

        var busy = Stopwatch.StartNew();
        var warnings = 0;
        foreach (var document in documents)
        {
            var workflow = N8nFormat.Read(JsonDocuments.Parse(document), "unnamed");
            warnings += workflow.Warnings.Count;
            N8nFormat.Write(workflow.Definition);
            CanonicalJson.Hash(workflow.Definition);
        }
        busy.Stop();

        output.WriteLine($"{documents.Count} documents, {documents.Sum(d => d.Length):N0} bytes, {warnings} with warnings: "
            + $"parsed, read, written and hashed in {busy.ElapsedMilliseconds} ms.");
        // Generous: the machine may run something else. The measured time is what counts, and is printed.
        Assert.InRange(busy.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(6));
    }
}
