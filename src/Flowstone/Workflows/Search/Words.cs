using System.Globalization;
using System.Text;

namespace Flowstone.Workflows;

/// <summary>Text as it is searched: runs of letters, digits and their marks, in lower case.</summary>
static class Words
{
    /// <summary>Nobody types more of a word.</summary>
    const int MaxLength = 64;

    public static IEnumerable<string> Of(string? text)
    {
        if (string.IsNullOrEmpty(text))
            yield break;
        var word = new StringBuilder();
        foreach (var rune in text.Normalize(NormalizationForm.FormKC).EnumerateRunes())
        {
            if (Rune.IsLetterOrDigit(rune) || Rune.GetUnicodeCategory(rune) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark)
            {
                if (word.Length < MaxLength)
                    word.Append(Rune.ToLowerInvariant(rune));
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

    /// <summary>What finds a word within <c>" one two three"</c>: three letters anywhere, fewer where a word begins.</summary>
    public static string Pattern(string word) => word.Length < 3 ? $"% {word}%" : $"%{word}%";
}
