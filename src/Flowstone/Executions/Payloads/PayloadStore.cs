using System.Security.Cryptography;
using Flowstone.Credentials;
using Flowstone.Data;
using Flowstone.Tenancy;
using Flowstone.Workflows;
using static Flowstone.Data.Sql;

namespace Flowstone.Executions;

/// <summary>Where payloads may go besides the database.</summary>
/// <param name="Now">By which objects get their day, also where a store writes what happened in the past; null is the store's own clock.</param>
sealed record PayloadSettings(ObjectStore? Objects = null, long SpillAbove = long.MaxValue, TimeSpan? SweepAfter = null, TimeProvider? Now = null)
{
    public static PayloadSettings Of(FlowstoneOptions options)
    {
        var objects = ObjectStore.Of(options.Payloads);
        return new(objects, objects is null ? long.MaxValue : options.Payloads.SpillAboveBytes ?? long.MaxValue, options.Payloads.SweepAfter);
    }
}

/// <summary>Makes rows of payloads, by the policy that holds for them, and payloads of rows.</summary>
sealed class PayloadStore(Database app, SecretSealer secrets, TimeProvider clock, PayloadSettings settings)
{
    public PayloadPolicies Policies { get; } = new(app, clock);
    public RecentPayloads Recent { get; } = new();
    public PayloadSealer Sealer { get; } = new(secrets);

    public bool HasObjects => settings.Objects is not null;
    public long SpillAbove => settings.SpillAbove;

    public ObjectStore Objects => settings.Objects ?? throw new UnavailableException($"There is no object store: {PayloadOptions.NeedsStore}");

    public ObjectKey KeyOf(Id<Tenant> tenantId, byte[] content) => ObjectKey.Of(tenantId, (settings.Now ?? clock).Now(), content);

    /// <summary>For the payloads of one write.</summary>
    public async ValueTask<PayloadRows> OpenAsync(Id<Tenant> tenantId, Id<Workflow> workflowId, Id<Execution> executionId, CancellationToken cancellationToken)
    {
        var policy = await Policies.GetAsync(tenantId, workflowId, cancellationToken);
        return new(this, policy, tenantId, executionId, policy.Seal ? await Sealer.NamingKeyAsync(tenantId, cancellationToken) : null);
    }

    /// <summary>Its input is stored: the first step's need not be sent. (What retries or forks another may name that one's.)</summary>
    public void Remember(Execution execution)
    {
        if (execution is { Input.Hash: { } hash, RetryOf: null, ForkedFrom: null })
            Recent.Add(execution.Id, hash);
    }

    /// <summary>Stores the one payload that is not brought by a step, a start or an end.</summary>
    /// <exception cref="ConflictException">The lease is lost.</exception>
    public async Task WriteAsync(ExecutionLease lease, PayloadRows rows, CancellationToken cancellationToken)
    {
        const string Write = """
            with held as materialized (
                select 1 from flowstone.execution_queue q where q.tenant_id = $1 and q.shard_key = $2 and q.execution_id = $3 and q.fence = $4 for update),
            stored as (
                insert into flowstone.payloads (tenant_id, execution_id, hash, content_type, encoding, size_bytes, body, object_key, sealed, whole_size_bytes)
                select $1, $3, $5, $6, $7, $8, $9, $10, $11, $12 from held on conflict do nothing)
            select 1 from held
            """;
        if (rows.Rows.SingleOrDefault() is not { } row)
            return;   // it is short, or stored already
        var held = false;
        await app.TransactAsync(lease.TenantId.ToString(), [new Statement(Write,
            P(lease.TenantId), P(lease.ShardKey), P(lease.ExecutionId), P(lease.Fence), P(row.Hash), P(row.ContentType), P(EnumText<PayloadEncoding>.Of(row.Encoding)),
            P(row.SizeBytes), P(row.Body), P(row.ObjectKey), P(row.Sealed), P(row.WholeSizeBytes))], _ => held = true, cancellationToken);
        if (!held)
            throw lease.Lost();
        rows.Remember();
    }

