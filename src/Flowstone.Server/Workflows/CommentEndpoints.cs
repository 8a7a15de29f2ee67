using Flowstone.Server.Auth;
using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Flowstone.Server.Workflows;

/// <param name="NodeIsGone">Whether the newest version has no such node any more.</param>
sealed record CommentResponse(
    Id<WorkflowComment> Id, string? NodeId, bool NodeIsGone, Id<WorkflowComment>? ParentId, string Text, double? X, double? Y, Id<User>? AuthorId,
    DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt, DateTimeOffset? ResolvedAt, Id<User>? ResolvedBy)
{
    public static CommentResponse Of(WorkflowComment c, bool gone = false)
        => new(c.Id, c.NodeId, gone, c.ParentId, c.Text, c.X, c.Y, c.AuthorId, c.CreatedAt, c.UpdatedAt, c.ResolvedAt, c.ResolvedBy);
}

/// <summary>Comments on a workflow and its nodes, for those who may read it: also for viewers.</summary>
static class CommentEndpoints
{
    public static void MapComments(this IEndpointRouteBuilder app)
    {
        var comments = app.MapGroup("/workflows/{id}/comments").WithTags("Workflows");
        comments.MapGet("/", List);
        comments.MapPost("/", Create).WithExample("""{"text":"Why twice?","nodeId":"greet","x":120,"y":40}""").RequireAuthorization(Access.Everybody);
        comments.MapPatch("/{commentId}", Update).WithExample("""{"resolved":true}""").RequireAuthorization(Access.Everybody);
        comments.MapDelete("/{commentId}", Delete).RequireAuthorization(Access.Everybody);
    }

    /// <summary>Newest first, answers among them.</summary>
    static async Task<Ok<Page<CommentResponse>>> List(
        Id<Workflow> id, TenantScope tenant, string? nodeId, bool? resolved, [AsParameters] PageQuery page, CancellationToken cancellationToken)
        => TypedResults.Ok(page.Of(await tenant.Comments.ListAsync(id, new() { NodeId = nodeId, Resolved = resolved }, page.Before<WorkflowComment>(), page.Take, cancellationToken), c => c.Comment.Id)
            .Select(c => CommentResponse.Of(c.Comment, c.NodeIsGone)));

    static async Task<Created<CommentResponse>> Create(Id<Workflow> id, NewComment request, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Created((string?)null, CommentResponse.Of(await tenant.Comments.CreateAsync(id, request, cancellationToken)));

    /// <summary>Text and place are for its author and the workflow's administrators; <c>resolved</c> also for whoever may write the workflow.</summary>
    static async Task<Ok<CommentResponse>> Update(Id<Workflow> id, Id<WorkflowComment> commentId, CommentChanges changes, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(CommentResponse.Of(await tenant.Comments.UpdateAsync(id, commentId, changes, cancellationToken)));

    /// <summary>With its answers.</summary>
    static async Task<NoContent> Delete(Id<Workflow> id, Id<WorkflowComment> commentId, TenantScope tenant, CancellationToken cancellationToken)
        => await tenant.Comments.DeleteAsync(id, commentId, cancellationToken) ? TypedResults.NoContent() : throw new NotFoundException("Comment", commentId);
}
