using Flowstone.Data;
using Flowstone.Executions;
using Flowstone.Permissions;
using Flowstone.Tenancy;
using Flowstone.Users;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Workflows;

/// <summary>
/// Comments on workflows: whoever may read the workflow reads and writes them, viewers too; their authors and the workflow's administrators change and
/// delete them; whoever may write the workflow resolves them.
/// </summary>
public sealed class WorkflowCommentRepository
{
    public const int MaxLength = 10_000;

    const string Columns = "c.tenant_id, c.id, c.workflow_id, c.node_id, c.parent_id, c.text, c.x, c.y, c.author_id, c.created_at, c.updated_at, c.resolved_at, c.resolved_by";

    readonly TenantDatabase database;
    readonly AccessRule access;
    readonly TimeProvider clock;

    internal WorkflowCommentRepository(TenantDatabase database, AccessRule access, TimeProvider clock) => (this.database, this.access, this.clock) = (database, access, clock);

    /// <exception cref="NotFoundException">There is no such workflow, or the actor may not know of it.</exception>
    /// <exception cref="AccessDeniedException">The actor may not read the workflow's executions, either; or the key only reads.</exception>
    /// <exception cref="InvalidInputException">The newest version has no such node, or the workflow no such comment to answer.</exception>
    public async Task<WorkflowComment> CreateAsync(Id<Workflow> workflow, NewComment request, CancellationToken cancellationToken = default)
    {
        Text.Require("text", request.Text, MaxLength);
        Text.Check("nodeId", request.NodeId, WorkflowDefinition.MaxNameLength);
        CheckPlace(request.X, request.Y);
        await RequireToWriteAsync(workflow, cancellationToken);
        // The index of the newest version names every node by its type: the definition is not read.
        const string Insert = $"""
            insert into flowstone.workflow_comments as c (tenant_id, workflow_id, id, node_id, parent_id, text, x, y, author_id, created_at, updated_at)
            select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10
             where ($4 is null or exists (select from flowstone.workflow_references r where r.tenant_id = $1 and r.workflow_id = $2 and r.kind = 'NODE_TYPE' and $4 = any(r.node_ids)))
               and ($5 is null or exists (select from flowstone.workflow_comments p where p.tenant_id = $1 and p.workflow_id = $2 and p.id = $5 and p.parent_id is null))
            returning {Columns}
            """;
        var made = await database.QueryAsync(Insert,
            [P(workflow), P(Id<WorkflowComment>.New(clock)), P(request.NodeId), P(request.ParentId), P(request.Text), P(request.X), P(request.Y), P(access.Actor.UserId), P(clock.Now())], Read, cancellationToken);
        return made is [var comment] ? comment : throw (request.ParentId is { } parent && await FindAsync(workflow, parent, cancellationToken) is not { ParentId: null }
            ? new InvalidInputException("parentId", "is no comment of this workflow that can be answered.") : new InvalidInputException("nodeId", "is no node of the newest version."));
    }

    /// <summary>A page, newest first, continuing below <paramref name="before"/>; answers among them.</summary>
    /// <inheritdoc cref="CreateAsync" path="/exception[position() &lt; 3]"/>
    public async Task<List<ListedComment>> ListAsync(Id<Workflow> workflow, CommentFilter filter, Id<WorkflowComment>? before, int limit, CancellationToken cancellationToken = default)
    {
        Text.Check("nodeId", filter.NodeId, WorkflowDefinition.MaxNameLength);
        await access.RequireAsync(AccessLevel.Read, workflow, cancellationToken);
        const string List = $"""
            select {Columns}, c.node_id is not null and not exists (
                       select from flowstone.workflow_references r where r.tenant_id = $1 and r.workflow_id = $2 and r.kind = 'NODE_TYPE' and c.node_id = any(r.node_ids))
              from flowstone.workflow_comments c
             where c.tenant_id = $1 and c.workflow_id = $2 and c.id < case when $3 is null then 'ffffffff-ffff-ffff-ffff-ffffffffffff' else $3 end and ($4 is null or c.node_id = $4) and ($5 is null or (c.resolved_at is not null) = $5)
             order by c.id desc limit $6
            """;
        return await database.SearchAsync(List, [P(workflow), P(before), P(filter.NodeId), P(filter.Resolved), P(limit)], row => new ListedComment(Read(row), row.GetBoolean(13)), cancellationToken);
    }

    public async Task<WorkflowComment?> FindAsync(Id<Workflow> workflow, Id<WorkflowComment> id, CancellationToken cancellationToken = default)
        => !await access.MayAsync(AccessLevel.Read, workflow, cancellationToken) ? null : (await database.QueryAsync(
            $"select {Columns} from flowstone.workflow_comments c where c.tenant_id = $1 and c.workflow_id = $2 and c.id = $3", [P(workflow), P(id)], Read, cancellationToken)).SingleOrDefault();

