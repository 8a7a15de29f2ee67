using System.Text.Json;
using Flowstone.Data;
using Flowstone.Executions;
using Flowstone.Permissions;
using Flowstone.Tenancy;
using Flowstone.Users;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Workflows;

/// <summary>Keeps workflows and their immutable versions. Each call does what its actor may (docs/access.md): of others' workflows nothing is known.</summary>
public sealed partial class WorkflowRepository
{
    // As deep as a definition may be: a reader's own limit is 64.
    internal static readonly JsonDocumentOptions Stored = new() { MaxDepth = WorkflowDefinition.MaxDepth };

    readonly TenantDatabase database;
    readonly AccessRule access;
    readonly TimeProvider clock;

    internal WorkflowRepository(TenantDatabase database, AccessRule access, int maxDefinitionBytes, TimeProvider clock)
        => (this.database, this.access, MaxDefinitionBytes, this.clock) = (database, access, maxDefinitionBytes, clock);

    /// <summary>The largest definition that is stored.</summary>
    public int MaxDefinitionBytes { get; }

    /// <summary>Stores a workflow with version 1.</summary>
    /// <exception cref="InvalidInputException">The definition breaks a rule, or the team is not there, or the actor may not change its workflows.</exception>
    /// <exception cref="AccessDeniedException">The actor's role only reads.</exception>
    public async Task<SavedWorkflow> CreateAsync(NewWorkflow request, CancellationToken cancellationToken = default)
    {
        var content = new DefinitionColumns(request.Definition, MaxDefinitionBytes);
        var warnings = await WarningsAsync(request.Definition, cancellationToken);   // before anything is stored: who hears of an error tries again
        return new(await CreateAsync(request, content, importKey: null, importHash: null, cancellationToken)) { Warnings = warnings };
    }

    internal Task<Workflow> ImportAsync(NewWorkflow request, string importKey, byte[] importHash, CancellationToken cancellationToken)
        => CreateAsync(request, new DefinitionColumns(request.Definition, MaxDefinitionBytes), importKey, importHash, cancellationToken);

    async Task<Workflow> CreateAsync(NewWorkflow request, DefinitionColumns content, string? importKey, byte[]? importHash, CancellationToken cancellationToken)
    {
        Text.Check("message", request.Message, 2000);
        await access.RequireAsync(AccessLevel.Write, cancellationToken);
        if (request.TeamId is { } team && !await access.MayAsync(TeamRole.Member, team, cancellationToken))
            throw new InvalidInputException("teamId", "is not a team that you may give workflows to.");
        var now = clock.Now();
        var workflow = new Workflow
        {
            TenantId = database.TenantId,
            Id = Id<Workflow>.New(clock),
            Name = content.Name,
            Description = content.Description,
            Status = request.Status,
            Visibility = request.Visibility ?? (request.TeamId is null ? Visibility.Private : Visibility.Team),
            Tags = content.Tags,
            Category = content.Category,
            OwnerId = access.Actor.UserId,
            TeamId = request.TeamId,
            Version = 1,
            CreatedAt = now,
            UpdatedAt = now,
        };
        await StoreAsync(workflow, importKey, importHash, [new(content, request.Message, access.Actor.UserId, now, null)], [], cancellationToken);
        return workflow;
    }

    /// <summary>A private draft of the actor's that had these versions before.</summary>
    /// <param name="versions">Version 1 first.</param>
    /// <param name="with">What is stored beside it, in the same transaction.</param>
    internal async Task<SavedWorkflow> CreateAsync(
        IReadOnlyList<PastVersion> versions, Func<Id<Workflow>, IEnumerable<(string Sql, NpgsqlParameter[] Parameters)>> with, CancellationToken cancellationToken)
    {
        await access.RequireAsync(AccessLevel.Write, cancellationToken);
        var (newest, now) = (versions[^1].Content, clock.Now());
        var workflow = new Workflow
        {
            TenantId = database.TenantId,
            Id = Id<Workflow>.New(clock),
            Name = newest.Name,
            Description = newest.Description,
            Status = WorkflowStatus.Draft,
            Visibility = Visibility.Private,
            Tags = newest.Tags,
            Category = newest.Category,
            OwnerId = access.Actor.UserId,
            Version = versions.Count,
            CreatedAt = now,
            UpdatedAt = now,
        };
        var warnings = await WarningsAsync(JsonElement.Parse(newest.Json, Stored), cancellationToken);
        await StoreAsync(workflow, importKey: null, importHash: null, versions, with(workflow.Id), cancellationToken);
        return new(workflow) { Warnings = warnings };
    }

