using Flowstone.Permissions;
using Microsoft.EntityFrameworkCore;
using static Flowstone.Data.Sql;

namespace Flowstone.Workflows;

public sealed partial class WorkflowRepository
{
    /// <summary>
    /// Moves it to the trash: from now on it is not there for anybody, starts nothing, and all that belongs to it stays as it is. Its executions can be read on,
    /// and those that wait or run go on.
    /// </summary>
    /// <returns>False if there was no such workflow.</returns>
    /// <exception cref="AccessDeniedException">The actor may not administer it.</exception>
    public async Task<bool> DeleteAsync(Id<Workflow> id, CancellationToken cancellationToken = default)
    {
        if (!await access.MayAsync(AccessLevel.View, id, cancellationToken))
            return false;
        await access.RequireAsync(AccessLevel.Admin, id, cancellationToken);
        const string Delete = "update flowstone.workflows set deleted_at = $3 where tenant_id = $1 and id = $2 and deleted_at is null";
        return await database.ExecuteAsync(Delete, [P(id), P(clock.Now())], cancellationToken) > 0;
    }

    /// <summary>A page of the trash, as far as the actor might have put it there: newest workflows first, continuing below <paramref name="before"/>.</summary>
    public async Task<List<Workflow>> ListTrashAsync(Id<Workflow>? before, int limit, CancellationToken cancellationToken = default)
    {
        var trash = await access.TrashAsync(cancellationToken);
        return await database.ReadAsync(db => trash(db).Where(w => before == null || w.Id < before).OrderByDescending(w => w.Id).Take(limit).ToListAsync(cancellationToken));
    }

    /// <summary>Takes it out of the trash, as it was.</summary>
    /// <exception cref="NotFoundException">It is not in the trash, or not the actor's to delete.</exception>
    /// <exception cref="ConflictException">It was imported anew meanwhile: delete that one first.</exception>
    public async Task<Workflow> UndeleteAsync(Id<Workflow> id, CancellationToken cancellationToken = default)
    {
        await access.RequireTrashAsync(id, cancellationToken);
        await database.ExecuteAsync("update flowstone.workflows set deleted_at = null where tenant_id = $1 and id = $2", [P(id)], cancellationToken);
        return await FindAsync(id, cancellationToken) ?? throw new NotFoundException("Workflow in the trash", id);
    }

    /// <summary>Deletes it for good, with all that belongs to it.</summary>
    /// <exception cref="NotFoundException">It is not in the trash, or not the actor's to delete.</exception>
    /// <exception cref="ConflictException">Executions of it are kept, and refer to its versions: retention takes them in time.</exception>
    public async Task PurgeAsync(Id<Workflow> id, CancellationToken cancellationToken = default)
    {
        await access.RequireTrashAsync(id, cancellationToken);
        if (await WorkflowTrash.PurgeAsync(database, id, cancellationToken))
            return;
        await access.RequireTrashAsync(id, cancellationToken);   // or somebody was quicker
        throw new ConflictException($"Executions of workflow {id} are kept, and refer to its versions: it can go when retention has taken them.");
    }
}
