using Flowstone.Data;
using Flowstone.Permissions;
using Flowstone.Tenancy;
using Microsoft.EntityFrameworkCore;
using static Flowstone.Data.Sql;

namespace Flowstone.Users;

/// <summary>Keeps the teams of a tenant and who is in them. All users may know of them; changes are for their owners and admins.</summary>
public sealed class TeamRepository
{
    readonly TenantDatabase database;
    readonly AccessRule access;
    readonly TimeProvider clock;

    internal TeamRepository(TenantDatabase database, AccessRule access, TimeProvider clock) => (this.database, this.access, this.clock) = (database, access, clock);

    /// <summary>Makes a team with its first member, the owner: oneself, unless an administrator says who.</summary>
    /// <exception cref="AccessDeniedException">The actor only reads, or makes somebody else an owner.</exception>
    /// <exception cref="InvalidInputException">The owner is not a user of this tenant.</exception>
    public async Task<Team> CreateAsync(string name, string? description, Id<User> owner, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(AccessLevel.Write, cancellationToken);
        await access.RequireSelfAsync(owner, cancellationToken);
        Check(name, description);
        var now = clock.Now();
        var team = new Team { TenantId = database.TenantId, Id = Id<Team>.New(clock), Name = name, Description = description, CreatedAt = now, UpdatedAt = now };
        await database.ExecuteAsync(
        [
            ("insert into flowstone.teams (tenant_id, id, name, description, created_at, updated_at) values ($1, $2, $3, $4, $5, $5)",
             [P(team.Id), P(name), P(description), P(now)]),
            ("insert into flowstone.team_members (tenant_id, team_id, user_id, role, joined_at) values ($1, $2, $3, 'OWNER', $4)",
             [P(team.Id), P(owner), P(now)]),
        ], cancellationToken);
        return team;
    }

    public async Task<Team?> FindAsync(Id<Team> id, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(AccessLevel.Read, cancellationToken);
        return await database.ReadAsync(db => db.Set<Team>().SingleOrDefaultAsync(t => t.Id == id, cancellationToken));
    }

    /// <summary>A page, newest first, continuing below <paramref name="before"/>.</summary>
    public async Task<List<Team>> ListAsync(Id<Team>? before, int limit, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(AccessLevel.Read, cancellationToken);
        return await database.ReadAsync(db =>
        {
            IQueryable<Team> page = db.Set<Team>();
            if (before is { } last)
                page = page.Where(t => t.Id < last);
            return page.OrderByDescending(t => t.Id).Take(limit).ToListAsync(cancellationToken);
        });
    }

    /// <param name="name">Null leaves it, as for <paramref name="description"/>.</param>
    /// <exception cref="NotFoundException">This tenant has no such team.</exception>
    public async Task UpdateAsync(Id<Team> id, string? name, string? description, CancellationToken cancellationToken = default)
    {
        await RequireAsync(TeamRole.Admin, id, cancellationToken);
        Check(name ?? "unchanged", description);
        const string Update = """
            update flowstone.teams set name = coalesce($3, name), description = coalesce($4, description), updated_at = $5
             where tenant_id = $1 and id = $2
            """;
        if (await database.ExecuteAsync(Update, [P(id), P(name), P(description), P(clock.Now())], cancellationToken) == 0)
            throw new NotFoundException("Team", id);
    }

    /// <summary>For its owners.</summary>
    /// <returns>False if there was no such team.</returns>
    /// <exception cref="InvalidInputException">Workflows still belong to it.</exception>
    public async Task<bool> DeleteAsync(Id<Team> id, CancellationToken cancellationToken = default)
    {
        if (await FindAsync(id, cancellationToken) is null)
            return false;
        await access.RequireAsync(TeamRole.Owner, id, cancellationToken);
        return await database.ExecuteAsync("delete from flowstone.teams where tenant_id = $1 and id = $2", [P(id)], cancellationToken) > 0;
    }

    /// <summary>The members, longest first.</summary>
    public async Task<List<TeamMember>> MembersAsync(Id<Team> id, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(AccessLevel.Read, cancellationToken);
        return await database.ReadAsync(db => db.Set<TeamMember>().Where(m => m.TeamId == id).OrderBy(m => m.JoinedAt).ThenBy(m => m.UserId).ToListAsync(cancellationToken));
    }

