using System.Diagnostics;
using System.Globalization;
using Flowstone.Tenancy;
using Flowstone.Workflows;
using Npgsql;

namespace Flowstone.CrashTest;

/// <summary>
/// Schedules over a simulated month in which clocks are changed, fired by 8 processes with clocks that are off and which are killed, and by a database that is killed too: each
/// due time, worked out without any cron, is fired exactly once, or marked with a reason.
/// </summary>
sealed class SchedulesCampaign(CampaignOptions options)
{
    const int Processes = 8;
    static readonly TimeSpan Step = TimeSpan.FromMinutes(15), Outage = TimeSpan.FromHours(7), Behind = TimeSpan.FromHours(1);

    // Europe goes back on 25 October, America on 1 November; Lord Howe has gone ahead on 4 October.
    static readonly DateTimeOffset first = new(2026, 10, 2, 0, 0, 0, TimeSpan.Zero), last = new(2026, 11, 2, 0, 0, 0, TimeSpan.Zero);
    static readonly string[] zones = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Tokyo"];

    readonly Random random = new(options.Seed);
    readonly Process?[] processes = new Process?[Processes];

    sealed record Expected(Id<Schedule> Id, IReadOnlyList<DateTimeOffset> Due);

    public async Task<bool> RunAsync(CancellationToken stop)
    {
        await using var stage = await Stage.OpenAsync(stop);
        await ExecuteAsync(stage, $"create table public.simulated_time (at timestamptz); insert into public.simulated_time values ('{first:O}'); grant select on public.simulated_time to {TenantPolicies.Login}");
        var expected = await CreateAsync(stage, stop);
        Console.WriteLine($"{expected.Count:N0} schedules, {expected.Sum(one => one.Due.Count):N0} due times from {first:yyyy-MM-dd} to {last:yyyy-MM-dd}");

        var (began, kills, restarts) = (Stopwatch.StartNew(), 0, 0);
        try
        {
            for (var i = 0; i < Processes; i++)
                processes[i] = Start(stage, i);
            var (killAt, now) = (TimeSpan.FromSeconds(4), first);
            while (now < last)
            {
                if (began.Elapsed > killAt)
                {
                    var victim = random.Next(Processes);
                    Posix.Kill(processes[victim]!.Id);
                    await processes[victim]!.WaitForExitAsync(stop);
                    processes[victim] = Start(stage, victim);
                    (killAt, kills) = (began.Elapsed + TimeSpan.FromSeconds(2), kills + 1);
                }
                if (restarts < 2 && now > first + ((last - first) * (restarts + 1) / 3))
                {
                    stage.KillPostgres();
                    restarts++;
                    while (!await stage.RestartPostgresAsync(stop))
                        await Task.Delay(100, stop);
                    await stage.ReconnectAsync();
                    now += Outage;   // so long it was away
                }
                now = now + Step < last ? now + Step : last;
                await ExecuteAsync(stage, $"update public.simulated_time set at = '{now:O}'");
                await CaughtUpAsync(stage, now, now == last ? TimeSpan.Zero : Behind, stop);
            }
        }
        finally
        {
            foreach (var process in processes)
                if (process is { HasExited: false })
                    Posix.Kill(process.Id);
        }

        var (missing, extra, unexplained, fired, missed, skipped) = (0, 0, 0, 0, 0, 0);
        var ledger = (await stage.QueryAsync("select schedule_id, due_at, outcome, reason, execution_id, due_times from flowstone.schedule_firings",
            row => (Id: row.GetGuid(0), Due: row.GetFieldValue<DateTimeOffset>(1), Outcome: row.GetString(2), Reason: row.IsDBNull(3) ? null : row.GetString(3), HasExecution: !row.IsDBNull(4), Times: row.GetInt32(5)))).ToLookup(row => row.Id);
        foreach (var one in expected)
        {
            var rows = ledger[one.Id.Value].ToList();
            var due = one.Due.ToHashSet();
            missing += due.Count - rows.Count(row => due.Contains(row.Due));
            extra += rows.Count(row => !due.Contains(row.Due) || row.Times != 1);
            unexplained += rows.Count(row => row.HasExecution != (row.Outcome == "FIRED") || (row.Reason is null) != (row.Outcome == "FIRED"));
            fired += rows.Count(row => row.Outcome == "FIRED");
            missed += rows.Count(row => row.Outcome == "MISSED");
            skipped += rows.Count(row => row.Outcome == "SKIPPED");
        }
        var executions = await stage.NumberAsync("select count(*) from flowstone.executions");
        var named = await stage.NumberAsync("select count(distinct e.id) from flowstone.schedule_firings f join flowstone.executions e on e.tenant_id = f.tenant_id and e.id = f.execution_id");
        var rules = new (string Rule, long Found)[]
        {
            ("due times without an entry", missing), ("entries that are no due time", extra), ("entries without execution or reason", unexplained),
            ("executions that no entry names", executions - named), ("entries whose execution is not there", fired - named),
        };
        Line("simulated", $"{(last - first).TotalDays:N0} days in {began.Elapsed.TotalSeconds:N0} s, {kills} kills of {Processes} processes, {restarts} of the database");
        Line("fired, missed, skipped", $"{fired:N0}, {missed:N0}, {skipped:N0}");
        foreach (var (rule, found) in rules)
            Line(rule, $"{found:N0}{(found != 0 ? "   MISMATCH" : "")}");
        return kills > 0 && restarts == 2 && missed > 0 && fired > 0 && Array.TrueForAll(rules, rule => rule.Found == 0);

        static void Line(string name, string value) => Console.WriteLine($"{name,-42} {value}");
    }

