using System.Text.RegularExpressions;

namespace Flowstone.Workflows;

/// <summary>The URLs in a text, also within expressions, as far as they are written out.</summary>
static partial class Urls
{
    // An expression begins at "{{" or "${"; code ends a URL by a quote.
    [GeneratedRegex("""(?<scheme>https?|wss?)://(?:[^\s/?#@"'`<>{}()\[\]\\|^$,;]*@)?(?<host>\[[0-9a-f:.]+\]|[\p{L}\p{N}._-]+)(?<port>:[0-9]{1,5})?(?<path>/[^\s?#"'`<>{}()\[\]\\|^$,;]*)?""",
        RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Url();

    /// <summary>Without user, query and fragment, which hold secrets; scheme and host in lower case, a slash at the end left out.</summary>
    public static IEnumerable<(string Whole, string Host)> In(string text)
    {
        if (!text.Contains("://", StringComparison.Ordinal))
            yield break;
        foreach (Match match in Url().Matches(text))
        {
            var host = match.Groups["host"].Value.ToLowerInvariant().TrimEnd('.');
            if (host.Length > 0)
                yield return ($"{match.Groups["scheme"].Value.ToLowerInvariant()}://{host}{match.Groups["port"].Value}{match.Groups["path"].Value.TrimEnd('.', ':', '!', '*', '/')}", host);
        }
    }

    /// <summary>A URL or a host, as it is kept.</summary>
    public static string Sought(string text) => In(text) is var urls && urls.FirstOrDefault() is { Whole: { } whole } ? whole : text.Trim().ToLowerInvariant();
}
