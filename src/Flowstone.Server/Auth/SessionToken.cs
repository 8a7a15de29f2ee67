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

    public static bool HasCookie(HttpRequest request) => request.Cookies.ContainsKey(Cookie);

    public static void SetCookie(HttpContext context, string token, DateTimeOffset expires)
        => context.Response.Cookies.Append(Cookie, token, Options(context, expires));

    public static void DeleteCookie(HttpContext context) => context.Response.Cookies.Delete(Cookie, Options(context, null));

    static CookieOptions Options(HttpContext context, DateTimeOffset? expires) => new()
    {
        HttpOnly = true,
        SameSite = SameSiteMode.Strict,
        Secure = context.Request.IsHttps,
        Path = "/",
        Expires = expires,
    };
}
