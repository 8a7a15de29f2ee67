using Flowstone.Data;
using Flowstone.Executions;
using Flowstone.Permissions;
using Flowstone.Tenancy;
using Microsoft.EntityFrameworkCore;
using static Flowstone.Data.Sql;

namespace Flowstone.Workflows;

/// <summary>Keeps the schedules of workflows: seen by whoever may read the workflow's executions, changed by whoever may change it. docs/schedules.md</summary>
public sealed class ScheduleRepository
{
    readonly TenantDatabase database;
    readonly AccessRule access;
    readonly TimeProvider clock;

    internal ScheduleRepository(TenantDatabase database, AccessRule access, TimeProvider clock) => (this.database, this.access, this.clock) = (database, access, clock);

    /// <exception cref="NotFoundException">There is no such workflow, or the actor may not know of it.</exception>
    /// <exception cref="AccessDeniedException">The actor may not change it.</exception>
    /// <exception cref="InvalidInputException">Expression, zone or a number are wrong, or the schedule would never be due.</exception>
    public async Task<Schedule> CreateAsync(Id<Workflow> workflow, NewSchedule request, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(AccessLevel.Write, workflow, cancellationToken);
        var (now, id) = (await NowAsync(cancellationToken), Id<Schedule>.New(clock));
        var schedule = Made(id, workflow, request, now, now);
        var (sql, parameters) = Insert(schedule);
        return await database.ExecuteAsync(sql, parameters, cancellationToken) > 0 ? schedule : throw new NotFoundException("Workflow", workflow);
    }

    /// <summary>For an import: the statement that stores it with its workflow. It may have ended.</summary>
    /// <exception cref="InvalidInputException">Expression, zone or a number are wrong.</exception>
    internal (string Sql, Npgsql.NpgsqlParameter[] Parameters) Insert(Id<Workflow> workflow, NewSchedule request, DateTimeOffset now)
        => Insert(Made(Id<Schedule>.New(clock), workflow, request, now, now, mayHaveEnded: true));

    static (string Sql, Npgsql.NpgsqlParameter[] Parameters) Insert(Schedule schedule)
    {
        const string Insert = """
            insert into flowstone.schedules (tenant_id, id, workflow_id, name, cron, interval_seconds, time_zone, jitter_seconds, overlap, missed, missed_limit, input, active,
                   starts_at, ends_at, next_due_at, fire_at, created_at, updated_at)
            select $1, $2, w.id, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $18 from flowstone.workflows w
             where w.tenant_id = $1 and w.id = $3 and w.deleted_at is null
            """;
        return (Insert, [P(schedule.Id), P(schedule.WorkflowId), .. Columns(schedule), P(schedule.UpdatedAt)]);
    }

    /// <summary>Puts a schedule in another's place; its ledger stays. Where that is due at other times, the next is the first one from now.</summary>
    /// <exception cref="NotFoundException">There is no such schedule, or the actor may not know of it.</exception>
    /// <inheritdoc cref="CreateAsync"/>
    public async Task<Schedule> UpdateAsync(Id<Schedule> id, NewSchedule request, CancellationToken cancellationToken = default)
    {
        var stored = await RequireAsync(AccessLevel.Write, id, cancellationToken);
        var now = await NowAsync(cancellationToken);
        var schedule = Made(id, stored.WorkflowId, request, stored.CreatedAt, now);
        // What is due, and nobody has fired yet, stays so: a new name is no reason to lose it.
        const string AsBefore = "active and $12 and (cron, interval_seconds, time_zone, jitter_seconds, starts_at, ends_at) is not distinct from ($4, $5, $6, $7, $13, $14)";
        const string Update = $"""
            update flowstone.schedules set name = $3, cron = $4, interval_seconds = $5, time_zone = $6, jitter_seconds = $7, overlap = $8, missed = $9, missed_limit = $10, input = $11,
                   active = $12, starts_at = $13, ends_at = $14, updated_at = $17,
                   next_due_at = case when {AsBefore} then next_due_at else $15 end, fire_at = case when {AsBefore} then fire_at else $16 end
             where tenant_id = $1 and id = $2
            returning next_due_at
            """;
        return await database.QueryAsync(Update, [P(id), .. Columns(schedule), P(now)], row => row.Get<DateTimeOffset?>(0), cancellationToken) is [var next]
            ? schedule with { NextDueAt = next } : throw new NotFoundException("Schedule", id);
    }

