using System.CommandLine;
using Flowstone.Workflows;

namespace Flowstone.Cli;

static class ScheduleCommand
{
    const int MostListed = 1_000, MostNext = 100;

    static readonly Argument<Guid> id = new("ID") { Description = "Of the schedule, as 'schedule list' tells it." };
    static readonly Option<int> count = new("--count") { Description = $"How many, {MostNext} at most.", DefaultValueFactory = _ => 10 };

    public static Command Create() => new("schedule", "See when workflows are started by themselves, and stop that.") { List(), Next(), Preview(), Pause(), Resume() };

    static Command List()
    {
        var workflow = new Option<Guid?>("--workflow") { Description = "Only the schedules of this workflow.", HelpName = "ID" };
        var list = new Command("list", $"List a tenant's schedules, newest first, {MostListed:N0} at most.") { workflow, StoreOptions.Tenant, StoreOptions.Json }.WithExample("flowstone schedule list --tenant acme");
        list.SetAction((arguments, cancellationToken) => WithSchedulesAsync(arguments, async schedules =>
        {
            var found = arguments.GetValue(workflow) is { } one
                ? await schedules.ListAsync(new(one), before: null, MostListed, cancellationToken) : await schedules.ListAsync(before: null, MostListed, cancellationToken);
            if (arguments.GetValue(StoreOptions.Json))
                Output.Json(found);
            else if (found.Count == 0)
                Output.Line("No schedules. Make one: POST /api/v1/workflows/{id}/schedules");
            foreach (var schedule in arguments.GetValue(StoreOptions.Json) ? [] : found)
                Output.Line($"{schedule.Id}  {(schedule.NextDueAt is { } next ? Time(next) : schedule.Active ? "ended" : "paused"),-20}  {schedule.When,-32}  {schedule.Name}");
        }, cancellationToken));
        return list;
    }

    static Command Next()
    {
        var next = new Command("next", "List a schedule's next due times, in UTC; none while it is paused.") { id, count, StoreOptions.Tenant, StoreOptions.Json }
            .WithExample("flowstone schedule next 01a2074a-3c9e-7c34-9b5c-0d6f3c1e2a77 --count 3");
        next.SetAction((arguments, cancellationToken) => WithSchedulesAsync(arguments,
            async schedules => Show(arguments, await schedules.ListNextAsync(new(arguments.GetValue(id)), Counted(arguments), cancellationToken)), cancellationToken));
        return next;
    }

    static Command Preview()
    {
        var cron = new Argument<string>("CRON") { Description = "Five fields as crontab has them, or Quartz's six or seven." };
        var zone = new Option<string>("--zone") { Description = "The time zone, as IANA names it.", DefaultValueFactory = _ => "UTC" };
        var preview = new Command("preview", "List the next due times of an expression, in UTC. Needs no database.") { cron, zone, count, StoreOptions.Json }
            .WithExample("flowstone schedule preview '0 9 * * 1-5' --zone Europe/Berlin");
        preview.SetAction(arguments => Show(arguments, ScheduleRepository.Preview(
            new NewSchedule { Name = "Preview", Cron = arguments.GetRequiredValue(cron), TimeZone = arguments.GetRequiredValue(zone) }, TimeProvider.System.Now(), Counted(arguments))));
        return preview;
    }

    static Command Pause() => Change("pause", "Let a schedule fire no more until it is resumed. What is due meanwhile is not missed.", (schedules, schedule, cancellationToken) => schedules.PauseAsync(schedule, cancellationToken));

    static Command Resume() => Change("resume", "Let a schedule fire again, from the next due time on.", (schedules, schedule, cancellationToken) => schedules.ResumeAsync(schedule, cancellationToken));

    static Command Change(string name, string description, Func<ScheduleRepository, Id<Schedule>, CancellationToken, Task<Schedule>> change)
    {
        var command = new Command(name, description) { id, StoreOptions.Tenant }.WithExample($"flowstone schedule {name} 01a2074a-3c9e-7c34-9b5c-0d6f3c1e2a77");
        command.SetAction((arguments, cancellationToken) => WithSchedulesAsync(arguments, async schedules =>
        {
            var schedule = await change(schedules, new(arguments.GetValue(id)), cancellationToken);
            Output.Line($"{schedule.Name} {(schedule.NextDueAt is { } next ? $"is due next at {Time(next)}" : schedule.Active ? "has ended: it is never due again" : "is paused")}.");
        }, cancellationToken));
        return command;
    }

    static async Task WithSchedulesAsync(ParseResult arguments, Func<ScheduleRepository, Task> act, CancellationToken cancellationToken)
    {
        await using var open = await OpenStore.OpenAsync(arguments, cancellationToken);
        await act((await open.TenantAsync(arguments, cancellationToken)).Schedules);
    }

    static int Counted(ParseResult arguments) => arguments.GetValue(count) is >= 1 and <= MostNext and var given ? given : throw new InvalidInputException("--count", $"must be 1 to {MostNext}.");

    static void Show(ParseResult arguments, IReadOnlyList<DateTimeOffset> times)
    {
        if (arguments.GetValue(StoreOptions.Json))
            Output.Json(times);
        foreach (var time in arguments.GetValue(StoreOptions.Json) ? [] : times)
            Output.Line($"{Time(time)}  {time.UtcDateTime.DayOfWeek}");
    }

    static string Time(DateTimeOffset time) => $"{time.UtcDateTime:yyyy-MM-dd HH:mm:ss}Z";
}
