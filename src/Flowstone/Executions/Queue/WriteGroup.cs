using Flowstone.Data;
using Flowstone.Tenancy;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Executions;

/// <summary>
/// The statements of one group, in one transaction and one round trip whatever their number: its mark, the locks of what ends, then starts,
/// renewals, steps, ends. A call that changes nothing ends the transaction (it divides by zero, or takes a logarithm of it), which saves asking
/// first; <see cref="GroupCommit"/> then finds the one.
/// </summary>
sealed class WriteGroup
{
    readonly IReadOnlyList<WriteCall> calls;
    readonly List<(StartCall Call, int Number)> starts = [];
    readonly List<FinishCall> ends = [];
    readonly List<(RenewCall Call, int Number)> renewals = [];
    readonly List<LeasedCall> leased = [];
    readonly (Statement Statement, Action<NpgsqlDataReader> Read)? claim;
    readonly List<Step> begun = [];
    readonly List<Step> whole = [];
    readonly List<Step> finished = [];
    readonly List<(LeasedCall Call, StoredPayload Body)> bodies = [];
    readonly DateTimeOffset? databaseNow;
    readonly string tenants;
    readonly Id<WriteMark> id;

    readonly record struct Step(RecordCall Call, NodeWrites.Row Row);

    public WriteGroup(IReadOnlyList<WriteCall> calls, TimeProvider clock)
    {
        (this.calls, databaseNow, id) = (calls, ExecutionRepository.DatabaseNow(clock), Id<WriteMark>.New(clock));
        var owners = new HashSet<Id<Tenant>>();
        for (var number = 0; number < calls.Count; number++)
        {
            owners.Add(calls[number].TenantId);
            if (calls[number] is LeasedCall { Payloads: { } payloads } storing)
                foreach (var row in payloads.Rows)
                    bodies.Add((storing, row));
            switch (calls[number])
            {
                case StartCall start:
                    starts.Add((start, number));
                    break;
                case RenewCall renewal:
                    renewals.Add((renewal, number));
                    break;
                case FinishCall end:
                    ends.Add(end);
                    leased.Add(end);
                    break;
                case ClaimCall call:
                    owners.UnionWith(call.Tenants);
                    claim = call.Begin();
                    break;
                case RecordCall record:
                    leased.Add(record);
                    foreach (var row in record.Writes.Rows)
                        (row.StartedAt is null ? finished : row.FinishedAt is null ? begun : whole).Add(new Step(record, row));
                    break;
            }
        }
        tenants = string.Join(',', owners);

        // Locks are taken in one order everywhere.
        ends.Sort((one, other) => Compare(one.Lease, other.Lease));
        foreach (var steps in (List<Step>[])[begun, whole, finished])
            steps.Sort((one, other) => Compare(one.Call.Lease, other.Call.Lease));
        renewals.Sort((one, other) => Compare(one.Call.Lease, other.Call.Lease));
        bodies.Sort((one, other) => Compare(one.Call.Lease, other.Call.Lease) is var order and not 0 ? order : one.Body.Hash.AsSpan().SequenceCompareTo(other.Body.Hash));
    }

    static int Compare(ExecutionLease one, ExecutionLease other)
        => one.ShardKey.CompareTo(other.ShardKey) is var order and not 0 ? order : one.ExecutionId.CompareTo(other.ExecutionId);

    /// <summary>What may be claimed now, or later, because of this group.</summary>
    public List<QueuedWork> Queued { get; } = [];

    public async Task CommitAsync(Database database)
    {
        // Nobody asks for the outcome of a claim: what it took comes back when the lease has run out.
        var open = calls is [ClaimCall] ? new Statement(Database.ByKeyOnly) : new Statement(WriteSql.Open, P(calls[0].TenantId), P(id));
        await database.TransactAsync(tenants, [open, .. Statements()], Learn, CancellationToken.None);
        AddQueued();
    }

    void AddQueued()
        => Queued.AddRange(starts.Where(s => s.Call.Version is not null).Select(s => new QueuedWork(s.Call.TenantId, s.Call.Execution.Priority, s.Call.Request.DueAt)));

    /// <summary>What the group writes, for a transaction that has the role and the tenants.</summary>
    public List<Statement> Statements()
    {
        var statements = new List<Statement>();
        if (ends.Count > 0)
            statements.Add(new(WriteSql.Lock, [.. Leases(ends), P((long)ends.Count)]));
        if (Thorough)
            statements.Add(new(WriteSql.LockLimits, Leases(ends)[..3]));
        if (starts.Count > 0)
            statements.Add(StartStatement());
        if (renewals.Count > 0)
            statements.Add(RenewStatement());
        if (begun.Count > 0)
            statements.Add(new(WriteSql.Begin(begun.Count), [.. Begun(begun), Count(begun)]));
        if (whole.Count > 0)
            statements.Add(WholeStatement());
        if (finished.Count > 0)
            statements.Add(FinishStatement());
        if (bodies.Count > 0)
            statements.Add(BodiesStatement());
        if (ends.Count > 0)
            statements.Add(EndStatement());
        if (claim is { } claiming)
            statements.Add(claiming.Statement);
        return statements;
    }

