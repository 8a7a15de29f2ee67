using System.Text.Json;
using System.Text.RegularExpressions;

namespace Flowstone.Server;

/// <summary>Says which field of a request could not be read, and what would be right, without .NET's type names.</summary>
static partial class BadRequests
{
    public static IReadOnlyList<FieldError> Explain(BadHttpRequestException error)
    {
        if (error.InnerException is JsonException json)
            return Explain(json);
        var parameter = Parameter().Match(error.Message);
        return parameter switch
        {
            { Success: true } when parameter.Groups["type"].Value.StartsWith("Id<", StringComparison.Ordinal) => [new(Name(parameter), "is not a UUID.")],
            { Success: true } => [new(Name(parameter), "is not a value that can be read here.")],
            _ when error.Message.Contains("body", StringComparison.Ordinal) => [new("$", "is missing; a JSON body is needed.")],
            _ => [new("$", "could not be read.")],
        };
    }

    static FieldError[] Explain(JsonException error)
    {
        var field = error.Path is { Length: > 0 } and not "$" ? error.Path.StartsWith("$.", StringComparison.Ordinal) ? error.Path[2..] : error.Path[1..] : "$";
        if (Missing().Match(error.Message) is { Success: true } missing)
            return [.. Names().Matches(missing.Groups["names"].Value).Select(name => new FieldError(field == "$" ? name.Value : $"{field}.{name.Value}", "is missing."))];
        if (Conversion().Match(error.Message) is { Success: true } conversion)
            return [new(field, Expected(conversion.Groups["type"].Value))];
        if (error.Message.Contains("doesn't allow setting it to null", StringComparison.Ordinal) || error.Message.Contains("null", StringComparison.Ordinal) && error.InnerException is null && !error.Message.Contains("invalid", StringComparison.Ordinal))
            return [new(field, "must not be null.")];
        if (error.Message == "Not a UUID.")
            return [new(field, "is not a UUID.")];
        var reason = Position().Replace(error.Message, "").TrimEnd('.', ' ');
        return [new(field, $"is not valid JSON at line {error.LineNumber + 1}, byte {error.BytePositionInLine + 1}: {reason}.")];
    }

    static string Name(Match parameter) => JsonNamingPolicy.CamelCase.ConvertName(parameter.Groups["name"].Value);

    static string Expected(string type)
    {
        if (type.Contains("Flowstone.Id`1", StringComparison.Ordinal))
            return "is not a UUID.";
        if (Ours().Match(type) is { Success: true } ours && typeof(FlowstoneStore).Assembly.GetType(ours.Value) is { IsEnum: true } choices)
            return $"must be {Choice.OneOf(choices)}.";
        return Ours().IsMatch(type) || type.Contains("Collections", StringComparison.Ordinal) ? "has the wrong shape: see /openapi/v1.json."
            : type.Contains("Int", StringComparison.Ordinal) ? "must be a whole number within the allowed range."
            : type.Contains("DateTime", StringComparison.Ordinal) ? "must be a time in ISO 8601, such as 2026-01-31T12:00:00Z."
            : type.Contains("Guid", StringComparison.Ordinal) ? "is not a UUID."
            : type.Contains("String", StringComparison.Ordinal) ? "must be a string."
            : "has the wrong type.";
    }

    [GeneratedRegex("""^Failed to bind parameter "(Nullable<)?(?<type>[^ ]+) (?<name>\w+)" from""")]
    private static partial Regex Parameter();

    [GeneratedRegex("missing required properties including: (?<names>.*)")]
    private static partial Regex Missing();

    [GeneratedRegex("(?<=')[^',]+(?=')")]
    private static partial Regex Names();

    [GeneratedRegex("could not be converted to (?<type>.*?)\\. Path:")]
    private static partial Regex Conversion();

    [GeneratedRegex(@"Flowstone\.[\w.]+")]
    private static partial Regex Ours();

    [GeneratedRegex(@" Path: .*$| LineNumber: .*$", RegexOptions.Singleline)]
    private static partial Regex Position();
}
