using Flowstone.Credentials;
using Flowstone.Data;
using Flowstone.Executions;
using Microsoft.EntityFrameworkCore;
using static Flowstone.Data.Sql;

namespace Flowstone.Permissions;

/// <summary>The rule for credentials: the same ways, and rights that can be given one by one.</summary>
sealed partial class AccessRule
{
    const string Uncounted = "s.max_uses is null";

    /// <param name="shares">Which shares count.</param>
    static string CredentialWays(string tenant, string user, string now, string shares = "true") => $"""
        select c.id, array['ADMIN'] as rights from flowstone.credentials c where c.tenant_id = {tenant} and c.owner_id = {user}
        union all
        select c.id, case m.role when 'VIEWER' then array['READ'] when 'MEMBER' then array['READ', 'USE'] else array['ADMIN'] end from flowstone.team_members m
          join flowstone.credentials c on c.tenant_id = m.tenant_id and c.team_id = m.team_id
         where m.tenant_id = {tenant} and c.tenant_id = {tenant} and m.user_id = {user} and c.visibility <> 'PRIVATE'
        union all
        select s.credential_id, s.rights from flowstone.credential_shares s
         where s.tenant_id = {tenant} and s.user_id = {user} and coalesce(s.expires_at, 'infinity') > coalesce({now}, now()) and {shares}
        union all
        select c.id, array['READ', 'USE'] from flowstone.credentials c where c.tenant_id = {tenant} and c.visibility = 'PUBLIC'
        """;

    /// <summary>Whether $2, at the time $3, may use the credential $4, however often. Shares that count their uses are not among the ways.</summary>
    public static readonly string MayUse = $"exists (select from ({CredentialWays("$1", "$2", "$3", Uncounted)}) a where a.id = $4 and a.rights && array['USE', 'ADMIN'])";

    static bool Includes(AccessLevel limit, CredentialRight right) => right switch
    {
        CredentialRight.Read => limit >= AccessLevel.View,
        CredentialRight.Use => limit >= AccessLevel.Execute,
        CredentialRight.Edit => limit >= AccessLevel.Write,
        _ => limit >= AccessLevel.Admin,
    };

    /// <summary>For a statement that asks itself: whether the actor has this right to all credentials, or might have it to some.</summary>
    /// <exception cref="AccessDeniedException">The role, or the key, does not allow it for any.</exception>
    public async ValueTask<bool> ReachesAllAsync(CredentialRight needed, CancellationToken cancellationToken)
    {
        var (all, limit) = await LimitAsync(cancellationToken);
        return Includes(limit, needed) ? all : throw Denied(needed, []);
    }

    /// <exception cref="NotFoundException">The actor may not even know of the credential, or there is none.</exception>
    /// <exception cref="AccessDeniedException">The actor knows of it, but may not do this.</exception>
    public async ValueTask RequireAsync(CredentialRight needed, Id<Credential> credential, CancellationToken cancellationToken)
    {
        var rights = await RightsAsync(credential, cancellationToken);
        if (rights.Count == 0)
            throw new NotFoundException("Credential", credential);
        if (!rights.Contains(needed))
            throw Denied(needed, rights);
    }

    /// <summary>What the actor may do with it; nothing where they may not know of it. Administrators and jobs may do everything, also with what is not there.</summary>
    public async ValueTask<IReadOnlyCollection<CredentialRight>> RightsAsync(Id<Credential> credential, CancellationToken cancellationToken)
    {
        var (all, limit) = await LimitAsync(cancellationToken);
        var given = all ? [CredentialRight.Admin] : limit == AccessLevel.None ? [] : await database.QueryAsync(
            $"select distinct r from ({CredentialWays("$1", "$2", "$3")}) a, unnest(a.rights) r where a.id = $4",
            [P(actor.UserId), P(ExecutionRepository.DatabaseNow(clock)), P(credential)], row => EnumText<CredentialRight>.Parse(row.GetString(0)), cancellationToken);
        IEnumerable<CredentialRight> rights = given.Contains(CredentialRight.Admin) ? Enum.GetValues<CredentialRight>() : given.Count == 0 ? [] : [CredentialRight.Read, .. given];
        return rights.Where(right => Includes(limit, right)).ToHashSet();
    }

    static readonly string ReachableCredentials = "select c.* from flowstone.credentials c where c.tenant_id = {0} and c.id in (select a.id from (" + CredentialWays("{0}", "{1}", "{2}") + ") a)";

    /// <summary>The credentials that the actor may know of, for LINQ.</summary>
    public async ValueTask<Func<FlowstoneDb, IQueryable<Credential>>> CredentialsAsync(CancellationToken cancellationToken)
        => await LimitAsync(cancellationToken) switch
        {
            (_, AccessLevel.None) => db => db.Set<Credential>().Where(c => false),
            (true, _) => db => db.Set<Credential>(),
            _ => db => db.Set<Credential>().FromSqlRaw(ReachableCredentials, database.TenantId.Value, actor.UserId!.Value.Value, TimeOrNull()),
        };

    static AccessDeniedException Denied(CredentialRight needed, IReadOnlyCollection<CredentialRight> rights)
        => new($"This needs {EnumText<CredentialRight>.Of(needed)}; you have {(rights.Count == 0 ? "nothing of the kind" : string.Join(", ", rights.Order().Select(EnumText<CredentialRight>.Of)))}. Ask its owner or an administrator.");
}
