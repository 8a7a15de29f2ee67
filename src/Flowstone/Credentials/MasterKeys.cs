using System.Collections.Concurrent;
using Flowstone.Data;
using static Flowstone.Data.Sql;

namespace Flowstone.Credentials;

/// <summary>Which master keys the database's secrets need, and whether this process has them: asked at every start.</summary>
sealed class MasterKeys(Database app, IKeyRing? ring, TimeProvider clock)
{
    static readonly byte[] known = "flowstone master key fingerprint"u8.ToArray();

    // A KMS is not asked again for what it has shown once; and what is listed needs no listing.
    readonly ConcurrentDictionary<string, bool> proven = new();

    /// <summary>Lists the current master key before it wraps anything.</summary>
    public async Task RegisterAsync(CancellationToken cancellationToken)
    {
        const string Insert = "insert into flowstone.master_keys (id, fingerprint, created_at) values ($1, $2, $3) on conflict (id) do nothing";
        var id = await ring!.CurrentIdAsync(cancellationToken);
        if (proven.ContainsKey(id))
            return;
        var fingerprint = await ring.WrapAsync(default, known, cancellationToken);
        await app.TransactAsync(tenants: null, [new(Insert, P(id), P(fingerprint), P(clock.Now()))], read: null, cancellationToken);
        proven[id] = true;
    }

    /// <summary>What is missing or wrong, as sentences that name the key and say what to do.</summary>
    /// <exception cref="UnavailableException">A key cannot be tried now.</exception>
    public async Task<IReadOnlyList<string>> FindProblemsAsync(CancellationToken cancellationToken)
    {
        var problems = new List<string>();
        foreach (var (id, fingerprint) in await ListAsync(cancellationToken))
        {
            if (proven.ContainsKey(id))
                continue;
            if (ring is null)
                problems.Add($"The database's secrets are sealed with the master key {id}, and none is set: set FLOWSTONE_KEY_FILE, FLOWSTONE_MASTER_KEY or FLOWSTONE_KMS_KEY to it. Without that key they are lost.");
            else if (!ring.Has(id))
                problems.Add($"The database's secrets are sealed with the master key {id}, and this process has only {await ring.CurrentIdAsync(cancellationToken)}. {KeySource.PutBack}");
            else if (!await OpensAsync(id, fingerprint, cancellationToken))
                problems.Add($"The master key {id} is not the one that sealed the database's secrets under that name: put the right one back.");
            else
                proven[id] = true;
        }
        return problems;
    }

    async Task<bool> OpensAsync(string id, byte[] fingerprint, CancellationToken cancellationToken)
    {
        try
        {
            var opened = await ring!.UnwrapAsync(id, default, fingerprint, cancellationToken);
            return opened.AsSpan().SequenceEqual(known);
        }
        catch (CredentialSealException)
        {
            return false;
        }
    }

    async Task<List<(string Id, byte[] Fingerprint)>> ListAsync(CancellationToken cancellationToken)
    {
        const string List = "select id, fingerprint from flowstone.master_keys order by created_at, id";
        var keys = new List<(string, byte[])>();
        await app.TransactAsync(tenants: null, [new(List)], row => keys.Add((row.GetString(0), row.GetFieldValue<byte[]>(1))), cancellationToken);
        return keys;
    }
}
