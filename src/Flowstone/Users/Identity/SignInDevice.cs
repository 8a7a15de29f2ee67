using System.Security.Cryptography;
using Microsoft.AspNetCore.Http;

namespace Flowstone.Users.Identity;

/// <summary>Where a sign-in comes from; and the cookie that keeps others' wrong passwords from locking a browser out from which its user has signed in.</summary>
static class SignInDevice
{
    const string Cookie = "flowstone_device";

    public static SignInSource Source(HttpContext? context)
        => new(context?.Connection.RemoteIpAddress?.ToString(), context?.Request.Headers.UserAgent.ToString() is { Length: > 0 } agent ? agent : null, context?.Request.Cookies[Cookie]);

    /// <summary>What the browser has from now on, for a year.</summary>
    /// <param name="known">What it has, if the user has signed in with that before.</param>
    public static string Keep(HttpContext context, string? known, DateTimeOffset now)
    {
        var device = known ?? Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));
        context.Response.Cookies.Append(Cookie, device, Options(context, now.AddDays(365)));
        return device;
    }

    /// <summary>Of a cookie that no script and no other site gets at.</summary>
    public static CookieOptions Options(HttpContext context, DateTimeOffset? expires)
        => new() { HttpOnly = true, SameSite = SameSiteMode.Strict, Secure = context.Request.IsHttps, Path = "/", Expires = expires };
}
