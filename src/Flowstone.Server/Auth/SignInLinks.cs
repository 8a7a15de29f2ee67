using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using Flowstone.Tenancy;
using Flowstone.Users;

namespace Flowstone.Server.Auth;

/// <summary>Links that sign a user in once, for the operator of the machine: <c>flowstone up</c> prints one. Kept in memory alone.</summary>
public sealed class SignInLinks(TimeProvider clock)
{
    static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(10);

    readonly ConcurrentDictionary<string, (Id<Tenant> Tenant, Id<User> User, DateTimeOffset Expires)> codes = new(StringComparer.Ordinal);

    /// <returns>The path, <c>/sign-in?code=…</c>, to put behind the server's address. Good once, for ten minutes.</returns>
    public string Create(Id<Tenant> tenant, Id<User> user)
    {
        foreach (var (old, value) in codes)
        {
            if (value.Expires <= clock.Now())
                codes.TryRemove(old, out _);
        }
        var code = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));
        codes[code] = (tenant, user, clock.Now() + Lifetime);
        return $"/sign-in?code={code}";
    }

    /// <summary>Whose link it is; null if nobody's, or used, or too old. It cannot be used again.</summary>
    internal (Id<Tenant> Tenant, Id<User> User)? Redeem(string code)
        => codes.TryRemove(code, out var link) && link.Expires > clock.Now() ? (link.Tenant, link.User) : null;
}
