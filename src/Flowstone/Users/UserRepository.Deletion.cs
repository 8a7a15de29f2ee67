using Flowstone.Data;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Users;

public sealed partial class UserRepository
{
    /// <summary>Deletes a user with their sessions, API keys, shares and memberships; and says what becomes of what they own.</summary>
    /// <param name="transferTo">Who gets the user's workflows and credentials, and the teams of which the user is the last owner.</param>
    /// <param name="deleteOwned">
    /// Deletes the user's credentials, workflows with all their versions and executions, and the teams of which the user is the only member. All in one transaction, which takes
    /// about a second per 10,000 executions.
    /// </param>
    /// <returns>False if there was no such user.</returns>
    /// <exception cref="InvalidInputException">The user owns workflows or credentials and nothing is said of them, or both is, or <paramref name="transferTo"/> is no other active user of this tenant.</exception>
    /// <exception cref="ConflictException">The user is the last active administrator, or the last owner of a team that stays; or an execution to be deleted has not ended.</exception>
    public async Task<bool> DeleteAsync(Id<User> id, Id<User>? transferTo = null, bool deleteOwned = false, CancellationToken cancellationToken = default)
    {
        await access.RequireAdministratorAsync(cancellationToken);
        if (transferTo is { } heir && (deleteOwned || heir == id || await FindAsync(heir, cancellationToken) is not { Status: UserStatus.Active }))
            throw new InvalidInputException("transferTo", deleteOwned ? "cannot be with deleteOwned: choose one." : "is not another active user of this tenant.");
        List<(string, NpgsqlParameter[])> statements =
        [
            (LockLogin, [P(id)]),
            (LockAdministrators, []),
            (LockTeams, [P(id)]),
            (LockUser, [P(id)]),
            (Allowed, [P(id), P((string?)null), P("DELETED")]),   // no status: no administrator from now on
        ];
        if (transferTo is { } to)
            statements.AddRange([(TransferWorkflows, [P(id), P(to), P(clock.Now())]), (TransferCredentials, [P(id), P(to), P(clock.Now())]), (TransferTeams, [P(id), P(to), P(clock.Now())])]);
        if (deleteOwned)
            statements.AddRange([(AllEnded, [P(id)]), (DeleteExecutions, [P(id)]), (AllEnded, [P(id)]), (DeleteWorkflows, [P(id)]), (DeleteCredentials, [P(id)]), (LeaveTeams, [P(id)]), (LeaveTeamsWithCredentials, [P(id)]), (DeleteTeams, [P(id)])]);
        statements.AddRange([(FreeNames, [P(id)]), (DeleteUser, [P(id)])]);
        try
        {
            await database.ExecuteAsync(statements, cancellationToken);
            return true;
        }
        catch (ConflictException error) when (PostgresErrors.IsRefusal(error))
        {
            if (await FindAsync(id, cancellationToken) is not { } user)
                return false;
            throw user is { Role: UserRole.Admin, Status: UserStatus.Active } && !await AnotherAdministratorAsync(id, cancellationToken) ? LastAdministrator()
                : deleteOwned && (await database.QueryAsync(Unfinished, [P(id)], row => row.GetInt64(0), cancellationToken))[0] is > 0 and var running
                    ? new ConflictException($"{running} executions of the user's workflows have not ended: cancel them first.")
                : new ConflictException("The user is the last owner of a team: make somebody else an owner, or delete the team, first.");
        }
    }

    // Against whoever gives the user something meanwhile.
    const string LockUser = "select 1 from flowstone.users u where u.tenant_id = $1 and u.id = $2 for update";

    // As TeamRepository does: one change of membership at a time, then a statement that sees what the one before did.
    const string LockTeams = """
        select 1 from flowstone.teams t
         where t.tenant_id = $1 and exists (select from flowstone.team_members m where m.tenant_id = $1 and m.team_id = t.id and m.user_id = $2)
         order by t.id for update
        """;

    const string TransferWorkflows = "update flowstone.workflows w set owner_id = $3, updated_at = $4 where w.tenant_id = $1 and w.owner_id = $2";

    const string TransferCredentials = "update flowstone.credentials c set owner_id = $3, updated_at = $4 where c.tenant_id = $1 and c.owner_id = $2";

