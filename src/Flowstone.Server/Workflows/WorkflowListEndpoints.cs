using System.Globalization;
using Flowstone.Server.Executions;
using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;

namespace Flowstone.Server.Workflows;

/// <param name="Status">DRAFT, ACTIVE, INACTIVE or ARCHIVED.</param>
/// <param name="Visibility">PRIVATE, TEAM or PUBLIC.</param>
/// <param name="Tag">Those that have any of them; may be repeated.</param>
/// <param name="Search">Words of name, description, tags, names and types of nodes: all of them, in any order.</param>
/// <param name="Sort">newest, updated (last changed first) or relevance (with a search, and then the default).</param>
sealed record WorkflowQuery(
    [FromQuery(Name = "status")] string? Status, [FromQuery(Name = "visibility")] string? Visibility, [FromQuery(Name = "category")] string? Category, [FromQuery(Name = "tag")] string[]? Tag,
    [FromQuery(Name = "template")] bool? Template, [FromQuery(Name = "ownerId")] Id<User>? OwnerId, [FromQuery(Name = "teamId")] Id<Team>? TeamId,
    [FromQuery(Name = "search")] string? Search, [FromQuery(Name = "sort")] string? Sort)
{
    public WorkflowFilter ToFilter() => new()
    {
        Status = Choice.Parse<WorkflowStatus>("status", Status),
        Visibility = Choice.Parse<Visibility>("visibility", Visibility),
        Category = Category,
        Tags = Tag,
        IsTemplate = Template,
        OwnerId = OwnerId,
        TeamId = TeamId,
        Search = Search,
    };

    public WorkflowOrder Order => Sort switch
    {
        null or "" => Search is { Length: > 0 } ? WorkflowOrder.Relevance : WorkflowOrder.Newest,
        "newest" => WorkflowOrder.Newest,
        "updated" => WorkflowOrder.Updated,
        "relevance" => WorkflowOrder.Relevance,
        _ => throw new InvalidInputException("sort", "must be newest, updated or relevance."),
    };
}

/// <param name="Total">How many ended or wait.</param>
/// <param name="SuccessRate">0 to 1; null if none ended.</param>
sealed record ExecutionSummary(long Total, double? SuccessRate, double? AverageDurationMs);

/// <param name="Versions">Of all workflows together.</param>
sealed record WorkflowStatisticsResponse(
    long Total, IReadOnlyDictionary<WorkflowStatus, long> ByStatus, IReadOnlyDictionary<Visibility, long> ByVisibility, long Templates, long Versions, ExecutionSummary Executions);

/// <summary>Lists of workflows, and who uses what. None reads a definition.</summary>
static class WorkflowListEndpoints
{
    public static void MapWorkflowLists(this IEndpointRouteBuilder app)
    {
        var workflows = app.MapGroup("/workflows").WithTags("Workflows");
        workflows.MapGet("/", List);
        workflows.MapGet("/templates", Templates);
        workflows.MapGet("/statistics", Statistics);
        workflows.MapGet("/usage", Usage);
    }

    /// <summary>Newest first unless sorted otherwise. <c>count</c> is <c>exact</c> (up to 10,000).</summary>
    static async Task<Ok<CountedPage<Workflow>>> List(
        TenantScope tenant, [AsParameters] WorkflowQuery query, string? count, [AsParameters] PageQuery page, CancellationToken cancellationToken)
    {
        var (filter, order) = (query.ToFilter(), query.Order);
        var rows = await PageAsync(tenant, filter, order, page, cancellationToken);
        var total = count switch
        {
            null or "" => null,
            "exact" => await tenant.Workflows.CountAsync(filter, cancellationToken),
            _ => throw new InvalidInputException("count", "must be exact."),
        };
        return TypedResults.Ok(new CountedPage<Workflow>(rows.Items, rows.NextCursor, total is null ? null : new TotalResponse(total.Value, total.Kind)));
    }

    /// <summary>What everybody may copy: templates that are PUBLIC.</summary>
    static async Task<Ok<Page<Workflow>>> Templates(TenantScope tenant, string? category, [AsParameters] PageQuery page, CancellationToken cancellationToken)
    {
        var filter = new WorkflowFilter { IsTemplate = true, Visibility = Visibility.Public, Category = category };
        return TypedResults.Ok(page.Of(await tenant.Workflows.ListAsync(filter, page.Before<Workflow>(), page.Take, cancellationToken), w => w.Id));
    }

    /// <summary>Of the workflows that one may know of, and of the executions that one may see.</summary>
    static async Task<Ok<WorkflowStatisticsResponse>> Statistics(TenantScope tenant, CancellationToken cancellationToken)
    {
        var workflows = await tenant.Workflows.StatisticsAsync(cancellationToken);
        var executions = await tenant.Executions.StatisticsAsync(cancellationToken: cancellationToken);
        return TypedResults.Ok(new WorkflowStatisticsResponse(workflows.Total, workflows.ByStatus, workflows.ByVisibility, workflows.Templates, workflows.Versions,
            new ExecutionSummary(executions.Counts.Values.Sum(), executions.SuccessRate, executions.Duration?.Average.TotalMilliseconds)));
    }

    /// <summary>The workflows whose newest version uses a node type, a credential (by id or name), a workflow (as it is named there) or a URL (or host): exactly one of them.</summary>
    static async Task<Ok<Page<WorkflowUse>>> Usage(
        TenantScope tenant, string? nodeType, string? credential, string? workflow, string? url, [AsParameters] PageQuery page, CancellationToken cancellationToken)
    {
        (ReferenceKind Kind, string? Value)[] asked =
            [(ReferenceKind.NodeType, nodeType), (ReferenceKind.Credential, credential), (ReferenceKind.Workflow, workflow), (ReferenceKind.Url, url)];
        if (asked.Where(a => !string.IsNullOrEmpty(a.Value)).ToList() is not [var (kind, value)])
            throw new InvalidInputException("nodeType", "or credential, workflow or url: exactly one of them must be given.");
        return TypedResults.Ok(page.Of(await tenant.Workflows.UsageAsync(kind, value!, page.Before<Workflow>(), page.Take, cancellationToken), w => w.Id));
    }

    internal static async Task<Page<Workflow>> PageAsync(TenantScope tenant, WorkflowFilter filter, WorkflowOrder order, PageQuery page, CancellationToken cancellationToken = default)
        => page.Of(await tenant.Workflows.PageAsync(filter, order, page.After(Place), page.Take, cancellationToken), w => Text(order, w.Place)).Select(w => w.Workflow);

    static string Text(WorkflowOrder order, WorkflowPlace place) => order switch
    {
        WorkflowOrder.Updated => string.Create(CultureInfo.InvariantCulture, $"u{place.UpdatedAt.UtcTicks} {place.Id}"),
        WorkflowOrder.Relevance => string.Create(CultureInfo.InvariantCulture, $"r{place.Rank} {place.Id}"),
        _ => place.Id.ToString(),
    };

    static WorkflowPlace Place(string text)
    {
        if (text is not ['u' or 'r', ..] || text.Split(' ') is not [var first, var id])
            return new(Id<Workflow>.Parse(text, null));
        var number = long.Parse(first.AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture);
        return first[0] == 'u' ? new(Id<Workflow>.Parse(id, null), UpdatedAt: new(number, TimeSpan.Zero)) : new(Id<Workflow>.Parse(id, null), Rank: checked((int)number));
    }
}
