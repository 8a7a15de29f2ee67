using System.Globalization;
using System.Text.Json;
using Flowstone.Executions;
using Flowstone.Tenancy;
using Flowstone.Workflows;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Net.Http.Headers;

namespace Flowstone.Server.Executions;

sealed record NewExecutionRequest
{
    public required Id<Workflow> WorkflowId { get; init; }

    /// <summary>The newest, unless told.</summary>
    public int? Version { get; init; }

    /// <summary>Any JSON value; kept byte for byte.</summary>
    public JsonElement? Input { get; init; }

    /// <summary>Higher goes first.</summary>
    public short Priority { get; init; }

    /// <summary>Not before this; now, unless told.</summary>
    public DateTimeOffset? DueAt { get; init; }

    public ExecutionTrigger Trigger { get; init; } = ExecutionTrigger.Api;

    /// <summary>How often a worker may be lost with it, or give it back as failed, before it is a dead letter.</summary>
    public short MaxAttempts { get; init; } = 10;

    /// <summary>How often it may be tried again after it has failed; 0 is never.</summary>
    public short MaxRetries { get; init; } = 3;

    /// <summary>At most so many executions with the same key run at once.</summary>
    public ConcurrencyLimit? Concurrency { get; init; }

    /// <summary>The execution that calls this one.</summary>
    public Id<Execution>? ParentId { get; init; }

    /// <summary>Goes on when its parent is cancelled.</summary>
    public bool Detached { get; init; }

    /// <summary>Values by which it will be found; the workflow declares their names and types.</summary>
    public Dictionary<string, JsonElement>? Attributes { get; init; }
}

static class ExecutionEndpoints
{
    public static void MapExecutions(this IEndpointRouteBuilder app)
    {
        var executions = app.MapGroup("/executions").WithTags("Executions");
        executions.MapGet("/", List);
        executions.MapPost("/", Start).WithExample("""{"workflowId":"0198f6b2-5c1e-7d3a-9a41-2f6e8c0b7d15","input":{"to":"you"},"priority":1,"trigger":"API","attributes":{"customer":"c42","amount":12.5}}""");
        executions.MapGet("/active", Active);
        executions.MapGet("/statistics", Statistics);
        executions.MapGet("/{id}", Get).WithName("GetExecution");
        executions.MapGet("/{id}/nodes", Nodes);
        executions.MapGet("/{id}/timeline", Timeline);
        executions.MapGet("/{id}/logs", Logs);
        executions.MapGet("/{id}/attributes", Attributes);
        executions.MapPatch("/{id}/attributes", SetAttributes).WithExample("""{"customer":"c42","amount":null}""");
        executions.MapPost("/{id}/cancel", Cancel);
        executions.MapGet("/{id}/payloads/{name}", Payload);
    }

    /// <summary>Newest first. <c>count</c> is <c>exact</c> (up to 10,000) or <c>estimated</c>.</summary>
    static async Task<Ok<CountedPage<ExecutionResponse>>> List(
        TenantScope tenant, [AsParameters] ExecutionQuery query, string? count, [AsParameters] PageQuery page, CancellationToken cancellationToken)
    {
        var filter = query.ToFilter();
        var rows = page.Of(await tenant.Executions.ListAsync(filter, page.Before<Execution>(), page.Take, cancellationToken), e => e.Id).Select(ExecutionResponse.Of);
        var total = count switch
        {
            null or "" => null,
            "exact" => await tenant.Executions.CountAsync(filter, cancellationToken),
            "estimated" => await tenant.Executions.EstimateAsync(filter, cancellationToken),
            _ => throw new InvalidInputException("count", "must be exact or estimated."),
        };
        return TypedResults.Ok(new CountedPage<ExecutionResponse>(rows.Items, rows.NextCursor, total is null ? null : new TotalResponse(total.Value, total.Kind)));
    }

    /// <summary>What is not finished, in the order in which the queue hands it out.</summary>
    static async Task<Ok<Page<ActiveResponse>>> Active(TenantScope tenant, [AsParameters] PageQuery page, CancellationToken cancellationToken)
        => TypedResults.Ok(page.Of(await tenant.Executions.ActiveAsync(page.After(PlaceText.Queue), page.Take, cancellationToken), a => PlaceText.Of(a.Place)).Select(ActiveResponse.Of));

    /// <summary>By the hour (UTC); of a workflow or of all.</summary>
    static async Task<Ok<StatisticsResponse>> Statistics(TenantScope tenant, Id<Workflow>? workflowId, DateTimeOffset? from, DateTimeOffset? to, CancellationToken cancellationToken)
        => TypedResults.Ok(StatisticsResponse.Of(await tenant.Executions.StatisticsAsync(workflowId, from, to, cancellationToken)));

    /// <summary>The steps with their nodes in pages, in the order in which they started.</summary>
    static async Task<Ok<Page<TimelineStepResponse>>> Logs(Id<Execution> id, TenantScope tenant, [AsParameters] PageQuery page, CancellationToken cancellationToken)
        => TypedResults.Ok(page.Of(await tenant.Executions.LogsAsync(id, page.After(PlaceText.Step), page.Take, cancellationToken), s => PlaceText.Of(StepPlace.Of(s.Execution)))
            .Select(TimelineStepResponse.Of));