    /// <summary>Lets it fire no more until it is resumed. What is due meanwhile is not missed.</summary>
    /// <exception cref="NotFoundException">There is no such schedule, or the actor may not know of it.</exception>
    /// <exception cref="AccessDeniedException">The actor may not change its workflow.</exception>
    public Task<Schedule> PauseAsync(Id<Schedule> id, CancellationToken cancellationToken = default) => SetActiveAsync(id, active: false, cancellationToken);

    /// <summary>Lets it fire again, from the next due time on.</summary>
    /// <inheritdoc cref="PauseAsync"/>
    public Task<Schedule> ResumeAsync(Id<Schedule> id, CancellationToken cancellationToken = default) => SetActiveAsync(id, active: true, cancellationToken);

    async Task<Schedule> SetActiveAsync(Id<Schedule> id, bool active, CancellationToken cancellationToken)
    {
        // As it was read, or the next due time would be another's.
        const string Set = "update flowstone.schedules set active = $3, next_due_at = $4, fire_at = $5, updated_at = $6 where tenant_id = $1 and id = $2 and updated_at = $7";
        while (true)
        {
            var stored = await RequireAsync(AccessLevel.Write, id, cancellationToken);
            if (stored.Active == active)
                return stored;
            var now = await NowAsync(cancellationToken);
            var next = active ? DueTimes.Of(stored).Next(now) : null;
            if (await database.ExecuteAsync(Set, [P(id), P(active), P(next), P(FireAt(id, next, stored.JitterSeconds)), P(now), P(stored.UpdatedAt)], cancellationToken) > 0)
                return stored with { Active = active, NextDueAt = next, UpdatedAt = now };
        }
    }

    /// <summary>Deletes it with its ledger; executions that it started stay.</summary>
    /// <returns>False if there was no such schedule, or the actor may not know of it.</returns>
    /// <exception cref="AccessDeniedException">The actor may not change its workflow.</exception>
    public async Task<bool> DeleteAsync(Id<Schedule> id, CancellationToken cancellationToken = default)
    {
        if (await FindAsync(id, cancellationToken) is null)
            return false;
        await RequireAsync(AccessLevel.Write, id, cancellationToken);
        return await database.ExecuteAsync("delete from flowstone.schedules where tenant_id = $1 and id = $2", [P(id)], cancellationToken) > 0;
    }

    public async Task<Schedule?> FindAsync(Id<Schedule> id, CancellationToken cancellationToken = default)
        => await database.ReadAsync(db => db.Set<Schedule>().SingleOrDefaultAsync(s => s.Id == id, cancellationToken)) is { } found
            && await access.MayAsync(AccessLevel.Read, found.WorkflowId, cancellationToken) ? found : null;

    /// <summary>A page of a workflow's schedules, newest first, continuing below <paramref name="before"/>.</summary>
    public async Task<List<Schedule>> ListAsync(Id<Workflow> workflow, Id<Schedule>? before, int limit, CancellationToken cancellationToken = default)
        => await access.MayAsync(AccessLevel.Read, workflow, cancellationToken)
            ? await database.ReadAsync(db => db.Set<Schedule>().Where(s => s.WorkflowId == workflow && (before == null || s.Id < before)).OrderByDescending(s => s.Id).Take(limit).ToListAsync(cancellationToken)) : [];