    static Process Start(Stage stage, int number)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!);
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath!) == "dotnet")
            start.ArgumentList.Add(typeof(SchedulesCampaign).Assembly.Location);
        start.ArgumentList.Add("scheduler");
        start.ArgumentList.Add(stage.ConnectionString);
        start.ArgumentList.Add(((number % 3 - 1) * 5).ToString(CultureInfo.InvariantCulture));   // 5 s behind, right, 5 s ahead
        start.Environment["DOTNET_TieredPGO"] = "0";
        return Process.Start(start)!;
    }

    static async Task CaughtUpAsync(Stage stage, DateTimeOffset now, TimeSpan behind, CancellationToken stop)
    {
        var patience = Stopwatch.StartNew();
        while (await stage.NumberAsync("select count(*) from (select 1 from flowstone.schedules where fire_at <= $1 limit 1) due", now - behind) > 0)
        {
            if (patience.Elapsed > TimeSpan.FromMinutes(2))
                throw new TimeoutException($"Nobody fires what is due at {now:u}.");
            await Task.Delay(5, stop);
        }
    }

    async Task<List<Expected>> CreateAsync(Stage stage, CancellationToken stop)
    {
        await using var source = NpgsqlDataSource.Create(stage.ConnectionString);
        await using var store = new FlowstoneStore(source, new SimulatedClock { Time = first });
        var expected = new List<Expected>();
        TenantScope? tenant = null;
        Workflow? workflow = null;
        for (var i = 0; i < options.Count; i++)
        {
            if (i % 500 == 0)
                (tenant, workflow) = await stage.NewTenantAsync($"schedules-{i}");
            var (zone, hour, minute, kind) = (zones[random.Next(zones.Length)], random.Next(24), random.Next(60), random.Next(20));
            var (cron, interval) = kind switch
            {
                < 12 => ($"{minute} {hour} * * *", (long?)null),
                < 16 => ($"{minute} */6 * * *", null),
                < 19 => ($"0 {minute} {hour} ? * MON-FRI", null),
                _ => (null, 28_000 + random.Next(2_000)),
            };
            var request = new NewSchedule
            {
                Name = $"Schedule {i}",
                Cron = cron,
                IntervalSeconds = interval,
                TimeZone = zone,
                JitterSeconds = random.Next(4) == 0 ? 600 : 0,
                Missed = (MissedPolicy)random.Next(3),
                MissedLimit = 2,
                Overlap = random.Next(20) == 0 ? OverlapRule.Skip : OverlapRule.Allow,
            };
            var schedule = await store.Tenant(tenant!.TenantId, Actor.System("crash test")).Schedules.CreateAsync(workflow!.Id, request, stop);
            IEnumerable<DateTimeOffset> due = kind switch
            {
                < 12 => Daily(zone, hour, minute, weekdays: false),
                < 16 => Rhythm(zone, minute, everyHours: 6),
                < 19 => Daily(zone, hour, minute, weekdays: true),
                _ => Enumerable.Range(0, 10_000).Select(k => first.AddSeconds(k * interval!.Value)),
            };
            expected.Add(new(schedule.Id, [.. due.Where(at => at > first && at + DueTimes.Jitter(schedule.Id, at, request.JitterSeconds) <= last)]));
        }
        return expected;
    }

    static IEnumerable<DateTimeOffset> Daily(string name, int hour, int minute, bool weekdays)
    {
        var zone = TimeZoneInfo.FindSystemTimeZoneById(name);
        for (var day = first.Date.AddDays(-2); day <= last.Date.AddDays(2); day = day.AddDays(1))
        {
            if (weekdays && day.DayOfWeek is DayOfWeek.Saturday or DayOfWeek.Sunday && weekdays)
                continue;
            var wall = day.AddHours(hour).AddMinutes(minute);
            while (zone.IsInvalidTime(wall))
                wall = wall.AddMinutes(1);   // when the clocks have been put forward
            var offset = zone.IsAmbiguousTime(wall) ? zone.GetAmbiguousTimeOffsets(wall).Max() : zone.GetUtcOffset(wall);   // the first time
            yield return new DateTimeOffset(wall, offset).ToUniversalTime();
        }
    }

    static IEnumerable<DateTimeOffset> Rhythm(string name, int minute, int everyHours)
    {
        var zone = TimeZoneInfo.FindSystemTimeZoneById(name);
        for (var at = first; at <= last; at = at.AddMinutes(1))
            if (TimeZoneInfo.ConvertTime(at, zone) is var wall && wall.Minute == minute && wall.Hour % everyHours == 0)
                yield return at;
    }

    static async Task ExecuteAsync(Stage stage, string sql) => await stage.QueryAsync(sql, _ => 0);
}
