using System.Text;
using System.Text.Json;

namespace Flowstone.Data;

/// <summary>Collects what is wrong with an input, up to a number that a person still reads.</summary>
sealed class FieldErrors(int limit)
{
    readonly List<FieldError> errors = [];

    public IReadOnlyList<FieldError> All => errors;

    public bool IsFull => errors.Count >= limit;

    public void Add(string field, string message)
    {
        if (!IsFull)
            errors.Add(new FieldError(field, message));
    }

    public void ThrowIfAny()
    {
        if (errors.Count > 0)
            throw new InvalidInputException(errors);
    }

    /// <summary>Checks a kind; what is absent must be optional.</summary>
    /// <returns>The value if it is of that kind; else null, and an error was added.</returns>
    public JsonElement? Expect(string field, JsonElement? value, JsonValueKind kind, bool optional = false)
    {
        if (value is not { } present)
        {
            if (!optional)
                Add(field, $"is missing; {kind.Name()} is needed.");
            return null;
        }
        if (present.ValueKind == kind)
            return present;
        Add(field, $"must be {kind.Name()}, but is {present.ValueKind.Name()}.");
        return null;
    }

    /// <summary>Checks a string and its length.</summary>
    /// <returns>The text if it is fine; else null, and an error was added.</returns>
    public string? ExpectText(string field, JsonElement? value, int minLength, int maxLength, bool optional = false)
    {
        // A string that cannot be read has been reported by StorableJson.
        if (Expect(field, value, JsonValueKind.String, optional)?.Text is not { } text)
            return null;
        if (text.Length >= minLength && text.Length <= maxLength)
            return text;
        Add(field, text.Length == 0 ? "must not be empty." : $"has {text.Length} characters; at most {maxLength} are allowed.");
        return null;
    }

    /// <summary>A text of the user's, short enough for a message.</summary>
    public static string Cut(string text) => text.Length <= 80 ? text : text[..80] + "…";

    /// <summary>Adds a key to a path: <c>.name</c>, or <c>['odd name']</c>.</summary>
    public static void AppendKey(StringBuilder path, string key)
    {
        var simple = key.Length > 0 && !char.IsAsciiDigit(key[0]) && key.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '$');
        if (simple)
            path.Append(path.Length == 0 ? "" : ".").Append(key);
        else
            path.Append("['").Append(Cut(key)).Append("']");
    }

    /// <summary>The same for a single step.</summary>
    public static string Step(string path, string key)
    {
        var text = new StringBuilder(path);
        AppendKey(text, key);
        return text.ToString();
    }
}