    /// <summary>Takes a user into the team, or gives a member another role. For its owners and admins; only owners make owners, and unmake them.</summary>
    /// <exception cref="InvalidInputException">No such team or user in this tenant.</exception>
    /// <exception cref="ConflictException">It would leave the team without an owner.</exception>
    public async Task SetMemberAsync(Id<Team> id, Id<User> userId, TeamRole role, CancellationToken cancellationToken = default)
    {
        const string Upsert = """
            insert into flowstone.team_members (tenant_id, team_id, user_id, role, joined_at) values ($1, $2, $3, $4, $5)
            on conflict (tenant_id, team_id, user_id) do update set role = excluded.role
             where excluded.role = 'OWNER' or exists (
                   select from flowstone.team_members o where o.tenant_id = $1 and o.team_id = $2 and o.user_id <> $3 and o.role = 'OWNER')
            """;
        await RequireOverAsync(id, userId, role, cancellationToken);
        var changed = await database.ExecuteAsync(
            [(LockTeam, [P(id)]), (Upsert, [P(id), P(userId), P(EnumText<TeamRole>.Of(role)), P(clock.Now())])], cancellationToken);
        if (changed[1] == 0)
            throw LastOwner();
    }

    /// <summary>Makes a user an owner, and the one who was one an admin, at once.</summary>
    /// <exception cref="NotFoundException">This tenant has no such team.</exception>
    /// <exception cref="ConflictException">The one is not an owner.</exception>
    /// <exception cref="InvalidInputException">No such team or user in this tenant.</exception>
    public async Task TransferAsync(Id<Team> id, Id<User> from, Id<User> to, CancellationToken cancellationToken = default)
    {
        if (from == to)
            throw new InvalidInputException("to", "is the owner already.");
        await RequireAsync(TeamRole.Owner, id, cancellationToken);
        const string Demote = "update flowstone.team_members set role = 'ADMIN' where tenant_id = $1 and team_id = $2 and user_id = $3 and role = 'OWNER'";
        const string Promote = """
            insert into flowstone.team_members (tenant_id, team_id, user_id, role, joined_at)
            select $1, $2, $3, 'OWNER', $5 where exists (select from flowstone.team_members m where m.tenant_id = $1 and m.team_id = $2 and m.user_id = $4 and m.role = 'OWNER')
            on conflict (tenant_id, team_id, user_id) do update set role = 'OWNER'
            """;
        var changed = await database.ExecuteAsync(
            [(LockTeam, [P(id)]), (Promote, [P(id), P(to), P(from), P(clock.Now())]), (Demote, [P(id), P(from)])], cancellationToken);
        if (changed[1] == 0)
            throw await FindAsync(id, cancellationToken) is null ? new NotFoundException("Team", id) : new ConflictException("That user is not an owner of the team.");
    }

    /// <summary>For the team's owners and admins, and for a member who leaves.</summary>
    /// <returns>False if the user was not in the team.</returns>
    /// <exception cref="ConflictException">The last owner cannot leave.</exception>
    public async Task<bool> RemoveMemberAsync(Id<Team> id, Id<User> userId, CancellationToken cancellationToken = default)
    {
        const string Delete = """
            delete from flowstone.team_members m where m.tenant_id = $1 and m.team_id = $2 and m.user_id = $3
               and (m.role <> 'OWNER' or exists (
                   select from flowstone.team_members o where o.tenant_id = $1 and o.team_id = $2 and o.user_id <> $3 and o.role = 'OWNER'))
            """;
        if (userId == access.Actor.UserId)
            await access.RequireSelfAsync(userId, cancellationToken);
        else
            await RequireOverAsync(id, userId, TeamRole.Member, cancellationToken);
        if ((await database.ExecuteAsync([(LockTeam, [P(id)]), (Delete, [P(id), P(userId)])], cancellationToken))[1] > 0)
            return true;
        return (await MembersAsync(id, cancellationToken)).Exists(m => m.UserId == userId) ? throw LastOwner() : false;
    }

    /// <summary>Admins decide over all but owners.</summary>
    async Task RequireOverAsync(Id<Team> id, Id<User> userId, TeamRole role, CancellationToken cancellationToken)
    {
        await RequireAsync(TeamRole.Admin, id, cancellationToken);
        if (role == TeamRole.Owner || (await MembersAsync(id, cancellationToken)).Exists(m => m.UserId == userId && m.Role == TeamRole.Owner))
            await access.RequireAsync(TeamRole.Owner, id, cancellationToken);
    }

    async Task RequireAsync(TeamRole needed, Id<Team> id, CancellationToken cancellationToken)
    {
        if (await access.MayAsync(needed, id, cancellationToken))
            return;
        if (await FindAsync(id, cancellationToken) is null)
            throw new NotFoundException("Team", id);
        await access.RequireAsync(needed, id, cancellationToken);
    }

    // One change of membership at a time, in a statement of its own: the next one's snapshot then sees what the one before did.
    const string LockTeam = "select 1 from flowstone.teams where tenant_id = $1 and id = $2 for update";

    static ConflictException LastOwner() => new("A team needs an owner: make somebody else an owner first.");

    static void Check(string name, string? description)
    {
        Text.Require("name", name, 255);
        Text.Check("description", description, 2000);
    }
}
