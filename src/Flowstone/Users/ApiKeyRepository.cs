using System.Security.Cryptography;
using Flowstone.Data;
using Flowstone.Permissions;
using Flowstone.Tenancy;
using Microsoft.EntityFrameworkCore;
using static Flowstone.Data.Sql;

namespace Flowstone.Users;

/// <summary>Keeps the API keys of users. Each has their own; administrators see and delete all.</summary>
public sealed class ApiKeyRepository
{
    readonly TenantDatabase database;
    readonly AccessRule access;
    readonly TimeProvider clock;

    internal ApiKeyRepository(TenantDatabase database, AccessRule access, TimeProvider clock) => (this.database, this.access, this.clock) = (database, access, clock);

    /// <summary>Makes a key that acts for the user.</summary>
    /// <returns>The key, which is stored as a hash only and cannot be shown again.</returns>
    /// <exception cref="NotFoundException">This tenant has no such user.</exception>
    /// <exception cref="AccessDeniedException">It is another user, or the scope WORK and the actor no administrator.</exception>
    /// <exception cref="InvalidInputException">No scope, a limit that is none, or a time that has passed.</exception>
    public async Task<(string Key, ApiKey Stored)> CreateAsync(Id<User> user, NewApiKey request, CancellationToken cancellationToken = default)
    {
        await access.RequireSelfAsync(user, cancellationToken);
        if (request.Scopes.Contains(ApiScope.Work))
            await access.RequireAdministratorAsync(cancellationToken);
        Text.Require("name", request.Name, 255);
        var now = clock.Now();
        if (request.Scopes.Count == 0)
            throw new InvalidInputException("scopes", "is empty; at least one is needed.");
        if (request.RateLimit is < 1 or > 1_000_000)
            throw new InvalidInputException("rateLimit", "must be 1 to 1,000,000.");
        if (request.ExpiresAt <= now)
            throw new InvalidInputException("expiresAt", "has passed.");
        var (token, hash) = SecretToken.New(database.TenantId);
        var prefix = $"{ApiKeys.Beginning}{RandomNumberGenerator.GetString("abcdefghijkmnpqrstuvwxyz23456789", ApiKeys.PrefixLength - ApiKeys.Beginning.Length)}";
        var key = new ApiKey
        {
            TenantId = database.TenantId,
            Id = Id<ApiKey>.New(clock),
            UserId = user,
            Name = request.Name,
            Prefix = prefix,
            Scopes = [.. request.Scopes.Distinct().Order()],
            RateLimit = request.RateLimit,
            CreatedAt = now,
            ExpiresAt = request.ExpiresAt?.ToUniversalTime(),
        };
        const string Insert = """
            insert into flowstone.api_keys (tenant_id, id, user_id, name, prefix, key_hash, scopes, rate_limit, created_at, expires_at)
            select tenant_id, $3, id, $4, $5, $6, $7, $8, $9, $10 from flowstone.users where tenant_id = $1 and id = $2
            """;
        if (await database.ExecuteAsync(Insert, [P(user), P(key.Id), P(key.Name), P(prefix), P(hash), P(key.Scopes.Select(EnumText<ApiScope>.Of).ToArray()), P(key.RateLimit), P(now), P(key.ExpiresAt)],
            cancellationToken) == 0)
            throw new NotFoundException("User", user);
        return ($"{prefix}_{token}", key);
    }

    /// <summary>The user's keys, newest first, expired ones among them.</summary>
    /// <exception cref="AccessDeniedException">It is another user.</exception>
    public async Task<List<ApiKey>> ListAsync(Id<User> user, CancellationToken cancellationToken = default)
    {
        await access.RequireSelfAsync(user, cancellationToken);
        return await database.ReadAsync(db => db.Set<ApiKey>().Where(k => k.UserId == user).OrderByDescending(k => k.Id).ToListAsync(cancellationToken));
    }

    /// <summary>From now on it is nobody's.</summary>
    /// <returns>False if the user has none of that id.</returns>
    /// <exception cref="AccessDeniedException">It is another user.</exception>
    public async Task<bool> DeleteAsync(Id<User> user, Id<ApiKey> id, CancellationToken cancellationToken = default)
    {
        await access.RequireSelfAsync(user, cancellationToken);
        return await database.ExecuteAsync("delete from flowstone.api_keys where tenant_id = $1 and user_id = $2 and id = $3", [P(user), P(id)], cancellationToken) > 0;
    }
}
