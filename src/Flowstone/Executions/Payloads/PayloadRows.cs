using System.Globalization;
using Flowstone.Tenancy;

namespace Flowstone.Executions;

/// <summary>The payloads of one write: names each, and keeps what needs a row, once however often it occurs.</summary>
/// <param name="namingKey">Of payloads that are to be sealed; null where they are not.</param>
sealed class PayloadRows(PayloadStore store, EffectivePolicy policy, Id<Tenant> tenantId, Id<Execution> executionId, byte[]? namingKey)
{
    /// <summary>What PostgreSQL is asked to hold in one row; more goes to the object store, or nowhere.</summary>
    public const int MostInRow = 64 * 1024 * 1024;

    // Most calls bring one or two; who brings many gets an index.
    const int FewRows = 8;

    List<StoredPayload>? rows;
    HashSet<Guid>? index;
    HashSet<int>? spilled;
    List<(PayloadRef Name, string Field)>? named;

    /// <summary>What the rows weigh on the way to the database.</summary>
    public long Bytes { get; private set; }

    public IReadOnlyList<StoredPayload> Rows => rows ?? (IReadOnlyList<StoredPayload>)[];

    /// <param name="field">Where the caller finds it, with {0} for <paramref name="index"/>: made to text only where it is told.</param>
    /// <returns>What names the payload; null if there is none.</returns>
    /// <exception cref="InvalidInputException">It is over the limit.</exception>
    public PayloadRef? Add(PayloadBody? body, string field, int index = 0)
    {
        if (body is null)
            return null;
        var isOver = body.Bytes.Length > policy.Limit;
        if (isOver && policy.Overflow == PayloadOverflow.Reject)
            throw TooLarge(body, policy.Limit, field, index);
        if (isOver && policy.Overflow == PayloadOverflow.Truncate)
            body = body.CutTo((int)policy.Limit);
        var spill = (isOver && policy.Overflow == PayloadOverflow.Spill) || body.Bytes.Length > store.SpillAbove;
        if (body.Bytes.Length > MostInRow && !spill)
            spill = store.HasObjects ? true : throw TooLarge(body, MostInRow, field, index);

        var name = namingKey is not null ? PayloadRef.Of(PayloadSealer.Name(namingKey, executionId, body.Hash)) : PayloadRef.Of(body, inline: true);
        if (!name.IsInline)
            Keep(name.Hash!, body, spill);
        return name;
    }

    /// <summary>What the caller names instead of sending it again.</summary>
    public PayloadRef? Add(PayloadBody? body, PayloadRef? name, string field, int index = 0)
    {
        if (name is null)
            return Add(body, field, index);
        if (body is not null)
            throw new InvalidInputException(Field(field, index), "is given twice, as a value and by name.");
        if (name.Value is { } value)
            return Add(value, field, index);
        if (!store.Recent.Contains(executionId, name.Hash!))
            (named ??= []).Add((name, Field(field, index)));
        return name;
    }

    /// <summary>To be awaited before the write is handed over: seals, puts objects, so that no row ever names one that is not there, and looks up what was named.</summary>
    public ValueTask ReadyAsync(TenantDatabase database, CancellationToken cancellationToken)
        => spilled is null && named is null && (namingKey is null || rows is null) ? ValueTask.CompletedTask : new(GetReadyAsync(database, cancellationToken));

    /// <summary>After the commit.</summary>
    public void Remember()
    {
        if (rows is not null)
            foreach (var row in rows)
                store.Recent.Add(executionId, row.Hash);
    }

    void Keep(byte[] hash, PayloadBody body, bool spill)
    {
        if (Has(hash) || store.Recent.Contains(executionId, hash))
            return;
        var (encoding, stored) = body.Encode();
        if (spill)
        {
            _ = store.Objects;   // before anything else is done for it
            (spilled ??= []).Add(rows?.Count ?? 0);
        }
        else
            Bytes += stored.Length;
        (rows ??= []).Add(new StoredPayload(hash, body.ContentType, encoding, body.Bytes.Length, stored) { WholeSizeBytes = body.WholeSizeBytes });
        if (rows.Count == FewRows)
            index = [.. rows.Select(row => new Guid(row.Hash))];
        else
            index?.Add(new Guid(hash));
    }

    bool Has(byte[] hash) => index?.Contains(new Guid(hash)) ?? rows?.Exists(row => row.Hash.AsSpan().SequenceEqual(hash)) ?? false;

    async Task GetReadyAsync(TenantDatabase database, CancellationToken cancellationToken)
    {
        if (named is not null)
        {
            var there = await PayloadStore.FindNamesAsync(database, executionId, [.. named.Select(n => n.Name.Hash!)], cancellationToken);
            foreach (var (name, field) in named)
                if (!Has(name.Hash!) && !there.Contains(name))
                    throw new InvalidInputException(field, "names no payload of this execution.");
        }
        if (namingKey is not null && rows is not null)
            await store.Sealer.SealAsync(tenantId, executionId, rows, cancellationToken);
        foreach (var i in spilled ?? [])
        {
            var content = rows![i].Body!;
            var key = store.KeyOf(tenantId, content);
            await store.Objects.PutAsync(key, content, cancellationToken);
            rows[i] = rows[i] with { Body = null, ObjectKey = key.Text };
        }
        spilled = null;
    }

    static InvalidInputException TooLarge(PayloadBody body, long limit, string field, int index)
        => new(Field(field, index), $"has {body.Bytes.Length:N0} bytes; at most {limit:N0} are allowed.");

    static string Field(string field, int index) => field.Replace("{0}", index.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);
}