    Task<int[]> StoreAsync(
        Workflow workflow, string? importKey, byte[]? importHash, IReadOnlyList<PastVersion> versions, IEnumerable<(string Sql, NpgsqlParameter[] Parameters)> with, CancellationToken cancellationToken)
    {
        const string Insert = """
            insert into flowstone.workflows (tenant_id, id, name, description, status, visibility, tags, owner_id, team_id, version, created_at, updated_at, import_key, import_hash, category)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, $12, $13, $14)
            """;
        const string InsertVersion = """
            insert into flowstone.workflow_versions (tenant_id, workflow_id, number, definition, hash, message, author_id, created_at, based_on)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            """;
        return database.ExecuteAsync(
        [
            (Insert, [P(workflow.Id), P(workflow.Name), P(workflow.Description), P(EnumText<WorkflowStatus>.Of(workflow.Status)), P(EnumText<Visibility>.Of(workflow.Visibility)),
                P(versions[^1].Content.Tags), P(workflow.OwnerId), P(workflow.TeamId), P(workflow.Version), P(workflow.CreatedAt), P(importKey), P(importHash), P(versions[^1].Content.Category)]),
            .. versions.Select((version, i) => (InsertVersion, (NpgsqlParameter[])
                [P(workflow.Id), P(i + 1), Json(version.Content.Json), P(version.Content.Hash), P(version.Message), P(version.AuthorId), P(version.CreatedAt), P(version.BasedOn)])),
            .. WorkflowIndex.Keep(workflow.Id, JsonElement.Parse(versions[^1].Content.Json, Stored), versions[^1].Content.Hash),
            .. with,
        ], cancellationToken);
    }

    public async Task<Workflow?> FindAsync(Id<Workflow> id, CancellationToken cancellationToken = default)
    {
        var reachable = await access.WorkflowsAsync(cancellationToken);
        return await database.ReadAsync(db => reachable(db).SingleOrDefaultAsync(w => w.Id == id, cancellationToken));
    }

    /// <summary>The names of workflows, also of those in the trash, for lists of what refers to them; what is not there is left out.</summary>
    public async Task<IReadOnlyDictionary<Id<Workflow>, string>> NamesAsync(IEnumerable<Id<Workflow>> ids, CancellationToken cancellationToken = default)
    {
        var reach = await access.ExecutionFilterAsync(AccessLevel.View, "id", next: 3, cancellationToken);
        return (await database.QueryAsync($"select id, name from flowstone.workflows where tenant_id = $1 and id = any($2){reach.Sql}",
            [P(ids.Select(id => id.Value).Distinct().ToArray()), .. reach.Parameters], row => (Id: new Id<Workflow>(row.GetGuid(0)), Name: row.GetString(1)), cancellationToken))
            .ToDictionary(row => row.Id, row => row.Name);
    }

    public async Task<int> CountAsync(CancellationToken cancellationToken = default)
    {
        var reachable = await access.WorkflowsAsync(cancellationToken);
        return await database.ReadAsync(db => reachable(db).CountAsync(cancellationToken));
    }

    /// <summary>Appends a version, unless the definition is the newest one's already. Others' saves meanwhile are merged with it where they touched something else.</summary>
    /// <param name="basedOn">The version that was edited; null takes the place of whatever came meanwhile.</param>
    /// <param name="message">What the author says of the change.</param>
    /// <exception cref="VersionConflictException">Another version came after <paramref name="basedOn"/>, and changed the same: decide, and save on top of that.</exception>
    public async Task<SavedWorkflow> UpdateAsync(Id<Workflow> id, JsonElement definition, int? basedOn, string? message = null, CancellationToken cancellationToken = default)
    {
        var saved = await UpdateAsync(id, definition, basedOn, message, importHash: null, cancellationToken);
        return saved with { Warnings = await WarningsAsync(saved.Merged ? saved.Definition : definition, cancellationToken) };
    }

