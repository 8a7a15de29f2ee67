using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using Flowstone.Credentials;
using Flowstone.Data;
using Flowstone.Permissions;
using Flowstone.Tenancy;
using Flowstone.Users;
using static Flowstone.Data.Sql;

namespace Flowstone.Workflows;

/// <summary>What an import made.</summary>
/// <param name="Notes">What is not as it was, as sentences: users, credentials that are not here.</param>
public sealed record ImportedWorkflow(SavedWorkflow Workflow, IReadOnlyList<string> Notes);

/// <summary>Copies workflows: within the tenant, into documents, and out of them. Format: docs/workflows.md, "Export and import".</summary>
public sealed class WorkflowTransfer
{
    /// <summary>Of a document that is imported.</summary>
    public const int MaxBytes = 64 * 1024 * 1024;

    /// <summary>Of a document that is imported: a definition, and what is around it.</summary>
    public const int MaxDepth = WorkflowDefinition.MaxDepth + 10;

    // Of definitions, fetched at a time.
    const int VersionsAtOnce = 10;

    readonly TenantDatabase database;
    readonly AccessRule access;
    readonly WorkflowRepository workflows;
    readonly WorkflowShareRepository shares;
    readonly ScheduleRepository schedules;
    readonly CredentialRepository credentials;
    readonly TimeProvider clock;

    internal WorkflowTransfer(TenantDatabase database, AccessRule access, WorkflowRepository workflows, WorkflowShareRepository shares, ScheduleRepository schedules, CredentialRepository credentials, TimeProvider clock)
        => (this.database, this.access, this.workflows, this.shares, this.schedules, this.credentials, this.clock) = (database, access, workflows, shares, schedules, credentials, clock);

    /// <summary>Makes a workflow of one's own with the newest definition of another: a private draft. Nothing else is copied: no versions, shares, team, schedules or webhooks.</summary>
    /// <param name="name">Null is the other's with " (Copy)".</param>
    /// <exception cref="NotFoundException">There is no such workflow, or the actor may not know of it.</exception>
    /// <exception cref="AccessDeniedException">The actor's role only reads.</exception>
    public async Task<SavedWorkflow> DuplicateAsync(Id<Workflow> id, string? name = null, CancellationToken cancellationToken = default)
    {
        var newest = await workflows.FindVersionAsync(id, number: null, cancellationToken) ?? throw new NotFoundException("Workflow", id);
        var copy = ParseNode(JsonBytes.Of(newest.Definition));
        copy["name"] = name ?? $"{Text.Fit(newest.Definition.FindText("name"), WorkflowDefinition.MaxNameLength - " (Copy)".Length)} (Copy)";
        return await workflows.CreateAsync(new NewWorkflow { Definition = ToElement(copy), Message = $"Copy of {id}" }, cancellationToken);
    }

    /// <summary>Writes a workflow as a document. Shares are in it if the actor may administer the workflow.</summary>
    /// <param name="history">Whether all versions are in it; or else the newest, as version 1. Format 1.0.0 has the newest alone.</param>
    /// <exception cref="NotFoundException">There is no such workflow, or the actor may not know of it.</exception>
    public async Task ExportAsync(Id<Workflow> id, Stream target, WorkflowFormat format = WorkflowFormat.Full, bool history = true, CancellationToken cancellationToken = default)
    {
        var workflow = await workflows.FindAsync(id, cancellationToken) ?? throw new NotFoundException("Workflow", id);
        var newest = await workflows.FindVersionAsync(id, workflow.Version, cancellationToken) ?? throw new NotFoundException("Workflow", id);
        if (format == WorkflowFormat.Plain)
        {
            await WritePlainAsync(target, newest.Definition, cancellationToken);
            return;
        }
        var versions = await VersionsAsync(id, workflow.Version, history, cancellationToken);
        var users = await AddressesAsync(cancellationToken, [.. versions.Select(version => version.AuthorId)]);
        var head = JsonSerializer.SerializeToElement(new
        {
            exportedAt = clock.Now(),
            workflow = new { workflow.Id, workflow.Name, workflow.Status, workflow.Visibility, workflow.IsTemplate, publishedVersion = history ? workflow.PublishedVersion : null },
            versions = versions.Select((version, i) => new
            {
                number = i + 1,
                hash = Convert.ToHexStringLower(version.Hash),
                version.Message,
                author = version.AuthorId is { } author && users.TryGetValue(author, out var address) ? address : null,
                version.CreatedAt,
                basedOn = history ? version.BasedOn : null,
            }),
            shares = await SharesAsync(id, cancellationToken),
            schedules = (await schedules.ListAsync(id, before: null, WorkflowDocument.MostSchedules, cancellationToken)).Select(schedule => new
            {
                schedule.Name, schedule.Cron, schedule.IntervalSeconds, schedule.TimeZone, schedule.JitterSeconds, schedule.Overlap, schedule.Missed, schedule.MissedLimit,
                schedule.Input, schedule.Active, schedule.StartsAt, schedule.EndsAt,
            }),
            credentials = await CredentialsAsync(newest.Definition, cancellationToken),
        }, FlowstoneJson.Options);
        await WorkflowDocument.WriteFullAsync(target, head, DefinitionsAsync(id, versions, cancellationToken), cancellationToken);
    }

