using Flowstone.Executions;
using Flowstone.Tenancy;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Flowstone.Server.Executions;

/// <summary>Workers in any language: claim, record, finish. Only the work of the caller's own tenant.</summary>
static class WorkEndpoints
{
    public static void MapWork(this IEndpointRouteBuilder app)
    {
        var work = app.MapGroup("/work").WithTags("Work");
        work.MapPost("/claim", Claim);
        work.MapPost("/renew", Renew);
        work.MapPost("/nodes", RecordNodes);
        work.MapPost("/finish", Finish);
    }

    static async Task<Ok<ClaimedWork>> Claim(ClaimWork request, TenantScope tenant, FlowstoneStore store, CancellationToken cancellationToken)
    {
        var claimed = await store.Queue.ClaimAsync(new ClaimRequest
        {
            Worker = request.Worker,
            Limit = request.Limit,
            Lease = Duration(request.LeaseMs),
            TenantId = tenant.TenantId,
        }, cancellationToken);
        return TypedResults.Ok(new ClaimedWork([.. claimed.Select(c => new WorkItem(WorkLease.Of(c.Lease), ExecutionResponse.Of(c.Execution), c.LeaseUntil))]));
    }

    static async Task<Ok<RenewedWork>> Renew(RenewWork request, TenantScope tenant, FlowstoneStore store, CancellationToken cancellationToken)
    {
        var lost = await store.Queue.RenewAsync(Present("leases", request.Leases, l => l.For(tenant)), Duration(request.LeaseMs), cancellationToken);
        return TypedResults.Ok(new RenewedWork([.. lost.Select(l => l.ExecutionId)]));
    }

    static async Task<NoContent> RecordNodes(NodeWork request, TenantScope tenant, FlowstoneStore store, CancellationToken cancellationToken)
    {
        await store.Queue.RecordAsync(request.Lease.For(tenant),
            Present("starts", request.Starts, s => s.ToStart()), Present("finishes", request.Finishes, f => f.ToFinish()), cancellationToken);
        return TypedResults.NoContent();
    }

    static async Task<NoContent> Finish(FinishWork request, TenantScope tenant, FlowstoneStore store, CancellationToken cancellationToken)
    {
        await store.Queue.FinishAsync(request.Lease.For(tenant), new ExecutionOutcome
        {
            Status = request.Status,
            Output = request.Output is { } output ? PayloadBody.Json(output) : null,
            Error = request.Error,
            Reason = request.Reason,
        }, cancellationToken);
        return TypedResults.NoContent();
    }

    // JSON's null is checked for properties, not within arrays.
    static List<TOut> Present<T, TOut>(string field, IReadOnlyList<T>? items, Func<T, TOut> convert) where T : class
        => [.. (items ?? []).Select((item, i) => item is null ? throw new InvalidInputException($"{field}[{i}]", "must not be null.") : convert(item))];

    static TimeSpan Duration(long leaseMs)
        => leaseMs is >= 1_000 and <= 3_600_000 ? TimeSpan.FromMilliseconds(leaseMs) : throw new InvalidInputException("leaseMs", "must be 1,000 to 3,600,000.");
}
