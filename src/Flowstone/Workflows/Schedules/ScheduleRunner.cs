using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Runtime.ExceptionServices;
using System.Text.Json;
using Flowstone.Data;
using Flowstone.Executions;
using Flowstone.Tenancy;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Workflows;

/// <param name="Fired">Executions that were started.</param>
/// <param name="Missed">Due times that were entered as missed.</param>
/// <param name="Skipped">Due times that were entered as skipped.</param>
/// <param name="NextAt">When the next one is to be fired, of all tenants; null if there is none.</param>
public sealed record ScheduleRun(int Fired, int Missed, int Skipped, DateTimeOffset? NextAt);

/// <summary>
/// Fires what is due, for all tenants: any number of processes at once. A schedule's row is locked while its due times are entered in the ledger and executions started, in one
/// transaction; its key allows each due time once. The database's clock decides. docs/schedules.md
/// </summary>
public sealed class ScheduleRunner
{
    /// <summary>Fired no later than this, a due time was not missed. 60 s, but in a simulation.</summary>
    internal TimeSpan Grace { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Due times of a schedule that are looked at in one go. Of those that are not fired, the ledger has so many entries; older ones share one.</summary>
    const int DueTimesAtOnce = 10_000, MostEntries = 1_000;

    /// <summary>When a transaction has enough; what else is due is the next one's.</summary>
    const int EnoughStarts = 500, EnoughEntries = 2_000, EnoughDueTimes = 50_000, EnoughInput = 16 * 1024 * 1024;

    const int SchedulesAtOnce = 200;

    static readonly TimeSpan LeftAlone = TimeSpan.FromSeconds(10);   // well within the grace, should it be the database that was away

    static readonly Meter meter = new("Flowstone");
    static readonly Counter<long> outcomes = meter.CreateCounter<long>("flowstone.schedule.due_times", "{time}", "Due times, by what became of them.");
    static readonly Histogram<double> lateness = meter.CreateHistogram<double>("flowstone.schedule.lateness", "s", "How long after its due time, with its jitter, an execution was started.");

    readonly Database app;
    readonly Database worker;
    readonly TenantDirectory tenants;
    readonly Func<Id<Tenant>, ExecutionRepository> executionsOf;
    readonly TimeProvider clock;
    readonly TimeProvider databaseClock;

    // Tenants whose schedules cannot be fired, because the key that seals their payloads is away, say: until when they are left alone, so that they are in nobody's way.
    readonly ConcurrentDictionary<Id<Tenant>, DateTimeOffset> failing = new();

    /// <param name="databaseClock">The system's is the database's own; another is for simulations.</param>
    internal ScheduleRunner(Database app, Database worker, TenantDirectory tenants, Func<Id<Tenant>, ExecutionRepository> executionsOf, TimeProvider clock, TimeProvider? databaseClock = null)
        => (this.app, this.worker, this.tenants, this.executionsOf, this.clock, this.databaseClock) = (app, worker, tenants, executionsOf, clock, databaseClock ?? clock);

    NpgsqlParameter Now => P(ExecutionRepository.DatabaseNow(databaseClock));

    /// <summary>Fires what is due now, of up to 200 schedules. Call it again while it does something.</summary>
    /// <exception cref="FlowstoneException">Those of a tenant could not be fired, and are left alone for ten seconds. Those of others were.</exception>
    public async Task<ScheduleRun> RunOnceAsync(CancellationToken cancellationToken = default)
    {
        // ix_schedules_due; the first rows tell what is due, the last one what comes next.
        const string Due = """
            (select tenant_id, id, fire_at, true as due from flowstone.schedules where fire_at <= coalesce($1, now()) and tenant_id <> all($3) order by fire_at limit $2)
            union all
            (select tenant_id, id, fire_at, false from flowstone.schedules where fire_at > coalesce($1, now()) order by fire_at limit 1)
            """;
        var due = new List<(Id<Tenant> Tenant, Guid Schedule)>();
        DateTimeOffset? next = null;
        foreach (var (tenant, until) in failing)
            if (until <= clock.Now())
                failing.TryRemove(tenant, out _);
        await worker.TransactAsync(tenants: null, [new(Due, Now, P(SchedulesAtOnce), P(failing.Keys.Select(tenant => tenant.Value).ToArray()))], row =>
        {
            if (row.GetBoolean(3))
                due.Add((new(row.GetGuid(0)), row.GetGuid(1)));
            else
                next = row.GetFieldValue<DateTimeOffset>(2);
        }, cancellationToken);
        var (fired, missed, skipped) = (0, 0, 0);
        var errors = new List<Exception>();
        foreach (var ofTenant in due.GroupBy(one => one.Tenant, one => one.Schedule))
            try
            {
                foreach (var entry in await FireAsync(ofTenant.Key, [.. ofTenant], cancellationToken))
                    _ = entry.Outcome switch { FiringOutcome.Fired => fired++, FiringOutcome.Missed => missed += entry.DueTimes, _ => skipped += entry.DueTimes };
            }
            catch (Exception error) when (!cancellationToken.IsCancellationRequested)   // whatever it is, others are not to wait for it
            {
                errors.Add(error);
                failing[ofTenant.Key] = clock.Now() + LeftAlone;
            }
        if (errors.Count > 0)
            ExceptionDispatchInfo.Throw(errors[0]);
        return new(fired, missed, skipped, next);
    }

    /// <summary>How long the first due time has been waiting that nobody has fired; zero if none is due.</summary>
    public async Task<TimeSpan> LagAsync(CancellationToken cancellationToken = default)
    {
        const string Lag = "select tenant_id, coalesce($1, now()) - fire_at from flowstone.schedules where fire_at <= coalesce($1, now()) order by fire_at limit 1";
        var lag = TimeSpan.Zero;
        await worker.TransactAsync(tenants: null, [new(Lag, Now)], row => lag = row.GetFieldValue<TimeSpan>(1), cancellationToken);
        return lag;
    }

    /// <summary>Deletes what became of due times longer ago than this.</summary>
    /// <returns>How many entries.</returns>
    public async Task<long> ForgetAsync(int days = 90, CancellationToken cancellationToken = default)
    {
        const int AtOnce = 1_000;
        const string Delete = """
            delete from flowstone.schedule_firings where tenant_id = any($1) and ctid = any(array(
                select f.ctid from flowstone.schedule_firings f where f.tenant_id = any($1) and f.at <= coalesce($2, now()) - make_interval(days => $3) limit $4))
            """;
        var forgotten = 0L;
        foreach (var chunk in (await tenants.ListAsync(cancellationToken)).Select(tenant => tenant.Id).Chunk(100))
            for (var rows = AtOnce; rows == AtOnce; forgotten += rows)
                rows = (await app.TransactAsync(string.Join(',', chunk), [new(Delete, P(Array.ConvertAll(chunk, id => id.Value)), Now, P(days), P(AtOnce))], read: null, cancellationToken))[0];
        return forgotten;
    }

    /// <summary>A schedule as it was locked, and what it needs to know.</summary>
    sealed record Locked(Schedule Schedule, DateTimeOffset Now, DateTimeOffset? LastDueAt, string? WhyNot)
    {
        public Guid? LastExecutionId { get; set; }

        /// <summary>The execution that an overlap rule minds.</summary>
        public Guid? Running { get; set; }
    }

    /// <summary>An entry of the ledger, with the execution that it starts.</summary>
    sealed record Entry(Locked Of, DateTimeOffset DueAt, FiringOutcome Outcome, string? Reason = null, int DueTimes = 1, DateTimeOffset? Until = null)
    {
        public Id<Execution>? ExecutionId { get; set; }
    }

    /// <summary>What a transaction enters.</summary>
    sealed class Pass
    {
        public List<Entry> Entries { get; } = [];
        public List<NewExecution> Starts { get; } = [];
        long input;

        /// <summary>Those that were looked at.</summary>
        public int DueTimes { get; set; }

        public bool IsFull => Starts.Count >= EnoughStarts || Entries.Count >= EnoughEntries || DueTimes >= EnoughDueTimes || input >= EnoughInput;

        public void Fire(Entry entry)
        {
            Entries.Add(entry);
            Starts.Add(Request(entry));
            input += Starts[^1].Input!.Bytes.Length;
        }
    }

    async Task<List<Entry>> FireAsync(Id<Tenant> tenant, Guid[] ids, CancellationToken cancellationToken)
    {
        try
        {
            return await FireAsync(tenant, ids, refusals: null, cancellationToken);
        }
        catch (Exception error) when (error is not (UnavailableException or OperationCanceledException) && ids.Length > 1)   // of one of them: which one?
        {
            var (entries, errors) = (new List<Entry>(), new List<Exception>());
            foreach (var id in ids)
                try
                {
                    entries.AddRange(await FireAsync(tenant, [id], cancellationToken));
                }
                catch (Exception ofOne) when (ofOne is not (UnavailableException or OperationCanceledException))
                {
                    errors.Add(ofOne);
                }
            if (errors.Count > 0)
                ExceptionDispatchInfo.Throw(errors[0]);
            return entries;
        }
        catch (Exception error) when (error is InvalidInputException or NotFoundException)
        {
            return await FireAsync(tenant, ids, refusals: error.Message, cancellationToken);   // it would be in the way for ever
        }
    }

    /// <param name="refusals">Why executions cannot be started; null starts them.</param>
    async Task<List<Entry>> FireAsync(Id<Tenant> tenant, Guid[] ids, string? refusals, CancellationToken cancellationToken)
    {
        try
        {
            await using var connection = await app.Source.OpenConnectionAsync(cancellationToken);
            await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
            var locked = await LockAsync(connection, transaction, tenant, ids, refusals, cancellationToken);
            var pass = new Pass();
            var next = new List<DateTimeOffset?>();
            foreach (var one in locked.TakeWhile(_ => !pass.IsFull))
                next.Add(Plan(one, pass));
            locked.RemoveRange(next.Count, locked.Count - next.Count);
            var (entries, executions) = (pass.Entries, executionsOf(tenant));
            var fired = entries.FindAll(entry => entry.Outcome == FiringOutcome.Fired);
            var started = fired.Count == 0 ? [] : await executions.StartAsync(pass.Starts, transaction, cancellationToken);
            for (var i = 0; i < fired.Count; i++)
                fired[i].Of.LastExecutionId = (fired[i].ExecutionId = started[i].ExecutionId)!.Value.Value;
            if (locked.Count > 0)
                await EnterAsync(connection, transaction, tenant, locked, next, entries, cancellationToken);
            await transaction.CommitAsync(cancellationToken);
            executions.Tell(started);
            Count(entries);
            return entries;
        }
        catch (Exception error) when (PostgresErrors.Explain(error) is { } explained)
        {
            throw explained;
        }
    }

    async Task<List<Locked>> LockAsync(NpgsqlConnection connection, NpgsqlTransaction transaction, Id<Tenant> tenant, Guid[] ids, string? refusals, CancellationToken cancellationToken)
    {
        // Whoever is faster has it; the others look at something else.
        const string Lock = """
            select s.id, s.workflow_id, s.name, s.cron, s.interval_seconds, s.time_zone, s.jitter_seconds, s.overlap, s.missed, s.missed_limit, s.input, s.starts_at, s.ends_at, s.next_due_at,
                   coalesce($2, now()),
                   (select max(f.due_at) from flowstone.schedule_firings f where f.tenant_id = $1 and f.schedule_id = s.id),
                   case when w.deleted_at is not null then 'The workflow is in the trash.' when w.paused_at is not null then 'The workflow is paused.'
                        when w.status in ('INACTIVE', 'ARCHIVED') then 'The workflow is ' || w.status || '.' end,
                   s.last_execution_id
              from flowstone.schedules s join flowstone.workflows w on w.tenant_id = s.tenant_id and w.id = s.workflow_id
             where s.tenant_id = $1 and w.tenant_id = $1 and s.id = any($3) and s.fire_at <= coalesce($2, now())
             order by s.fire_at for update of s skip locked
            """;

        // In a statement of its own: the one that locks may not see what another process committed just before it got the lock.
        const string Running = """
            select (select e.id from flowstone.executions e where e.tenant_id = $1 and e.id = s.last_execution_id and e.finished_at is null) from flowstone.schedules s
             where s.tenant_id = $1 and s.id = any($2) and s.overlap = 'SKIP'
            """;
        await using var batch = new NpgsqlBatch(connection, transaction);
        batch.BatchCommands.Add(new NpgsqlBatchCommand(Database.SetRole(TenantPolicies.AppRole)));
        batch.BatchCommands.Add(new NpgsqlBatchCommand(Database.SetTenants($"{tenant}")));
        batch.BatchCommands.Add(new Statement(Lock, P(tenant), Now, P(ids)).ToCommand());
        batch.BatchCommands.Add(new Statement(Running, P(tenant), P(ids)).ToCommand());
        var locked = new List<Locked>();
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        await Database.ReadToEndAsync(reader, row =>
        {
            if (row.FieldCount > 1)
                locked.Add(Read(row));
            else if (row.Get<Guid?>(0) is { } running && locked.Find(one => one.LastExecutionId == running) is { } one)
                one.Running = running;
        }, cancellationToken);
        return locked;

        Locked Read(NpgsqlDataReader row) => new(new()
        {
            TenantId = tenant,
            Id = new(row.GetGuid(0)),
            WorkflowId = new(row.GetGuid(1)),
            Name = row.GetString(2),
            Cron = row.Get<string>(3),
            IntervalSeconds = row.Get<long?>(4),
            TimeZone = row.GetString(5),
            JitterSeconds = row.GetInt32(6),
            Overlap = EnumText<OverlapRule>.Parse(row.GetString(7)),
            Missed = EnumText<MissedPolicy>.Parse(row.GetString(8)),
            MissedLimit = row.GetInt32(9),
            Input = row.Get<byte[]>(10) is { } input ? JsonElement.Parse(input, new() { MaxDepth = JsonDocuments.MaxDepth }) : null,
            Active = true,
            StartsAt = row.GetFieldValue<DateTimeOffset>(11),
            EndsAt = row.Get<DateTimeOffset?>(12),
            NextDueAt = row.GetFieldValue<DateTimeOffset>(13),
            CreatedAt = default,
            UpdatedAt = default,
        }, row.GetFieldValue<DateTimeOffset>(14), row.Get<DateTimeOffset?>(15), row.Get<string>(16) ?? refusals) { LastExecutionId = row.Get<Guid?>(17) };
    }

    /// <summary>Decides what becomes of a schedule's due times.</summary>
    /// <returns>The next one.</returns>
    DateTimeOffset? Plan(Locked one, Pass pass)
    {
        var (schedule, times) = (one.Schedule, DueTimes.Of(one.Schedule));
        var (due, late) = (new List<DateTimeOffset>(), 0);
        DateTimeOffset? time = schedule.NextDueAt;
        for (var fireAt = DateTimeOffset.MinValue; time is { } at && FireAt(at) <= one.Now && due.Count < DueTimesAtOnce; time = times.Next(at))
            if (!(at <= one.LastDueAt))   // never twice, should the database's clock go back
            {
                due.Add(at);
                fireAt = FireAt(at) > fireAt ? FireAt(at) : fireAt;   // it waits for those before it, whose jitter may be more
                late += one.Now - fireAt > Grace ? 1 : 0;
            }
        var isAll = !(time is { } rest && FireAt(rest) <= one.Now);

        var running = one.Running;
        var others = new List<Entry>();
        var firstFired = schedule.Missed switch
        {
            MissedPolicy.Skip => late,
            MissedPolicy.Latest => isAll ? Math.Min(late, due.Count - 1) : late,
            _ => Math.Max(0, late - schedule.MissedLimit),
        };
        if (!isAll && one.WhyNot is null && firstFired > 0 && firstFired < due.Count)   // of those, more may be missed: it depends on what else is due
            (time, due) = (due[firstFired], due[..firstFired]);
        for (var i = 0; i < due.Count; i++)
            if (one.WhyNot is { } why)
                others.Add(new(one, due[i], FiringOutcome.Skipped, Text.Fit(why, 500)));
            else if (i < firstFired)
                others.Add(new(one, due[i], FiringOutcome.Missed, $"No server fired it in time, and of missed ones the schedule fires {(schedule.Missed == MissedPolicy.Skip ? "none" : schedule.Missed == MissedPolicy.Latest ? "the latest" : $"the latest {schedule.MissedLimit}")}."));
            else if (schedule.Overlap == OverlapRule.Skip && running is { } execution)
                others.Add(new(one, due[i], FiringOutcome.Skipped, execution == default ? "The execution of the due time before has just begun." : $"Execution {execution} of an earlier due time still runs."));
            else if (pass.IsFull)
            {
                time = due[i];
                break;
            }
            else
            {
                pass.Fire(new(one, due[i], FiringOutcome.Fired));
                running = Guid.Empty;
            }

        // The oldest share an entry.
        var many = Math.Min(others.Count - (isAll ? MostEntries : 0), others.TakeWhile(other => other.Outcome == others[0].Outcome).Count());
        if (many > 1)
        {
            pass.Entries.Add(others[0] with { Reason = others[many - 1].Reason, DueTimes = many, Until = others[many - 1].DueAt });
            others.RemoveRange(0, many);
        }
        pass.Entries.AddRange(others);
        pass.DueTimes += due.Count;
        return time;

        DateTimeOffset FireAt(DateTimeOffset at) => at + DueTimes.Jitter(schedule.Id, at, schedule.JitterSeconds);
    }

    static NewExecution Request(Entry entry) => new()
    {
        WorkflowId = entry.Of.Schedule.WorkflowId,
        Trigger = ExecutionTrigger.Schedule,
        Input = PayloadBody.Json(entry.Of.Schedule.Input ?? JsonSerializer.SerializeToElement(new { scheduleId = entry.Of.Schedule.Id, dueAt = entry.DueAt }, FlowstoneJson.Options)),
    };

    static async Task EnterAsync(
        NpgsqlConnection connection, NpgsqlTransaction transaction, Id<Tenant> tenant, List<Locked> locked, List<DateTimeOffset?> next, List<Entry> entries, CancellationToken cancellationToken)
    {
        const string Enter = """
            insert into flowstone.schedule_firings (tenant_id, schedule_id, due_at, outcome, reason, execution_id, due_times, until, at)
            select $1, e.schedule_id, e.due_at, e.outcome, e.reason, e.execution_id, e.due_times, e.until, $9
              from unnest($2, $3, $4, $5, $6, $7, $8) e (schedule_id, due_at, outcome, reason, execution_id, due_times, until)
            """;
        const string Advance = """
            update flowstone.schedules s set next_due_at = n.due_at, fire_at = n.fire_at, last_execution_id = n.execution_id
              from unnest($2, $3, $4, $5) n (id, due_at, fire_at, execution_id) where s.tenant_id = $1 and s.id = n.id
            """;
        await using var batch = new NpgsqlBatch(connection, transaction);
        batch.BatchCommands.Add(new Statement(Enter, P(tenant), P(Column(e => e.Of.Schedule.Id.Value)), P(Column(e => e.DueAt)), P(Column(e => EnumText<FiringOutcome>.Of(e.Outcome))), P(Column(e => e.Reason)),
            P(Column(e => e.ExecutionId?.Value)), P(Column(e => e.DueTimes)), P(Column(e => e.Until)), P(locked[0].Now)).ToCommand());
        batch.BatchCommands.Add(new Statement(Advance, P(tenant), P(locked.ConvertAll(one => one.Schedule.Id.Value).ToArray()), P(next.ToArray()),
            P(locked.Select((one, i) => ScheduleRepository.FireAt(one.Schedule.Id, next[i], one.Schedule.JitterSeconds)).ToArray()), P(locked.ConvertAll(one => one.LastExecutionId).ToArray())).ToCommand());
        await batch.ExecuteNonQueryAsync(cancellationToken);

        T[] Column<T>(Func<Entry, T> pick) => [.. entries.Select(pick)];
    }

    static void Count(List<Entry> entries)
    {
        foreach (var entry in entries)
        {
            outcomes.Add(entry.DueTimes, new KeyValuePair<string, object?>("outcome", EnumText<FiringOutcome>.Of(entry.Outcome)));
            if (entry.Outcome == FiringOutcome.Fired)
                lateness.Record((entry.Of.Now - entry.DueAt - DueTimes.Jitter(entry.Of.Schedule.Id, entry.DueAt, entry.Of.Schedule.JitterSeconds)).TotalSeconds);
        }
    }
}
