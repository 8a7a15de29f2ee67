using System.Diagnostics;
using Flowstone.Executions;
using Flowstone.Server.Auth;
using Flowstone.Tenancy;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;

namespace Flowstone.Server.Executions;

/// <summary>Workers in any language: claim, record, finish. Only the work of the caller's own tenant.</summary>
static class WorkEndpoints
{
    const int MostItems = 1000;

    static readonly TimeSpan shortestPause = TimeSpan.FromMilliseconds(50);
    static readonly TimeSpan longestDelay = TimeSpan.FromDays(30);

    /// <summary>What the database takes as one payload; it is held in memory while it is stored.</summary>
    const int MaxPayloadBytes = PayloadRows.MostInRow;

    public static void MapWork(this IEndpointRouteBuilder app)
    {
        var work = app.MapGroup("/work").WithTags("Work").RequireAuthorization(Access.Work);   // whoever works sees all that the tenant runs
        work.MapPost("/claim", Claim).WithExample("""{"worker":"worker-1","limit":10,"leaseMs":30000,"waitMs":20000}""");
        work.MapPost("/renew", Renew).WithExample("""{"leases":[{"executionId":"0198f6b2-5c1e-7d3a-9a41-2f6e8c0b7d15","shardKey":"0198f6b2-0000-7000-8000-000000000003","fence":1}],"leaseMs":30000}""");
        work.MapPost("/nodes", RecordNodes).WithExample("""{"lease":{"executionId":"0198f6b2-5c1e-7d3a-9a41-2f6e8c0b7d15","shardKey":"0198f6b2-0000-7000-8000-000000000003","fence":1},"starts":[{"nodeId":"greet","input":{"to":"you"}}],"finishes":[{"nodeId":"greet","status":"SUCCESS","output":"Hello"}]}""");
        work.MapPost("/finish", Finish).WithExample("""{"lease":{"executionId":"0198f6b2-5c1e-7d3a-9a41-2f6e8c0b7d15","shardKey":"0198f6b2-0000-7000-8000-000000000003","fence":1},"status":"SUCCESS","output":"Hello"}""");
        work.MapPost("/release", Release).WithExample("""{"lease":{"executionId":"0198f6b2-5c1e-7d3a-9a41-2f6e8c0b7d15","shardKey":"0198f6b2-0000-7000-8000-000000000003","fence":1}}""");
        work.MapPost("/give-back", GiveBack).WithExample("""{"lease":{"executionId":"0198f6b2-5c1e-7d3a-9a41-2f6e8c0b7d15","shardKey":"0198f6b2-0000-7000-8000-000000000003","fence":1},"error":"The service is busy.","delayMs":60000}""");
        work.MapPost("/wait", Wait).WithExample("""{"lease":{"executionId":"0198f6b2-5c1e-7d3a-9a41-2f6e8c0b7d15","shardKey":"0198f6b2-0000-7000-8000-000000000003","fence":1},"signal":"paid","until":"2027-01-31T00:00:00Z"}""");
        work.MapPost("/payloads", StorePayload).Accepts<Stream>("*/*").WithMetadata(new RequestSizeLimitAttribute(MaxPayloadBytes));
    }

    static async Task<Ok<ClaimedWork>> Claim(ClaimWork request, TenantScope tenant, FlowstoneStore store, CancellationToken cancellationToken)
    {
        var ask = new ClaimRequest { Worker = request.Worker, Limit = request.Limit, Lease = Duration(request.LeaseMs), TenantId = tenant.TenantId };
        if (request.WaitMs is < 0 or > 30_000)
            throw new InvalidInputException("waitMs", "must be 0 to 30,000.");
        var claimed = await ClaimAsync(store.Queue, ask, TimeSpan.FromMilliseconds(request.WaitMs), cancellationToken);
        if (cancellationToken.IsCancellationRequested)
            await Task.WhenAll(claimed.Select(one => store.Queue.ReleaseAsync(one.Lease, CancellationToken.None)));   // nobody is there to take them
        return TypedResults.Ok(new ClaimedWork([.. claimed.Select(c => new WorkItem(WorkLease.Of(c.Lease), ExecutionResponse.Of(c.Execution), c.LeaseUntil))]));
    }

    static async Task<IReadOnlyList<ClaimedExecution>> ClaimAsync(ExecutionQueue queue, ClaimRequest ask, TimeSpan wait, CancellationToken cancellationToken)
    {
        for (var began = Stopwatch.StartNew(); ;)
        {
            var claimed = await queue.ClaimAsync(ask, cancellationToken);
            if (claimed.Count > 0 || began.Elapsed >= wait)
                return claimed;
            await queue.WaitForWorkAsync(wait - began.Elapsed, ask.TenantId, cancellationToken);
            await Task.Delay(shortestPause, cancellationToken);   // the news may be of other tenants' work
        }
    }

