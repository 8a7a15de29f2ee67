using Flowstone.Tenancy;
using Flowstone.Users;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Flowstone.Server.Auth;

sealed record LoginRequest(string Email, string Password);

/// <param name="Token">To be sent as <c>Authorization: Bearer …</c>.</param>
sealed record LoginResponse(string Token, DateTimeOffset ExpiresAt, SignedInUser User);

static class AuthEndpoints
{
    public static void MapAuth(this IEndpointRouteBuilder app)
    {
        var auth = app.MapGroup("/auth").WithTags("Auth");
        auth.MapPost("/login", Login).AllowAnonymous();
        auth.MapPost("/logout", Logout).RequireAuthorization(Access.Everybody);
        auth.MapGet("/me", Me);
    }

    static async Task<Ok<LoginResponse>> Login(
        LoginRequest request, HttpContext context, FlowstoneStore store, LoginThrottle throttle, TimeProvider clock, CancellationToken cancellationToken)
    {
        throttle.Check(context, request.Email);
        var token = await store.SignIn.WithPasswordAsync(request.Email, request.Password, cancellationToken) ?? throw ErrorResponses.SignInFailed();
        var expires = clock.Now() + SignIn.SessionLength;
        SessionToken.SetCookie(context, token, expires);
        var user = await store.SignIn.FindAsync(token, cancellationToken) ?? throw ErrorResponses.SignInFailed();
        return TypedResults.Ok(new LoginResponse(token, expires, user));
    }

    static async Task<NoContent> Logout(HttpContext context, FlowstoneStore store, CancellationToken cancellationToken)
    {
        await store.SignIn.SignOutAsync(SessionToken.Find(context.Request)!, cancellationToken);
        SessionToken.DeleteCookie(context);
        return TypedResults.NoContent();
    }

    static async Task<Ok<User>> Me(TenantScope tenant, HttpContext context, CancellationToken cancellationToken)
    {
        var id = context.User.UserId;
        return TypedResults.Ok(await tenant.Users.FindAsync(id, cancellationToken) ?? throw new NotFoundException("User", id));
    }
}
