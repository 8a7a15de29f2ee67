namespace Flowstone.Tests;

/// <summary>Time that moves by hand. It begins at the real time, because partitions exist for that.</summary>
public sealed class ManualClock : TimeProvider
{
    DateTimeOffset now = System.Now();

    public override DateTimeOffset GetUtcNow() => now;

    public void Advance(TimeSpan time) => now += time;
}
