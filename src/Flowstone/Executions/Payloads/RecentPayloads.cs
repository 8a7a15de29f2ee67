namespace Flowstone.Executions;

/// <summary>
/// Payloads that this process has stored of late: an input equal to an earlier output is neither compressed nor sent again. A table of
/// fixed size in which what is new displaces what is old, so nothing need be forgotten; rows of an execution that runs are never deleted.
/// </summary>
sealed class RecentPayloads
{
    const int Slots = 1 << 16;

    // By reference, so that a slot is read whole while another thread writes it.
    readonly Entry?[] table = new Entry?[Slots];

    sealed record Entry(Id<Execution> ExecutionId, Guid Hash);

    /// <summary>Only what is committed.</summary>
    public void Add(Id<Execution> executionId, byte[] hash)
    {
        var name = new Guid(hash);
        Volatile.Write(ref table[Slot(executionId, name)], new Entry(executionId, name));
    }

    public bool Contains(Id<Execution> executionId, byte[] hash)
    {
        var name = new Guid(hash);
        return Volatile.Read(ref table[Slot(executionId, name)]) is { } entry && entry.Hash == name && entry.ExecutionId == executionId;
    }

    static int Slot(Id<Execution> executionId, Guid name) => HashCode.Combine(executionId, name) & (Slots - 1);
}
