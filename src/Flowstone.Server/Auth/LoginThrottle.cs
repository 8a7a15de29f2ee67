using System.Threading.RateLimiting;
using Flowstone.Users;
using Flowstone.Users.Identity;

namespace Flowstone.Server.Auth;

/// <summary>
/// A hundred attempts a minute from one place, whatever the address: to look at a password is slow on purpose. What counts the failures of an
/// address is the database, for all servers together.
/// </summary>
sealed class LoginThrottle : IDisposable
{
    readonly PartitionedRateLimiter<string> limiter = PartitionedRateLimiter.Create<string, string>(place => RateLimitPartition.GetFixedWindowLimiter(
        place, _ => new FixedWindowRateLimiterOptions { PermitLimit = 100, Window = TimeSpan.FromMinutes(1), QueueLimit = 0 }));

    /// <exception cref="TooManyAttemptsException">Not even the right password is looked at.</exception>
    public void Check(HttpContext context)
    {
        using var attempt = limiter.AttemptAcquire(SignInDevice.Source(context).Place);
        if (!attempt.IsAcquired)
            throw new TooManyAttemptsException(TimeSpan.FromMinutes(1));
    }

    public void Dispose() => limiter.Dispose();
}
