using System.Security.Claims;
using System.Text.Encodings.Web;
using Flowstone.Tenancy;
using Flowstone.Users;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.Extensions.Options;

namespace Flowstone.Server.Auth;

/// <summary>Knows the user by an API key, or by a session's token: a bearer token, or the console's cookie.</summary>
sealed class SessionAuthentication(
    IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder, FlowstoneStore store)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
{
    public const string SchemeName = "session";

    const string TenantClaim = "tenant";

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        // Where nobody need be known, nobody is looked up: health answers without the database.
        if (Context.GetEndpoint()?.Metadata.GetMetadata<IAllowAnonymous>() is not null)
            return AuthenticateResult.NoResult();
        if (SessionToken.FindKey(Request) is { } key)
            return await store.ApiKeys.FindAsync(key, Context.RequestAborted) is { } found
                ? Success(found.User, found) : AuthenticateResult.Fail("The API key is nobody's, or has expired.");
        if (SessionToken.Find(Request) is not { } token)
            return AuthenticateResult.NoResult();
        return await store.SignIn.FindAsync(token, Context.RequestAborted) is { } user ? Success(user, null) : AuthenticateResult.Fail("The session has ended.");
    }

    static AuthenticateResult Success(SignedInUser user, ApiKeyUser? key)
    {
        var identity = new ClaimsIdentity(
        [
            new(TenantClaim, user.TenantId.ToString()),
            new(ClaimTypes.NameIdentifier, user.UserId.ToString()),
            new(ClaimTypes.Role, Choice.Text(user.Role)),
            new(ClaimTypes.Name, user.Email),
        ], SchemeName);
        return AuthenticateResult.Success(new AuthenticationTicket(new SignedInPrincipal(identity, user, key), SchemeName));
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
        => principal is SignedInPrincipal { User: var user } who ? store.Tenant(user.TenantId, who.Key is { } key ? Actor.Key(key) : Actor.User(user))
            : throw new InvalidOperationException("Nobody is signed in: the endpoint must not be anonymous.");
}

/// <summary>Who is signed in, and by which key if not in person.</summary>
sealed class SignedInPrincipal(ClaimsIdentity identity, SignedInUser user, ApiKeyUser? key) : ClaimsPrincipal(identity)
{
    public SignedInUser User => user;
    public ApiKeyUser? Key => key;
}

static class SignedInClaims
{
    extension(ClaimsPrincipal principal)
    {
        public Id<User> UserId => ((SignedInPrincipal)principal).User.UserId;
        public ApiKeyUser? ApiKey => (principal as SignedInPrincipal)?.Key;
    }
}
