namespace Flowstone.Benchmarks.Peers;

/// <summary>The system that Flowstone re-implements.</summary>
static class Original
{
    /// <summary>The tables of its runs.</summary>
    /// <param name="id">Type of the ids: text, as Prisma makes them by default, or uuid.</param>
    public static string Schema(string id) => File.ReadAllText(Path.Combine(Report.Folder, "original", "schema.sql")).Replace("{id}", id, StringComparison.Ordinal);
}
