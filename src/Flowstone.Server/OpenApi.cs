using System.Reflection;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;

namespace Flowstone.Server;

static class OpenApi
{
    public static void AddServerOpenApi(this IServiceCollection services) => services.AddOpenApi("v1", options =>
    {
        options.CreateSchemaReferenceId = type => IsId(type.Type) ? null : OpenApiOptions.CreateDefaultSchemaReferenceId(type);
        options.ShouldInclude = description => description.RelativePath?.StartsWith("api/", StringComparison.Ordinal) == true;
        options.AddDocumentTransformer((document, _, _) =>
        {
            document.Info = new OpenApiInfo { Title = "Flowstone", Version = "v1", Description = "The durable data layer of a workflow automation platform. See docs/http-api.md." };
            document.Servers = [];   // it is where it was read from
            document.Components ??= new OpenApiComponents();
            document.Components.SecuritySchemes = new Dictionary<string, IOpenApiSecurityScheme>
            {
                ["apiKey"] = new OpenApiSecurityScheme { Type = SecuritySchemeType.ApiKey, In = ParameterLocation.Header, Name = "X-Api-Key", Description = "A key that POST /api/v1/api-keys gives." },
                ["bearer"] = new OpenApiSecurityScheme { Type = SecuritySchemeType.Http, Scheme = "bearer", Description = "The token that POST /api/v1/auth/login gives." },
            };
            document.Security = [Needs("bearer"), Needs("apiKey")];   // either
            return Task.CompletedTask;

            OpenApiSecurityRequirement Needs(string scheme) => new() { [new OpenApiSecuritySchemeReference(scheme, document)] = [] };
        });
        options.AddSchemaTransformer((schema, context, _) =>
        {
            if (IsId(context.JsonTypeInfo.Type))
                (schema.Type, schema.Format) = (Nullable.GetUnderlyingType(context.JsonTypeInfo.Type) is null ? JsonSchemaType.String : JsonSchemaType.String | JsonSchemaType.Null, "uuid");
            return Task.CompletedTask;
        });
        options.AddOperationTransformer((operation, context, _) =>
        {
            // WorkflowEndpoints.List is "Workflow.List": a name for generated clients that stays when the address moves.
            if (context.Description.ActionDescriptor.EndpointMetadata.OfType<MethodInfo>().FirstOrDefault() is { DeclaringType: { } group } handler)
                operation.OperationId = $"{group.Name.Replace("Endpoints", "", StringComparison.Ordinal)}.{handler.Name}";
            if (context.Description.ActionDescriptor.EndpointMetadata.OfType<RequestExample>().FirstOrDefault() is { } example)
                operation.RequestBody!.Content!["application/json"].Example = JsonNode.Parse(example.Json);
            return Task.CompletedTask;
        });
    });

    sealed record RequestExample(string Json);

    /// <summary>What a client may send, for the description of the API.</summary>
    public static RouteHandlerBuilder WithExample(this RouteHandlerBuilder endpoint, string json) => endpoint.WithMetadata(new RequestExample(json));

    static bool IsId(Type type) => (Nullable.GetUnderlyingType(type) ?? type) is { IsGenericType: true } known && known.GetGenericTypeDefinition() == typeof(Id<>);
}