    internal async Task<SavedWorkflow> UpdateAsync(
        Id<Workflow> id, JsonElement definition, int? basedOn, string? message, byte[]? importHash, CancellationToken cancellationToken)
    {
        var content = new DefinitionColumns(definition, MaxDefinitionBytes);
        Text.Check("message", message, 2000);
        await access.RequireAsync(AccessLevel.Write, id, cancellationToken);

        // Merged outside of the lock, with the newest version as it was then. Whoever is late again and again gets the lock: the others would else be quicker for ever.
        var (save, onto) = (content, basedOn);
        for (var attempt = 1; ; attempt++)
        {
            var now = clock.Now();
            var appended = await database.QueryAsync([(Lock, [P(id)]), .. Append(id, save, onto, basedOn, message, importHash, now)], row => row.GetInt32(0), cancellationToken);
            var current = await FindAsync(id, cancellationToken) ?? throw new NotFoundException("Workflow", id);

            // Somebody may have saved since: the answer is what was saved here, or the next save would be based on what its author never saw.
            if (appended is [var number])
                return Saved(current, number, now, content, save);
            if (onto is null || onto == current.Version)
            {
                const string Remember = "update flowstone.workflows set import_hash = $3 where tenant_id = $1 and id = $2";
                if (importHash is not null)
                    await database.ExecuteAsync(Remember, [P(id), P(importHash)], cancellationToken);
                return Saved(current, content, save);
            }
            if (attempt == Attempts)
                return await MergeLockedAsync(current, content, definition, basedOn!.Value, message, cancellationToken);
            var theirs = await GetVersionAsync(id, current.Version, cancellationToken);
            (save, onto) = (Merge(id, await FindVersionAsync(id, basedOn, cancellationToken), theirs, definition, basedOn!.Value), theirs.Number);
        }
    }

    // One save at a time, in a statement of its own: the next one's snapshot then sees the version that the one before appended.
    // (An update, because a `select … for update` would return a row among the results.)
    const string Lock = "update flowstone.workflows set version = version where tenant_id = $1 and id = $2";

    List<(string Sql, NpgsqlParameter[] Parameters)> Append(Id<Workflow> id, DefinitionColumns save, int? onto, int? basedOn, string? message, byte[]? importHash, DateTimeOffset now)
    {
        // The number follows from the locked row: versions have no gap and no repeat.
        const string Append = """
            with workflow as (
                update flowstone.workflows w
                   set version = w.version + 1, name = $5, description = $6, tags = $7, category = $14, updated_at = $8, import_hash = coalesce($9, w.import_hash)
                 where w.tenant_id = $1 and w.id = $2 and w.version = coalesce($10, w.version) and w.deleted_at is null
                   and not exists (select from flowstone.workflow_versions v
                                    where v.tenant_id = $1 and v.workflow_id = $2 and v.number = w.version and v.hash = $4)
                returning w.version)
            insert into flowstone.workflow_versions (tenant_id, workflow_id, number, definition, hash, message, author_id, created_at, based_on)
            select $1, $2, workflow.version, $3, $4, $11, $12, $8, $13 from workflow
            returning number
            """;
        return
        [
            (Append, [P(id), Json(save.Json), P(save.Hash), P(save.Name), P(save.Description), P(save.Tags), P(now), P(importHash), P(onto), P(message), P(access.Actor.UserId), P(basedOn), P(save.Category)]),
            .. WorkflowIndex.Keep(id, JsonElement.Parse(save.Json, Stored), save.Hash),
        ];
    }

    /// <summary>Changes what is not versioned; what is null stays. Who sees it is set by whoever may administer it.</summary>
    /// <exception cref="NotFoundException">This tenant has no such workflow.</exception>
    public async Task<Workflow> SetAsync(Id<Workflow> id, WorkflowStatus? status, Visibility? visibility, bool? isTemplate = null, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(visibility is null ? AccessLevel.Write : AccessLevel.Admin, id, cancellationToken);
        const string Set = """
            update flowstone.workflows set status = coalesce($3, status), visibility = coalesce($4, visibility), is_template = coalesce($6, is_template), updated_at = $5
             where tenant_id = $1 and id = $2 and deleted_at is null
            """;
        var changed = await database.ExecuteAsync(Set,
            [P(id), P(status is { } s ? EnumText<WorkflowStatus>.Of(s) : null), P(visibility is { } v ? EnumText<Visibility>.Of(v) : null), P(clock.Now()), P(isTemplate)],
            cancellationToken);
        return (changed == 0 ? null : await FindAsync(id, cancellationToken)) ?? throw new NotFoundException("Workflow", id);
    }