    /// <summary>After the connection was lost: whether the group was committed, and then what became of each start.</summary>
    /// <returns>False if nothing was stored, and now never will be.</returns>
    public async Task<bool> FindOutcomeAsync(Database database)
    {
        if (await database.TransactAsync(tenants, [new(WriteSql.Forestall, P(calls[0].TenantId), P(id))], null, CancellationToken.None) is [1])
            return false;
        if (starts.Count > 0)
            await database.TransactAsync(tenants, [new(WriteSql.Versions,
                Column(starts, s => s.Number), Column(starts, s => s.Call.TenantId.Value), Column(starts, s => s.Call.ExecutionId.Value))],
                row => ((StartCall)calls[row.GetInt32(0)]).Version = row.GetInt32(1), CancellationToken.None);
        AddQueued();
        return true;
    }

    /// <summary>The calls whose lease is lost. What is lost stays so.</summary>
    public async Task<IReadOnlyList<LeasedCall>> FindLostAsync(Database database)
    {
        var lost = new List<LeasedCall>();
        if (leased.Count > 0)
            await database.TransactAsync(tenants, [new(Database.ByKeyOnly), new(WriteSql.Lost, Leases(leased))], row =>
            {
                if (row.FieldCount == 1)
                    lost.Add(leased[row.GetInt32(0) - 1]);
            }, CancellationToken.None);
        return lost;
    }

    public void Learn(NpgsqlDataReader row)
    {
        switch (row.GetInt32(0))
        {
            case WriteSql.Started:
                ((StartCall)calls[row.GetInt32(1)]).Version = row.GetInt32(2);
                break;
            case WriteSql.Renewed:
                ((RenewCall)calls[row.GetInt32(1)]).Held = true;
                break;
            case WriteSql.Claimed:
                claim!.Value.Read(row);
                break;
            case WriteSql.Unparked:
                Queued.Add(new QueuedWork(new(row.GetGuid(2)), (short)row.GetInt32(1), null));
                break;
        }
    }

    Statement StartStatement()
    {
        var attributes = starts.SelectMany(s => s.Call.Attributes, (s, attribute) => (s.Call, attribute.Name, attribute.Value)).ToList();
        var stored = starts.SelectMany(s => s.Call.Payloads?.Rows ?? [], (s, row) => (s.Call, Row: row)).ToList();
        var parts = new WriteSql.StartParts(starts.Exists(s => s.Call.Special), starts.Exists(s => s.Call.Request.DedupKey is not null),
            starts.Exists(s => s.Call.Request.Concurrency is not null), attributes.Count > 0, stored.Count > 0);
        return new(WriteSql.Start(parts),
        [
            Column(starts, s => s.Number), Column(starts, s => s.Call.TenantId.Value), Column(starts, s => s.Call.ExecutionId.Value),
            Column(starts, s => s.Call.Execution.WorkflowId.Value), Column(starts, s => EnumText<ExecutionTrigger>.Of(s.Call.Execution.Trigger)),
            Column(starts, s => s.Call.Execution.Priority), Column(starts, s => s.Call.Execution.StartedBy?.Value), Column(starts, s => s.Call.Execution.CreatedAt),
            Column(starts, s => s.Call.Execution.Input?.Stored), Column(starts, s => s.Call.Execution.MaxRetries), Column(starts, s => s.Call.Request.MaxAttempts), P(databaseNow),
            .. parts.Special ? Special() : [],
            .. parts.Attributes ? Attributes() : [],
            .. parts.Bodies ? Bodies() : [],
        ]);

        NpgsqlParameter[] Special() =>
        [
            Column(starts, s => s.Call.Request.WorkflowVersion), Column(starts, s => s.Call.Request.DueAt), Column(starts, s => s.Call.Execution.ParentId?.Value),
            Column(starts, s => s.Call.Execution.Detached), Column(starts, s => s.Call.Request.Concurrency?.Key), Column(starts, s => s.Call.Request.Concurrency?.Maximum),
            Column(starts, s => s.Call.Request.DedupKey), Column(starts, s => s.Call.DedupUntil),
        ];

        NpgsqlParameter[] Attributes() =>
        [
            Column(attributes, a => a.Call.TenantId.Value), Column(attributes, a => a.Call.ExecutionId.Value), Column(attributes, a => a.Call.Execution.WorkflowId.Value),
            Column(attributes, a => a.Name), Column(attributes, a => a.Value),
        ];

        NpgsqlParameter[] Bodies() => [Column(stored, b => b.Call.TenantId.Value), Column(stored, b => b.Call.ExecutionId.Value), .. Payloads(stored, b => b.Row)];
    }

