using Flowstone.Data;
using Flowstone.Permissions;
using Flowstone.Tenancy;
using static Flowstone.Data.Sql;

namespace Flowstone.Users;

/// <summary>A device that is signed in.</summary>
/// <param name="Id">The first half of its token's hash.</param>
/// <param name="LastUsedAt">To the minute.</param>
public sealed record Session(Id<Session> Id, DateTimeOffset CreatedAt, DateTimeOffset LastUsedAt, DateTimeOffset ExpiresAt, string? Address, string? Agent);

/// <summary>The devices on which a user is signed in. For the user and for administrators.</summary>
public sealed class SessionRepository
{
    readonly TenantDatabase database;
    readonly AccessRule access;
    readonly TimeProvider clock;

    internal SessionRepository(TenantDatabase database, AccessRule access, TimeProvider clock) => (this.database, this.access, this.clock) = (database, access, clock);

    /// <summary>Those that have not ended, last used first.</summary>
    /// <exception cref="AccessDeniedException">It is another user.</exception>
    public async Task<List<Session>> ListAsync(Id<User> user, CancellationToken cancellationToken = default)
    {
        await access.RequireSelfAsync(user, cancellationToken);
        const string List = """
            select token_hash, created_at, last_used_at, expires_at, address, agent from flowstone.user_sessions
             where tenant_id = $1 and user_id = $2 and expires_at > $3 and last_used_at > $4 order by last_used_at desc, token_hash
            """;
        var now = clock.Now();
        return await database.QueryAsync(List, [P(user), P(now), P(now - SignIn.IdleLength)], row => new Session(IdOf(row.GetFieldValue<byte[]>(0)),
            row.GetFieldValue<DateTimeOffset>(1), row.GetFieldValue<DateTimeOffset>(2), row.GetFieldValue<DateTimeOffset>(3), row.Get<string>(4), row.Get<string>(5)), cancellationToken);
    }

    /// <summary>Ends one.</summary>
    /// <returns>False if the user has none of that id.</returns>
    /// <exception cref="AccessDeniedException">It is another user.</exception>
    public async Task<bool> RevokeAsync(Id<User> user, Id<Session> session, CancellationToken cancellationToken = default)
    {
        await access.RequireSelfAsync(user, cancellationToken);
        return await database.ExecuteAsync("delete from flowstone.user_sessions where tenant_id = $1 and user_id = $2 and substring(token_hash for 16) = $3",
            [P(user), P(session.Value.ToByteArray())], cancellationToken) > 0;
    }

    /// <summary>Ends all, so that the user must sign in again everywhere, and forgets from where they did.</summary>
    /// <param name="exceptToken">The token of one that goes on; null ends that, too.</param>
    /// <returns>How many ended.</returns>
    /// <exception cref="AccessDeniedException">It is another user.</exception>
    public async Task<int> RevokeAllAsync(Id<User> user, string? exceptToken = null, CancellationToken cancellationToken = default)
    {
        await access.RequireSelfAsync(user, cancellationToken);
        byte[] kept = exceptToken is not null && SecretToken.TryRead(exceptToken, out _, out var hash) ? hash : [];
        return (await database.ExecuteAsync(
        [
            ("delete from flowstone.user_sessions where tenant_id = $1 and user_id = $2 and token_hash <> $3", [P(user), P(kept)]),
            ("delete from flowstone.user_devices where tenant_id = $1 and user_id = $2", [P(user)]),
        ], cancellationToken))[0];
    }

    /// <summary>The session of a token, to tell it from the others in the list; null if it is no token.</summary>
    public static Id<Session>? Of(string token) => SecretToken.TryRead(token, out _, out var hash) ? IdOf(hash) : null;

    static Id<Session> IdOf(byte[] tokenHash) => new(new Guid(tokenHash.AsSpan(0, 16)));
}