    /// <summary>The names and types by which its executions can be found.</summary>
    /// <exception cref="NotFoundException">This tenant has no such workflow.</exception>
    public async Task<IReadOnlyDictionary<string, AttributeType>> SearchAttributesAsync(Id<Workflow> id, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(AccessLevel.View, id, cancellationToken);
        return await SearchAttributes.DeclaredAsync(database, id, cancellationToken);
    }

    /// <summary>Declares the names and types, up to ten, by which its executions can be found. What was stored under others is not found any more.</summary>
    /// <exception cref="NotFoundException">This tenant has no such workflow.</exception>
    public async Task SetSearchAttributesAsync(Id<Workflow> id, IReadOnlyDictionary<string, AttributeType> attributes, CancellationToken cancellationToken = default)
    {
        SearchAttributes.Check(attributes);
        await access.RequireAsync(AccessLevel.Write, id, cancellationToken);
        const string Declare = "update flowstone.workflows set search_attributes = $3, updated_at = $4 where tenant_id = $1 and id = $2 and deleted_at is null";
        if (await database.ExecuteAsync(Declare, [P(id), Json(JsonSerializer.SerializeToUtf8Bytes(attributes, FlowstoneJson.Options)), P(clock.Now())], cancellationToken) == 0)
            throw new NotFoundException("Workflow", id);
    }

    /// <summary>A version with its content; the newest if <paramref name="number"/> is null.</summary>
    public async Task<WorkflowVersion?> FindVersionAsync(Id<Workflow> id, int? number, CancellationToken cancellationToken = default)
    {
        const string Find = """
            select number, definition, hash, message, author_id, created_at, based_on from flowstone.workflow_versions
             where tenant_id = $1 and workflow_id = $2
               and number = coalesce($3, (select version from flowstone.workflows where tenant_id = $1 and id = $2))
            """;
        if (!await access.MayAsync(AccessLevel.View, id, cancellationToken))
            return null;
        var found = await database.QueryAsync(Find, [P(id), P(number)], row => new WorkflowVersion
        {
            TenantId = database.TenantId,
            WorkflowId = id,
            Number = row.GetInt32(0),
            Definition = JsonElement.Parse(row.GetFieldValue<byte[]>(1), Stored),
            Hash = row.GetFieldValue<byte[]>(2),
            Message = row.Get<string>(3),
            AuthorId = row.Get<Guid?>(4) is { } author ? new(author) : null,
            CreatedAt = row.GetFieldValue<DateTimeOffset>(5),
            BasedOn = row.Get<int?>(6),
        }, cancellationToken);
        return found.SingleOrDefault();
    }

    /// <summary>A page of versions without their content, newest first, continuing below <paramref name="before"/>.</summary>
    public async Task<List<WorkflowVersionSummary>> VersionsAsync(Id<Workflow> id, int? before, int limit, CancellationToken cancellationToken = default)
    {
        if (!await access.MayAsync(AccessLevel.View, id, cancellationToken))
            return [];
        return await database.ReadAsync(db =>
        {
            var page = db.Set<WorkflowVersion>().Where(v => v.WorkflowId == id);
            if (before is { } last)
                page = page.Where(v => v.Number < last);
            return page.OrderByDescending(v => v.Number).Take(limit)
                .Select(v => new WorkflowVersionSummary(v.Number, v.Message, v.AuthorId, v.CreatedAt, v.BasedOn)).ToListAsync(cancellationToken);
        });
    }

    /// <summary>Where each workflow of the tenant came from, for imports and exports; oldest first. What is in the trash comes anew.</summary>
    internal Task<List<WorkflowOrigin>> OriginsAsync(CancellationToken cancellationToken)
        => database.QueryAsync("select id, name, import_key, import_hash from flowstone.workflows where tenant_id = $1 and deleted_at is null order by id", [],
            row => new WorkflowOrigin(new(row.GetGuid(0)), row.GetString(1), row.Get<string>(2), row.Get<byte[]>(3)), cancellationToken);
}

/// <summary>A version that is stored with its workflow.</summary>
sealed record PastVersion(DefinitionColumns Content, string? Message, Id<User>? AuthorId, DateTimeOffset CreatedAt, int? BasedOn);

/// <param name="Key">Names the imported document; null if the workflow was not imported.</param>
/// <param name="Hash">Of the document as it was imported last.</param>
sealed record WorkflowOrigin(Id<Workflow> Id, string Name, string? Key, byte[]? Hash);
