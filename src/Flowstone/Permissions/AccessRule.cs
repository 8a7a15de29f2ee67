using Flowstone.Data;
using Flowstone.Executions;
using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Permissions;

/// <summary>How far somebody may go with a workflow and its executions. Each level includes those before it.</summary>
public enum AccessLevel
{
    None,

    /// <summary>See the workflow and its versions, but not its executions: what PUBLIC gives to everybody of the tenant.</summary>
    View,

    /// <summary>See its executions and what they brought.</summary>
    Read,

    /// <summary>Start, cancel and retry executions, and send them signals.</summary>
    Execute,

    /// <summary>Change the workflow, pause it and limit it.</summary>
    Write,

    /// <summary>Share it, delete it and set who sees it.</summary>
    Admin,
}

/// <summary>
/// The one rule of who may do what (docs/access.md): asked by every repository of a tenant, for single rows before the statement, for lists within
/// it. System jobs and administrators may do everything in the tenant, viewers only read, whatever else they were given.
/// </summary>
sealed partial class AccessRule(TenantDatabase database, Actor actor, TimeProvider clock)
{
    const string AdministratorsOnly = "Only administrators may do this.";

    UserRole? role = actor.Role;
    bool known = actor.UserId is null || actor.Role is not null;

    public Actor Actor => actor;

    /// <summary>The ways to a workflow, with the level that each gives: by their own index each, and never by "or". Also to those in the trash.</summary>
    /// <param name="tenant">A place of a parameter, as the others are; the last is a time, or null for the database's.</param>
    static string Ways(string tenant, string user, string now) => $"""
        select w.id, 5 as level from flowstone.workflows w where w.tenant_id = {tenant} and w.owner_id = {user}
        union all
        select w.id, case m.role when 'VIEWER' then 2 when 'MEMBER' then 4 else 5 end from flowstone.team_members m
          join flowstone.workflows w on w.tenant_id = m.tenant_id and w.team_id = m.team_id
         where m.tenant_id = {tenant} and w.tenant_id = {tenant} and m.user_id = {user} and w.visibility <> 'PRIVATE'
        union all
        select s.workflow_id, case s.level when 'READ' then 2 when 'EXECUTE' then 3 when 'WRITE' then 4 else 5 end from flowstone.workflow_shares s
         where s.tenant_id = {tenant} and s.user_id = {user} and coalesce(s.expires_at, 'infinity') > coalesce({now}, now())
        union all
        select w.id, 1 from flowstone.workflows w where w.tenant_id = {tenant} and w.visibility = 'PUBLIC'
        """;

    /// <summary>Whether the actor reaches all of the tenant, and what nothing can go beyond: of the role, and of the key that acts for the user.</summary>
    async ValueTask<(bool All, AccessLevel Limit)> LimitAsync(CancellationToken cancellationToken)
    {
        if (!known)
        {
            var found = await database.QueryAsync("select role from flowstone.users where tenant_id = $1 and id = $2 and status = 'ACTIVE'", [P(actor.UserId)],
                row => EnumText<UserRole>.Parse(row.GetString(0)), cancellationToken);
            (role, known) = (found is [var one] ? one : null, true);
        }
        var limit = (actor.UserId, role) switch
        {
            (null, _) or (_, UserRole.Admin or UserRole.User) => AccessLevel.Admin,
            (_, UserRole.Viewer) => AccessLevel.Read,
            _ => AccessLevel.None,   // not there, or not active
        };
        return (actor.UserId is null || role == UserRole.Admin, limit < actor.Limit ? limit : actor.Limit);
    }

    /// <exception cref="AccessDeniedException">Neither an administrator nor a job.</exception>
    public async ValueTask RequireAdministratorAsync(CancellationToken cancellationToken)
    {
        if (!await IsAdministratorAsync(cancellationToken))
            throw new AccessDeniedException(AdministratorsOnly);
    }

    /// <summary>An administrator, or a job.</summary>
    public async ValueTask<bool> IsAdministratorAsync(CancellationToken cancellationToken) => await LimitAsync(cancellationToken) is (true, AccessLevel.Admin);

    /// <summary>For what needs no more than to be a user of the tenant, and not one who only reads.</summary>
    /// <exception cref="AccessDeniedException">The role does not allow it.</exception>
    public async ValueTask RequireAsync(AccessLevel needed, CancellationToken cancellationToken)
    {
        if (await LimitAsync(cancellationToken) is var (_, limit) && limit < needed)
            throw Denied(needed, limit);
    }

    /// <summary>Whether the role, and the key that acts for the user, allow as much at all: with what is one's own, that is.</summary>
    public async ValueTask<bool> MayAsync(AccessLevel needed, CancellationToken cancellationToken) => await LimitAsync(cancellationToken) is var (_, limit) && limit >= needed;

