using System.Globalization;
using System.Text.RegularExpressions;
using Quartz;

namespace Flowstone.Workflows;

/// <summary>When a schedule is due: what its cron expression, or its interval, comes to in its time zone.</summary>
sealed partial class DueTimes
{
    const long LongestInterval = 366L * 86_400;
    static readonly string[] unixFields = ["minute", "hour", "day of month", "month", "day of week"];
    static readonly string[] quartzFields = ["second", "minute", "hour", "day of month", "month", "day of week", "year"];

    // In no zone: it reads the zone's clocks. (In a zone, Quartz 4.7 stands still where clocks are put forward in Dublin, whose winter time is the exception.)
    readonly CronExpression? cron;
    readonly TimeZoneInfo zone;
    readonly bool repeats;
    readonly long interval;
    readonly DateTimeOffset start;
    readonly DateTimeOffset? end;

    /// <exception cref="InvalidInputException">Expression, interval or zone are none; the message names the field.</exception>
    public DueTimes(string? cron, long? intervalSeconds, string timeZone, DateTimeOffset start, DateTimeOffset? end)
    {
        if ((cron is null) == (intervalSeconds is null))
            throw new InvalidInputException("cron", "or intervalSeconds must be given, and not both.");
        if (start.Year is < 1970 or > 2200)
            throw new InvalidInputException("startsAt", "must be in the years 1970 to 2200.");
        (this.start, this.end, zone) = (start, end, Zone(timeZone));
        if (cron is not null)
            (repeats, this.cron) = (Repeats(cron), Parse(cron).WithTimeZone(TimeZoneInfo.Utc));
        else if (intervalSeconds is < 1 or > LongestInterval)
            throw new InvalidInputException("intervalSeconds", $"must be 1 to {LongestInterval:N0}.");
        else
            interval = intervalSeconds!.Value * TimeSpan.TicksPerSecond;
    }

    public static DueTimes Of(Schedule schedule) => new(schedule.Cron, schedule.IntervalSeconds, schedule.TimeZone, schedule.StartsAt, schedule.EndsAt);

    /// <summary>The first one after a time; null if there is none any more.</summary>
    public DateTimeOffset? Next(DateTimeOffset after)
    {
        var next = cron is null ? start.AddTicks((after < start ? 0 : ((after - start).Ticks / interval) + 1) * interval)
            : repeats ? NextByElapsedTime(cron, after < start ? start.AddTicks(-1) : after) : NextByTimeOfDay(cron, after < start ? start.AddTicks(-1) : after);
        return next > end ? null : next;
    }

    /// <summary>Whether it names no time of day, but a rhythm: a *, a step or a range among seconds, minutes and hours.</summary>
    static bool Repeats(string cron)
    {
        var fields = cron.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        return (fields is [var name] && name.Equals("@hourly", StringComparison.OrdinalIgnoreCase)) || fields.Take(fields.Length == 5 ? 2 : 3).Any(field => field.AsSpan().IndexOfAny('*', '/', '-') >= 0);
    }

    DateTimeOffset? NextByTimeOfDay(CronExpression cron, DateTimeOffset after)
    {
        for (var read = new DateTimeOffset(after.UtcDateTime + zone.GetUtcOffset(after), TimeSpan.Zero); cron.GetNextValidTimeAfter(read) is { } next; read = next)
            if (FirstTime(next.UtcDateTime) is var due && due > after)   // it was, where the clocks read it for the second time
                return due;
        return null;
    }

    /// <summary>When the zone's clocks first read this, or, where it is left out, more.</summary>
    DateTimeOffset FirstTime(DateTime read)
    {
        var farthest = TimeSpan.FromHours(14);   // of any zone
        for (DateTimeOffset from = new(read - farthest, TimeSpan.Zero), to = new(read + farthest, TimeSpan.Zero); ;)
        {
            var offset = zone.GetUtcOffset(from);
            var due = new DateTimeOffset(read - offset, TimeSpan.Zero);
            if (due <= from)
                return from;
            if (ChangeBetween(zone, from, to, offset) is not { } change || due < change)
                return due;
            from = change;
        }
    }

    // Where clocks are put back, an hour comes twice and so do its due times; where they are put forward, those of the hour that is not there do not come at all.
    DateTimeOffset? NextByElapsedTime(CronExpression cron, DateTimeOffset after)
    {
        for (var (from, offset) = (after, zone.GetUtcOffset(after)); ;)
        {
            if (cron.GetNextValidTimeAfter(new DateTimeOffset(from.UtcDateTime + offset, TimeSpan.Zero)) is not { } read)
                return null;
            var next = new DateTimeOffset(read.UtcDateTime - offset, TimeSpan.Zero);
            if (ChangeBetween(zone, from, next, offset) is not { } change)
                return next;
            (from, offset) = (change.AddTicks(-1), zone.GetUtcOffset(change));
        }
    }

