using Flowstone.Permissions;
using Microsoft.EntityFrameworkCore;
using static Flowstone.Data.Sql;

namespace Flowstone.Workflows;

public sealed partial class WorkflowRepository
{
    /// <summary>Makes a version the one that executions take from now on; those that are there keep theirs. Publishing what is published changes nothing.</summary>
    /// <param name="version">Null is the newest as it is now.</param>
    /// <exception cref="NotFoundException">There is no such workflow or version, or the actor may not know of it.</exception>
    /// <exception cref="AccessDeniedException">The actor may not change it.</exception>
    /// <exception cref="InvalidInputException">Its graph has issues (<see cref="ListIssuesAsync"/>); each is named with its place.</exception>
    public async Task<Workflow> PublishAsync(Id<Workflow> id, int? version = null, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(AccessLevel.Write, id, cancellationToken);
        var found = await FindVersionAsync(id, version, cancellationToken) ?? throw new NotFoundException($"Workflow {id} version", version ?? 0);
        if (await WarningsAsync(found.Definition, cancellationToken) is { Count: > 0 } issues)
            throw new InvalidInputException([.. issues.Take(WorkflowDefinition.MaxErrors).Select(issue => new FieldError(issue.Path, issue.Message))]);
        return await PointAsync(id, found.Number, cancellationToken);
    }

    /// <summary>Lets executions take the newest version again, whichever that is.</summary>
    /// <exception cref="NotFoundException">There is no such workflow, or the actor may not know of it.</exception>
    /// <exception cref="AccessDeniedException">The actor may not change it.</exception>
    public async Task<Workflow> UnpublishAsync(Id<Workflow> id, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(AccessLevel.Write, id, cancellationToken);
        return await PointAsync(id, version: null, cancellationToken);
    }

    async Task<Workflow> PointAsync(Id<Workflow> id, int? version, CancellationToken cancellationToken)
    {
        // As with saves: one at a time, so that numbers have no gap.
        const string Lock = "update flowstone.workflows set version = version where tenant_id = $1 and id = $2";
        const string Publish = """
            with workflow as (
                update flowstone.workflows w set published_version = $3, updated_at = $4
                 where w.tenant_id = $1 and w.id = $2 and w.deleted_at is null and w.published_version is distinct from $3
                returning w.id)
            insert into flowstone.workflow_publications (tenant_id, workflow_id, number, version, published_by, published_at)
            select $1, workflow.id, 1 + coalesce((select max(p.number) from flowstone.workflow_publications p where p.tenant_id = $1 and p.workflow_id = $2), 0), $3, $5, $4
              from workflow
            """;
        await database.ExecuteAsync([(Lock, [P(id)]), (Publish, [P(id), P(version), P(clock.Now()), P(access.Actor.UserId)])], cancellationToken);
        return await FindAsync(id, cancellationToken) ?? throw new NotFoundException("Workflow", id);
    }

    /// <summary>A page of what was published when and by whom, newest first, continuing below <paramref name="before"/>.</summary>
    public async Task<List<WorkflowPublication>> ListPublicationsAsync(Id<Workflow> id, int? before, int limit, CancellationToken cancellationToken = default)
    {
        if (!await access.MayAsync(AccessLevel.View, id, cancellationToken))
            return [];
        return await database.ReadAsync(db => db.Set<WorkflowPublication>().Where(p => p.WorkflowId == id && (before == null || p.Number < before))
            .OrderByDescending(p => p.Number).Take(limit).ToListAsync(cancellationToken));
    }
}
