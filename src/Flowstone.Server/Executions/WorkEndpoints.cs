using Flowstone.Executions;
using Flowstone.Tenancy;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;

namespace Flowstone.Server.Executions;

/// <summary>Workers in any language: claim, record, finish. Only the work of the caller's own tenant.</summary>
static class WorkEndpoints
{
    /// <summary>What the database takes as one payload; it is held in memory while it is stored.</summary>
    const int MaxPayloadBytes = PayloadRows.MostInRow;

    public static void MapWork(this IEndpointRouteBuilder app)
    {
        var work = app.MapGroup("/work").WithTags("Work");
        work.MapPost("/claim", Claim);
        work.MapPost("/renew", Renew);
        work.MapPost("/nodes", RecordNodes);
        work.MapPost("/finish", Finish);
        work.MapPost("/payloads", StorePayload).Accepts<Stream>("*/*").WithMetadata(new RequestSizeLimitAttribute(MaxPayloadBytes));
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
            OutputRef = request.OutputRef is { } name ? PayloadRef.Parse(name) : null,
            Error = request.Error,
            Reason = request.Reason,
        }, cancellationToken);
        return TypedResults.NoContent();
    }

    /// <summary>Takes the body as it is, of any type, under a lease: for binaries, and for what several steps refer to.</summary>
    static async Task<Ok<StoredWork>> StorePayload(
        Id<Execution> executionId, Guid shardKey, int fence, HttpRequest request, TenantScope tenant, FlowstoneStore store, CancellationToken cancellationToken)
    {
        var body = new MemoryStream((int)Math.Clamp(request.ContentLength ?? 0, 0, MaxPayloadBytes));
        await request.Body.CopyToAsync(body, cancellationToken);
        var payload = new PayloadBody(body.GetBuffer().AsMemory(0, (int)body.Length), request.ContentType ?? "application/octet-stream");
        var name = await store.Queue.StoreAsync(new WorkLease(executionId, shardKey, fence).For(tenant), payload, cancellationToken);
        return TypedResults.Ok(new StoredWork(name.ToString()));
    }

    // JSON's null is checked for properties, not within arrays.
    static List<TOut> Present<T, TOut>(string field, IReadOnlyList<T>? items, Func<T, TOut> convert) where T : class
        => [.. (items ?? []).Select((item, i) => item is null ? throw new InvalidInputException($"{field}[{i}]", "must not be null.") : convert(item))];

    static TimeSpan Duration(long leaseMs)
        => leaseMs is >= 1_000 and <= 3_600_000 ? TimeSpan.FromMilliseconds(leaseMs) : throw new InvalidInputException("leaseMs", "must be 1,000 to 3,600,000.");
}
