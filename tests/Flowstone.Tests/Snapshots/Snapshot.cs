using System.Runtime.CompilerServices;

namespace Flowstone.Tests.Snapshots;

/// <summary>Compares a text with the reviewed one in this folder. <c>./dev accept</c> rewrites what differs; the diff is then reviewed.</summary>
static class Snapshot
{
    public static void Match(string file, string text)
    {
        var path = Path.Combine(Folder(), file);
        var actual = text.ReplaceLineEndings("\n").TrimEnd() + "\n";
        var expected = File.Exists(path) ? File.ReadAllText(path).ReplaceLineEndings("\n") : "";
        if (actual == expected)
            return;
        if (Environment.GetEnvironmentVariable("FLOWSTONE_ACCEPT") == "1")
        {
            File.WriteAllText(path, actual);
            return;
        }
        var (before, after) = (expected.Split('\n'), actual.Split('\n'));
        var line = before.Zip(after).TakeWhile(pair => pair.First == pair.Second).Count();
        Assert.Fail($"""
            {file} has changed, first in line {line + 1}:
            - {before.ElementAtOrDefault(line)}
            + {after.ElementAtOrDefault(line)}
            If the change is meant, run ./dev accept and review the diff.
            """);
    }

    static string Folder([CallerFilePath] string thisFile = "")
    {
        var folder = new DirectoryInfo(Path.GetDirectoryName(thisFile) is { } source && Directory.Exists(source) ? source : AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Flowstone.slnx")))
            folder = folder.Parent;
        return Path.Combine(folder?.FullName ?? throw new DirectoryNotFoundException("No folder above the tests holds Flowstone.slnx."), "tests/Flowstone.Tests/Snapshots");
    }
}
