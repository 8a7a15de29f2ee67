namespace Flowstone.Data;

/// <summary>Checks that text from outside fits its column, so that the answer names the field and not the constraint.</summary>
static class Text
{
    public static void Require(string field, string? value, int maxLength)
    {
        if (string.IsNullOrWhiteSpace(value))
            throw new InvalidInputException(field, "must not be empty.");
        Check(field, value, maxLength);
    }

    public static void Check(string field, string? value, int maxLength)
    {
        if (value is null)
            return;
        if (value.Length > maxLength)
            throw new InvalidInputException(field, $"has {value.Length:N0} characters; at most {maxLength:N0} are allowed.");
        if (!IsStorable(value))
            throw new InvalidInputException(field, "holds a character that PostgreSQL cannot store (U+0000 or a lone surrogate).");
    }

    /// <summary>For what reaches a statement unchecked. Npgsql meets half a surrogate pair midway through a batch, after it has noted statements as prepared.</summary>
    public static void RequireStorable(string value) => Check("$", value, int.MaxValue);

    /// <summary>PostgreSQL's text holds neither U+0000 nor half a surrogate pair.</summary>
    public static bool IsStorable(ReadOnlySpan<char> value)
    {
        for (var i = 0; i < value.Length; i++)
        {
            if (value[i] == '\0' || char.IsLowSurrogate(value[i]))
                return false;
            if (char.IsHighSurrogate(value[i]) && (++i == value.Length || !char.IsLowSurrogate(value[i])))
                return false;
        }
        return true;
    }

    /// <summary>Cuts what only informs, such as an error's text, and replaces what cannot be stored.</summary>
    public static string? Fit(string? value, int maxLength)
    {
        if (value is null || (value.Length <= maxLength && IsStorable(value)))
            return value;
        var fitted = value.Length <= maxLength ? value : value[..(maxLength - 1)] + "…";
        return string.Concat(fitted.EnumerateRunes().Select(rune => rune.Value == 0 ? "\uFFFD" : rune.ToString()));
    }
}
