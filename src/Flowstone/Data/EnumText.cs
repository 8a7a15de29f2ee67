using System.Collections.Frozen;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.EntityFrameworkCore.Storage.ValueConversion;

namespace Flowstone.Data;

/// <summary>How an enum is written everywhere, in SQL and in JSON: <c>PendingVerification</c> is <c>PENDING_VERIFICATION</c>.</summary>
static class EnumText<T> where T : struct, Enum
{
    static readonly FrozenDictionary<T, string> texts = Enum.GetValues<T>()
        .ToFrozenDictionary(value => value, value => JsonNamingPolicy.SnakeCaseUpper.ConvertName(value.ToString()));

    static readonly FrozenDictionary<string, T> values = texts.ToFrozenDictionary(pair => pair.Value, pair => pair.Key);

    public static IEnumerable<string> All => texts.Values;

    public static string Of(T value) => texts[value];

    public static T Parse(string text) => values.TryGetValue(text, out var value) ? value : throw new FormatException($"'{text}' is not one of {string.Join(", ", All)}.");

    /// <summary>The check constraint that keeps a column to the enum's texts.</summary>
    public static string Check(string column) => $"{column} in ({string.Join(", ", All.Select(text => $"'{text}'"))})";
}

sealed class EnumTextConverter<T>() : ValueConverter<T, string>(value => EnumText<T>.Of(value), text => EnumText<T>.Parse(text)) where T : struct, Enum;

sealed class UpperSnakeEnums() : JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseUpper, allowIntegerValues: false);
