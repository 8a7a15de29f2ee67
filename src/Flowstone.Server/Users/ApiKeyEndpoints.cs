using Flowstone.Server.Auth;
using Flowstone.Tenancy;
using Flowstone.Users;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Flowstone.Server.Users;

/// <param name="Scopes">READ, EXECUTE, WRITE, ADMIN: each includes those before it. WORK opens /work; only administrators can give it.</param>
/// <param name="RateLimit">Requests per hour, 1 to 1,000,000.</param>
/// <param name="ExpiresAt">Null is never.</param>
/// <param name="UserId">For whom it acts: oneself, unless an administrator says who.</param>
sealed record NewApiKeyRequest(string Name, IReadOnlyList<ApiScope> Scopes, int RateLimit = 1000, DateTimeOffset? ExpiresAt = null, Id<User>? UserId = null);

/// <param name="Key">To be sent as <c>X-Api-Key</c>. It is not stored and cannot be shown again.</param>
sealed record NewApiKeyResponse(string Key, ApiKey ApiKey);

static class ApiKeyEndpoints
{
    public static void MapApiKeys(this IEndpointRouteBuilder app)
    {
        var keys = app.MapGroup("/api-keys").WithTags("Users").RequireAuthorization(Access.Everybody);
        keys.MapGet("/", List);
        keys.MapPost("/", Create).RequireAuthorization(Access.InPerson).WithExample("""{"name":"Nightly import","scopes":["READ","EXECUTE"],"rateLimit":1000,"expiresAt":"2027-01-31T00:00:00Z"}""");   // or a key would outlive its own end
        keys.MapDelete("/{id}", Delete);
    }

    /// <summary>All keys of a user in one page, newest first: one's own, unless an administrator says whose.</summary>
    static async Task<Ok<Page<ApiKey>>> List(TenantScope tenant, HttpContext context, Id<User>? userId, CancellationToken cancellationToken)
        => TypedResults.Ok(new Page<ApiKey>(await tenant.ApiKeys.ListAsync(userId ?? context.User.UserId, cancellationToken), null));

    static async Task<Created<NewApiKeyResponse>> Create(NewApiKeyRequest request, TenantScope tenant, HttpContext context, CancellationToken cancellationToken)
    {
        var (key, stored) = await tenant.ApiKeys.CreateAsync(request.UserId ?? context.User.UserId,
            new NewApiKey { Name = request.Name, Scopes = request.Scopes, RateLimit = request.RateLimit, ExpiresAt = request.ExpiresAt }, cancellationToken);
        return TypedResults.Created((string?)null, new NewApiKeyResponse(key, stored));
    }

    static async Task<NoContent> Delete(Id<ApiKey> id, TenantScope tenant, HttpContext context, Id<User>? userId, CancellationToken cancellationToken)
        => await tenant.ApiKeys.DeleteAsync(userId ?? context.User.UserId, id, cancellationToken) ? TypedResults.NoContent() : throw new NotFoundException("API key", id);
}
