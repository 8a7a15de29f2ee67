using FsCheck;
using FsCheck.Fluent;
using Flowstone.Workflows.N8n;

namespace Flowstone.Tests.Workflows.N8n;

public sealed class N8nPropertyTests
{
    static readonly Config Thorough = Config.QuickThrowOnFailure.WithMaxTest(2_000).WithEndSize(25);

    [Fact]
    public void Any_document_that_is_accepted_comes_back_as_it_went_in()
        => Check.One(Thorough, Prop.ForAll(OddN8nDocuments.Documents.ToArbitrary(), json => N8nDocuments.AssertRoundTrip(N8nDocuments.Parse(json))));

    [Fact]
    public void Importing_an_export_gives_the_same_definition_again()
        => Check.One(Thorough, Prop.ForAll(OddN8nDocuments.Documents.ToArbitrary(), json =>
        {
            var first = N8nDocuments.Read(json).Definition;
            N8nDocuments.AssertSame(first, N8nFormat.Read(N8nFormat.Write(first), "from file.json").Definition);
        }));

    [Fact]
    public void The_generator_makes_edges_and_not_only_oddities()
    {
        var withEdges = OddN8nDocuments.Documents.Resize(25).Sample(300)
            .Count(json => N8nDocuments.Read(json).Definition.TryGetProperty("edges", out var edges) && edges.GetArrayLength() > 0);
        Assert.InRange(withEdges, 30, 300);
    }
}