    bool Thorough => ends.Exists(end => end.Thorough);

    Statement RenewStatement()
        => new(WriteSql.Renew, [Column(renewals, r => r.Number), .. Leases(renewals.ConvertAll(r => r.Call)), Column(renewals, r => r.Call.Duration), P(databaseNow)]);

    Statement BodiesStatement()
        => new(WriteSql.Bodies, [Column(bodies, b => b.Call.TenantId.Value), Column(bodies, b => b.Call.ExecutionId.Value), .. Payloads(bodies, b => b.Body)]);

    Statement WholeStatement() => new(WriteSql.Whole(whole.Count), [.. Begun(whole), .. Outcomes(whole), .. Errors(whole), Count(whole)]);

    Statement FinishStatement()
    {
        var failed = finished.Exists(s => s.Row.Reason is not null || s.Row.Error is not null);
        return new(WriteSql.Finish(finished.Count, failed), [.. Keys(finished), .. Outcomes(finished), .. failed ? Errors(finished) : [], Count(finished)]);
    }

    Statement EndStatement() => new(Thorough ? WriteSql.ThoroughEnd : WriteSql.End,
    [
        .. Leases(ends)[..3], Column(ends, e => EnumText<ExecutionStatus>.Of(e.Outcome.Status)), Column(ends, e => e.Reason), Column(ends, e => e.Error),
        Column(ends, e => e.FinishedAt), Column(ends, e => e.Output?.Stored), P(databaseNow), P((long)ends.Count),
    ]);

    static NpgsqlParameter[] Keys(List<Step> steps) =>
    [
        Shared(steps, s => s.Call.Lease.ShardKey), Column(steps, s => s.Call.Lease.Fence), Shared(steps, s => s.Call.TenantId.Value), Column(steps, s => s.Call.ExecutionId.Value),
        Column(steps, s => s.Row.Node), Shared(steps, s => s.Row.Iteration), Shared(steps, s => s.Row.Attempt),
    ];

    static NpgsqlParameter[] Begun(List<Step> steps) => [.. Keys(steps), Column(steps, s => s.Row.StartedAt), Column(steps, s => s.Row.Input?.Stored)];

    static NpgsqlParameter Count(List<Step> steps) => P((long)steps.Count);

    static NpgsqlParameter[] Outcomes(List<Step> steps)
        => [Shared(steps, s => EnumText<ExecutionStatus>.Of(s.Row.Status)), Column(steps, s => s.Row.FinishedAt), Column(steps, s => s.Row.Output?.Stored)];

    static NpgsqlParameter[] Errors(List<Step> steps) => [Column(steps, s => s.Row.Reason), Column(steps, s => s.Row.Error)];

    static NpgsqlParameter[] Leases<T>(List<T> of) where T : LeasedCall =>
    [
        Column(of, one => one.Lease.ShardKey), Column(of, one => one.Lease.ExecutionId.Value), Column(of, one => one.Lease.TenantId.Value), Column(of, one => one.Lease.Fence),
    ];

    public static NpgsqlParameter[] Payloads<T>(List<T> of, Func<T, StoredPayload> row) =>
    [
        Column(of, b => row(b).Hash), Column(of, b => row(b).ContentType), Column(of, b => EnumText<PayloadEncoding>.Of(row(b).Encoding)), Column(of, b => row(b).SizeBytes),
        Column(of, b => row(b).Body), Column(of, b => row(b).ObjectKey), Column(of, b => row(b).Sealed), Column(of, b => row(b).WholeSizeBytes),
    ];

    /// <summary>A column that is never null: one element if all are equal (WriteSql.Given).</summary>
    static NpgsqlParameter Shared<TItem, T>(List<TItem> items, Func<TItem, T> pick) where T : IEquatable<T>
    {
        var first = pick(items[0]);
        return items.TrueForAll(item => pick(item).Equals(first)) ? P(new[] { first }) : Column(items, pick);
    }

    static NpgsqlParameter Column<TItem, T>(List<TItem> items, Func<TItem, T> pick)
    {
        var values = new T[items.Count];
        for (var i = 0; i < values.Length; i++)
            values[i] = pick(items[i]);
        return P(values);
    }
}