    static async Task<Ok<RenewedWork>> Renew(RenewWork request, TenantScope tenant, FlowstoneStore store, CancellationToken cancellationToken)
    {
        var lost = await store.Queue.RenewAsync(Present("leases", request.Leases, l => l.For(tenant)), Duration(request.LeaseMs), cancellationToken);
        return TypedResults.Ok(new RenewedWork([.. lost.Select(l => l.ExecutionId)]));
    }

    static Task<Results<NoContent, Ok<WorkResults>>> RecordNodes(NodeWork request, TenantScope tenant, FlowstoneStore store, CancellationToken cancellationToken)
        => OneOrManyAsync(request.Lease is null ? null : new NodeWorkItem(request.Lease, request.Starts, request.Finishes), request.Items, item => item.Lease,
            item => store.Queue.RecordAsync(item.Lease.For(tenant),
                Present("starts", item.Starts, s => s.ToStart()), Present("finishes", item.Finishes, f => f.ToFinish()), cancellationToken));

    static Task<Results<NoContent, Ok<WorkResults>>> Finish(FinishWork request, TenantScope tenant, FlowstoneStore store, CancellationToken cancellationToken)
    {
        if (request is { Lease: not null, Status: null })
            throw new InvalidInputException("status", "must be SUCCESS, FAILED or TIMEOUT.");
        return OneOrManyAsync(request.Lease is null ? null : new FinishWorkItem(request.Lease, request.Status!.Value, request.Output, request.OutputRef, request.Error, request.Reason), request.Items, item => item.Lease,
            item => store.Queue.FinishAsync(item.Lease.For(tenant), item.ToOutcome(), cancellationToken));
    }

    static async Task<NoContent> Release(ReleaseWork request, TenantScope tenant, FlowstoneStore store, CancellationToken cancellationToken)
    {
        await store.Queue.ReleaseAsync(request.Lease.For(tenant), cancellationToken);
        return TypedResults.NoContent();
    }

    static async Task<NoContent> GiveBack(GiveBackWork request, TenantScope tenant, FlowstoneStore store, CancellationToken cancellationToken)
    {
        if (request.DelayMs is { } delay && (delay < 0 || delay > (long)longestDelay.TotalMilliseconds))
            throw new InvalidInputException("delayMs", "must be 0 to 30 days.");
        await store.Queue.GiveBackAsync(request.Lease.For(tenant), request.Error, request.DelayMs is { } ms ? TimeSpan.FromMilliseconds(ms) : null, cancellationToken);
        return TypedResults.NoContent();
    }

    static async Task<NoContent> Wait(WaitWork request, TenantScope tenant, FlowstoneStore store, CancellationToken cancellationToken)
    {
        await store.Queue.WaitAsync(request.Lease.For(tenant), new WaitFor { Until = request.Until?.ToUniversalTime(), Signal = request.Signal }, cancellationToken);
        return TypedResults.NoContent();
    }

    /// <summary>One answers as a call of its own. Many are written at once, which the group commit makes few transactions of; each has its own answer.</summary>
    static async Task<Results<NoContent, Ok<WorkResults>>> OneOrManyAsync<T>(T? one, IReadOnlyList<T>? many, Func<T, WorkLease> leaseOf, Func<T, Task> write) where T : class
    {
        if (one is null == many is null)
            throw new InvalidInputException("lease", "is needed, or else 'items': not both.");
        if (one is not null)
        {
            await write(one);
            return TypedResults.NoContent();
        }
        var items = Present("items", many, item => item);
        if (items.Count > MostItems)
            throw new InvalidInputException("items", $"must be at most {MostItems:N0}.");
        // Their order would be anybody's guess.
        if (items.GroupBy(item => leaseOf(item).ExecutionId).FirstOrDefault(group => group.Count() > 1) is { } twice)
            throw new InvalidInputException("items", $"names execution {twice.Key} twice: put its steps into one item.");
        return TypedResults.Ok(new WorkResults(await Task.WhenAll(items.Select(async item =>
        {
            try
            {
                await write(item);
                return new WorkItemResult(leaseOf(item).ExecutionId, null);
            }
            catch (FlowstoneException error)   // one bad item leaves the others alone
            {
                return new WorkItemResult(leaseOf(item).ExecutionId, ErrorResponses.Explain(error));
            }
        }))));
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
