using Flowstone.Executions;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Permissions;

/// <summary>The same rule for long lists of workflows, none of which may cost more the more the actor may see.</summary>
sealed partial class AccessRule
{
    /// <summary>A page of the workflows that the actor may know of: each way gives at most a page, along an index of its own. Null where there is none.</summary>
    /// <param name="columns">Of <c>w</c>.</param>
    /// <param name="conditions">To be put behind others.</param>
    /// <param name="end">Order, by id or last change, and limit.</param>
    /// <param name="next">The number of the next parameter of the statement.</param>
    public async ValueTask<(string Sql, NpgsqlParameter[] Parameters)?> PageAsync(string columns, string conditions, string end, int next, CancellationToken cancellationToken)
    {
        var (all, limit) = await LimitAsync(cancellationToken);
        if (limit == AccessLevel.None)
            return null;
        if (all)
            return ($"select {columns} from flowstone.workflows w where w.tenant_id = $1{conditions} {end}", []);
        var (user, now) = ($"${next}", $"${next + 1}");

        // The ids first: what two ways lead to is told apart by it, and only what is on the page is read whole.
        const string Place = "w.id, w.updated_at";
        return ($"""
            select {columns} from (
                select * from (
                    (select {Place} from flowstone.workflows w where w.tenant_id = $1 and w.owner_id = {user}{conditions} {end})
                    union
                    (select p.* from flowstone.team_members m cross join lateral (
                        select {Place} from flowstone.workflows w where w.tenant_id = $1 and w.team_id = m.team_id and w.visibility <> 'PRIVATE'{conditions} {end}) p
                      where m.tenant_id = $1 and m.user_id = {user})
                    union
                    (select {Place} from flowstone.workflow_shares s join flowstone.workflows w on w.tenant_id = s.tenant_id and w.id = s.workflow_id
                      where s.tenant_id = $1 and w.tenant_id = $1 and s.user_id = {user} and coalesce(s.expires_at, 'infinity') > coalesce({now}, now()){conditions} {end})
                    union
                    (select {Place} from flowstone.workflows w where w.tenant_id = $1 and w.visibility = 'PUBLIC'{conditions} {end})) w
                 {end}) p
              join flowstone.workflows w on w.id = p.id where w.tenant_id = $1 {end}
            """, [P(actor.UserId), P(ExecutionRepository.DatabaseNow(clock))]);
    }

    /// <summary>The ids of the workflows that the actor may know of, as an array; SQL's null is all of the tenant's. Null where there is none.</summary>
    /// <param name="next">The number of the next parameter of the statement.</param>
    public async ValueTask<(string Sql, NpgsqlParameter[] Parameters)?> ReachAsync(int next, CancellationToken cancellationToken)
        => await LimitAsync(cancellationToken) switch
        {
            (_, AccessLevel.None) => null,
            (true, _) => ("null", []),
            _ => ($"array(select distinct a.id from ({Ways("$1", $"${next}", $"${next + 1}")}) a)", [P(actor.UserId), P(ExecutionRepository.DatabaseNow(clock))]),
        };

    /// <summary>
    /// For a list that comes by another index than the ways. <c>Sql</c> is a condition on rows of workflows, <c>w</c>, that are read anyhow: whether the actor may know of each.
    /// <c>Few</c> is one row, <c>f</c>, with the <c>ids</c>, some of them twice; SQL's null where they are more than a thousand. Null where the actor reaches all.
    /// </summary>
    /// <param name="next">The number of the next parameter of the statement.</param>
    public async ValueTask<(string Sql, string? Few, NpgsqlParameter[] Parameters)> RowsAsync(int next, CancellationToken cancellationToken)
    {
        var (all, limit) = await LimitAsync(cancellationToken);
        if (all || limit == AccessLevel.None)
            return (all && limit > AccessLevel.None ? "" : " and false", null, []);
        var (user, now) = ($"${next}", $"${next + 1}");
        return ($"""
             and (w.owner_id = {user} or w.visibility = 'PUBLIC'
                  or (w.visibility <> 'PRIVATE' and w.team_id in (select m.team_id from flowstone.team_members m where m.tenant_id = $1 and m.user_id = {user}))
                  or w.id in (select s.workflow_id from flowstone.workflow_shares s
                               where s.tenant_id = $1 and s.user_id = {user} and coalesce(s.expires_at, 'infinity') > coalesce({now}, now())))
            """, $"""
            (select case when cardinality(r.ids) <= 1000 then r.ids end as ids from (select array(select a.id from ({Ways("$1", user, now)}) a limit 1001) as ids offset 0) r offset 0) f
            """, [P(actor.UserId), P(ExecutionRepository.DatabaseNow(clock))]);
    }
}
