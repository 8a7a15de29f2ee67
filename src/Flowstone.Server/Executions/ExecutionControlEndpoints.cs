using System.Text.Json;
using Flowstone.Executions;
using Flowstone.Tenancy;
using Flowstone.Workflows;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Flowstone.Server.Executions;

/// <param name="From">FAILED_NODE keeps what succeeded; START runs all of it again.</param>
sealed record RetryRequest(RetryFrom From = RetryFrom.FailedNode);

/// <param name="NodeId">A node that the execution ran: it and what follows run again, what came before is shared.</param>
sealed record ForkRequest(string NodeId, int Iteration = 0);

/// <param name="Name">What the execution waits for.</param>
/// <param name="Body">Any JSON value; kept byte for byte.</param>
sealed record SignalRequest(string Name, JsonElement? Body = null);

/// <param name="WorkflowId">Of all workflows, unless told.</param>
/// <param name="Limit">At most 1,000.</param>
sealed record RedriveRequest(Id<Workflow>? WorkflowId = null, int Limit = 100);

/// <param name="Maximum">1 or more; null is without limit.</param>
sealed record ConcurrencyRequest(int? Maximum);

/// <summary>What is done with executions beside running them: try again, go on from a step, signal, pause, limit.</summary>
static class ExecutionControlEndpoints
{
    public static void MapExecutionControl(this IEndpointRouteBuilder app)
    {
        var executions = app.MapGroup("/executions").WithTags("Executions");
        executions.MapPost("/{id}/retry", Retry).WithExample("""{"from":"FAILED_NODE"}""");
        executions.MapPost("/{id}/fork", Fork).WithExample("""{"nodeId":"greet","iteration":0}""");
        executions.MapPost("/{id}/signals", Signal).WithExample("""{"name":"paid","body":{"amount":12.5}}""");
        executions.MapPost("/redrive", Redrive).WithExample("""{"workflowId":"0198f6b2-5c1e-7d3a-9a41-2f6e8c0b7d15","limit":100}""");

        var workflows = app.MapGroup("/workflows").WithTags("Workflows");
        workflows.MapPost("/{id}/pause", (Id<Workflow> id, TenantScope tenant, CancellationToken cancellationToken) => Done(tenant.Queue.PauseAsync(id, cancellationToken)));
        workflows.MapPost("/{id}/resume", (Id<Workflow> id, TenantScope tenant, CancellationToken cancellationToken) => Done(tenant.Queue.ResumeAsync(id, cancellationToken)));
        workflows.MapPut("/{id}/concurrency", (Id<Workflow> id, ConcurrencyRequest request, TenantScope tenant, CancellationToken cancellationToken)
            => Done(tenant.Queue.LimitAsync(id, request.Maximum, cancellationToken))).WithExample("""{"maximum":5}""");
    }

    static async Task<CreatedAtRoute<ExecutionResponse>> Retry(Id<Execution> id, RetryRequest request, TenantScope tenant, CancellationToken cancellationToken)
        => Created(await tenant.Executions.RetryAsync(id, request.From, cancellationToken));

    static async Task<CreatedAtRoute<ExecutionResponse>> Fork(Id<Execution> id, ForkRequest request, TenantScope tenant, CancellationToken cancellationToken)
        => Created(await tenant.Executions.ForkAsync(id, request.NodeId, request.Iteration, cancellationToken));

    static Task<NoContent> Signal(Id<Execution> id, SignalRequest request, TenantScope tenant, CancellationToken cancellationToken)
        => Done(tenant.Executions.SignalAsync(id, request.Name, request.Body is { } body ? PayloadBody.Json(body) : null, cancellationToken));

    /// <summary>Puts dead letters back to work, oldest first.</summary>
    static async Task<Ok<Page<ExecutionResponse>>> Redrive(RedriveRequest request, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(new Page<Execution>(await tenant.Executions.RedriveAsync(request.WorkflowId, request.Limit, cancellationToken), null).Select(ExecutionResponse.Of));

    static CreatedAtRoute<ExecutionResponse> Created(Execution execution)
        => TypedResults.CreatedAtRoute(ExecutionResponse.Of(execution), "GetExecution", new { id = execution.Id });

    static async Task<NoContent> Done(Task work)
    {
        await work;
        return TypedResults.NoContent();
    }
}