    /// <summary>Changes text and place, which are the author's and administrators', and whether it is resolved, which is also for whoever may write the workflow.</summary>
    /// <exception cref="NotFoundException">There is no such comment, or the actor may not know of it.</exception>
    /// <exception cref="AccessDeniedException">It is somebody else's.</exception>
    public async Task<WorkflowComment> UpdateAsync(Id<Workflow> workflow, Id<WorkflowComment> id, CommentChanges changes, CancellationToken cancellationToken = default)
    {
        if (changes.Text is not null)
            Text.Require("text", changes.Text, MaxLength);
        CheckPlace(changes.X, changes.Y);
        var resolvesOnly = changes is { Text: null, X: null };
        await RequireToChangeAsync(workflow, id, resolvesOnly ? AccessLevel.Write : AccessLevel.Admin, cancellationToken);
        const string Update = $"""
            update flowstone.workflow_comments c
               set text = coalesce($4, text), x = coalesce($5, x), y = coalesce($6, y), updated_at = case when $4 is null and $5 is null then updated_at else $8 end,
                   resolved_at = case when $7 then coalesce(resolved_at, $8) when not $7 then null else resolved_at end,
                   resolved_by = case when $7 and resolved_at is null then $9 when not $7 then null else resolved_by end
             where c.tenant_id = $1 and c.workflow_id = $2 and c.id = $3
            returning {Columns}
            """;
        return (await database.QueryAsync(Update, [P(workflow), P(id), P(changes.Text), P(changes.X), P(changes.Y), P(changes.Resolved), P(clock.Now()), P(access.Actor.UserId)], Read, cancellationToken))
            is [var comment] ? comment : throw new NotFoundException("Comment", id);
    }

    /// <summary>Deletes a comment with its answers.</summary>
    /// <returns>False if there was none.</returns>
    /// <exception cref="AccessDeniedException">It is somebody else's.</exception>
    public async Task<bool> DeleteAsync(Id<Workflow> workflow, Id<WorkflowComment> id, CancellationToken cancellationToken = default)
    {
        if (await FindAsync(workflow, id, cancellationToken) is null)
            return false;
        await RequireToChangeAsync(workflow, id, AccessLevel.Admin, cancellationToken);
        return await database.ExecuteAsync("delete from flowstone.workflow_comments where tenant_id = $1 and workflow_id = $2 and id = $3", [P(workflow), P(id)], cancellationToken) > 0;
    }

    async Task RequireToChangeAsync(Id<Workflow> workflow, Id<WorkflowComment> id, AccessLevel others, CancellationToken cancellationToken)
    {
        var comment = await FindAsync(workflow, id, cancellationToken) ?? throw new NotFoundException("Comment", id);
        if (comment.AuthorId is { } author && author == access.Actor.UserId)
            await RequireToWriteAsync(workflow, cancellationToken);
        else
            await access.RequireAsync(others, workflow, cancellationToken);
    }

    // A viewer reads and says something; a key that is for reading says nothing.
    async Task RequireToWriteAsync(Id<Workflow> workflow, CancellationToken cancellationToken)
    {
        await access.RequireAsync(AccessLevel.Read, workflow, cancellationToken);
        if (access.Actor.Limit < AccessLevel.Write)
            throw new AccessDeniedException("This needs a key with the scope WRITE.");
    }

    static void CheckPlace(double? x, double? y)
    {
        if (x is null != y is null)
            throw new InvalidInputException(x is null ? "x" : "y", "is missing: a place has both.");
        if (x is { } one && !double.IsFinite(one))
            throw new InvalidInputException("x", "must be a number.");
        if (y is { } other && !double.IsFinite(other))
            throw new InvalidInputException("y", "must be a number.");
    }

    static WorkflowComment Read(NpgsqlDataReader row) => new()
    {
        TenantId = new(row.GetGuid(0)),
        Id = new(row.GetGuid(1)),
        WorkflowId = new(row.GetGuid(2)),
        NodeId = row.Get<string>(3),
        ParentId = row.GetId<WorkflowComment>(4),
        Text = row.GetString(5),
        X = row.Get<double?>(6),
        Y = row.Get<double?>(7),
        AuthorId = row.GetId<User>(8),
        CreatedAt = row.GetFieldValue<DateTimeOffset>(9),
        UpdatedAt = row.GetFieldValue<DateTimeOffset>(10),
        ResolvedAt = row.Get<DateTimeOffset?>(11),
        ResolvedBy = row.GetId<User>(12),
    };
}