    /// <summary>Makes a new workflow of a document: a private draft of the actor's, whatever it was, with all its versions and, if the actor may, shares.</summary>
    /// <remarks>
    /// Authors and times of versions are kept where an administrator imports: others could put words into somebody's mouth. A credential that is not here but has a namesake of
    /// its type is replaced by that in a further version.
    /// </remarks>
    /// <exception cref="InvalidInputException">It is no such document, of a newer format, or damaged: each place is named, and nothing is stored.</exception>
    /// <exception cref="AccessDeniedException">The actor's role only reads.</exception>
    public async Task<ImportedWorkflow> ImportAsync(JsonElement document, CancellationToken cancellationToken = default)
    {
        var read = WorkflowDocument.Read(document, workflows.MaxDefinitionBytes);
        var notes = new List<string>();
        var users = await IdsAsync([.. read.Versions.Select(version => version.Author).OfType<string>(), .. read.Shares.Select(share => share.User)], cancellationToken);
        var trusted = await access.IsAdministratorAsync(cancellationToken);
        var now = clock.Now();
        var past = read.Versions.Select(version => new PastVersion(version.Content, version.Message,
            trusted && version.Author is { } author && users.TryGetValue(author, out var user) ? user : access.Actor.UserId, trusted ? version.CreatedAt ?? now : now, version.BasedOn)).ToList();
        if (await MapCredentialsAsync(read, notes, cancellationToken) is { } mapped)
            past.Add(new(mapped, "Credentials of this installation", access.Actor.UserId, now, past.Count));
        var shares = read.Shares;
        if (shares.Count > 0 && !await access.MayAsync(AccessLevel.Admin, cancellationToken))
        {
            shares = [];   // a key that may write may not share
            notes.Add("Its shares are left out: sharing needs ADMIN.");
        }
        var shared = shares.Where(share => users.ContainsKey(share.User) && users[share.User] != access.Actor.UserId && !(share.ExpiresAt <= now)).ToList();
        notes.AddRange(shares.Where(share => !users.ContainsKey(share.User)).Select(share => $"It was shared with {share.User}, who is not here."));

        var workflow = await workflows.CreateAsync(past, id =>
        [
            ("""
             insert into flowstone.workflow_shares (tenant_id, workflow_id, user_id, level, expires_at, shared_by, shared_at)
             select $1, $2, s.user_id, s.level, s.expires_at, $6, $7 from unnest($3, $4, $5) s (user_id, level, expires_at)
             """,
             [P(id), P(shared.Select(share => users[share.User].Value).ToArray()), P(shared.Select(share => EnumText<ShareLevel>.Of(share.Level)).ToArray()),
              P(shared.Select(share => share.ExpiresAt).ToArray()), P(access.Actor.UserId), P(now)]),
            .. read.Schedules.Select((schedule, i) => Insert(id, schedule, i, now)),
        ], cancellationToken);
        if (read.Schedules.Any(schedule => schedule.Active))
            notes.Add("Its schedules are paused: resume them where they are to fire.");
        return new(workflow, notes);
    }

    // Paused: what was copied is not to run twice.
    (string Sql, Npgsql.NpgsqlParameter[] Parameters) Insert(Id<Workflow> workflow, NewSchedule schedule, int place, DateTimeOffset now)
    {
        try
        {
            return schedules.Insert(workflow, schedule with { Active = false }, now);
        }
        catch (InvalidInputException error)
        {
            throw new InvalidInputException([.. error.Errors.Select(e => e with { Field = $"schedules[{place}].{e.Field}" })]);
        }
    }

    static async Task WritePlainAsync(Stream target, JsonElement definition, CancellationToken cancellationToken)
    {
        await using var writer = new Utf8JsonWriter(target, JsonBytes.Relaxed);
        writer.WriteStartObject();
        writer.WriteString("version", WorkflowDocument.Plain);
        foreach (var (name, value) in WorkflowDocument.PlainFields(definition))
        {
            writer.WritePropertyName(name);
            value.WriteTo(writer);
        }
        writer.WriteEndObject();
        await writer.FlushAsync(cancellationToken);
    }

    sealed record VersionHead(int Number, byte[] Hash, string? Message, Id<User>? AuthorId, DateTimeOffset CreatedAt, int? BasedOn);

