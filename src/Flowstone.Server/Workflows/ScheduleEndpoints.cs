using System.Globalization;
using Flowstone.Tenancy;
using Flowstone.Workflows;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Flowstone.Server.Workflows;

/// <param name="Next">Due times, the first one first.</param>
sealed record NextResponse(IReadOnlyList<DateTimeOffset> Next);

/// <summary>When workflows are started by themselves: docs/schedules.md.</summary>
static class ScheduleEndpoints
{
    const int MostNext = 100;

    public static void MapSchedules(this IEndpointRouteBuilder app)
    {
        const string Example = """{"name":"Weekdays at nine","cron":"0 9 * * 1-5","timeZone":"Europe/Berlin","overlap":"SKIP","missed":"LATEST"}""";
        app.MapGet("/workflows/{id}/schedules", List).WithTags("Schedules");
        app.MapPost("/workflows/{id}/schedules", Create).WithExample(Example).WithTags("Schedules");
        var schedules = app.MapGroup("/schedules").WithTags("Schedules");
        schedules.MapGet("", ListAll);
        schedules.MapPost("/preview", Preview).WithExample("""{"name":"Every quarter of an hour","cron":"*/15 * * * *","timeZone":"America/New_York"}""");
        schedules.MapGet("/{id}", Get).WithName("GetSchedule");
        schedules.MapPut("/{id}", Update).WithExample(Example);
        schedules.MapDelete("/{id}", Delete);
        schedules.MapPost("/{id}/pause", Pause);
        schedules.MapPost("/{id}/resume", Resume);
        schedules.MapGet("/{id}/next", Next);
        schedules.MapGet("/{id}/firings", Firings);
    }

    static async Task<Ok<Page<Schedule>>> List(Id<Workflow> id, TenantScope tenant, [AsParameters] PageQuery page, CancellationToken cancellationToken)
    {
        var schedules = await tenant.Schedules.ListAsync(id, page.Before<Schedule>(), page.Take, cancellationToken);
        if (schedules.Count == 0 && await tenant.Workflows.FindAsync(id, cancellationToken) is null)
            throw new NotFoundException("Workflow", id);
        return TypedResults.Ok(page.Of(schedules, s => s.Id));
    }

    /// <summary>Those of all workflows whose executions you may read, newest first.</summary>
    static async Task<Ok<Page<Schedule>>> ListAll(TenantScope tenant, [AsParameters] PageQuery page, CancellationToken cancellationToken)
        => TypedResults.Ok(page.Of(await tenant.Schedules.ListAsync(page.Before<Schedule>(), page.Take, cancellationToken), s => s.Id));

    static async Task<CreatedAtRoute<Schedule>> Create(Id<Workflow> id, NewSchedule request, TenantScope tenant, CancellationToken cancellationToken)
    {
        var schedule = await tenant.Schedules.CreateAsync(id, request, cancellationToken);
        return TypedResults.CreatedAtRoute(schedule, "GetSchedule", new { id = schedule.Id });
    }

    static async Task<Ok<Schedule>> Get(Id<Schedule> id, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(await tenant.Schedules.FindAsync(id, cancellationToken) ?? throw new NotFoundException("Schedule", id));

    /// <summary>Replaces the schedule; its ledger stays. If it is due at other times now, the next is the first one from now.</summary>
    static async Task<Ok<Schedule>> Update(Id<Schedule> id, NewSchedule request, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(await tenant.Schedules.UpdateAsync(id, request, cancellationToken));

    static async Task<NoContent> Delete(Id<Schedule> id, TenantScope tenant, CancellationToken cancellationToken)
        => await tenant.Schedules.DeleteAsync(id, cancellationToken) ? TypedResults.NoContent() : throw new NotFoundException("Schedule", id);

    /// <summary>It fires no more until it is resumed; what is due meanwhile is not missed.</summary>
    static async Task<Ok<Schedule>> Pause(Id<Schedule> id, TenantScope tenant, CancellationToken cancellationToken) => TypedResults.Ok(await tenant.Schedules.PauseAsync(id, cancellationToken));

    static async Task<Ok<Schedule>> Resume(Id<Schedule> id, TenantScope tenant, CancellationToken cancellationToken) => TypedResults.Ok(await tenant.Schedules.ResumeAsync(id, cancellationToken));

    /// <summary>Its next due times, up to 100; none while it is paused.</summary>
    static async Task<Ok<NextResponse>> Next(Id<Schedule> id, TenantScope tenant, int? count, CancellationToken cancellationToken)
        => TypedResults.Ok(new NextResponse(await tenant.Schedules.ListNextAsync(id, Checked(count), cancellationToken)));

    /// <summary>The next due times of a schedule that is not stored.</summary>
    static Ok<NextResponse> Preview(NewSchedule request, TimeProvider clock, int? count) => TypedResults.Ok(new NextResponse(ScheduleRepository.Preview(request, clock.Now(), Checked(count))));

    /// <summary>What became of its due times, the latest first. The cursor is a time.</summary>
    static async Task<Ok<Page<ScheduleFiring>>> Firings(Id<Schedule> id, TenantScope tenant, [AsParameters] PageQuery page, CancellationToken cancellationToken)
        => TypedResults.Ok(page.Of(await tenant.Schedules.ListFiringsAsync(id, page.After(text => new DateTimeOffset(long.Parse(text, CultureInfo.InvariantCulture), TimeSpan.Zero)), page.Take, cancellationToken), f => f.DueAt.UtcTicks));

    static int Checked(int? count) => count is null ? 10 : count is >= 1 and <= MostNext ? count.Value : throw new InvalidInputException("count", $"must be 1 to {MostNext}.");
}
