namespace Flowstone.Server.Auth;

/// <summary>
/// Refuses changes that another site makes a signed-in browser send. <c>SameSite=Strict</c> keeps the cookie from most; this keeps out
/// the rest, such as a neighbour on another port, and sign-ins into somebody else's account.
/// </summary>
static class CrossSiteGuard
{
    public static void UseCrossSiteGuard(this WebApplication app) => app.Use((context, next) =>
        IsAllowed(context.Request) ? next(context) : throw ErrorResponses.CrossSite());

    static bool IsAllowed(HttpRequest request)
    {
        if (HttpMethods.IsGet(request.Method) || HttpMethods.IsHead(request.Method) || HttpMethods.IsOptions(request.Method) || SessionToken.IsBearer(request) || SessionToken.FindKey(request) is not null)
            return true;
        if (request.Headers["Sec-Fetch-Site"].ToString() is { Length: > 0 } site)
            return site == "same-origin";
        if (request.Headers.Origin.ToString() is { Length: > 0 } origin)   // the scheme is not compared: a proxy may have ended TLS
            return Uri.TryCreate(origin, UriKind.Absolute, out var from) && from.Authority == request.Host.Value;
        return !SessionToken.HasCookie(request);   // neither: no browser of these years
    }
}
