using Flowstone.Users;
using Flowstone.Users.Identity;

namespace Flowstone.Server.Auth;

/// <summary>Where a request carries its session's token.</summary>
static class SessionToken
{
    const string Cookie = "flowstone_session";
    const string Bearer = "Bearer ";

    /// <summary>A bearer token rules: where there is one, right or wrong, the cookie is not looked at.</summary>
    public static string? Find(HttpRequest request)
        => IsBearer(request) ? request.Headers.Authorization.ToString()[Bearer.Length..].Trim() : request.Cookies[Cookie];

    /// <summary>No other site can make a browser send this, as it can a cookie.</summary>
    public static bool IsBearer(HttpRequest request)
        => request.Headers.Authorization.ToString().StartsWith(Bearer, StringComparison.OrdinalIgnoreCase);

    /// <summary>An API key rules over all else.</summary>
    public static string? FindKey(HttpRequest request) => request.Headers["X-Api-Key"].ToString() is { Length: > 0 } key ? key : null;

    public static bool HasCookie(HttpRequest request) => request.Cookies.ContainsKey(Cookie);

    /// <summary>Has the browser keep the session, and the device for a year.</summary>
    public static void SetCookies(HttpContext context, NewSession session)
    {
        context.Response.Cookies.Append(Cookie, session.Token, SignInDevice.Options(context, session.ExpiresAt));
        SignInDevice.Keep(context, session.Device, session.ExpiresAt - SignIn.SessionLength);
    }

    public static void DeleteCookie(HttpContext context) => context.Response.Cookies.Delete(Cookie, SignInDevice.Options(context, null));
}