    const string TransferTeams = """
        insert into flowstone.team_members as m (tenant_id, team_id, user_id, role, joined_at)
        select o.tenant_id, o.team_id, $3, 'OWNER', $4 from flowstone.team_members o
         where o.tenant_id = $1 and o.user_id = $2 and o.role = 'OWNER' and not exists (
               select from flowstone.team_members a where a.tenant_id = $1 and a.team_id = o.team_id and a.user_id <> $2 and a.role = 'OWNER')
        on conflict (tenant_id, team_id, user_id) do update set role = 'OWNER'
        """;

    const string Unfinished = """
        select count(*) from flowstone.execution_queue q join flowstone.workflows w on w.tenant_id = q.tenant_id and w.id = q.workflow_id
         where q.tenant_id = $1 and w.tenant_id = $1 and w.owner_id = $2
        """;

    // Divides by zero where one has not. Asked again once executions are deleted: one that started in between is among those, and its place in the queue is not. One that
    // starts after that holds its workflow's version, which then cannot be deleted.
    const string AllEnded = $"select 1 / (({Unfinished}) = 0)::int";

    const string DeleteExecutions = """
        with doomed as materialized (
            select e.id from flowstone.workflows w join flowstone.executions e on e.tenant_id = w.tenant_id and e.workflow_id = w.id
             where w.tenant_id = $1 and e.tenant_id = $1 and w.owner_id = $2),
        nodes as (delete from flowstone.node_executions n using doomed d where n.tenant_id = $1 and n.execution_id = d.id),
        bodies as (delete from flowstone.payloads p using doomed d where p.tenant_id = $1 and p.execution_id = d.id),
        attributes as (delete from flowstone.execution_attributes a using doomed d where a.tenant_id = $1 and a.execution_id = d.id),
        signals as (delete from flowstone.execution_signals s using doomed d where s.tenant_id = $1 and s.execution_id = d.id),
        keys as (delete from flowstone.execution_keys k using doomed d where k.tenant_id = $1 and k.execution_id = d.id),
        deltas as (delete from flowstone.execution_deltas x using flowstone.workflows w where x.tenant_id = $1 and x.workflow_id = w.id and w.tenant_id = $1 and w.owner_id = $2),
        sums as (delete from flowstone.execution_statistics x using flowstone.workflows w where x.tenant_id = $1 and x.workflow_id = w.id and w.tenant_id = $1 and w.owner_id = $2),
        limits as (delete from flowstone.execution_limits l using flowstone.workflows w where l.tenant_id = $1 and l.name = 'workflow:' || w.id and w.tenant_id = $1 and w.owner_id = $2)
        delete from flowstone.executions e using doomed d where e.tenant_id = $1 and e.id = d.id
        """;

    const string DeleteWorkflows = "delete from flowstone.workflows w where w.tenant_id = $1 and w.owner_id = $2";

    const string DeleteCredentials = "delete from flowstone.credentials c where c.tenant_id = $1 and c.owner_id = $2";

    // A team that nobody else is in, yet to which somebody's workflow or credential belongs: it stays with its owner.
    const string LeaveTeamsWithCredentials = $"update flowstone.credentials c set team_id = null where c.tenant_id = $1 and c.team_id in ({OnlyTheirs})";
    const string LeaveTeams = $"update flowstone.workflows w set team_id = null where w.tenant_id = $1 and w.team_id in ({OnlyTheirs})";
    const string DeleteTeams = $"delete from flowstone.teams t where t.tenant_id = $1 and t.id in ({OnlyTheirs})";

    const string OnlyTheirs = """
        select m.team_id from flowstone.team_members m where m.tenant_id = $1 and m.user_id = $2
           and not exists (select from flowstone.team_members o where o.tenant_id = $1 and o.team_id = m.team_id and o.user_id <> $2)
        """;

    const string FreeNames = """
        with addresses as (delete from flowstone.user_emails e where e.tenant_id = $1 and e.user_id = $2)
        delete from flowstone.user_external_logins e where e.tenant_id = $1 and e.user_id = $2
        """;

    // Divides by zero where a team would be left without an owner.
    const string DeleteUser = """
        with gone as (delete from flowstone.users u where u.tenant_id = $1 and u.id = $2)
        select 1 / (not exists (
            select from flowstone.team_members m where m.tenant_id = $1 and m.user_id = $2 and m.role = 'OWNER' and not exists (
                   select from flowstone.team_members o where o.tenant_id = $1 and o.team_id = m.team_id and o.user_id <> $2 and o.role = 'OWNER')))::int
        """;
}
