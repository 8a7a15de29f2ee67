using Flowstone.Server.Auth;
using Flowstone.Tenancy;
using Flowstone.Users;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Flowstone.Server.Users;

/// <param name="OwnerId">The first member; whoever asks, unless told.</param>
sealed record NewTeamRequest(string Name, string? Description = null, Id<User>? OwnerId = null);

/// <summary>What is null stays.</summary>
sealed record TeamChanges(string? Name = null, string? Description = null);

sealed record MemberRequest(TeamRole Role);

/// <param name="To">Becomes an owner, and a member if need be.</param>
/// <param name="From">The owner who becomes an admin; whoever asks, unless told.</param>
sealed record TransferRequest(Id<User> To, Id<User>? From = null);

static class TeamEndpoints
{
    public static void MapTeams(this IEndpointRouteBuilder app)
    {
        var teams = app.MapGroup("/teams").WithTags("Teams");
        teams.MapGet("/", List);
        teams.MapGet("/{id}", Get).WithName("GetTeam");
        teams.MapGet("/{id}/members", Members);
        teams.MapPost("/", Create).WithExample("""{"name":"Accounting","description":"Invoices and reminders"}""");
        teams.MapPatch("/{id}", Update).WithExample("""{"description":"Invoices, reminders and taxes"}""");
        teams.MapDelete("/{id}", Delete);
        teams.MapPut("/{id}/members/{userId}", PutMember).WithExample("""{"role":"MEMBER"}""");
        teams.MapDelete("/{id}/members/{userId}", RemoveMember).RequireAuthorization(Access.Everybody);   // viewers may leave
        teams.MapPost("/{id}/transfer", Transfer).WithExample("""{"to":"0198f6b2-5c1e-7d3a-9a41-2f6e8c0b7d15"}""");
    }

    static async Task<Ok<Page<Team>>> List(TenantScope tenant, [AsParameters] PageQuery page, CancellationToken cancellationToken)
        => TypedResults.Ok(page.Of(await tenant.Teams.ListAsync(page.Before<Team>(), page.Take, cancellationToken), t => t.Id));

    static async Task<Ok<Team>> Get(Id<Team> id, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(await FindAsync(tenant, id, cancellationToken));

    static async Task<CreatedAtRoute<Team>> Create(NewTeamRequest request, TenantScope tenant, HttpContext context, CancellationToken cancellationToken)
    {
        var owner = request.OwnerId ?? context.User.UserId;
        if (await tenant.Users.FindAsync(owner, cancellationToken) is null)
            throw new InvalidInputException("ownerId", "is not a user of this tenant.");
        var team = await tenant.Teams.CreateAsync(request.Name, request.Description, owner, cancellationToken);
        return TypedResults.CreatedAtRoute(team, "GetTeam", new { id = team.Id });
    }

    static async Task<Ok<Team>> Update(Id<Team> id, TeamChanges changes, TenantScope tenant, CancellationToken cancellationToken)
    {
        await tenant.Teams.UpdateAsync(id, changes.Name, changes.Description, cancellationToken);
        return TypedResults.Ok(await FindAsync(tenant, id, cancellationToken));
    }

    static async Task<NoContent> Delete(Id<Team> id, TenantScope tenant, CancellationToken cancellationToken)
    {
        try
        {
            return await tenant.Teams.DeleteAsync(id, cancellationToken) ? TypedResults.NoContent() : throw new NotFoundException("Team", id);
        }
        catch (InvalidInputException error)
        {
            throw new ConflictException("Workflows still belong to the team: delete them first.", error);
        }
    }

    /// <summary>All members in one page: who joined first is first.</summary>
    static async Task<Ok<Page<TeamMember>>> Members(Id<Team> id, TenantScope tenant, CancellationToken cancellationToken)
    {
        await FindAsync(tenant, id, cancellationToken);
        return TypedResults.Ok(new Page<TeamMember>(await tenant.Teams.MembersAsync(id, cancellationToken), null));
    }

    static async Task<NoContent> PutMember(Id<Team> id, Id<User> userId, MemberRequest request, TenantScope tenant, CancellationToken cancellationToken)
    {
        await FindAsync(tenant, id, cancellationToken);
        if (await tenant.Users.FindAsync(userId, cancellationToken) is null)
            throw new NotFoundException("User", userId);
        await tenant.Teams.SetMemberAsync(id, userId, request.Role, cancellationToken);
        return TypedResults.NoContent();
    }

    static async Task<NoContent> RemoveMember(Id<Team> id, Id<User> userId, TenantScope tenant, CancellationToken cancellationToken)
    {
        await FindAsync(tenant, id, cancellationToken);
        return await tenant.Teams.RemoveMemberAsync(id, userId, cancellationToken) ? TypedResults.NoContent() : throw new NotFoundException("Member", userId);
    }

    /// <summary>Passes ownership on: one becomes an owner, the other an admin.</summary>
    static async Task<NoContent> Transfer(Id<Team> id, TransferRequest request, HttpContext context, TenantScope tenant, CancellationToken cancellationToken)
    {
        await tenant.Teams.TransferAsync(id, request.From ?? context.User.UserId, request.To, cancellationToken);
        return TypedResults.NoContent();
    }

    static async Task<Team> FindAsync(TenantScope tenant, Id<Team> id, CancellationToken cancellationToken)
        => await tenant.Teams.FindAsync(id, cancellationToken) ?? throw new NotFoundException("Team", id);
}
