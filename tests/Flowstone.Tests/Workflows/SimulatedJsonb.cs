using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Flowstone.Tests.Workflows;

/// <summary>What PostgreSQL does to a document between <c>insert</c> and <c>select</c>, for tests without a database.</summary>
static partial class SimulatedJsonb
{
    /// <summary>Keys by length, then bytes; of duplicates the last; numbers as numeric prints them; escapes undone.</summary>
    public static JsonElement RoundTrip(JsonElement document) => JsonDocument.Parse(Print(document), new() { MaxDepth = 1000 }).RootElement;

    static string Print(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "{" + string.Join(", ", Properties(value).Select(p => JsonValue.Create(p.Name).ToJsonString() + ": " + Print(p.Value))) + "}",
        JsonValueKind.Array => "[" + string.Join(", ", value.EnumerateArray().Select(Print)) + "]",
        JsonValueKind.Number => Numeric(value.GetRawText()),
        JsonValueKind.String => JsonValue.Create(value.GetString()!).ToJsonString(),
        _ => value.GetRawText(),
    };

    static IEnumerable<(string Name, JsonElement Value)> Properties(JsonElement value)
        => value.EnumerateObject()
            .GroupBy(property => property.Name, StringComparer.Ordinal)
            .Select(same => (Name: same.Key, same.Last().Value))
            .OrderBy(property => Encoding.UTF8.GetByteCount(property.Name))
            .ThenBy(property => Convert.ToHexString(Encoding.UTF8.GetBytes(property.Name)), StringComparer.Ordinal);

    /// <summary>No exponent, no negative zero; zeros after the point stay: 1.50e1 is 15.0.</summary>
    public static string Numeric(string text)
    {
        var parts = NumberParts().Match(text);
        var (whole, fraction) = (parts.Groups["whole"].Value, parts.Groups["fraction"].Value);
        var exponent = parts.Groups["exponent"] is { Success: true, Value: var digits } ? int.Parse(digits) : 0;

        var point = whole.Length + exponent;
        var all = whole + fraction;
        if (point > all.Length)
            all = all.PadRight(point, '0');
        if (point <= 0)
            (all, point) = (new string('0', 1 - point) + all, 1);

        var before = all[..point].TrimStart('0');
        var number = (before.Length == 0 ? "0" : before) + (point < all.Length ? "." + all[point..] : "");
        return text[0] == '-' && number.Any(c => c is >= '1' and <= '9') ? "-" + number : number;
    }

    [GeneratedRegex(@"^-?(?<whole>\d+)(\.(?<fraction>\d+))?([eE]\+?(?<exponent>-?\d+))?$")]
    private static partial Regex NumberParts();
}
