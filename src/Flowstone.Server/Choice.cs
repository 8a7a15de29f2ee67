using System.Text.Json;

namespace Flowstone.Server;

/// <summary>Enums in query strings, written as in JSON: <c>PENDING_VERIFICATION</c>.</summary>
static class Choice
{
    /// <returns>Null where nothing was asked for.</returns>
    public static T? Parse<T>(string field, string? text) where T : struct, Enum
    {
        if (string.IsNullOrEmpty(text))
            return null;
        foreach (var value in Enum.GetValues<T>())
        {
            if (Text(value) == text)
                return value;
        }
        throw new InvalidInputException(field, $"must be {OneOf(typeof(T))}.");
    }

    public static string Text(Enum value) => JsonNamingPolicy.SnakeCaseUpper.ConvertName(value.ToString());

    public static string OneOf(Type type) => $"one of {string.Join(", ", Enum.GetValues(type).Cast<Enum>().Select(Text))}";
}
