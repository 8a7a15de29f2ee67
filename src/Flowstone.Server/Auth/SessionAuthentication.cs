using System.Security.Claims;
using System.Text.Encodings.Web;
using Flowstone.Tenancy;
using Flowstone.Users;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.Extensions.Options;

namespace Flowstone.Server.Auth;

/// <summary>Knows the user by a session's token: a bearer token, or the console's cookie.</summary>
sealed class SessionAuthentication(
    IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder, FlowstoneStore store)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
{
    public const string SchemeName = "session";

    const string TenantClaim = "tenant";

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        // Where nobody need be known, nobody is looked up: health answers without the database.
        if (Context.GetEndpoint()?.Metadata.GetMetadata<IAllowAnonymous>() is not null || SessionToken.Find(Request) is not { } token)
            return AuthenticateResult.NoResult();
        if (await store.SignIn.FindAsync(token, Context.RequestAborted) is not { } user)
            return AuthenticateResult.Fail("The session has ended.");
        var identity = new ClaimsIdentity(
        [
            new(TenantClaim, user.TenantId.ToString()),
            new(ClaimTypes.NameIdentifier, user.UserId.ToString()),
            new(ClaimTypes.Role, Choice.Text(user.Role)),
            new(ClaimTypes.Name, user.Email),
        ], SchemeName);
        return AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(identity), SchemeName));
    }

    protected override Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        if (HttpMethods.IsGet(Request.Method) && !Request.Path.StartsWithSegments("/api"))
        {
            Response.Redirect("/sign-in");
            return Task.CompletedTask;
        }
        Response.Headers.WWWAuthenticate = "Bearer";
        Response.StatusCode = StatusCodes.Status401Unauthorized;
        return Task.CompletedTask;
    }

    /// <summary>The repositories of whoever is signed in. The only way from a request to data.</summary>
    public static TenantScope OpenScope(FlowstoneStore store, ClaimsPrincipal principal)
    {
        var tenant = Id<Tenant>.Parse(principal.FindFirstValue(TenantClaim) ?? throw new InvalidOperationException("Nobody is signed in: the endpoint must not be anonymous."));
        var role = Choice.Parse<UserRole>("role", principal.FindFirstValue(ClaimTypes.Role))!.Value;
        return store.Tenant(tenant, Actor.User(new SignedInUser(tenant, principal.UserId, role, principal.FindFirstValue(ClaimTypes.Name)!)));
    }
}

static class SignedInPrincipal
{
    extension(ClaimsPrincipal principal)
    {
        public Id<User> UserId => Id<User>.Parse(principal.FindFirstValue(ClaimTypes.NameIdentifier)!);
    }
}