    /// <summary>A page of the schedules of all workflows whose executions the actor may read, newest first, continuing below <paramref name="before"/>.</summary>
    public async Task<List<Schedule>> ListAsync(Id<Schedule>? before, int limit, CancellationToken cancellationToken = default)
    {
        var reach = await access.ExecutionFilterAsync(AccessLevel.Read, "s.workflow_id", next: 4, cancellationToken);
        var ids = await database.SearchAsync($"""
            select s.id from flowstone.schedules s join flowstone.workflows w on w.tenant_id = s.tenant_id and w.id = s.workflow_id
             where s.tenant_id = $1 and w.tenant_id = $1 and w.deleted_at is null and s.id < case when $2 is null then 'ffffffff-ffff-ffff-ffff-ffffffffffff' else $2 end{reach.Sql} order by s.id desc limit $3
            """, [P(before), P(limit), .. reach.Parameters], row => new Id<Schedule>(row.GetGuid(0)), cancellationToken);
        return ids.Count == 0 ? [] : await database.ReadAsync(db => db.Set<Schedule>().Where(s => ids.Contains(s.Id)).OrderByDescending(s => s.Id).ToListAsync(cancellationToken));
    }

    /// <summary>A page of what became of its due times, the latest first, continuing before <paramref name="before"/>.</summary>
    /// <exception cref="NotFoundException">There is no such schedule, or the actor may not know of it.</exception>
    public async Task<List<ScheduleFiring>> ListFiringsAsync(Id<Schedule> id, DateTimeOffset? before, int limit, CancellationToken cancellationToken = default)
    {
        await RequireAsync(AccessLevel.Read, id, cancellationToken);
        return await database.ReadAsync(db => db.Set<ScheduleFiring>().Where(f => f.ScheduleId == id && (before == null || f.DueAt < before))
            .OrderByDescending(f => f.DueAt).Take(limit).ToListAsync(cancellationToken));
    }

    /// <summary>What became of the last due time of each of these; of a schedule that is not there, or of which the actor may not know, nothing.</summary>
    public async Task<IReadOnlyDictionary<Id<Schedule>, ScheduleFiring>> ListLastFiringsAsync(IEnumerable<Id<Schedule>> ids, CancellationToken cancellationToken = default)
    {
        var reach = await access.ExecutionFilterAsync(AccessLevel.Read, "s.workflow_id", next: 3, cancellationToken);
        return (await database.SearchAsync($"""
            select f.schedule_id, f.due_at, f.outcome, f.reason, f.execution_id, f.due_times, f.until, f.at from flowstone.schedules s cross join lateral (
                   select * from flowstone.schedule_firings f where f.tenant_id = $1 and f.schedule_id = s.id order by f.due_at desc limit 1) f
             where s.tenant_id = $1 and s.id = any($2){reach.Sql}
            """, [P(ids.Select(id => id.Value).Distinct().ToArray()), .. reach.Parameters], row => new ScheduleFiring
        {
            TenantId = database.TenantId,
            ScheduleId = new(row.GetGuid(0)),
            DueAt = row.GetFieldValue<DateTimeOffset>(1),
            Outcome = EnumText<FiringOutcome>.Parse(row.GetString(2)),
            Reason = row.Get<string>(3),
            ExecutionId = row.Get<Guid?>(4) is { } execution ? new(execution) : null,
            DueTimes = row.GetInt32(5),
            Until = row.Get<DateTimeOffset?>(6),
            At = row.GetFieldValue<DateTimeOffset>(7),
        }, cancellationToken)).ToDictionary(firing => firing.ScheduleId);
    }

    /// <summary>Its next due times; none while it is paused.</summary>
    /// <exception cref="NotFoundException">There is no such schedule, or the actor may not know of it.</exception>
    public async Task<IReadOnlyList<DateTimeOffset>> ListNextAsync(Id<Schedule> id, int count, CancellationToken cancellationToken = default)
    {
        var schedule = await RequireAsync(AccessLevel.Read, id, cancellationToken);
        return schedule.NextDueAt is { } next ? Preview(DueTimes.Of(schedule), next.AddTicks(-1), count) : [];
    }

    /// <summary>What a schedule's due times would be from a time on.</summary>
    /// <exception cref="InvalidInputException">Expression, interval or zone are none.</exception>
    public static IReadOnlyList<DateTimeOffset> Preview(NewSchedule schedule, DateTimeOffset from, int count)
        => Preview(new DueTimes(schedule.Cron, schedule.IntervalSeconds, schedule.TimeZone, schedule.StartsAt?.ToUniversalTime() ?? from, schedule.EndsAt), from, count);