    Task<List<VersionHead>> VersionsAsync(Id<Workflow> id, int newest, bool history, CancellationToken cancellationToken)
        => database.QueryAsync("""
            select number, hash, message, author_id, created_at, based_on from flowstone.workflow_versions
             where tenant_id = $1 and workflow_id = $2 and number between $3 and $4 order by number
            """, [P(id), P(history ? 1 : newest), P(newest)],
            row => new VersionHead(row.GetInt32(0), row.GetFieldValue<byte[]>(1), row.Get<string>(2), row.Get<Guid?>(3) is { } author ? new(author) : null, row.GetFieldValue<DateTimeOffset>(4), row.Get<int?>(5)),
            cancellationToken);

    async IAsyncEnumerable<JsonElement> DefinitionsAsync(Id<Workflow> id, List<VersionHead> versions, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var chunk in versions.Chunk(VersionsAtOnce))
            foreach (var definition in await database.QueryAsync("""
                select definition from flowstone.workflow_versions where tenant_id = $1 and workflow_id = $2 and number between $3 and $4 order by number
                """, [P(id), P(chunk[0].Number), P(chunk[^1].Number)], row => row.GetFieldValue<byte[]>(0), cancellationToken))
                yield return JsonElement.Parse(definition, new() { MaxDepth = WorkflowDefinition.MaxDepth });
    }

    async Task<IEnumerable<object>> SharesAsync(Id<Workflow> id, CancellationToken cancellationToken)
    {
        if (!await access.MayAsync(AccessLevel.Admin, id, cancellationToken))
            return [];
        var given = await shares.ListAsync(id, cancellationToken);
        var users = await AddressesAsync(cancellationToken, [.. given.Select(share => (Id<User>?)share.UserId)]);
        return given.Select(share => new { user = users[share.UserId], share.Level, share.ExpiresAt });
    }

    // Of those that the actor may know of.
    async Task<IEnumerable<object>> CredentialsAsync(JsonElement definition, CancellationToken cancellationToken)
        => (await credentials.FindManyAsync(GraphChecks.Credentials(definition), cancellationToken)).Select(credential => new { credential.Id, credential.Name, credential.Type });

    async Task<DefinitionColumns?> MapCredentialsAsync(WorkflowDocument document, List<string> notes, CancellationToken cancellationToken)
    {
        var here = (await credentials.FindManyAsync(document.Credentials.Select(credential => credential.Id), cancellationToken)).Select(credential => credential.Id.ToString()).ToHashSet(StringComparer.OrdinalIgnoreCase);
        var replaced = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (var credential in document.Credentials.Where(credential => !here.Contains(credential.Id)))
        {
            var namesakes = (await credentials.FindNamesakesAsync(credential.Name, cancellationToken)).Where(one => EnumText<CredentialType>.Of(one.Type) == credential.Type).ToList();
            if (namesakes is [var one])
                replaced[credential.Id] = one.Id.ToString();
            else
                notes.Add($"Its credential {credential.Name} ({credential.Type}) is {(namesakes.Count == 0 ? "not here" : $"here {namesakes.Count} times")}: choose one in the nodes that use it.");
        }
        if (replaced.Count == 0)
            return null;
        var definition = ParseNode(document.Versions[^1].Content.Json);
        foreach (var named in definition["nodes"]!.AsArray().OfType<JsonObject>().Select(node => node["credentials"]).OfType<JsonObject>().SelectMany(node => node).Select(pair => pair.Value).OfType<JsonObject>())
            if (named["id"] is JsonValue value && value.TryGetValue<string>(out var old) && replaced.TryGetValue(old, out var now))
                named["id"] = now;
        return new DefinitionColumns(ToElement(definition), workflows.MaxDefinitionBytes);
    }

    async Task<Dictionary<Id<User>, string>> AddressesAsync(CancellationToken cancellationToken, params Id<User>?[] ids)
        => (await database.QueryAsync("select id, email from flowstone.users where tenant_id = $1 and id = any($2)", [P(ids.OfType<Id<User>>().Select(id => id.Value).Distinct().ToArray())],
            row => (Id: new Id<User>(row.GetGuid(0)), Email: row.GetString(1)), cancellationToken)).ToDictionary(user => user.Id, user => user.Email);

    async Task<Dictionary<string, Id<User>>> IdsAsync(IEnumerable<string> addresses, CancellationToken cancellationToken)
        => (await database.QueryAsync("select id, email from flowstone.users where tenant_id = $1 and email = any($2)", [P(addresses.Select(address => address.ToLowerInvariant()).Distinct().ToArray())],
            row => (Id: new Id<User>(row.GetGuid(0)), Email: row.GetString(1)), cancellationToken)).ToDictionary(user => user.Email, user => user.Id, StringComparer.OrdinalIgnoreCase);

    static JsonObject ParseNode(byte[] definition)
    {
        try
        {
            return JsonNode.Parse(definition, documentOptions: new() { MaxDepth = WorkflowDefinition.MaxDepth, AllowDuplicateProperties = false })!.AsObject();
        }
        catch (JsonException)
        {
            throw new InvalidInputException("versions", "hold an object with two properties of one name.");
        }
    }

    static JsonElement ToElement(JsonNode node) => JsonBytes.Write(writer => node.WriteTo(writer));
}
