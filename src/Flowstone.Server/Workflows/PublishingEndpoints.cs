using Flowstone.Tenancy;
using Flowstone.Workflows;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Flowstone.Server.Workflows;

/// <param name="Version">Null is the newest.</param>
sealed record PublishRequest(int? Version = null);

/// <summary>Which version executions take.</summary>
static class PublishingEndpoints
{
    public static void MapPublishing(this IEndpointRouteBuilder app)
    {
        var workflow = app.MapGroup("/workflows/{id}").WithTags("Workflows");
        workflow.MapPost("/publish", Publish).WithExample("""{"version":3}""");
        workflow.MapPost("/unpublish", Unpublish);
        workflow.MapGet("/publications", Publications);
    }

    /// <summary>Executions take this version from now on. Refused with every place where its graph is wrong: GET /workflows/{id}/issues.</summary>
    static async Task<Ok<Workflow>> Publish(Id<Workflow> id, PublishRequest request, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(await tenant.Workflows.PublishAsync(id, request.Version, cancellationToken));

    /// <summary>Executions take the newest version again.</summary>
    static async Task<Ok<Workflow>> Unpublish(Id<Workflow> id, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(await tenant.Workflows.UnpublishAsync(id, cancellationToken));

    /// <summary>What was published when and by whom, newest first. A null version is the newest, whichever that was.</summary>
    static async Task<Ok<Page<WorkflowPublication>>> Publications(Id<Workflow> id, TenantScope tenant, [AsParameters] PageQuery page, CancellationToken cancellationToken)
    {
        var publications = await tenant.Workflows.ListPublicationsAsync(id, page.BeforeNumber(), page.Take, cancellationToken);
        if (publications.Count == 0)
            await WorkflowEndpoints.FindAsync(tenant, id, cancellationToken);
        return TypedResults.Ok(page.Of(publications, p => p.Number));
    }
}
