using System.Text.Json;
using Flowstone.Data;
using Flowstone.Permissions;
using Flowstone.Users;
using static Flowstone.Data.Sql;

namespace Flowstone.Workflows;

/// <summary>Who changed a node last.</summary>
/// <param name="Version">In which version it became what it is.</param>
/// <param name="Earlier">Whether that may also have been in an older version: this is the oldest one that was looked at.</param>
public sealed record NodeAuthor(int Version, Id<User>? AuthorId, DateTimeOffset At, bool Earlier = false);

public sealed partial class WorkflowRepository
{
    /// <summary>How many versions <see cref="BlameAsync"/> looks back.</summary>
    public const int BlameVersions = 500;

    // Optimistic ones; two suffice unless many save at once.
    const int Attempts = 3;

    static SavedWorkflow Saved(Workflow stored, DefinitionColumns sent, DefinitionColumns save)
        => save.Hash.AsSpan().SequenceEqual(sent.Hash) ? new SavedWorkflow(stored) : new SavedWorkflow(stored) { Merged = true, Definition = JsonElement.Parse(save.Json, Stored) };

    static SavedWorkflow Saved(Workflow current, int number, DateTimeOffset now, DefinitionColumns sent, DefinitionColumns save)
        => Saved(current with { Version = number, Name = save.Name, Description = save.Description, Tags = save.Tags, Category = save.Category, UpdatedAt = now }, sent, save);

    /// <summary>What both want, to be put on top of the newest version.</summary>
    DefinitionColumns Merge(Id<Workflow> id, WorkflowVersion? origin, WorkflowVersion theirs, JsonElement mine, int basedOn)
    {
        var merge = origin is null ? null : DefinitionMerge.Of(origin.Definition, theirs.Definition, mine);
        return merge is { Conflicts: [] } ? new DefinitionColumns(merge.Merged, MaxDefinitionBytes)
            : throw new VersionConflictException(
                $"Workflow {id} is at version {theirs.Number}, not {basedOn}: read it and apply the change to that.{(merge is { Conflicts: [var first, ..] } ? $" {first.Path}: {first.Message}" : "")}",
                origin, theirs, mine, merge?.Conflicts ?? []);
    }

    /// <summary>As a save, but with the workflow locked while it is merged: PostgreSQL hands the lock out in turn, so everybody gets through.</summary>
    async Task<SavedWorkflow> MergeLockedAsync(Workflow workflow, DefinitionColumns sent, JsonElement mine, int basedOn, string? message, CancellationToken cancellationToken)
    {
        // Of a process that hangs, others are not to hang.
        const string Patience = "set local idle_in_transaction_session_timeout = '20s'";
        const string Newest = """
            select 0, v.number, v.definition from flowstone.workflows w join flowstone.workflow_versions v on v.tenant_id = w.tenant_id and v.workflow_id = w.id and v.number = w.version
             where w.tenant_id = $1 and w.id = $2 and v.tenant_id = $1 and v.workflow_id = $2 and w.deleted_at is null
            """;
        var (id, origin) = (workflow.Id, await FindVersionAsync(workflow.Id, basedOn, cancellationToken));
        try
        {
            await using var connection = await database.Source.OpenConnectionAsync(cancellationToken);
            await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
            WorkflowVersion? theirs = null;
            await database.WithinAsync(transaction, [new(Patience), new(Lock, P(database.TenantId), P(id)), new(Newest, P(database.TenantId), P(id))], row =>
            {
                if (row.GetInt32(0) == 0)   // and not what sets role and tenants
                    theirs = new WorkflowVersion { TenantId = database.TenantId, WorkflowId = id, Number = row.GetInt32(1), Definition = JsonElement.Parse(row.GetFieldValue<byte[]>(2), Stored), Hash = [], CreatedAt = default };
            }, cancellationToken);
            if (theirs is null)
                throw new NotFoundException("Workflow", id);
            var (save, now) = (Merge(id, origin, theirs, mine, basedOn), clock.Now());
            var number = theirs.Number;
            var statements = Append(id, save, number, basedOn, message, importHash: null, now).ConvertAll(one => new Statement(one.Sql, [P(database.TenantId), .. one.Parameters]));
            await database.WithinAsync(transaction, statements, row => number = row.FieldCount == 1 ? row.GetInt32(0) : number, cancellationToken);
            await transaction.CommitAsync(cancellationToken);
            return number == theirs.Number ? Saved(workflow with { Version = number, Name = save.Name, Description = save.Description, Tags = save.Tags, Category = save.Category }, sent, save) : Saved(workflow, number, now, sent, save);
        }
        catch (Exception error) when (PostgresErrors.Explain(error) is { } explained)
        {
            throw explained;
        }
    }

