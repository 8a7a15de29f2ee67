namespace Flowstone.Data;

static class Like
{
    /// <summary>To be named in every use: without it, Npgsql's translation of <c>ILike</c> says <c>escape ''</c>, which turns escaping off.</summary>
    public const string Escape = @"\";

    /// <summary>The pattern of texts that contain this one; its own <c>%</c> and <c>_</c> stand for themselves.</summary>
    public static string Containing(string text)
    {
        Text.RequireStorable(text);
        return $"%{text.Replace(@"\", @"\\", StringComparison.Ordinal).Replace("%", @"\%", StringComparison.Ordinal).Replace("_", @"\_", StringComparison.Ordinal)}%";
    }
}
