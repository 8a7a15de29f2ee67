namespace Flowstone.Executions;

/// <summary>The payloads of one write: names each, and keeps what needs a row, once however often it occurs.</summary>
sealed class PayloadRows
{
    Dictionary<PayloadRef, StoredPayload>? rows;

    /// <summary>What the rows weigh on the way to the database.</summary>
    public long Bytes { get; private set; }

    public IReadOnlyCollection<StoredPayload> Rows => rows?.Values ?? (IReadOnlyCollection<StoredPayload>)[];

    /// <returns>What names the payload; null if there is none.</returns>
    public PayloadRef? Add(PayloadBody? body)
    {
        if (body is null)
            return null;
        var name = PayloadRef.Of(body, inline: true);
        if (name.Hash is not { } hash || rows?.ContainsKey(name) is true)
            return name;
        var (encoding, bytes) = body.Encode();
        (rows ??= []).Add(name, new StoredPayload(hash, body.ContentType, encoding, body.Bytes.Length, bytes));
        Bytes += bytes.Length;
        return name;
    }
}
