using System.Threading.RateLimiting;

namespace Flowstone.Server.Auth;

/// <summary>Slows down guessing: ten attempts a minute for one address from one place, a hundred for one place.</summary>
sealed class LoginThrottle : IDisposable
{
    readonly PartitionedRateLimiter<(string Place, string Email)> limiter = PartitionedRateLimiter.CreateChained(
        Create(10, attempt => attempt), Create(100, attempt => (attempt.Place, "")));

    /// <exception cref="RequestRefusedException">Too many: not even the right password is looked at.</exception>
    public void Check(HttpContext context, string email)
    {
        var place = context.Connection.RemoteIpAddress?.ToString() ?? "";
        using var attempt = limiter.AttemptAcquire((place, email.Trim().ToUpperInvariant()));
        if (!attempt.IsAcquired)
            throw ErrorResponses.TooManyAttempts();
    }

    public void Dispose() => limiter.Dispose();

    static PartitionedRateLimiter<(string, string)> Create(int attempts, Func<(string Place, string Email), (string, string)> key)
        => PartitionedRateLimiter.Create<(string Place, string Email), (string, string)>(attempt => RateLimitPartition.GetFixedWindowLimiter(
            key(attempt), _ => new FixedWindowRateLimiterOptions { PermitLimit = attempts, Window = TimeSpan.FromMinutes(1), QueueLimit = 0 }));
}
