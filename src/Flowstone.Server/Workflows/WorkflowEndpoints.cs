using System.Text.Json;
using Flowstone.Executions;
using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Flowstone.Server.Workflows;

/// <param name="Message">What the author says of the change.</param>
sealed record NewVersionRequest(JsonElement Definition, string? Message = null);

/// <summary>What is null stays.</summary>
sealed record WorkflowChanges(WorkflowStatus? Status = null, Visibility? Visibility = null, bool? IsTemplate = null);

/// <param name="Hash">SHA-256 of the definition's canonical form.</param>
/// <param name="BasedOn">The version that the author had edited; before the parent, this one is a merge.</param>
sealed record VersionResponse(int Number, JsonElement Definition, string Hash, string? Message, Id<User>? AuthorId, int? BasedOn, int? Parent, DateTimeOffset CreatedAt);

static class WorkflowEndpoints
{
    public static void MapWorkflows(this IEndpointRouteBuilder app)
    {
        var workflows = app.MapGroup("/workflows").WithTags("Workflows");
        workflows.MapPost("/", Create).WithExample("""{"definition":{"name":"Greeting","nodes":[{"id":"greet","name":"Greet","type":"example.greet"}]},"status":"ACTIVE"}""");
        workflows.MapGet("/{id}", Get).WithName("GetWorkflow");
        workflows.MapPut("/{id}", AddVersion).WithExample("""{"definition":{"name":"Greeting","nodes":[{"id":"greet","name":"Greet politely","type":"example.greet"}]},"message":"Politer"}""");
        workflows.MapPatch("/{id}", Update).WithExample("""{"status":"ACTIVE","visibility":"TEAM"}""");
        workflows.MapDelete("/{id}", Delete);
        workflows.MapGet("/{id}/search-attributes", SearchAttributes);
        workflows.MapPut("/{id}/search-attributes", SetSearchAttributes).WithExample("""{"customer":"TEXT","amount":"NUMBER"}""");
        workflows.MapGet("/{id}/versions", Versions);
        workflows.MapGet("/{id}/versions/{number}", Version);
    }

    static async Task<CreatedAtRoute<SavedWorkflow>> Create(NewWorkflow request, TenantScope tenant, HttpResponse response, CancellationToken cancellationToken)
    {
        Check(request.Definition, tenant);
        var workflow = await tenant.Workflows.CreateAsync(request, cancellationToken);
        VersionTag.Set(response, workflow.Version);
        return TypedResults.CreatedAtRoute(workflow, "GetWorkflow", new { id = workflow.Id });
    }

    static async Task<Ok<Workflow>> Get(Id<Workflow> id, TenantScope tenant, HttpResponse response, CancellationToken cancellationToken)
    {
        var workflow = await FindAsync(tenant, id, cancellationToken);
        VersionTag.Set(response, workflow.Version);
        return TypedResults.Ok(workflow);
    }

    /// <summary>
    /// Needs If-Match with the ETag of the version that was edited. The newest version's own definition adds none. If others saved meanwhile and touched something
    /// else, both are merged: then the answer has <c>merged</c> and the definition that is stored. If they touched the same: 412, with <c>conflicts</c>.
    /// </summary>
    static async Task<Ok<SavedWorkflow>> AddVersion(
        Id<Workflow> id, NewVersionRequest request, TenantScope tenant, HttpContext context, CancellationToken cancellationToken)
    {
        var basedOn = VersionTag.Require(context.Request);
        Check(request.Definition, tenant);
        try
        {
            var workflow = await tenant.Workflows.UpdateAsync(id, request.Definition, basedOn, request.Message, cancellationToken);
            VersionTag.Set(context.Response, workflow.Version);
            return TypedResults.Ok(workflow);
        }
        catch (VersionConflictException error)
        {
            throw ErrorResponses.VersionConflict(error);
        }
    }

    static async Task<Ok<Workflow>> Update(Id<Workflow> id, WorkflowChanges changes, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(await tenant.Workflows.SetAsync(id, changes.Status, changes.Visibility, changes.IsTemplate, cancellationToken));

    /// <summary>Moves it to the trash, from where it can be restored: POST /trash/{id}/restore.</summary>
    static async Task<NoContent> Delete(Id<Workflow> id, TenantScope tenant, CancellationToken cancellationToken)
        => await tenant.Workflows.DeleteAsync(id, cancellationToken) ? TypedResults.NoContent() : throw new NotFoundException("Workflow", id);

    /// <summary>The names and types by which the workflow's executions can be found.</summary>
    static async Task<Ok<IReadOnlyDictionary<string, AttributeType>>> SearchAttributes(Id<Workflow> id, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(await tenant.Workflows.SearchAttributesAsync(id, cancellationToken));

    /// <summary>Replaces them. What was stored under others is not found any more.</summary>
    static async Task<Ok<IReadOnlyDictionary<string, AttributeType>>> SetSearchAttributes(
        Id<Workflow> id, Dictionary<string, AttributeType> attributes, TenantScope tenant, CancellationToken cancellationToken)
    {
        await tenant.Workflows.SetSearchAttributesAsync(id, attributes, cancellationToken);
        return TypedResults.Ok<IReadOnlyDictionary<string, AttributeType>>(attributes);
    }

    static async Task<Ok<Page<WorkflowVersionSummary>>> Versions(
        Id<Workflow> id, TenantScope tenant, [AsParameters] PageQuery page, CancellationToken cancellationToken)
    {
        var versions = await tenant.Workflows.VersionsAsync(id, page.BeforeNumber(), page.Take, cancellationToken);
        if (versions.Count == 0)
            await FindAsync(tenant, id, cancellationToken);
        return TypedResults.Ok(page.Of(versions, v => v.Number));
    }

    static async Task<Ok<VersionResponse>> Version(Id<Workflow> id, int number, TenantScope tenant, CancellationToken cancellationToken)
    {
        var version = await tenant.Workflows.FindVersionAsync(id, number, cancellationToken) ?? throw new NotFoundException($"Workflow {id} version", number);
        return TypedResults.Ok(new VersionResponse(
            version.Number, version.Definition, Convert.ToHexStringLower(version.Hash), version.Message, version.AuthorId, version.BasedOn, version.Parent, version.CreatedAt));
    }

    // The repository checks too, but knows paths within the definition alone; the caller looks at the whole body.
    static void Check(JsonElement definition, TenantScope tenant)
    {
        if (WorkflowDefinition.Validate(definition, tenant.Workflows.MaxDefinitionBytes) is { Count: > 0 } errors)
            throw new InvalidInputException([.. errors.Select(e => e with { Field = e.Field == "$" ? "definition" : $"definition.{e.Field}" })]);
        if (!definition.TryGetProperty("name", out _))
            throw new InvalidInputException("definition.name", "is missing; a string is needed.");
    }

    internal static async Task<Workflow> FindAsync(TenantScope tenant, Id<Workflow> id, CancellationToken cancellationToken)
        => await tenant.Workflows.FindAsync(id, cancellationToken) ?? throw new NotFoundException("Workflow", id);
}
