using Flowstone.Data;
using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;
using Microsoft.EntityFrameworkCore;
using static Flowstone.Data.Sql;

namespace Flowstone.Permissions;

/// <summary>Shares workflows with users. For whoever may administer the workflow.</summary>
public sealed class WorkflowShareRepository
{
    readonly TenantDatabase database;
    readonly AccessRule access;
    readonly TimeProvider clock;

    internal WorkflowShareRepository(TenantDatabase database, AccessRule access, TimeProvider clock) => (this.database, this.access, this.clock) = (database, access, clock);

    /// <summary>With whom the workflow is shared, expired shares among them; longest first.</summary>
    /// <exception cref="NotFoundException">There is no such workflow, or the actor may not know of it.</exception>
    /// <exception cref="AccessDeniedException">The actor may not administer it.</exception>
    public async Task<List<WorkflowShare>> ListAsync(Id<Workflow> workflow, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(AccessLevel.Admin, workflow, cancellationToken);
        return await database.ReadAsync(db => db.Set<WorkflowShare>().Where(s => s.WorkflowId == workflow).OrderBy(s => s.SharedAt).ThenBy(s => s.UserId).ToListAsync(cancellationToken));
    }

    /// <summary>Shares the workflow, or changes the share that the user has.</summary>
    /// <param name="expiresAt">Null is never.</param>
    /// <exception cref="NotFoundException">There is no such workflow or user, or the actor may not know of it.</exception>
    /// <exception cref="AccessDeniedException">The actor may not administer it.</exception>
    /// <exception cref="InvalidInputException">The time has passed.</exception>
    public async Task<WorkflowShare> SetAsync(
        Id<Workflow> workflow, Id<User> user, ShareLevel level, DateTimeOffset? expiresAt = null, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(AccessLevel.Admin, workflow, cancellationToken);
        if (user == access.Actor.UserId)
            await access.RequireAdministratorAsync(cancellationToken);   // or whoever has a share until tomorrow would keep it
        var now = clock.Now();
        if (expiresAt <= now)
            throw new InvalidInputException("expiresAt", "has passed.");
        const string Set = """
            insert into flowstone.workflow_shares as s (tenant_id, workflow_id, user_id, level, expires_at, shared_by, shared_at)
            select w.tenant_id, w.id, u.id, $4, $5, $6, $7 from flowstone.workflows w join flowstone.users u on u.tenant_id = w.tenant_id
             where w.tenant_id = $1 and w.id = $2 and u.id = $3
            on conflict (tenant_id, workflow_id, user_id) do update set level = excluded.level, expires_at = excluded.expires_at, shared_by = excluded.shared_by
            returning s.shared_at
            """;
        var expires = expiresAt?.ToUniversalTime();
        var shared = await database.QueryAsync(Set, [P(workflow), P(user), P(EnumText<ShareLevel>.Of(level)), P(expires), P(access.Actor.UserId), P(now)],
            row => row.GetFieldValue<DateTimeOffset>(0), cancellationToken);
        if (shared is not [var since])
            throw new NotFoundException("User", user);
        return new WorkflowShare
        {
            TenantId = database.TenantId,
            WorkflowId = workflow,
            UserId = user,
            Level = level,
            ExpiresAt = expires,
            SharedBy = access.Actor.UserId,
            SharedAt = since,
        };
    }

    /// <summary>Ends a share; whoever has it may, too.</summary>
    /// <returns>False if there was none.</returns>
    /// <exception cref="NotFoundException">There is no such workflow, or the actor may not know of it.</exception>
    /// <exception cref="AccessDeniedException">The actor may not administer it.</exception>
    public async Task<bool> DeleteAsync(Id<Workflow> workflow, Id<User> user, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(user == access.Actor.UserId ? AccessLevel.View : AccessLevel.Admin, workflow, cancellationToken);
        if (user == access.Actor.UserId)
            await access.RequireSelfAsync(user, cancellationToken);
        return await database.ExecuteAsync("delete from flowstone.workflow_shares where tenant_id = $1 and workflow_id = $2 and user_id = $3", [P(workflow), P(user)], cancellationToken) > 0;
    }
}