    /// <summary>When, in this time, the zone's clocks are first not as much ahead any more; null if they always are.</summary>
    static DateTimeOffset? ChangeBetween(TimeZoneInfo zone, DateTimeOffset from, DateTimeOffset to, TimeSpan offset)
    {
        for (var low = from; low < to;)
        {
            var high = low.AddDays(1) < to ? low.AddDays(1) : to;
            if (zone.GetUtcOffset(high) == offset)
            {
                low = high;
                continue;
            }
            while (high - low > TimeSpan.FromTicks(1))
            {
                var middle = low + ((high - low) / 2);
                (low, high) = zone.GetUtcOffset(middle) == offset ? (middle, high) : (low, middle);
            }
            return high;
        }
        return null;
    }

    /// <summary>How much later than due it is fired: spread over the schedule's jitter, and the same whoever asks.</summary>
    public static TimeSpan Jitter(Id<Schedule> schedule, DateTimeOffset due, int jitterSeconds)
    {
        if (jitterSeconds == 0)
            return TimeSpan.Zero;
        Span<byte> bytes = stackalloc byte[24];
        schedule.Value.TryWriteBytes(bytes);
        BitConverter.TryWriteBytes(bytes[16..], due.UtcTicks);
        var hash = 14_695_981_039_346_656_037;   // FNV-1a: spread is all that is asked of it
        foreach (var b in bytes)
            hash = (hash ^ b) * 1_099_511_628_211;
        return TimeSpan.FromMilliseconds((long)(hash % ((ulong)jitterSeconds * 1000 + 1)));
    }

    static TimeZoneInfo Zone(string? name)
    {
        // A name may not lead out of the folder of zones; IANA's have no more than these characters.
        // What the folder has besides is another zone on each machine, or counts leap seconds.
        if (name is { Length: > 0 and <= ScheduleMapping.LongestZone } and not ("localtime" or "posixrules") && !name.StartsWith("right/", StringComparison.Ordinal)
            && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '/' or '_' or '-' or '+') && TimeZoneInfo.TryFindSystemTimeZoneById(name, out var zone) && zone.HasIanaId)
            return zone;
        throw new InvalidInputException("timeZone", $"'{Data.FieldErrors.Cut(name ?? "")}' is none: take an IANA name, such as Europe/Berlin or UTC.");
    }

    static CronExpression Parse(string text)
    {
        Data.Text.Require("cron", text, ScheduleMapping.LongestCron);
        var fields = text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        var format = fields is [['@', ..]] || fields.Length == 5 ? CronFormat.Unix : CronFormat.Quartz;
        if (fields is not [['@', ..]] && fields.Length is not (5 or 6 or 7))
            throw new InvalidInputException("cron", $"has {fields.Length} fields; 5 are needed (minute hour day month weekday), or 6 or 7 with seconds first.");
        var names = format == CronFormat.Unix ? unixFields : quartzFields;
        for (var i = 0; i < fields.Length && fields.Length > 1; i++)   // Quartz takes 98 and 99 for marks of its own
            if (Numbers().Matches(fields[i]).Any(number => number.Value is "98" or "99"))
                throw new InvalidInputException("cron", $"the {names[i]} '{fields[i]}' is wrong: the number is out of range.");
        try
        {
            return CronExpression.Parse(text, format);
        }
        catch (Exception error) when (error is FormatException or ArgumentException)
        {
            for (var i = 0; i < fields.Length && fields.Length > 1; i++)
                if (Wrong(fields, i, format) is { } why)
                    throw new InvalidInputException("cron", $"the {names[i]} '{fields[i]}' is wrong: {why}");
            throw new InvalidInputException("cron", $"is no cron expression: {error.Message}");
        }
    }

    [GeneratedRegex("[0-9]+")]
    private static partial Regex Numbers();

    // With all others as in an expression that is right, only this one can be wrong.
    static string? Wrong(string[] fields, int place, CronFormat format)
    {
        var alone = format == CronFormat.Unix ? new[] { "*", "*", "*", "*", "*" } : ["*", "*", "*", "*", "*", "?", "*"];
        if (format == CronFormat.Quartz && place == 5)
            alone[3] = "?";
        alone[place] = fields[place];
        try
        {
            CronExpression.Parse(string.Join(' ', alone), format);
            return null;
        }
        catch (Exception error) when (error is FormatException or ArgumentException)
        {
            return string.Create(CultureInfo.InvariantCulture, $"{error.Message.TrimEnd('.')}.");
        }
    }
}
