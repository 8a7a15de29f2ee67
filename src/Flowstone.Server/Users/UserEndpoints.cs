using Flowstone.Server.Auth;
using Flowstone.Tenancy;
using Flowstone.Users;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Flowstone.Server.Users;

sealed record NewUserRequest
{
    public required string Email { get; init; }
    public string? FirstName { get; init; }
    public string? LastName { get; init; }
    public UserRole Role { get; init; } = UserRole.User;

    /// <summary>An IANA name, such as <c>Europe/Berlin</c>.</summary>
    public string TimeZone { get; init; } = "UTC";

    public string Language { get; init; } = "en";

    /// <summary>8 to 1,000 characters; without one the user cannot sign in.</summary>
    public string? Password { get; init; }
}

sealed record TokenRequest(TokenPurpose Purpose);

sealed record TokenResponse(string Token, DateTimeOffset ExpiresAt);

static class UserEndpoints
{
    public static void MapUsers(this IEndpointRouteBuilder app)
    {
        var users = app.MapGroup("/users").WithTags("Users");
        users.MapGet("/", List);
        users.MapGet("/statistics", Statistics);
        users.MapGet("/{id}", Get).WithName("GetUser");
        users.MapGet("/{id}/overview", Overview).RequireAuthorization(Access.Everybody);
        users.MapGet("/{id}/lock", Lock).RequireAuthorization(Access.Administrators);
        users.MapDelete("/{id}/lock", Unlock).RequireAuthorization(Access.Administrators);
        users.MapDelete("/{id}/two-factor", DisableTwoFactor).RequireAuthorization(Access.Administrators);
        users.MapPost("/", Create).RequireAuthorization(Access.Administrators).WithExample("""{"email":"ada@acme.example","firstName":"Ada","lastName":"Lovelace","role":"USER","timeZone":"Europe/London","language":"en","password":"correct horse"}""");
        users.MapPatch("/{id}", Update).RequireAuthorization(Access.Everybody).WithExample("""{"firstName":"Ada","timeZone":"Europe/Berlin","preferences":{"theme":"dark"}}""");
        users.MapDelete("/{id}", Delete).RequireAuthorization(Access.Administrators);
        users.MapPost("/{id}/tokens", CreateToken).RequireAuthorization(Access.Administrators).WithExample("""{"purpose":"RESET_PASSWORD"}""");
        users.MapDelete("/{id}/sessions", SignOutEverywhere).RequireAuthorization(Access.Administrators);
    }

    static async Task<Ok<Page<User>>> List(
        TenantScope tenant, string? role, string? status, bool? verified, string? search, [AsParameters] PageQuery page, CancellationToken cancellationToken)
    {
        var filter = new UserFilter { Role = Choice.Parse<UserRole>("role", role), Status = Choice.Parse<UserStatus>("status", status), Verified = verified, Search = search };
        return TypedResults.Ok(page.Of(await tenant.Users.ListAsync(filter, page.Before<User>(), page.Take, cancellationToken), u => u.Id));
    }

