using System.Globalization;

namespace Flowstone.Server.Console;

/// <summary>Times and lengths as people read them. Everything is UTC and says so once per page.</summary>
static class Wording
{
    public static string Duration(TimeSpan? time) => time switch
    {
        null => "–",
        { TotalMilliseconds: < 10 } t => string.Create(CultureInfo.InvariantCulture, $"{t.TotalMilliseconds:0.#} ms"),
        { TotalSeconds: < 1 } t => string.Create(CultureInfo.InvariantCulture, $"{t.TotalMilliseconds:0} ms"),
        { TotalSeconds: < 60 } t => string.Create(CultureInfo.InvariantCulture, $"{t.TotalSeconds:0.##} s"),
        { TotalMinutes: < 60 } t => $"{(int)t.TotalMinutes} min {t.Seconds} s",
        { TotalHours: < 48 } t => $"{(int)t.TotalHours} h {t.Minutes} min",
        { } t => $"{(int)t.TotalDays} d {t.Hours} h",
    };

    public static string Time(DateTimeOffset? time)
        => time is { } t ? t.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture) : "–";

    public static string ExactTime(DateTimeOffset? time)
        => time is { } t ? t.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss.ffffff", CultureInfo.InvariantCulture) : "–";

    public static string Count(long count) => count.ToString("N0", CultureInfo.InvariantCulture);

    public static string Hex(byte[] hash) => Convert.ToHexStringLower(hash);
}