    /// <summary>Which of these are stored with the execution, or with one that it retries or was forked from.</summary>
    public static async Task<HashSet<PayloadRef>> FindNamesAsync(TenantDatabase database, Id<Execution> executionId, byte[][] hashes, CancellationToken cancellationToken)
        => [.. await database.QueryAsync("""
            with recursive origins as (
                select $2 as id
                union select coalesce(e.retry_of, e.forked_from) from origins o join flowstone.executions e on e.tenant_id = $1 and e.id = o.id
                       where coalesce(e.retry_of, e.forked_from) is not null)
            select p.hash from origins o join flowstone.payloads p on p.tenant_id = $1 and p.execution_id = o.id and p.hash = any($3)
            """, [P(executionId), P(hashes)], row => PayloadRef.Of(row.GetFieldValue<byte[]>(0)), cancellationToken)];

    /// <summary>The whole payload; null if there is none of that name.</summary>
    public async Task<PayloadBody?> FindAsync(TenantDatabase database, Id<Execution> executionId, PayloadRef name, CancellationToken cancellationToken)
        => name.Value ?? (await FindRowAsync(database, executionId, name.Hash!, cancellationToken) is { } row
            ? await ReadAsync(database.TenantId, executionId, row, cancellationToken) : null);

    /// <summary>The payload as a stream: what lies in the object store is not held in memory, unless it is sealed.</summary>
    public async Task<PayloadContent?> OpenContentAsync(TenantDatabase database, Id<Execution> executionId, PayloadRef name, CancellationToken cancellationToken)
    {
        if (name.Value is { } value)
            return PayloadContent.Of(value);
        if (await FindRowAsync(database, executionId, name.Hash!, cancellationToken) is not { } row)
            return null;
        if (row.ObjectKey is null || row.Sealed)
            return PayloadContent.Of(await ReadAsync(database.TenantId, executionId, row, cancellationToken));
        var body = await OpenObjectAsync(KeyOf(row), cancellationToken);
        return new PayloadContent(new VerifiedStream(body, KeyOf(row), row.Encoding), row.ContentType, row.SizeBytes, row.WholeSizeBytes);
    }

    static async Task<StoredPayload?> FindRowAsync(TenantDatabase database, Id<Execution> executionId, byte[] hash, CancellationToken cancellationToken)
        => (await database.QueryAsync("""
            select content_type, encoding, size_bytes, body, object_key, sealed, whole_size_bytes
              from flowstone.payloads where tenant_id = $1 and execution_id = $2 and hash = $3
            """, [P(executionId), P(hash)],
            row => new StoredPayload(hash, row.GetString(0), EnumText<PayloadEncoding>.Parse(row.GetString(1)), row.GetInt64(2), row.Get<byte[]>(3))
            {
                ObjectKey = row.Get<string>(4),
                Sealed = row.GetBoolean(5),
                WholeSizeBytes = row.Get<long?>(6),
            }, cancellationToken)).SingleOrDefault();

    async Task<PayloadBody> ReadAsync(Id<Tenant> tenantId, Id<Execution> executionId, StoredPayload row, CancellationToken cancellationToken)
    {
        var stored = row.Body ?? await ReadObjectAsync(KeyOf(row), cancellationToken);
        if (row.Sealed)
            stored = await Sealer.OpenAsync(new PayloadPlace(tenantId, executionId, row.Hash), stored, cancellationToken);
        return PayloadBody.Decode(row.Encoding, stored, row.SizeBytes, row.ContentType, row.WholeSizeBytes);
    }

    async Task<byte[]> ReadObjectAsync(ObjectKey key, CancellationToken cancellationToken)
    {
        var content = new MemoryStream();
        await using (var stored = await OpenObjectAsync(key, cancellationToken))
            await stored.CopyToAsync(content, cancellationToken);
        var bytes = content.ToArray();
        return SHA256.HashData(bytes).AsSpan().SequenceEqual(key.Hash) ? bytes : throw VerifiedStream.Damaged(key);
    }

    async Task<Stream> OpenObjectAsync(ObjectKey key, CancellationToken cancellationToken)
        => await Objects.OpenAsync(key, cancellationToken)
            ?? throw new PayloadDamagedException($"The object {key} of a payload is not in the object store: it was removed there, or this is another store.");

    static ObjectKey KeyOf(StoredPayload row) => ObjectKey.TryParse(row.ObjectKey!) ?? throw new PayloadDamagedException($"'{row.ObjectKey}' is not the key of an object.");

    public PayloadSweeper Sweeper(TenantDirectory tenants) => new(app, tenants, settings.Now ?? clock, settings.Objects, settings.SweepAfter ?? new PayloadOptions().SweepAfter);
}