    /// <summary>What turns one version into another.</summary>
    /// <exception cref="NotFoundException">There is no such workflow or version, or the actor may not know of it.</exception>
    public async Task<DefinitionDiff> DiffAsync(Id<Workflow> id, int from, int to, CancellationToken cancellationToken = default)
        => DefinitionDiff.Between((await GetVersionAsync(id, from, cancellationToken)).Definition, (await GetVersionAsync(id, to, cancellationToken)).Definition);

    /// <summary>Appends a copy of a version as the newest, whatever came since: that stays in the history.</summary>
    /// <exception cref="NotFoundException">There is no such workflow or version, or the actor may not know of it.</exception>
    /// <exception cref="AccessDeniedException">The actor may not change it.</exception>
    public async Task<SavedWorkflow> RestoreVersionAsync(Id<Workflow> id, int number, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(AccessLevel.Write, id, cancellationToken);
        return await UpdateAsync(id, (await GetVersionAsync(id, number, cancellationToken)).Definition, basedOn: null, $"Restored from version {number}", cancellationToken);
    }

    /// <summary>Who changed each node of the newest version last. Looks at the newest <see cref="BlameVersions"/> versions, and at no more of them than it needs.</summary>
    /// <exception cref="NotFoundException">There is no such workflow, or the actor may not know of it.</exception>
    public async Task<IReadOnlyDictionary<string, NodeAuthor>> BlameAsync(Id<Workflow> id, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(AccessLevel.View, id, cancellationToken);

        // Hashes, not nodes: a version of a megabyte is read where it lies. Equal numbers hash alike, however they are written.
        const string Nodes = """
            select v.number, v.author_id, v.created_at, node ->> 'id', jsonb_hash_extended(node, 0)
              from (select number, author_id, created_at, definition from flowstone.workflow_versions
                     where tenant_id = $1 and workflow_id = $2 and number < $3 order by number desc limit $4) v
              left join lateral jsonb_array_elements(v.definition -> 'nodes') node on true order by v.number desc
            """;
        const int AtOnce = 20;
        var authors = new Dictionary<string, NodeAuthor>(StringComparer.Ordinal);
        var open = new Dictionary<string, (long Hash, NodeAuthor Author)>(StringComparer.Ordinal);   // as far back as they are known to be the same
        var below = int.MaxValue;
        for (var seen = 0; seen < BlameVersions; seen += AtOnce)
        {
            var rows = await database.QueryAsync(Nodes, [P(id), P(below), P(AtOnce)],
                row => (Author: new NodeAuthor(row.GetInt32(0), row.Get<Guid?>(1) is { } author ? new(author) : null, row.GetFieldValue<DateTimeOffset>(2)), Id: row.Get<string>(3), Hash: row.Get<long>(4)), cancellationToken);
            foreach (var version in rows.GroupBy(row => row.Author.Version))
            {
                var nodes = version.Where(node => node.Id is not null).ToDictionary(node => node.Id!, node => node, StringComparer.Ordinal);
                if (below == int.MaxValue)
                    open = nodes.ToDictionary(node => node.Key, node => (node.Value.Hash, node.Value.Author), StringComparer.Ordinal);
                below = version.Key;
                foreach (var (node, (hash, author)) in open.ToList())
                {
                    if (nodes.TryGetValue(node, out var there) && there.Hash == hash)
                        open[node] = (hash, there.Author);
                    else if (open.Remove(node))
                        authors.Add(node, author);
                }
            }
            if (open.Count == 0 || below == 1 || rows.Count == 0)
                break;
        }
        foreach (var (node, (_, author)) in open)
            authors.Add(node, author with { Earlier = author.Version > 1 });
        return authors;
    }

    async Task<WorkflowVersion> GetVersionAsync(Id<Workflow> id, int number, CancellationToken cancellationToken)
        => await FindVersionAsync(id, number, cancellationToken) ?? throw new NotFoundException($"Workflow {id} version", number);
}
