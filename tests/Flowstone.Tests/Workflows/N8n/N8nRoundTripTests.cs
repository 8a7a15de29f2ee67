using Flowstone.Data;

namespace Flowstone.Tests.Workflows.N8n;

public sealed class N8nRoundTripTests
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
}
