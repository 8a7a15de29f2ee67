using System.Text.Json;
using System.Text.RegularExpressions;
using Flowstone.Data;

namespace Flowstone.Workflows;

/// <summary>Finds the nodes that expressions name: <c>$node["X"]</c>, <c>$('X')</c>, <c>$items("X")</c>, within <c>={{ … }}</c> and in a code node's text.</summary>
static partial class NodeReferences
{
    static readonly string[] code = ["jsCode", "functionCode", "code"];

    // These two without going back, in linear time: the text is a user's, and may hold a million beginnings without an end.
    static readonly Regex expressions = new(@"\{\{.*?\}\}", RegexOptions.Singleline | RegexOptions.NonBacktracking);

    // A whole line alone: within one, // may be an address.
    static readonly Regex comments = new(@"/\*.*?\*/|^[ \t]*//[^\n]*", RegexOptions.Singleline | RegexOptions.Multiline | RegexOptions.NonBacktracking);

    /// <summary>Each name with the path of the text that it is in.</summary>
    public static IEnumerable<(string Path, string Name)> In(JsonElement value, string path)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                return value.EnumerateObject().SelectMany(property => code.Contains(property.Name) && property.Value.Text is { } text
                    ? InCode(text, FieldErrors.Step(path, property.Name)) : In(property.Value, FieldErrors.Step(path, property.Name)));
            case JsonValueKind.Array:
                return value.EnumerateArray().SelectMany((item, index) => In(item, $"{path}[{index}]"));
            case JsonValueKind.String when value.Text is ['=', ..] text:
                return expressions.Matches(text).SelectMany(expression => InCode(expression.Value, path)).Distinct();
            default:
                return [];
        }
    }

    static IEnumerable<(string Path, string Name)> InCode(string text, string path)
    {
        if (!text.Contains('$', StringComparison.Ordinal))
            return [];
        var foreign = text.Contains("cheerio", StringComparison.OrdinalIgnoreCase) || text.Contains("jquery", StringComparison.OrdinalIgnoreCase);   // whose $('…') are selectors
        return References().Matches(comments.Replace(text, " ")).Where(match => !foreign || match.ValueSpan.StartsWith("$node"))
            .Select(match => Escapes().Replace(match.Groups["name"].Value, "$1")).Where(name => !name.Contains("${", StringComparison.Ordinal))
            .Distinct().Select(name => (path, name));
    }

    [GeneratedRegex(@"(?<![\w$])(?:\$(?:items)?\(\s*|\$node\s*\[\s*)(?:""(?<name>(?:[^""\\\n]|\\.)+)""|'(?<name>(?:[^'\\\n]|\\.)+)'|`(?<name>(?:[^`\\\n]|\\.)+)`)|(?<![\w$])\$node\.(?<name>[A-Za-z_]\w*)")]
    private static partial Regex References();

    [GeneratedRegex(@"\\(.)")]
    private static partial Regex Escapes();
}
