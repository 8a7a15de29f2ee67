using System.Globalization;
using System.Text;
using System.Text.Json;
using Flowstone.Tenancy;
using Flowstone.Workflows;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;

namespace Flowstone.Server.Workflows;

/// <param name="Name">Null is the other's with " (Copy)".</param>
sealed record DuplicateRequest(string? Name = null);

/// <summary>Copies, exports and imports: docs/workflows.md.</summary>
static class TransferEndpoints
{
    public static void MapTransfer(this IEndpointRouteBuilder app)
    {
        var workflows = app.MapGroup("/workflows").WithTags("Workflows");
        workflows.MapPost("/{id}/duplicate", Duplicate).WithExample("""{"name":"Greeting for guests"}""");
        workflows.MapGet("/{id}/export", Export).Produces<JsonElement>(contentType: "application/json");
        workflows.MapPost("/import", Import).WithMetadata(new RequestSizeLimitAttribute(WorkflowTransfer.MaxBytes))
            .WithExample("""{"version":"1.0.0","name":"Greeting","nodes":[{"id":"greet","name":"Greet","type":"example.greet"}],"edges":[],"tags":["demo"]}""");
    }

    /// <summary>Makes a private draft of one's own with the newest definition of another workflow; nothing else is copied.</summary>
    static async Task<CreatedAtRoute<SavedWorkflow>> Duplicate(Id<Workflow> id, DuplicateRequest request, TenantScope tenant, HttpResponse response, CancellationToken cancellationToken)
    {
        var workflow = await tenant.Transfer.DuplicateAsync(id, request.Name, cancellationToken);
        VersionTag.Set(response, workflow.Version);
        return TypedResults.CreatedAtRoute(workflow, "GetWorkflow", new { id = workflow.Id });
    }

    /// <summary>The workflow as a document: format 2.0.0, or with <c>?version=1.0.0</c> the original platform's. <c>history=false</c> leaves older versions out.</summary>
    static async Task<EmptyHttpResult> Export(Id<Workflow> id, TenantScope tenant, HttpResponse response, string? version, bool? history, CancellationToken cancellationToken)
    {
        var format = version switch
        {
            null or "2.0.0" => WorkflowFormat.Full,
            "1.0.0" => WorkflowFormat.Plain,
            _ => throw new InvalidInputException("version", "must be 1.0.0 or 2.0.0."),
        };
        var workflow = await tenant.Workflows.FindAsync(id, cancellationToken) ?? throw new NotFoundException("Workflow", id);
        response.ContentType = "application/json";
        response.Headers.ContentDisposition = string.Create(CultureInfo.InvariantCulture, $"attachment; filename=\"{FileName(workflow)}\"");
        await tenant.Transfer.ExportAsync(id, response.Body, format, history ?? true, cancellationToken);
        return TypedResults.Empty;
    }

    /// <summary>Makes a private draft of a document of format 1.0.0 or 2.0.0, up to 64 MB. Of the notes each says what is not as it was.</summary>
    static async Task<CreatedAtRoute<ImportedWorkflow>> Import(JsonElement document, TenantScope tenant, HttpResponse response, CancellationToken cancellationToken)
    {
        var imported = await tenant.Transfer.ImportAsync(document, cancellationToken);
        VersionTag.Set(response, imported.Workflow.Version);
        return TypedResults.CreatedAtRoute(imported, "GetWorkflow", new { id = imported.Workflow.Id });
    }

    static string FileName(Workflow workflow)
    {
        var name = new StringBuilder();
        foreach (var c in workflow.Name.AsSpan(0, Math.Min(workflow.Name.Length, 60)))
            name.Append(char.IsAsciiLetterOrDigit(c) ? char.ToLowerInvariant(c) : name is { Length: > 0 } && name[^1] != '-' ? '-' : "");
        return $"{name.ToString().Trim('-')}-{workflow.Id.ToString()[^8..]}.json".TrimStart('-');
    }
}
