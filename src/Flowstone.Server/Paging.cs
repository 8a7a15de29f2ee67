using System.Buffers;
using System.Buffers.Text;
using System.Text;
using Microsoft.AspNetCore.Mvc;

namespace Flowstone.Server;

/// <summary>A part of a list.</summary>
/// <param name="NextCursor">Asks for what follows; null at the end.</param>
sealed record Page<T>(IReadOnlyList<T> Items, string? NextCursor)
{
    public Page<TOther> Select<TOther>(Func<T, TOther> show) => new([.. Items.Select(show)], NextCursor);
}

/// <summary>A part of a list that can be counted.</summary>
/// <param name="NextCursor">Asks for what follows; null at the end.</param>
/// <param name="Total">How many there are in all; null unless asked for by <c>count</c>.</param>
sealed record CountedPage<T>(IReadOnlyList<T> Items, string? NextCursor, Executions.TotalResponse? Total);

/// <summary>Which part of a list is wanted.</summary>
/// <param name="Limit">1 to 200; 50 unless told.</param>
/// <param name="Cursor">The <c>nextCursor</c> of the page before.</param>
sealed record PageQuery([FromQuery(Name = "limit")] int? Limit, [FromQuery(Name = "cursor")] string? Cursor)
{
    /// <summary>One more than asked for, which tells whether a page follows.</summary>
    public int Take => Size + 1;

    int Size => Limit is null or (>= 1 and <= 200) ? Limit ?? 50 : throw new InvalidInputException("limit", "must be 1 to 200.");

    /// <summary>The id at which the page before ended.</summary>
    public Id<T>? Before<T>() => Text is not { } text ? null : Id<T>.TryParse(text, null, out var id) ? id : throw InvalidCursor();

    /// <summary>The same for lists in order of a number.</summary>
    public int? BeforeNumber() => Text is not { } text ? null : int.TryParse(text, out var number) ? number : throw InvalidCursor();

    /// <summary>The same for lists in another order.</summary>
    /// <param name="parse">Reads what <see cref="Of"/> was given as the key.</param>
    public T? After<T>(Func<string, T> parse) where T : struct
    {
        if (Text is not { } text)
            return null;
        try
        {
            return parse(text);
        }
        catch (Exception error) when (error is FormatException or OverflowException or ArgumentOutOfRangeException)
        {
            throw InvalidCursor();
        }
    }

    /// <param name="rows">At most <see cref="Take"/> of them.</param>
    /// <param name="key">What the next page's <see cref="Before{T}"/> finds.</param>
    public Page<T> Of<T>(List<T> rows, Func<T, object> key)
        => rows.Count <= Size
            ? new(rows, null)
            : new(rows[..Size], Base64Url.EncodeToString(Encoding.ASCII.GetBytes(key(rows[Size - 1]).ToString()!)));

    string? Text
    {
        get
        {
            if (Cursor is not { Length: > 0 } cursor)
                return null;
            Span<byte> bytes = stackalloc byte[80];   // the longest key is a UUID's text behind two numbers
            return Base64Url.DecodeFromChars(cursor, bytes, out _, out var length) == OperationStatus.Done
                ? Encoding.ASCII.GetString(bytes[..length]) : throw InvalidCursor();
        }
    }

    static InvalidInputException InvalidCursor() => new("cursor", "is not one that this list gave out.");
}
