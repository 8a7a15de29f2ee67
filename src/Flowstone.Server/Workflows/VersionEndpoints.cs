using Flowstone.Tenancy;
using Flowstone.Workflows;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Flowstone.Server.Workflows;

/// <param name="Diff">What turns the one into the other.</param>
sealed record DiffResponse(int From, int To, DefinitionDiff Diff);

/// <summary>What can be done with a workflow's versions, beside reading and adding them.</summary>
static class VersionEndpoints
{
    public static void MapVersions(this IEndpointRouteBuilder app)
    {
        var workflow = app.MapGroup("/workflows/{id}").WithTags("Workflows");
        workflow.MapGet("/diff", Diff);
        workflow.MapGet("/blame", Blame);
        workflow.MapGet("/issues", Issues);
        workflow.MapPost("/versions/{number}/restore", Restore);
    }

    /// <summary>Compares two versions node by node. Unless told, the newest with the one before.</summary>
    static async Task<Ok<DiffResponse>> Diff(Id<Workflow> id, int? from, int? to, TenantScope tenant, CancellationToken cancellationToken)
    {
        var newer = to ?? (await WorkflowEndpoints.FindAsync(tenant, id, cancellationToken)).Version;
        var older = from ?? Math.Max(1, newer - 1);
        return TypedResults.Ok(new DiffResponse(older, newer, await tenant.Workflows.DiffAsync(id, older, newer, cancellationToken)));
    }

    /// <summary>Who changed each node of the newest version last, by the node's id; looks back at 500 versions.</summary>
    static async Task<Ok<IReadOnlyDictionary<string, NodeAuthor>>> Blame(Id<Workflow> id, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(await tenant.Workflows.BlameAsync(id, cancellationToken));

    /// <summary>What a publication of the version would refuse; of the newest unless told.</summary>
    static async Task<Ok<IReadOnlyList<GraphIssue>>> Issues(Id<Workflow> id, int? version, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(await tenant.Workflows.ListIssuesAsync(id, version, cancellationToken));

    /// <summary>Appends a copy of the version as the newest. What came since stays in the history.</summary>
    static async Task<Ok<SavedWorkflow>> Restore(Id<Workflow> id, int number, TenantScope tenant, HttpResponse response, CancellationToken cancellationToken)
    {
        var workflow = await tenant.Workflows.RestoreVersionAsync(id, number, cancellationToken);
        VersionTag.Set(response, workflow.Version);
        return TypedResults.Ok(workflow);
    }
}
