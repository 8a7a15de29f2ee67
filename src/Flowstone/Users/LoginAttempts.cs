using System.Security.Cryptography;
using System.Text;
using Flowstone.Data;
using Flowstone.Tenancy;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using static Flowstone.Data.Sql;

namespace Flowstone.Users;

/// <summary>Where a sign-in comes from, as far as the caller knows.</summary>
/// <param name="Address">The network address; of IPv6 the first 64 bits count.</param>
/// <param name="Agent">What the client calls itself; kept with the session for the list of devices.</param>
/// <param name="Device">What an earlier sign-in from there was given as <see cref="NewSession.Device"/>.</param>
public sealed record SignInSource(string? Address = null, string? Agent = null, string? Device = null)
{
    internal const int MaxAgentLength = 500;

    /// <summary>What counts as one place.</summary>
    internal string Place => System.Net.IPAddress.TryParse(Address, out var address)
        ? address.IsIPv4MappedToIPv6 ? address.MapToIPv4().ToString()
            : address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 ? Convert.ToHexString(address.GetAddressBytes().AsSpan(0, 8)) : address.ToString()
        : Address ?? "";
}

/// <summary>Too many passwords were tried: not even the right one is looked at before <see cref="RetryAfter"/>.</summary>
public sealed class TooManyAttemptsException(TimeSpan retryAfter)
    : FlowstoneException($"Too many attempts to sign in. Try again in {Math.Max(1, (int)Math.Ceiling(retryAfter.TotalSeconds))} seconds, or from a device that you have signed in from before.")
{
    public TimeSpan RetryAfter => retryAfter;
}

/// <summary>
/// Failed sign-ins of one address from one place. Addresses that are nobody's have them too, under the tenant of zeros, or the answer would
/// tell who is there. Without a foreign key for that reason.
/// </summary>
sealed record LoginFailure : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }

    /// <summary>The hash of the e-mail address.</summary>
    public required byte[] Account { get; init; }

    /// <summary>The hash of the place or of the device; empty for all places together.</summary>
    public required byte[] Source { get; init; }

    public required int Failures { get; init; }

    /// <summary>When the last one was; for all places together, when they began to be counted.</summary>
    public required DateTimeOffset At { get; init; }

    public required DateTimeOffset RetryAt { get; init; }
}

sealed class LoginFailureMapping : IEntityTypeConfiguration<LoginFailure>
{
    public void Configure(EntityTypeBuilder<LoginFailure> failure)
    {
        failure.ToTable("login_failures");
        failure.HasKey(f => new { f.TenantId, f.Account, f.Source });
    }
}

/// <summary>
/// Counts an attempt before the password is looked at, by one statement: so parallel guesses are counted, and none is looked at once the
/// lock stands. A place that fails 5 times is locked for half an hour, after growing delays; a device from which the user has signed in
/// counts for itself, so nobody can lock the user out of it. All unknown places together have 100 attempts an hour.
/// </summary>
static class LoginAttempts
{
    /// <param name="Failures">From one place, before it is locked.</param>
    /// <param name="Lock">How long then; and how long a failure counts.</param>
    public sealed record Limits(int Failures, TimeSpan Lock)
    {
        public static readonly Limits Default = new(5, TimeSpan.FromMinutes(30));

        public static Limits Of(FlowstoneOptions options) => new(options.MaxLoginFailures, options.LoginLock);
    }

    // $3 is the user, null if nobody; $4 and $5 the hashes of device and place; $7 and $8 the limits. From the third failure on each brings a delay, three times the last; the twelfth would be two days.
    const string Take = """
        with known as materialized (select 1 from flowstone.user_devices d where d.tenant_id = $1 and d.user_id = $3 and d.device_hash = $4),
        place as materialized (select case when exists (select from known) then $4 else $5 end as source),
        attempt as (
            insert into flowstone.login_failures as f (tenant_id, account, source, failures, at, retry_at) select $1, $2, place.source, 1, $6, timestamptz 'epoch' from place
            on conflict (tenant_id, account, source) do update
                  set failures = case when f.at <= $6 - $8 then 1 else f.failures + 1 end, at = $6,
                      retry_at = case when f.at <= $6 - $8 or f.failures < 2 then timestamptz 'epoch' when f.failures + 1 >= $7 then $6 + $8
                          else $6 + least(interval '1 second' * power(3, least(f.failures - 2, 11)), $8) end
                where f.retry_at <= $6
            returning f.source),
        everywhere as (
            insert into flowstone.login_failures as f (tenant_id, account, source, failures, at, retry_at)
            select $1, $2, ''::bytea, 1, $6, timestamptz 'epoch' from attempt where not exists (select from known)
            on conflict (tenant_id, account, source) do update
                  set failures = case when f.at <= $6 - interval '1 hour' then 1 else f.failures + 1 end, at = case when f.at <= $6 - interval '1 hour' then $6 else f.at end,
                      retry_at = case when f.at > $6 - interval '1 hour' and f.failures >= 99 then f.at + interval '1 hour' else timestamptz 'epoch' end
                where f.retry_at <= $6
            returning 1)
        select exists (select from attempt) and (exists (select from known) or exists (select from everywhere)), place.source, exists (select from known),
               (select max(f.retry_at) from flowstone.login_failures f where f.tenant_id = $1 and f.account = $2 and f.source in (place.source, ''::bytea)),
               l.password_hash, l.totp_secret
          from place left join (
               select l.password_hash, case when l.totp_confirmed_at is not null then l.totp_secret end as totp_secret
                 from flowstone.user_logins l join flowstone.users u on u.tenant_id = l.tenant_id and u.id = l.user_id
                where l.tenant_id = $1 and l.user_id = $3 and u.tenant_id = $1 and u.status = 'ACTIVE') l on true
        """;

