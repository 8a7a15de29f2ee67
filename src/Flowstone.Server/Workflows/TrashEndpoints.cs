using Flowstone.Tenancy;
using Flowstone.Workflows;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Flowstone.Server.Workflows;

/// <summary>Deleted workflows, for whoever might delete them.</summary>
static class TrashEndpoints
{
    public static void MapTrash(this IEndpointRouteBuilder app)
    {
        var trash = app.MapGroup("/trash").WithTags("Workflows");
        trash.MapGet("/", List);
        trash.MapPost("/{id}/restore", Restore);
        trash.MapDelete("/{id}", Purge);
    }

    static async Task<Ok<Page<Workflow>>> List(TenantScope tenant, [AsParameters] PageQuery page, CancellationToken cancellationToken)
        => TypedResults.Ok(page.Of(await tenant.Workflows.ListTrashAsync(page.Before<Workflow>(), page.Take, cancellationToken), w => w.Id));

    /// <summary>Takes a workflow out of the trash, with all that belonged to it.</summary>
    static async Task<Ok<Workflow>> Restore(Id<Workflow> id, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(await tenant.Workflows.UndeleteAsync(id, cancellationToken));

    /// <summary>Deletes it for good. 409 while executions of it are kept.</summary>
    static async Task<NoContent> Purge(Id<Workflow> id, TenantScope tenant, CancellationToken cancellationToken)
    {
        await tenant.Workflows.PurgeAsync(id, cancellationToken);
        return TypedResults.NoContent();
    }
}
