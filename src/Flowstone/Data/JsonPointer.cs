namespace Flowstone.Data;

/// <summary>Paths into JSON as RFC 6901 writes them.</summary>
static class JsonPointer
{
    public static string Append(string path, string name)
        => $"{path}/{name.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal)}";

    public static IEnumerable<string> Parse(string path)
        => path.Split('/').Skip(1).Select(name => name.Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal));
}
