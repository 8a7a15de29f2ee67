using System.Globalization;
using System.Text;

namespace Flowstone.Workflows;

/// <summary>
/// Text as it is searched: runs of letters, digits and their marks, in lower case. PostgreSQL normalizes them (NFKC), where they are stored and where they are
/// sought: .NET does not without ICU, and then "é" typed as two characters would not be found as one.
/// </summary>
static class Words
{
    /// <summary>Nobody types more of a word.</summary>
    const int MaxLength = 64;

    public static IEnumerable<string> Of(string? text)
    {
        if (string.IsNullOrEmpty(text))
            yield break;
        var word = new StringBuilder();
        foreach (var rune in text.EnumerateRunes())
        {
            if (Rune.IsLetterOrDigit(rune) || Rune.GetUnicodeCategory(rune) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark)
            {
                if (word.Length < MaxLength)
                    word.Append(Lower(rune));
            }
            else if (word.Length > 0)
            {
                yield return word.ToString();
                word.Clear();
            }
        }
        if (word.Length > 0)
            yield return word.ToString();
    }

    // One sigma, wherever in a word it is.
    static Rune Lower(Rune rune) => Rune.ToLowerInvariant(rune) is var lower && lower.Value == 'ς' ? new Rune('σ') : lower;

    /// <summary>What finds a word within <c>" one two three"</c>: three letters anywhere, fewer where a word begins.</summary>
    public static string Pattern(string word) => word.Length < 3 ? $"% {word}%" : $"%{word}%";
}
