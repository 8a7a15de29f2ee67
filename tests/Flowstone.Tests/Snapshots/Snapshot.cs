namespace Flowstone.Tests.Snapshots;

/// <summary>Text that people review in diffs.</summary>
static class Snapshot
{
    /// <param name="file">A name in this folder, or with a slash a path from the repository's root.</param>
    public static void Match(string file, string text)
    {
        var path = Path.Combine(Repository.Root, file.Contains('/', StringComparison.Ordinal) ? file : $"tests/Flowstone.Tests/Snapshots/{file}");
        text = text.ReplaceLineEndings("\n").TrimEnd() + "\n";
        if (Environment.GetEnvironmentVariable("FLOWSTONE_ACCEPT") == "1")
        {
            File.WriteAllText(path, text);
            return;
        }
        var expected = (File.Exists(path) ? File.ReadAllText(path) : "").Split('\n');
        var actual = text.Split('\n');
        for (var i = 0; i < Math.Max(expected.Length, actual.Length); i++)
        {
            var (then, now) = (expected.ElementAtOrDefault(i), actual.ElementAtOrDefault(i));
            if (then != now)
                Assert.Fail($"{file} differs from line {i + 1} on.\n  accepted: {then ?? "(the end)"}\n  now:      {now ?? "(the end)"}\nIf it is meant to, run ./dev accept and review the diff.");
        }
    }
}
