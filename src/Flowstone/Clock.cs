namespace Flowstone;

/// <summary>The one way to ask for the time.</summary>
public static class Clock
{
    const long TicksPerMicrosecond = TimeSpan.TicksPerMicrosecond;

    /// <summary>
    /// Now in UTC, cut to the microsecond that <c>timestamptz</c> keeps: what a create call returns then equals what a later read finds.
    /// </summary>
    public static DateTimeOffset Now(this TimeProvider clock)
    {
#pragma warning disable RS0030 // The one place that asks.
        var now = clock.GetUtcNow();
#pragma warning restore RS0030
        return now.AddTicks(-(now.Ticks % TicksPerMicrosecond));
    }
}
