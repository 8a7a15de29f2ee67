using Flowstone.Tenancy;

namespace Flowstone.Credentials;

/// <summary>Data keys in memory, of which the least recently used goes first, and how many uses of each tenant's current one are this process's.</summary>
sealed class KeyCache(DataKeyLimits limits, TimeProvider clock) : IDisposable
{
    readonly Lock gate = new();
    readonly Dictionary<DataKeyPlace, LinkedListNode<Entry>> keys = [];
    readonly LinkedList<Entry> recent = [];
    readonly Dictionary<Id<Tenant>, Current> currents = [];
    bool disposed;

    sealed record Entry(DataKeyPlace Place, SealingKey Key, DateTimeOffset Until);

    sealed class Current
    {
        public required Id<DataKey> KeyId;
        public required long Left;
        public required DateTimeOffset Until;
    }

    /// <summary>The tenant's current key, held, and so many of its uses; null if the database is to be asked.</summary>
    public SealingKey? TryUse(Id<Tenant> tenant, long uses)
    {
        var now = clock.Now();
        lock (gate)
        {
            if (!currents.TryGetValue(tenant, out var current) || current.Until <= now || current.Left < uses || Hold(new(tenant, current.KeyId), now) is not { } key)
                return null;
            current.Left -= uses;
            return key;
        }
    }

    /// <summary>The key, held; null if the database is to be asked.</summary>
    public SealingKey? TryHold(DataKeyPlace place)
    {
        var now = clock.Now();
        lock (gate)
            return Hold(place, now);
    }

    /// <summary>What is left of the uses that were taken of a key which was current; it may not be any longer.</summary>
    public (Id<DataKey> KeyId, long Left) LeftOf(Id<Tenant> tenant)
    {
        lock (gate)
            return currents.TryGetValue(tenant, out var current) ? (current.KeyId, current.Left) : default;
    }

    /// <param name="key">The cache holds it beside the caller.</param>
    /// <param name="currentWith">So many uses of it are this process's, if it is the tenant's current one.</param>
    public void Add(DataKeyPlace place, SealingKey key, long? currentWith = null)
    {
        var until = clock.Now() + limits.GoodFor;
        lock (gate)
        {
            if (disposed || !key.TryHold())
                return;
            if (keys.TryGetValue(place, out var old))
                Drop(old);
            keys[place] = recent.AddFirst(new Entry(place, key, until));
            if (currentWith is { } left)
            {
                if (currents.Count >= limits.Cached)
                    currents.Clear();
                currents[place.TenantId] = new() { KeyId = place.Id, Left = left, Until = until };
            }
            while (keys.Count > limits.Cached)
                Forget(recent.Last!);
        }
    }

    public void Forget(DataKeyPlace place)
    {
        lock (gate)
            if (keys.TryGetValue(place, out var node))
                Forget(node);
    }

    public void Dispose()
    {
        lock (gate)
        {
            disposed = true;
            while (recent.Last is { } node)
                Forget(node);
        }
    }

    SealingKey? Hold(DataKeyPlace place, DateTimeOffset now)
    {
        if (!keys.TryGetValue(place, out var node))
            return null;
        if (node.Value.Until <= now)
        {
            Drop(node);
            return null;
        }
        recent.Remove(node);
        recent.AddFirst(node);
        return node.Value.Key.TryHold() ? node.Value.Key : null;
    }

    void Forget(LinkedListNode<Entry> node)
    {
        Drop(node);
        var (tenant, id) = node.Value.Place;
        if (currents.TryGetValue(tenant, out var current) && current.KeyId == id)
            currents.Remove(tenant);   // with the uses that it has left: they are plenty
    }

    void Drop(LinkedListNode<Entry> node)
    {
        recent.Remove(node);
        keys.Remove(node.Value.Place);
        node.Value.Key.Dispose();
    }
}
