using System.Globalization;
using Flowstone.Workflows;

namespace Flowstone.Tests.Workflows.Schedules;

public sealed class DueTimesTests
{
    static DateTimeOffset Time(string text) => DateTimeOffset.Parse(text, CultureInfo.InvariantCulture);

    static List<string> Next(string cron, string zone, string after, int count)
        => [.. ScheduleRepository.Preview(new() { Name = "Test", Cron = cron, TimeZone = zone }, Time(after), count)
            .Select(due => TimeZoneInfo.ConvertTime(due, TimeZoneInfo.FindSystemTimeZoneById(zone)).ToString("MM-dd HH:mm:ss zzz", CultureInfo.InvariantCulture))];

    // Summer time: a fixed time that the day does not have is due when the gap ends, one that it has twice the first time. What repeats goes by elapsed time.
    [Theory]
    [InlineData("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "03-29 03:00:00 +02:00", "03-30 02:30:00 +02:00")]
    [InlineData("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "10-25 02:30:00 +02:00", "10-26 02:30:00 +01:00")]
    [InlineData("30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", "03-08 03:00:00 -04:00", "03-09 02:30:00 -04:00")]
    [InlineData("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", "11-01 01:30:00 -04:00", "11-02 01:30:00 -05:00")]
    [InlineData("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00+11:00", "10-04 02:30:00 +11:00", "10-05 02:15:00 +11:00")]
    [InlineData("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00+11:00", "04-05 01:45:00 +11:00", "04-06 01:45:00 +10:30")]
    [InlineData("30 2 * * *", "Asia/Tokyo", "2026-03-28T12:00:00+09:00", "03-29 02:30:00 +09:00", "03-30 02:30:00 +09:00")]
    [InlineData("@HOURLY", "Europe/Berlin", "2026-10-25T00:20:00Z", "10-25 02:00:00 +01:00", "10-25 03:00:00 +01:00")]
    [InlineData("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:20:00Z", "03-29 01:30:00 +01:00", "03-29 03:00:00 +02:00")]
    [InlineData("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:20:00Z", "10-25 02:30:00 +02:00", "10-25 02:00:00 +01:00", "10-25 02:30:00 +01:00", "10-25 03:00:00 +01:00")]
    public void Days_on_which_clocks_are_changed(string cron, string zone, string after, params string[] expected) => Assert.Equal(expected, Next(cron, zone, after, expected.Length));

    [Theory]
    [InlineData("0 9 * * 1-5", "2026-11-27T10:00:00Z", "11-30 09:00:00 +00:00")]
    [InlineData("0 9 * * 7", "2026-11-23T00:00:00Z", "11-29 09:00:00 +00:00")]
    [InlineData("0 9 * * sun", "2026-11-23T00:00:00Z", "11-29 09:00:00 +00:00")]
    [InlineData("0 9 1 * 1", "2026-11-24T00:00:00Z", "11-30 09:00:00 +00:00", "12-01 09:00:00 +00:00")]   // day of month or weekday, as crontab
    [InlineData("@daily", "2026-11-23T00:00:00Z", "11-24 00:00:00 +00:00")]
    [InlineData("15 30 9 ? * 2", "2026-11-24T00:00:00Z", "11-30 09:30:15 +00:00")]   // Quartz counts from Sunday, 1
    [InlineData("0 0 2 L * ?", "2026-11-23T00:00:00Z", "11-30 02:00:00 +00:00", "12-31 02:00:00 +00:00")]
    [InlineData("0 0 2 LW 1 ?", "2026-11-23T00:00:00Z", "01-29 02:00:00 +00:00")]
    [InlineData("0 0 2 ? * 6#3", "2026-11-23T00:00:00Z", "12-18 02:00:00 +00:00")]
    [InlineData("0 0 2 ? * 6L", "2026-11-23T00:00:00Z", "11-27 02:00:00 +00:00")]
    [InlineData("0 0 9 15W * ? 2027", "2026-11-23T00:00:00Z", "01-15 09:00:00 +00:00")]
    public void Both_forms_of_cron(string cron, string after, params string[] expected) => Assert.Equal(expected, Next(cron, "UTC", after, expected.Length));

    // Worked out minute by minute, without any cron.
    [Theory]
    [InlineData("17 */3 * * *", "Europe/Berlin", 17, 3)]
    [InlineData("5 * * * *", "America/New_York", 5, 1)]
    [InlineData("29 * * * *", "Australia/Lord_Howe", 29, 1)]
    [InlineData("0 17 0-23 * * ?", "Africa/Casablanca", 17, 1)]
    public void A_year_of_what_repeats_is_what_a_walk_through_its_minutes_finds(string cron, string zone, int minute, int everyHours)
    {
        var (place, from) = (TimeZoneInfo.FindSystemTimeZoneById(zone), Time("2026-01-01T00:00:00Z"));
        var expected = Enumerable.Range(1, 365 * 24 * 60).Select(i => from.AddMinutes(i)).Where(at => TimeZoneInfo.ConvertTime(at, place) is var local && local.Minute == minute && local.Hour % everyHours == 0);
        Assert.Equal(expected, ScheduleRepository.Preview(new() { Name = "Test", Cron = cron, TimeZone = zone }, from, 10_000).TakeWhile(due => due < from.AddDays(365)));
    }

    // Worked out from the zone's clocks, without any cron: each of a day's times when they first read it, or more.
    [Theory]
    [InlineData("Europe/Dublin", 2026)]   // its winter time is the exception
    [InlineData("Africa/Casablanca", 2026)]   // puts clocks back for a month
    [InlineData("America/Asuncion", 2024)]   // stays on summer time
    [InlineData("Africa/Cairo", 2026)]   // has no midnight
    [InlineData("Australia/Lord_Howe", 2026)]   // half an hour
    [InlineData("Antarctica/Troll", 2026)]   // two hours
    [InlineData("Pacific/Apia", 2011)]   // has left out a day
    [InlineData("America/Havana", 2026)]
    public void Times_of_day_are_due_once_a_day_in_every_zone(string zone, int year)
    {
        var (place, from) = (TimeZoneInfo.FindSystemTimeZoneById(zone), new DateTimeOffset(year, 1, 1, 12, 0, 0, TimeSpan.Zero));
        var expected = new SortedSet<DateTimeOffset>();
        var seen = from.AddDays(-1).UtcDateTime + place.GetUtcOffset(from.AddDays(-1));
        for (var at = from.AddDays(-1); at < from.AddDays(363); at = at.AddMinutes(5))   // the farthest that clocks have come; zones change on five minutes
            for (var reads = at.UtcDateTime + place.GetUtcOffset(at); seen <= reads; seen = seen.AddMinutes(5))
                if (seen.Hour is 0 or 1 or 2 or 3 or 23 && seen.Minute is 0 or 35)
                    expected.Add(at);
        var times = new DueTimes("0,35 0,1,2,3,23 * * *", null, zone, from, null);
        var found = new List<DateTimeOffset>();
        for (var due = times.Next(from); due < from.AddDays(360) && !(found.Count > 0 && due <= found[^1]); due = times.Next(due.Value))
            found.Add(due.Value);
        Assert.Equal(expected.Where(due => due > from && due < from.AddDays(360)), found);
        foreach (var after in Enumerable.Range(0, 350).Select(i => from.AddDays(i).AddSeconds(i * 97)))
            Assert.Equal(expected.First(due => due > after), times.Next(after));
    }

    [Fact]
    public void Intervals_are_counted_from_the_start_by_elapsed_time_and_end_where_they_should()
    {
        var times = new DueTimes(null, 90, "UTC", Time("2026-01-01T00:00:00Z"), Time("2026-01-01T00:04:00Z"));
        Assert.Equal(Time("2026-01-01T00:00:00Z"), times.Next(Time("2025-06-01T00:00:00Z")));
        Assert.Equal(Time("2026-01-01T00:01:30Z"), times.Next(Time("2026-01-01T00:00:00Z")));
        Assert.Equal(Time("2026-01-01T00:03:00Z"), times.Next(Time("2026-01-01T00:02:59.999Z")));
        Assert.Null(times.Next(Time("2026-01-01T00:03:00Z")));
    }

    [Fact]
    public void Jitter_is_spread_over_its_seconds_and_always_the_same()
    {
        var (id, clock) = (Id<Schedule>.New(new ManualClock()), Time("2026-01-01T00:00:00Z"));
        var jitters = Enumerable.Range(0, 1_000).Select(i => DueTimes.Jitter(id, clock.AddMinutes(i), 60)).ToList();
        Assert.Equal(jitters, Enumerable.Range(0, 1_000).Select(i => DueTimes.Jitter(id, clock.AddMinutes(i), 60)));
        Assert.All(jitters, jitter => Assert.InRange(jitter, TimeSpan.Zero, TimeSpan.FromSeconds(60)));
        Assert.All(jitters.GroupBy(jitter => (int)jitter.TotalSeconds / 10).Where(g => g.Key < 6), group => Assert.InRange(group.Count(), 100, 240));
        Assert.Equal(TimeSpan.Zero, DueTimes.Jitter(id, clock, 0));
    }

    [Theory]
    [InlineData("0 25 * * *", "UTC", "cron", "the hour '25' is wrong: Hour values must be between 0 and 23")]
    [InlineData("61 * * * *", "UTC", "cron", "the minute '61' is wrong")]
    [InlineData("0 9 32 * *", "UTC", "cron", "the day of month '32' is wrong")]
    [InlineData("0 9 * 13 *", "UTC", "cron", "the month '13' is wrong")]
    [InlineData("0 9 * foo *", "UTC", "cron", "the month 'foo' is wrong")]
    [InlineData("0 9 * * 8", "UTC", "cron", "the day of week '8' is wrong")]
    [InlineData("0 9 */0 * *", "UTC", "cron", "the day of month '*/0' is wrong")]
    [InlineData("0 0 25 * * ?", "UTC", "cron", "the hour '25' is wrong")]
    [InlineData("0 0 9 ? * 8", "UTC", "cron", "the day of week '8' is wrong")]
    [InlineData("99 0 9 ? * 2", "UTC", "cron", "the second '99' is wrong")]
    [InlineData("0 9-98 * * *", "UTC", "cron", "the hour '9-98' is wrong")]
    [InlineData("x 0 9 ? * 2", "UTC", "cron", "the second 'x' is wrong")]
    [InlineData("* * * *", "UTC", "cron", "has 4 fields")]
    [InlineData("", "UTC", "cron", "must not be empty")]
    [InlineData("@sometimes", "UTC", "cron", "is no cron expression")]
    [InlineData("0 9 * * *", "Mars/Olympus", "timeZone", "'Mars/Olympus' is none")]
    [InlineData("0 9 * * *", "../../etc/passwd", "timeZone", "is none")]
    [InlineData("0 9 * * *", "", "timeZone", "is none")]
    public void What_is_wrong_is_said_with_its_field(string cron, string zone, string field, string why)
    {
        var refused = Assert.Throws<InvalidInputException>(() => ScheduleRepository.Preview(new() { Name = "Test", Cron = cron, TimeZone = zone }, Time("2026-01-01T00:00:00Z"), 1));
        Assert.Equal(field, refused.Errors[0].Field);
        Assert.Contains(why, refused.Errors[0].Message, StringComparison.Ordinal);
    }
}
