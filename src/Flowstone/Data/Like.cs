namespace Flowstone.Data;

static class Like
{
    /// <summary>The pattern of texts that contain this one; its own <c>%</c> and <c>_</c> stand for themselves.</summary>
    public static string Containing(string text)
        => $"%{text.Replace(@"\", @"\\", StringComparison.Ordinal).Replace("%", @"\%", StringComparison.Ordinal).Replace("_", @"\_", StringComparison.Ordinal)}%";
}