    /// <summary>A user's own affairs, and an administrator's. A key has none of its own.</summary>
    /// <exception cref="AccessDeniedException">It is somebody else's.</exception>
    public async ValueTask RequireSelfAsync(Id<User> user, CancellationToken cancellationToken)
    {
        if (user != actor.UserId || actor.Limit < AccessLevel.Admin || await LimitAsync(cancellationToken) is (_, AccessLevel.None))
            await RequireAdministratorAsync(cancellationToken);
    }

    /// <exception cref="NotFoundException">The actor may not even know of the workflow, or there is none.</exception>
    /// <exception cref="AccessDeniedException">The actor knows of it, but may not do this.</exception>
    public async ValueTask RequireAsync(AccessLevel needed, Id<Workflow> workflow, CancellationToken cancellationToken)
    {
        if (await LevelAsync(workflow, cancellationToken) is var level && level < needed)
            throw level < AccessLevel.View ? new NotFoundException("Workflow", workflow) : Denied(needed, level);
    }

    /// <inheritdoc cref="RequireAsync(AccessLevel, Id{Workflow}, CancellationToken)"/>
    public async ValueTask RequireAsync(AccessLevel needed, Id<Execution> execution, CancellationToken cancellationToken)
    {
        if (await LevelAsync(execution, cancellationToken) is var level && level < needed)
            throw level < AccessLevel.Read ? new NotFoundException("Execution", execution) : Denied(needed, level);
    }

    /// <summary>Whether the actor may know of it.</summary>
    public async ValueTask<bool> MayAsync(AccessLevel needed, Id<Workflow> workflow, CancellationToken cancellationToken)
        => await LevelAsync(workflow, cancellationToken) >= needed;

    /// <inheritdoc cref="MayAsync(AccessLevel, Id{Workflow}, CancellationToken)"/>
    public async ValueTask<bool> MayAsync(AccessLevel needed, Id<Execution> execution, CancellationToken cancellationToken)
        => await LevelAsync(execution, cancellationToken) >= needed;

    async ValueTask<AccessLevel> LevelAsync(Id<Workflow> workflow, CancellationToken cancellationToken)
    {
        // What is in the trash is not there for anybody, but by the methods for it; whoever may do everything could otherwise change it.
        const string Exists = "select 1 from flowstone.workflows w where w.tenant_id = $1 and w.id = $2 and w.deleted_at is null";
        if (await LimitAsync(cancellationToken) is (true, var limit))
            return (await database.QueryAsync(Exists, [P(workflow)], row => row.GetInt32(0), cancellationToken)).Count == 0 ? AccessLevel.None : limit;
        return await LevelAsync($"select max(a.level) from ({Ways("$1", "$2", "$3")}) a where a.id = $4 and exists (select from flowstone.workflows w where w.tenant_id = $1 and w.id = $4 and w.deleted_at is null)", P(workflow), cancellationToken);
    }

    /// <summary>For the executions of a workflow, which stay when it is in the trash.</summary>
    /// <exception cref="NotFoundException">The actor may not even know of the workflow.</exception>
    /// <exception cref="AccessDeniedException">The actor knows of it, but may not do this.</exception>
    public async ValueTask RequireForExecutionsAsync(AccessLevel needed, Id<Workflow> workflow, CancellationToken cancellationToken)
    {
        if (await LevelAsync($"select max(a.level) from ({Ways("$1", "$2", "$3")}) a where a.id = $4", P(workflow), cancellationToken) is var level && level < needed)
            throw level < AccessLevel.View ? new NotFoundException("Workflow", workflow) : Denied(needed, level);
    }

    /// <summary>For what is in the trash, and for whoever might delete it alone.</summary>
    /// <exception cref="NotFoundException">There is none, or it is not the actor's to delete.</exception>
    public async ValueTask RequireTrashAsync(Id<Workflow> workflow, CancellationToken cancellationToken)
    {
        var trash = await TrashAsync(cancellationToken);
        if (!await database.ReadAsync(db => trash(db).AnyAsync(w => w.Id == workflow, cancellationToken)))
            throw new NotFoundException("Workflow in the trash", workflow);
    }

    // An execution is its workflow's.
    ValueTask<AccessLevel> LevelAsync(Id<Execution> execution, CancellationToken cancellationToken)
        => LevelAsync($"""
            select max(a.level) from ({Ways("$1", "$2", "$3")}) a
             where a.id = (select e.workflow_id from flowstone.executions e where e.tenant_id = $1 and e.id = $4)
            """, P(execution), cancellationToken);

