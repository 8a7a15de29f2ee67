using Flowstone.Permissions;
using Flowstone.Server.Auth;
using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Flowstone.Server.Permissions;

/// <param name="Level">READ sees executions, EXECUTE starts and cancels them, WRITE changes the workflow, ADMIN shares and deletes it; each includes those before.</param>
/// <param name="ExpiresAt">From then on the share gives nothing; null is never.</param>
sealed record ShareRequest(ShareLevel Level, DateTimeOffset? ExpiresAt = null);

/// <summary>With whom a workflow is shared. For whoever may administer it.</summary>
static class ShareEndpoints
{
    public static void MapShares(this IEndpointRouteBuilder app)
    {
        var shares = app.MapGroup("/workflows/{id}/shares").WithTags("Workflows");
        shares.MapGet("/", List);
        shares.MapPut("/{userId}", Put).WithExample("""{"level":"EXECUTE","expiresAt":"2027-01-31T00:00:00Z"}""");
        shares.MapDelete("/{userId}", Delete).RequireAuthorization(Access.Everybody);   // viewers may give theirs back
    }

    /// <summary>All shares in one page, expired ones among them; longest first.</summary>
    static async Task<Ok<Page<WorkflowShare>>> List(Id<Workflow> id, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(new Page<WorkflowShare>(await tenant.Shares.ListAsync(id, cancellationToken), null));

    /// <summary>Shares the workflow with a user, or changes the share.</summary>
    static async Task<Ok<WorkflowShare>> Put(Id<Workflow> id, Id<User> userId, ShareRequest request, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(await tenant.Shares.SetAsync(id, userId, request.Level, request.ExpiresAt, cancellationToken));

    /// <summary>Ends a share; whoever has it may give it back.</summary>
    static async Task<NoContent> Delete(Id<Workflow> id, Id<User> userId, TenantScope tenant, CancellationToken cancellationToken)
        => await tenant.Shares.DeleteAsync(id, userId, cancellationToken) ? TypedResults.NoContent() : throw new NotFoundException("Share", userId);
}