    /// <param name="TotpSecret">Sealed; null where no code is asked for.</param>
    /// <param name="At">When it was counted.</param>
    public readonly record struct Attempt(byte[] Source, bool KnownDevice, string? PasswordHash, byte[]? TotpSecret, DateTimeOffset At);

    /// <exception cref="TooManyAttemptsException">The password must not be looked at.</exception>
    public static async Task<Attempt> TakeAsync(
        Database app, Limits limits, Id<Tenant> tenant, byte[] account, Id<User>? user, SignInSource source, DateTimeOffset now, CancellationToken cancellationToken)
    {
        Attempt? attempt = null;
        DateTimeOffset? retryAt = null;
        await app.TransactAsync(tenant.ToString(),
            [new Statement(Take, P(tenant), P(account), P(user), P(DeviceHash(source)), P(Hash("place", source.Place)), P(now), P(limits.Failures), P(limits.Lock))], row =>
            {
                retryAt = row.Get<DateTimeOffset?>(3);
                if (row.GetBoolean(0))
                    attempt = new(row.GetFieldValue<byte[]>(1), row.GetBoolean(2), row.Get<string>(4), row.Get<byte[]>(5), now);
            }, cancellationToken);
        return attempt ?? throw new TooManyAttemptsException((retryAt ?? now) - now);
    }

    // The device's count for one that the user has signed in from, else the place's and that of all places.
    const string Counting = """
        with known as materialized (select 1 from flowstone.user_devices d where d.tenant_id = $1 and d.user_id = $3 and d.device_hash = $4),
        counting as materialized (select $4 as source from known union all select unnest(array[$5, ''::bytea]) where not exists (select from known))
        """;

    /// <summary>What counts against the user where the source is.</summary>
    public static async Task<LoginFailures> FailuresAsync(Database app, Limits limits, Id<Tenant> tenant, byte[] account, Id<User> user, SignInSource source, DateTimeOffset now, CancellationToken cancellationToken)
    {
        const string Find = $"""
            {Counting}
            select coalesce(sum(f.failures) filter (where f.source <> ''::bytea and f.at > $6 - $7), 0)::int, max(f.retry_at) filter (where f.retry_at > $6)
              from flowstone.login_failures f join counting on counting.source = f.source where f.tenant_id = $1 and f.account = $2
            """;
        LoginFailures? found = null;
        await app.TransactAsync(tenant.ToString(), [new Statement(Find, P(tenant), P(account), P(user), P(DeviceHash(source)), P(Hash("place", source.Place)), P(now), P(limits.Lock))],
            row => found = new(row.GetInt32(0), row.Get<DateTimeOffset?>(1)), cancellationToken);
        return found!;
    }

    // What is clear of the lock that this very attempt brought: another's stays.
    const string Undo = """
        update flowstone.login_failures f set failures = failures - 1,
               retry_at = case when (f.source <> ''::bytea and f.at = $4) or (f.source = ''::bytea and f.failures <= 100) then timestamptz 'epoch' else f.retry_at end
         where f.tenant_id = $1 and f.account = $2 and f.failures > 0 and (f.source = $3 or (f.source = ''::bytea and not $5))
        """;

    /// <summary>The attempt was none; what failed before still counts.</summary>
    public static Statement Undone(Id<Tenant> tenant, byte[] account, Attempt attempt) => new(Undo, P(tenant), P(account), P(attempt.Source), P(attempt.At), P(attempt.KnownDevice));

    /// <summary>The attempt was none, and what failed before from there counts no more.</summary>
    public static IEnumerable<Statement> Succeeded(Id<Tenant> tenant, byte[] account, Attempt attempt) =>
        [Undone(tenant, account, attempt), new("delete from flowstone.login_failures where tenant_id = $1 and account = $2 and source = $3", P(tenant), P(account), P(attempt.Source))];

    /// <summary>What failed where the source is counts no more.</summary>
    public static Task ClearAsync(Database app, Id<Tenant> tenant, byte[] account, Id<User> user, SignInSource source, CancellationToken cancellationToken)
    {
        const string Clear = $"""
            {Counting}
            delete from flowstone.login_failures f using counting where f.tenant_id = $1 and f.account = $2 and f.source = counting.source and f.source <> ''::bytea
            """;
        return app.TransactAsync(tenant.ToString(), [new Statement(Clear, P(tenant), P(account), P(user), P(DeviceHash(source)), P(Hash("place", source.Place)))], read: null, cancellationToken);
    }

    public static byte[]? DeviceHash(SignInSource source) => source.Device is { Length: > 0 and <= 100 } device ? Hash("device", device) : null;

    static byte[] Hash(string kind, string text) => SHA256.HashData(Encoding.UTF8.GetBytes($"{kind}:{text}"));
}