    async ValueTask<AccessLevel> LevelAsync(string sql, NpgsqlParameter id, CancellationToken cancellationToken)
    {
        var (all, limit) = await LimitAsync(cancellationToken);
        if (all || limit == AccessLevel.None)
            return limit;
        var given = (await database.QueryAsync(sql, [P(actor.UserId), P(ExecutionRepository.DatabaseNow(clock)), id], row => (AccessLevel)row.Get<int>(0), cancellationToken)).Single();
        return given < limit ? given : limit;
    }

    /// <summary>Whether the actor has at least this role in the team; administrators have all.</summary>
    public async ValueTask<bool> MayAsync(TeamRole needed, Id<Team> team, CancellationToken cancellationToken)
    {
        var (all, limit) = await LimitAsync(cancellationToken);
        var enough = limit >= (needed >= TeamRole.Member ? AccessLevel.Write : AccessLevel.Admin);
        if (all || !enough)
            return enough;
        var role = await database.QueryAsync("select role from flowstone.team_members where tenant_id = $1 and team_id = $2 and user_id = $3", [P(team), P(actor.UserId)],
            row => EnumText<TeamRole>.Parse(row.GetString(0)), cancellationToken);
        return role is [var one] && one <= needed;   // the owner is the first
    }

    /// <exception cref="AccessDeniedException">The actor has not that role in the team.</exception>
    public async ValueTask RequireAsync(TeamRole needed, Id<Team> team, CancellationToken cancellationToken)
    {
        if (!await MayAsync(needed, team, cancellationToken))
            throw new AccessDeniedException($"This needs the role {EnumText<TeamRole>.Of(needed)} in the team. Ask one of its owners or an administrator.");
    }

    /// <summary>
    /// For a list of executions: a condition on its column of workflows, to be put behind others, with its two parameters, or none where everything is allowed. They stay when
    /// their workflow is in the trash.
    /// </summary>
    /// <param name="next">The number of the next parameter of the statement.</param>
    public async ValueTask<(string Sql, NpgsqlParameter[] Parameters)> ExecutionFilterAsync(AccessLevel needed, string column, int next, CancellationToken cancellationToken)
        => await LimitAsync(cancellationToken) switch
        {
            (_, var limit) when limit < needed => (" and false", []),
            (true, _) => ("", []),
            _ => ($" and {column} in (select a.id from ({Ways("$1", $"${next}", $"${next + 1}")}) a where a.level >= {(int)needed})",
                [P(actor.UserId), P(ExecutionRepository.DatabaseNow(clock))]),
        };

    static readonly string Reachable = "select w.* from flowstone.workflows w where w.tenant_id = {0} and w.deleted_at is null and w.id in (select a.id from (" + Ways("{0}", "{1}", "{2}") + ") a)";

    /// <summary>The workflows that the actor may know of, for LINQ.</summary>
    public async ValueTask<Func<FlowstoneDb, IQueryable<Workflow>>> WorkflowsAsync(CancellationToken cancellationToken)
        => await LimitAsync(cancellationToken) switch
        {
            (_, AccessLevel.None) => db => db.Set<Workflow>().Where(w => false),
            (true, _) => db => db.Set<Workflow>().Where(w => w.DeletedAt == null),
            _ => db => db.Set<Workflow>().FromSqlRaw(Reachable, database.TenantId.Value, actor.UserId!.Value.Value, TimeOrNull()),
        };

    static readonly string InTrash = "select w.* from flowstone.workflows w where w.tenant_id = {0} and w.deleted_at is not null and w.id in (select a.id from (" + Ways("{0}", "{1}", "{2}") + ") a where a.level = 5)";

    /// <summary>What is in the trash, and might have been put there by the actor.</summary>
    public async ValueTask<Func<FlowstoneDb, IQueryable<Workflow>>> TrashAsync(CancellationToken cancellationToken)
        => await LimitAsync(cancellationToken) switch
        {
            (_, < AccessLevel.Admin) => db => db.Set<Workflow>().Where(w => false),
            (true, _) => db => db.Set<Workflow>().Where(w => w.DeletedAt != null),
            _ => db => db.Set<Workflow>().FromSqlRaw(InTrash, database.TenantId.Value, actor.UserId!.Value.Value, TimeOrNull()),
        };

    NpgsqlParameter TimeOrNull() => new() { Value = (object?)ExecutionRepository.DatabaseNow(clock) ?? DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.TimestampTz };

    static AccessDeniedException Denied(AccessLevel needed, AccessLevel level)
        => new($"This needs {EnumText<AccessLevel>.Of(needed)}; you have {EnumText<AccessLevel>.Of(level)}. Ask its owner or an administrator.");
}