    static async Task<Ok<Dictionary<string, object>>> Attributes(Id<Execution> id, TenantScope tenant, CancellationToken cancellationToken)
    {
        await FindAsync(tenant, id, cancellationToken);
        return TypedResults.Ok((await tenant.Executions.AttributesAsync(id, cancellationToken)).ToDictionary(a => a.Key, a => a.Value.ToObject()));
    }

    /// <summary>Sets values by which the execution is found; others stay.</summary>
    static async Task<Ok<Dictionary<string, object>>> SetAttributes(Id<Execution> id, Dictionary<string, JsonElement> values, TenantScope tenant, CancellationToken cancellationToken)
    {
        await tenant.Executions.SetAttributesAsync(id, Values(values), cancellationToken);
        return await Attributes(id, tenant, cancellationToken);
    }

    static Dictionary<string, AttributeValue> Values(Dictionary<string, JsonElement>? given)
    {
        var values = new Dictionary<string, AttributeValue>();
        foreach (var (name, json) in given ?? [])
        {
            try
            {
                values[name] = AttributeValue.FromJson(json);
            }
            catch (InvalidInputException error)
            {
                throw new InvalidInputException($"attributes.{name}", error.Errors[0].Message);
            }
        }
        return values;
    }

    /// <summary>Queues an execution. With an <c>Idempotency-Key</c>, a repeat within 24 hours starts nothing and answers with the first one's.</summary>
    static async Task<CreatedAtRoute<ExecutionResponse>> Start(
        NewExecutionRequest request, TenantScope tenant, [FromHeader(Name = "Idempotency-Key")] string? idempotencyKey, CancellationToken cancellationToken)
    {
        var execution = await tenant.Executions.StartAsync(new NewExecution
        {
            WorkflowId = request.WorkflowId,
            WorkflowVersion = request.Version,
            Trigger = request.Trigger,
            Input = request.Input is { } input ? PayloadBody.Json(input) : null,
            Priority = request.Priority,
            DueAt = request.DueAt?.ToUniversalTime(),
            MaxAttempts = request.MaxAttempts,
            MaxRetries = request.MaxRetries,
            Concurrency = request.Concurrency,
            ParentId = request.ParentId,
            Detached = request.Detached,
            DedupKey = idempotencyKey,
            Attributes = Values(request.Attributes),
        }, cancellationToken);
        return TypedResults.CreatedAtRoute(ExecutionResponse.Of(execution), "GetExecution", new { id = execution.Id });
    }

    static async Task<Ok<ExecutionResponse>> Get(Id<Execution> id, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(ExecutionResponse.Of(await FindAsync(tenant, id, cancellationToken)));

    /// <summary>All recorded steps in one page, in the order in which they started.</summary>
    static async Task<Ok<Page<NodeResponse>>> Nodes(Id<Execution> id, TenantScope tenant, CancellationToken cancellationToken)
    {
        await FindAsync(tenant, id, cancellationToken);
        return TypedResults.Ok(new Page<NodeExecution>(await tenant.Executions.NodesAsync(id, cancellationToken), null).Select(NodeResponse.Of));
    }

    static async Task<Ok<TimelineResponse>> Timeline(Id<Execution> id, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(TimelineResponse.Of(await tenant.Executions.TimelineAsync(id, cancellationToken)));

    static async Task<Ok<ExecutionResponse>> Cancel(Id<Execution> id, TenantScope tenant, CancellationToken cancellationToken)
    {
        await tenant.Executions.CancelAsync(id, cancellationToken);
        return TypedResults.Ok(ExecutionResponse.Of(await FindAsync(tenant, id, cancellationToken)));
    }

    /// <summary>The body as it was given, as a stream. Whatever it claims to be, a browser saves it and shows nothing.</summary>
    static async Task<FileStreamHttpResult> Payload(Id<Execution> id, string name, TenantScope tenant, HttpResponse response, CancellationToken cancellationToken)
    {
        var payload = await tenant.Executions.OpenPayloadAsync(id, PayloadRef.Parse(name), cancellationToken) ?? throw new NotFoundException("Payload", name);
        if (payload.WholeSizeBytes is { } size)
            response.Headers["Flowstone-Whole-Size"] = size.ToString(CultureInfo.InvariantCulture);
        var type = MediaTypeHeaderValue.TryParse(payload.ContentType, out var known) ? known.ToString() : "application/octet-stream";
        var file = type.StartsWith("application/json", StringComparison.Ordinal) ? $"{name}.json" : name;
        return TypedResults.Stream(payload.Body, type, file);   // a name makes it an attachment
    }

    static async Task<Execution> FindAsync(TenantScope tenant, Id<Execution> id, CancellationToken cancellationToken)
        => await tenant.Executions.FindAsync(id, cancellationToken) ?? throw new NotFoundException("Execution", id);
}
