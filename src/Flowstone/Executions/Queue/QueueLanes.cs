using Flowstone.Tenancy;

namespace Flowstone.Executions;

/// <summary>Work that was queued: by whom, how urgent, and when it is due; null is now.</summary>
readonly record struct QueuedWork(Id<Tenant> TenantId, short Priority, DateTimeOffset? DueAt);

/// <summary>The work of one tenant and priority, as far as this process knows it.</summary>
sealed class QueueLane(Id<Tenant> tenantId, short priority)
{
    public Id<Tenant> TenantId => tenantId;
    public short Priority => priority;

    /// <summary>By the database's clock; never while nothing is known.</summary>
    public DateTimeOffset NextDue { get; set; } = DateTimeOffset.MaxValue;

    /// <summary>Where the next claim begins to look: what lies before was taken. Saves walking over the dead rows of what was claimed.</summary>
    public (DateTimeOffset VisibleAt, Guid Id) From { get; set; }

    /// <summary>Whether a claim met a pause or a limit here.</summary>
    public bool Limited { get; set; }

    /// <summary>Grows with every piece of news, so that a claim that found nothing does not overwrite what came meanwhile.</summary>
    public int News { get; set; }
}

/// <summary>
/// Where work is, as far as this process knows: a list of (tenant, priority) that have some. Claims go round the tenants, so that one
/// with a million executions waits for its turn like any other. Kept by what this process queues, by notifications and by looking.
/// </summary>
sealed class QueueLanes
{
    readonly Lock guard = new();
    TaskCompletionSource news = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly SortedDictionary<(Guid Tenant, int UrgencyRank), QueueLane> lanes = [];
    Guid lastTenant;

    // Before this, nothing was left to take in the lanes that are not known here.
    DateTimeOffset lookedUpTo = DateTimeOffset.MinValue;

    // Transactions commit in another order than their rows say; what is younger than this is looked at again.
    static (DateTimeOffset VisibleAt, Guid Id) Settled(DateTimeOffset now) => (now - TimeSpan.FromMilliseconds(500), Guid.Empty);

    /// <summary>The lanes of the next claim, each of another tenant, with how many to take of each.</summary>
    public List<(QueueLane Lane, int Quota, int News)> Choose(Id<Tenant>? only, int wanted, int mostTenants, DateTimeOffset now)
    {
        lock (guard)
        {
            var ready = new List<QueueLane>();
            foreach (var (key, lane) in lanes)
            {
                // The first that is ready is the tenant's most urgent.
                if (lane.NextDue <= now && (only is null || only.Value.Value == key.Tenant) && (ready.Count == 0 || ready[^1].TenantId != lane.TenantId))
                    ready.Add(lane);
            }
            if (ready.Count == 0)
                return [];
            var first = ready.FindIndex(lane => lane.TenantId.Value.CompareTo(lastTenant) > 0);
            var chosen = Enumerable.Range(Math.Max(first, 0), Math.Min(ready.Count, Math.Min(wanted, mostTenants))).Select(i => ready[i % ready.Count]).ToList();
            lastTenant = chosen[^1].TenantId.Value;
            var quota = (wanted + chosen.Count - 1) / chosen.Count;
            return [.. chosen.Select(lane => (lane, quota, lane.News))];
        }
    }

    /// <summary>Ends when something was added.</summary>
    public Task News
    {
        get
        {
            lock (guard)
                return news.Task;
        }
    }

    public void Add(IEnumerable<QueuedWork> work, DateTimeOffset now)
    {
        lock (guard)
        {
            var some = false;
            foreach (var (tenant, priority, dueAt) in work)
            {
                var lane = Lane(tenant, priority);
                lane.News++;
                // What is due already is so whatever the database's clock says: the two are never quite the same.
                var due = dueAt > now ? dueAt.Value : DateTimeOffset.MinValue;
                if (due < lane.NextDue)
                    lane.NextDue = due;
                if (dueAt < lane.From.VisibleAt)
                    lane.From = (dueAt.Value, Guid.Empty);
                some = true;
            }
            if (!some)
                return;
            news.TrySetResult();
            news = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    /// <summary>After a claim of the lane: fewer than asked for is all that there was.</summary>
    public void Claimed(QueueLane lane, int quota, int news, int found, (DateTimeOffset VisibleAt, Guid Id) last, DateTimeOffset now)
    {
        var settled = Settled(now);
        lock (guard)
        {
            var upTo = found < quota ? settled : last;
            lane.From = upTo.CompareTo(settled) < 0 ? upTo : settled;
            if (found < quota && lane.News == news)
                lane.NextDue = DateTimeOffset.MaxValue;
        }
    }

    /// <summary>What a look at the whole queue (or at one tenant's part) found: per lane the time of its first row.</summary>
    /// <param name="now">When the look began.</param>
    public void Replace(Id<Tenant>? only, IReadOnlyList<(Id<Tenant> Tenant, short Priority, DateTimeOffset First)> found, DateTimeOffset now)
    {
        var settled = Settled(now);
        lock (guard)
        {
            if (only is null)
            {
                // A lane that was not found is empty, unless it had news since; then the next look tells.
                foreach (var key in lanes.Where(l => l.Value.NextDue == DateTimeOffset.MaxValue).Select(l => l.Key).ToList())
                    lanes.Remove(key);
                lookedUpTo = settled.VisibleAt;
            }
            foreach (var (tenant, priority, first) in found)
            {
                // The first may be a lease that runs out in the future; what is queued from now on comes before it.
                var lane = Lane(tenant, priority);
                lane.NextDue = first < lane.NextDue ? first : lane.NextDue;
                lane.From = first < settled.VisibleAt ? (first, Guid.Empty) : settled;
            }
        }
    }

    /// <summary>Has all known lanes asked again, each from where its last claim ended.</summary>
    public void AskAgain()
    {
        lock (guard)
            foreach (var lane in lanes.Values)
                lane.NextDue = DateTimeOffset.MinValue;
    }

    /// <summary>When something will be due, as far as is known.</summary>
    public DateTimeOffset NextDue(Id<Tenant>? only)
    {
        lock (guard)
            return lanes.Values.Where(lane => only is null || lane.TenantId == only).Select(lane => lane.NextDue).DefaultIfEmpty(DateTimeOffset.MaxValue).Min();
    }

    // Higher priorities first, below the same tenant.
    QueueLane Lane(Id<Tenant> tenant, short priority)
        => lanes.TryGetValue((tenant.Value, -priority), out var lane) ? lane : lanes[(tenant.Value, -priority)] = new QueueLane(tenant, priority) { From = (lookedUpTo, Guid.Empty) };
}