    /// <summary>How many there are, by status, role and whether their address is verified.</summary>
    static async Task<Ok<UserFigures>> Statistics(TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(await tenant.Users.StatisticsAsync(cancellationToken));

    /// <summary>The failed sign-ins that still count.</summary>
    static async Task<Ok<LoginFailures>> Lock(Id<User> id, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(await tenant.Users.LoginFailuresAsync(id, cancellationToken));

    /// <summary>Forgets the failed sign-ins. A suspension stays.</summary>
    static async Task<NoContent> Unlock(Id<User> id, TenantScope tenant, CancellationToken cancellationToken)
    {
        await tenant.Users.UnlockAsync(id, cancellationToken);
        return TypedResults.NoContent();
    }

    /// <summary>For a user who has lost the authenticator and the recovery codes: they sign in with the password alone, until they turn it on again.</summary>
    static async Task<NoContent> DisableTwoFactor(Id<User> id, HttpContext context, TenantScope tenant, CancellationToken cancellationToken)
    {
        RequireAnother(id, context);
        await tenant.TwoFactor.DisableAsync(id, code: null, cancellationToken);
        return TypedResults.NoContent();
    }

    static async Task<Ok<User>> Get(Id<User> id, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(await tenant.Users.FindAsync(id, cancellationToken) ?? throw new NotFoundException("User", id));

    static async Task<CreatedAtRoute<User>> Create(NewUserRequest request, TenantScope tenant, CancellationToken cancellationToken)
    {
        var user = await tenant.Users.CreateAsync(new NewUser
        {
            Email = request.Email,
            FirstName = request.FirstName,
            LastName = request.LastName,
            Role = request.Role,
            TimeZone = request.TimeZone,
            Language = request.Language,
            PasswordHash = request.Password is { } password ? SignIn.HashPassword(password) : null,
        }, cancellationToken);
        return TypedResults.CreatedAtRoute(user, "GetUser", new { id = user.Id });
    }

    static async Task<Ok<User>> Update(Id<User> id, UserChanges changes, HttpContext context, TenantScope tenant, CancellationToken cancellationToken)
    {
        if (id == context.User.UserId && (changes.Role is { } and not UserRole.Admin || changes.Status is { } and not UserStatus.Active))
            throw NotOneself();
        if (changes.Email is not null)
            RequireAnother(id, context);
        return TypedResults.Ok(await tenant.Users.UpdateAsync(id, changes, cancellationToken));
    }

    /// <summary>With the ten workflows that were changed last, teams and API keys.</summary>
    static async Task<Ok<UserOverview>> Overview(Id<User> id, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(await tenant.Users.OverviewAsync(id, cancellationToken));

    /// <summary>
    /// With <c>transferTo</c>, that user gets the workflows, and the teams without another owner; with <c>deleteOwned=true</c> the workflows are deleted with their executions,
    /// and teams with no other member. With neither, a user who has such is not deleted.
    /// </summary>
    static async Task<NoContent> Delete(Id<User> id, Id<User>? transferTo, bool? deleteOwned, HttpContext context, TenantScope tenant, CancellationToken cancellationToken)
    {
        if (id == context.User.UserId)
            throw NotOneself();
        try
        {
            return await tenant.Users.DeleteAsync(id, transferTo, deleteOwned ?? false, cancellationToken) ? TypedResults.NoContent() : throw new NotFoundException("User", id);
        }
        catch (InvalidInputException error) when (error.Errors[0].Field != "transferTo")
        {
            throw new ConflictException("The user owns workflows: say with transferTo who gets them, or delete them with deleteOwned=true, or set the status to INACTIVE.", error);
        }
    }

    /// <summary>For the platform to send to the user's address: VERIFY_EMAIL is good for a day, RESET_PASSWORD for an hour. It replaces an earlier one.</summary>
    static async Task<Ok<TokenResponse>> CreateToken(Id<User> id, TokenRequest request, HttpContext context, TenantScope tenant, TimeProvider clock, CancellationToken cancellationToken)
    {
        RequireAnother(id, context);
        var expires = clock.Now() + UserRepository.Lifetime(request.Purpose);
        return TypedResults.Ok(new TokenResponse(await tenant.Users.CreateTokenAsync(id, request.Purpose, cancellationToken), expires));
    }

    /// <summary>Ends all sessions of the user.</summary>
    static async Task<NoContent> SignOutEverywhere(Id<User> id, HttpContext context, TenantScope tenant, CancellationToken cancellationToken)
    {
        RequireAnother(id, context);
        if (await tenant.Users.FindAsync(id, cancellationToken) is null)
            throw new NotFoundException("User", id);
        await tenant.Sessions.RevokeAllAsync(id, cancellationToken: cancellationToken);
        return TypedResults.NoContent();
    }

    // A key does not become its user: passwords and sessions are changed in person.
    static void RequireAnother(Id<User> id, HttpContext context)
    {
        if (context.User.ApiKey is not null && id == context.User.UserId)
            throw new AccessDeniedException("An API key cannot change the address, the password or the sessions of its own user.");
    }

    // Or the last administrator could lock everybody out.
    static ConflictException NotOneself() => new("Administrators cannot demote, suspend or delete themselves: another administrator must do it.");
}
