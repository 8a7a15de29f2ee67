using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Users.Identity;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Flowstone.Server.Auth;

/// <param name="Device">What an earlier login from the same client answered; a browser sends it as a cookie.</param>
/// <param name="Code">Of the authenticator app, or a recovery code: where the answer without it was 401 <c>code-required</c>.</param>
sealed record LoginRequest(string Email, string Password, string? Device = null, string? Code = null)
{
    /// <summary>Without the secrets: this ends up in logs.</summary>
    public override string ToString() => $"{nameof(LoginRequest)} {{ {nameof(Email)} = {Email} }}";
}

/// <param name="Token">To be sent as <c>Authorization: Bearer …</c>.</param>
/// <param name="Device">To be kept, and sent along with later logins: others' wrong passwords then do not lock this client out.</param>
sealed record LoginResponse(string Token, DateTimeOffset ExpiresAt, string Device, SignedInUser User);

/// <param name="Password">8 to 1,000 characters.</param>
sealed record PasswordChange(string Current, string Password);

/// <param name="Token">Of <c>POST /users/{id}/tokens</c>, as the platform sent it to the user.</param>
/// <param name="Password">8 to 1,000 characters.</param>
sealed record PasswordReset(string Token, string Password);

sealed record EmailVerification(string Token);

/// <param name="Current">Whether it is the one that asks.</param>
sealed record SessionResponse(Id<Session> Id, DateTimeOffset CreatedAt, DateTimeOffset LastUsedAt, DateTimeOffset ExpiresAt, string? Address, string? Agent, bool Current);

static class AuthEndpoints
{
    public static void MapAuth(this IEndpointRouteBuilder app)
    {
        var auth = app.MapGroup("/auth").WithTags("Auth");
        auth.MapPost("/login", Login).AllowAnonymous().WithExample("""{"email":"ada@acme.example","password":"correct horse"}""");
        auth.MapPost("/password/reset", ResetPassword).AllowAnonymous().WithExample("""{"token":"AZj2slwefTqaQS9ujAt9FQ…","password":"battery staple"}""");
        auth.MapPost("/verify-email", VerifyEmail).AllowAnonymous().WithExample("""{"token":"AZj2slwefTqaQS9ujAt9FQ…"}""");
        auth.MapGet("/me", Me);
        auth.MapTwoFactor();
        auth.MapGet("/sessions", Sessions).RequireAuthorization(Access.InPerson);

        var own = auth.MapGroup("").RequireAuthorization(Access.InPerson);
        own.MapPost("/logout", Logout);
        own.MapPost("/password", ChangePassword).WithExample("""{"current":"correct horse","password":"battery staple"}""");
        own.MapDelete("/sessions/{id}", Revoke);
        own.MapDelete("/sessions", RevokeOthers);
    }

    static async Task<Ok<LoginResponse>> Login(LoginRequest request, HttpContext context, FlowstoneStore store, LoginThrottle throttle, CancellationToken cancellationToken)
    {
        throttle.Check(context);
        var source = SignInDevice.Source(context);
        if (request.Device is { } device)
            source = source with { Device = device };
        return await AnswerAsync(context, store, await store.SignIn.WithPasswordAsync(request.Email, request.Password, source, request.Code, cancellationToken), cancellationToken);
    }

    static async Task<Ok<LoginResponse>> AnswerAsync(HttpContext context, FlowstoneStore store, NewSession? session, CancellationToken cancellationToken)
    {
        if (session is null || await store.SignIn.FindAsync(session.Token, cancellationToken) is not { } user)
            throw ErrorResponses.SignInFailed();
        SessionToken.SetCookies(context, session);
        return TypedResults.Ok(new LoginResponse(session.Token, session.ExpiresAt, session.Device, user));
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

    /// <summary>Ends all sessions; the answer is a new one.</summary>
    static async Task<Ok<LoginResponse>> ChangePassword(
        PasswordChange request, HttpContext context, FlowstoneStore store, LoginThrottle throttle, CancellationToken cancellationToken)
    {
        throttle.Check(context);
        var who = await store.SignIn.FindAsync(SessionToken.Find(context.Request)!, cancellationToken) ?? throw ErrorResponses.SignInFailed();
        var session = await store.SignIn.ChangePasswordAsync(who, request.Current, request.Password, SignInDevice.Source(context), cancellationToken)
            ?? throw new InvalidInputException("current", "is not the password.");
        return await AnswerAsync(context, store, session, cancellationToken);
    }

    /// <summary>Sets a new password by the token that the platform sent, and ends all sessions.</summary>
    static async Task<NoContent> ResetPassword(PasswordReset request, HttpContext context, FlowstoneStore store, LoginThrottle throttle, CancellationToken cancellationToken)
    {
        throttle.Check(context);
        return await store.SignIn.ResetPasswordAsync(request.Token, request.Password, cancellationToken) ? TypedResults.NoContent() : throw NoToken();
    }

    static async Task<NoContent> VerifyEmail(EmailVerification request, HttpContext context, FlowstoneStore store, LoginThrottle throttle, CancellationToken cancellationToken)
    {
        throttle.Check(context);
        return await store.SignIn.VerifyEmailAsync(request.Token, cancellationToken) ? TypedResults.NoContent() : throw NoToken();
    }

    /// <summary>The devices on which one is signed in, last used first.</summary>
    static async Task<Ok<Page<SessionResponse>>> Sessions(TenantScope tenant, HttpContext context, CancellationToken cancellationToken)
    {
        var current = SessionRepository.Of(SessionToken.Find(context.Request)!);
        var sessions = await tenant.Sessions.ListAsync(context.User.UserId, cancellationToken);
        return TypedResults.Ok(new Page<SessionResponse>(
            [.. sessions.Select(s => new SessionResponse(s.Id, s.CreatedAt, s.LastUsedAt, s.ExpiresAt, s.Address, s.Agent, s.Id == current))], null));
    }

    static async Task<NoContent> Revoke(Id<Session> id, TenantScope tenant, HttpContext context, CancellationToken cancellationToken)
        => await tenant.Sessions.RevokeAsync(context.User.UserId, id, cancellationToken) ? TypedResults.NoContent() : throw new NotFoundException("Session", id);

    /// <summary>Ends all but the one that asks, and forgets all devices.</summary>
    static async Task<NoContent> RevokeOthers(TenantScope tenant, HttpContext context, CancellationToken cancellationToken)
    {
        await tenant.Sessions.RevokeAllAsync(context.User.UserId, SessionToken.Find(context.Request), cancellationToken);
        return TypedResults.NoContent();
    }

    static InvalidInputException NoToken() => new("token", "is not good: it was used or replaced, or has expired. Ask for a new one.");
}