    static List<DateTimeOffset> Preview(DueTimes times, DateTimeOffset after, int count)
    {
        var next = new List<DateTimeOffset>();
        for (var due = times.Next(after); due is { } time && next.Count < count; due = times.Next(time))
            next.Add(time);
        return next;
    }

    Schedule Made(Id<Schedule> id, Id<Workflow> workflow, NewSchedule request, DateTimeOffset createdAt, DateTimeOffset now, bool mayHaveEnded = false)
    {
        Text.Require("name", request.Name, 255);
        if (request.JitterSeconds is < 0 or > 86_400)
            throw new InvalidInputException("jitterSeconds", "must be 0 to 86,400.");
        if (request.MissedLimit is < 1 or > 1_000)
            throw new InvalidInputException("missedLimit", "must be 1 to 1,000.");
        if (request.Input is { } input)
        {
            var errors = new FieldErrors(10);
            StorableJson.Check(input, errors, JsonDocuments.MaxDepth);
            if (errors.All.Count > 0)
                throw new InvalidInputException("input", errors.All[0].Message);
        }
        var start = request.StartsAt?.ToUniversalTime() ?? now;
        if (request.EndsAt <= start)
            throw new InvalidInputException("endsAt", "must be after startsAt.");
        var next = new DueTimes(request.Cron, request.IntervalSeconds, request.TimeZone, start, request.EndsAt).Next(now);
        if (next is null && !mayHaveEnded)
            throw new InvalidInputException(request.Cron is null ? "intervalSeconds" : "cron", "is never due: there is no such time between start and end.");
        return new()
        {
            TenantId = database.TenantId,
            Id = id,
            WorkflowId = workflow,
            Name = request.Name,
            Cron = request.Cron,
            IntervalSeconds = request.IntervalSeconds,
            TimeZone = request.TimeZone,
            JitterSeconds = request.JitterSeconds,
            Overlap = request.Overlap,
            Missed = request.Missed,
            MissedLimit = request.MissedLimit,
            Input = request.Input,
            Active = request.Active,
            StartsAt = start,
            EndsAt = request.EndsAt?.ToUniversalTime(),
            NextDueAt = request.Active ? next : null,
            CreatedAt = createdAt,
            UpdatedAt = now,
        };
    }

    static Npgsql.NpgsqlParameter[] Columns(Schedule s) =>
    [
        P(s.Name), P(s.Cron), P(s.IntervalSeconds), P(s.TimeZone), P(s.JitterSeconds), P(EnumText<OverlapRule>.Of(s.Overlap)), P(EnumText<MissedPolicy>.Of(s.Missed)), P(s.MissedLimit),
        Json(s.Input is { } input ? JsonBytes.Of(input) : null), P(s.Active), P(s.StartsAt), P(s.EndsAt), P(s.NextDueAt), P(FireAt(s.Id, s.NextDueAt, s.JitterSeconds)),
    ];

    internal static DateTimeOffset? FireAt(Id<Schedule> id, DateTimeOffset? due, int jitterSeconds) => due is { } time ? time + DueTimes.Jitter(id, time, jitterSeconds) : null;

    // By the database's clock, as those who fire go by it.
    async Task<DateTimeOffset> NowAsync(CancellationToken cancellationToken)
        => ExecutionRepository.DatabaseNow(clock) is { } given ? given
            : (await database.QueryAsync("select now() from (select $1::uuid) tenant", [], row => row.GetFieldValue<DateTimeOffset>(0), cancellationToken)).Single();

    async Task<Schedule> RequireAsync(AccessLevel needed, Id<Schedule> id, CancellationToken cancellationToken)
    {
        var found = await FindAsync(id, cancellationToken) ?? throw new NotFoundException("Schedule", id);
        await access.RequireAsync(needed, found.WorkflowId, cancellationToken);
        return found;
    }
}
