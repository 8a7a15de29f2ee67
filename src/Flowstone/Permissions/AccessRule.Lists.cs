using Flowstone.Executions;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Permissions;

/// <summary>The same rule for long lists of workflows, none of which may cost more the more the actor may see.</summary>
sealed partial class AccessRule
{
    /// <summary>A page of the workflows that the actor may know of: each way gives at most a page, along an index of its own. Null where there is none.</summary>
    /// <param name="columns">Of <c>w</c>, with those that <paramref name="end"/> names.</param>
    /// <param name="conditions">To be put behind others.</param>
    /// <param name="end">Order and limit.</param>
    /// <param name="next">The number of the next parameter of the statement.</param>
    public async ValueTask<(string Sql, NpgsqlParameter[] Parameters)?> PageAsync(string columns, string conditions, string end, int next, CancellationToken cancellationToken)
    {
        var (all, limit) = await LimitAsync(cancellationToken);
        if (limit == AccessLevel.None)
            return null;
        if (all)
            return ($"select {columns} from flowstone.workflows w where w.tenant_id = $1{conditions} {end}", []);
        var (user, now) = ($"${next}", $"${next + 1}");
        return ($"""
            select * from (
                (select {columns} from flowstone.workflows w where w.tenant_id = $1 and w.owner_id = {user}{conditions} {end})
                union
                (select p.* from flowstone.team_members m cross join lateral (
                    select {columns} from flowstone.workflows w where w.tenant_id = $1 and w.team_id = m.team_id and w.visibility <> 'PRIVATE'{conditions} {end}) p
                  where m.tenant_id = $1 and m.user_id = {user})
                union
                (select {columns} from flowstone.workflow_shares s join flowstone.workflows w on w.tenant_id = s.tenant_id and w.id = s.workflow_id
                  where s.tenant_id = $1 and w.tenant_id = $1 and s.user_id = {user} and coalesce(s.expires_at, 'infinity') > coalesce({now}, now()){conditions} {end})
                union
                (select {columns} from flowstone.workflows w where w.tenant_id = $1 and w.visibility = 'PUBLIC'{conditions} {end})) w
             {end}
            """, [P(actor.UserId), P(ExecutionRepository.DatabaseNow(clock))]);
    }

    /// <summary>The ids of the workflows that the actor may know of, as an array; SQL's null is all of the tenant's. Null where there is none.</summary>
    /// <param name="next">The number of the next parameter of the statement.</param>
    public async ValueTask<(string Sql, NpgsqlParameter[] Parameters)?> ReachAsync(int next, CancellationToken cancellationToken)
        => await LimitAsync(cancellationToken) switch
        {
            (_, AccessLevel.None) => null,
            (true, _) => ("null", []),
            _ => ($"array(select a.id from ({Ways("$1", $"${next}", $"${next + 1}")}) a)", [P(actor.UserId), P(ExecutionRepository.DatabaseNow(clock))]),
        };

    /// <summary>As <see cref="FilterAsync"/>, but asks for each row, by key: for a list that finds few rows among the many that the actor may reach.</summary>
    /// <inheritdoc cref="FilterAsync" path="/param"/>
    public async ValueTask<(string Sql, NpgsqlParameter[] Parameters)> EachAsync(AccessLevel needed, string column, int next, CancellationToken cancellationToken)
        => await LimitAsync(cancellationToken) switch
        {
            (_, var limit) when limit < needed => (" and false", []),
            (true, _) => ("", []),
            _ => ($" and (select true from ({Ways("$1", $"${next}", $"${next + 1}")}) a where a.id = {column} and a.level >= {(int)needed} limit 1)",
                [P(actor.UserId), P(ExecutionRepository.DatabaseNow(clock))]),
        };
}
