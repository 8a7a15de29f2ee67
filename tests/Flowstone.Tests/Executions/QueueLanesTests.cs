using Flowstone.Executions;
using Flowstone.Tenancy;

namespace Flowstone.Tests.Executions;

/// <summary>Where claims begin to look: past what was taken, whose dead rows an old snapshot keeps, and never past what is still to come.</summary>
public sealed class QueueLanesTests
{
    static readonly DateTimeOffset noon = new(2026, 11, 22, 12, 0, 0, TimeSpan.Zero);
    static readonly Id<Tenant> tenant = Id<Tenant>.New(TimeProvider.System);

    readonly QueueLanes lanes = new();

    [Fact]
    public void A_lane_whose_first_row_is_a_lease_of_the_future_is_claimed_from_now_on()
    {
        lanes.Replace(null, [(tenant, 0, noon.AddSeconds(30))], noon);
        lanes.Add([new QueuedWork(tenant, 0, null)], noon);

        Assert.InRange(From(noon.AddMilliseconds(1)), noon.AddSeconds(-1), noon);
    }

    [Fact]
    public void A_lane_that_was_empty_begins_where_it_was_looked_at_and_not_with_all_that_it_ever_had()
    {
        lanes.Replace(null, [], noon);
        lanes.Add([new QueuedWork(tenant, 0, null)], noon.AddSeconds(5));

        Assert.InRange(From(noon.AddSeconds(5)), noon.AddSeconds(-1), noon);
    }

    [Fact]
    public void A_look_at_one_tenant_says_nothing_of_the_others()
    {
        lanes.Replace(Id<Tenant>.New(TimeProvider.System), [], noon);
        lanes.Add([new QueuedWork(tenant, 0, null)], noon);

        Assert.Equal(DateTimeOffset.MinValue, From(noon));
    }

    [Fact]
    public void What_is_queued_with_a_time_of_the_past_is_found()
    {
        lanes.Replace(null, [], noon);
        lanes.Add([new QueuedWork(tenant, 0, noon.AddHours(-2))], noon);

        Assert.Equal(noon.AddHours(-2), From(noon));
    }

    [Fact]
    public void A_look_finds_what_was_committed_late_and_lies_before()
    {
        lanes.Replace(null, [], noon);
        lanes.Replace(null, [(tenant, 0, noon.AddMinutes(-3))], noon.AddSeconds(1));

        Assert.Equal(noon.AddMinutes(-3), From(noon.AddSeconds(1)));
    }

    [Fact]
    public void Between_looks_a_lane_that_was_emptied_is_asked_again_from_where_it_ended()
    {
        lanes.Replace(null, [(tenant, 0, noon.AddMinutes(-3))], noon);
        var (lane, quota, news) = Assert.Single(lanes.Choose(null, 10, 16, noon));
        lanes.Claimed(lane, quota, news, found: 4, last: (noon.AddSeconds(-2), Guid.Empty), noon);
        Assert.Empty(lanes.Choose(null, 10, 16, noon));

        lanes.AskAgain();

        Assert.InRange(From(noon), noon.AddSeconds(-1), noon);
    }

    DateTimeOffset From(DateTimeOffset now) => Assert.Single(lanes.Choose(null, 10, 16, now)).Lane.From.VisibleAt;
}
