using System.Text.Json;
using Flowstone.Executions;
using Flowstone.Tenancy;
using Flowstone.Workflows;
using Microsoft.AspNetCore.Http.HttpResults;
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
}

static class ExecutionEndpoints
{
    public static void MapExecutions(this IEndpointRouteBuilder app)
    {
        var executions = app.MapGroup("/executions").WithTags("Executions");
        executions.MapGet("/", List);
        executions.MapPost("/", Start);
        executions.MapGet("/{id}", Get).WithName("GetExecution");
        executions.MapGet("/{id}/nodes", Nodes);
        executions.MapGet("/{id}/timeline", Timeline);
        executions.MapPost("/{id}/cancel", Cancel);
        executions.MapGet("/{id}/payloads/{name}", Payload);
    }

    static async Task<Ok<Page<ExecutionResponse>>> List(
        TenantScope tenant, Id<Workflow>? workflowId, string? status, [AsParameters] PageQuery page, CancellationToken cancellationToken)
    {
        var filter = new ExecutionFilter { WorkflowId = workflowId, Status = Choice.Parse<ExecutionStatus>("status", status) };
        var rows = await tenant.Executions.ListAsync(filter, page.Before<Execution>(), page.Take, cancellationToken);
        return TypedResults.Ok(page.Of(rows, e => e.Id).Select(ExecutionResponse.Of));
    }

    static async Task<CreatedAtRoute<ExecutionResponse>> Start(NewExecutionRequest request, TenantScope tenant, CancellationToken cancellationToken)
    {
        var execution = await tenant.Executions.StartAsync(new NewExecution
        {
            WorkflowId = request.WorkflowId,
            WorkflowVersion = request.Version,
            Trigger = request.Trigger,
            Input = request.Input is { } input ? PayloadBody.Json(input) : null,
            Priority = request.Priority,
            DueAt = request.DueAt?.ToUniversalTime(),
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

    /// <summary>The body as it was given. Whatever it claims to be, a browser saves it and shows nothing.</summary>
    static async Task<FileContentHttpResult> Payload(Id<Execution> id, string name, TenantScope tenant, CancellationToken cancellationToken)
    {
        var payload = await tenant.Executions.FindPayloadAsync(id, PayloadRef.Parse(name), cancellationToken) ?? throw new NotFoundException("Payload", name);
        var type = MediaTypeHeaderValue.TryParse(payload.ContentType, out var known) ? known.ToString() : "application/octet-stream";
        var file = type.StartsWith("application/json", StringComparison.Ordinal) ? $"{name}.json" : name;
        return TypedResults.File(payload.Bytes.ToArray(), type, file);   // a name makes it an attachment
    }

    static async Task<Execution> FindAsync(TenantScope tenant, Id<Execution> id, CancellationToken cancellationToken)
        => await tenant.Executions.FindAsync(id, cancellationToken) ?? throw new NotFoundException("Execution", id);
}
