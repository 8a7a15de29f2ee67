using System.Text;
using System.Text.Json;
using Flowstone.Data;
using Flowstone.Tenancy;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Workflows;

/// <summary>
/// What finds workflows by what their newest version says. Each save keeps it in its own transaction (<see cref="Keep"/>); what was saved by a release
/// that had none is made up for here, and that repairs, too.
/// </summary>
public sealed class WorkflowIndex
{
    const int MaxCharacters = 100_000;
    const int AtOnce = 20;   // definitions have up to 5 MB
    const int TenantsAtOnce = 100;

    readonly Database app;
    readonly TenantDirectory tenants;

    internal WorkflowIndex(Database app, TenantDirectory tenants) => (this.app, this.tenants) = (app, tenants);

    /// <summary>The statements that follow a save: where this content is the newest, whoever stored it, they make the index say what it says.</summary>
    /// <param name="hash">Of the definition.</param>
    internal static IEnumerable<(string Sql, NpgsqlParameter[] Parameters)> Keep(Id<Workflow> id, JsonElement definition, byte[] hash)
    {
        const string Newest = """
            exists (select from flowstone.workflows w join flowstone.workflow_versions v on v.tenant_id = w.tenant_id and v.workflow_id = w.id and v.number = w.version
                     where w.tenant_id = $1 and v.tenant_id = $1 and w.id = $2 and v.hash = $3)
            """;
        const string Drop = $"""
            delete from flowstone.workflow_references r
             where r.tenant_id = $1 and r.workflow_id = $2 and not exists (select from unnest($4, $5) g (kind, value) where g.kind = r.kind and g.value = r.value) and {Newest}
            """;

        // Most saves change no reference, and then write none.
        const string Add = $"""
            insert into flowstone.workflow_references as r (tenant_id, kind, value, workflow_id, node_ids)
            select $1, g.kind, g.value, $2, array_remove(array_agg(g.node order by g.number), '') from unnest($4, $5, $6) with ordinality g (kind, value, node, number)
             where {Newest} group by g.kind, g.value
            on conflict (tenant_id, kind, value, workflow_id) do update set node_ids = excluded.node_ids where r.node_ids <> excluded.node_ids
            """;
        const string Describe = $"""
            insert into flowstone.workflow_texts as t (tenant_id, workflow_id, name, labels, words) select $1, $2, normalize($4, nfkc), normalize($5, nfkc), normalize($6, nfkc) where {Newest}
            on conflict (tenant_id, workflow_id) do update set name = excluded.name, labels = excluded.labels, words = excluded.words
             where (t.name, t.labels, t.words) is distinct from (excluded.name, excluded.labels, excluded.words)
            """;
        const string Mark = $"""
            update flowstone.workflows set indexed_version = version where tenant_id = $1 and id = $2 and indexed_version is distinct from version and {Newest}
            """;
        var references = DefinitionReferences.Of(definition);
        var (kinds, values) = (references.Select(r => EnumText<ReferenceKind>.Of(r.Kind)).ToArray(), references.Select(r => r.Value).ToArray());
        var (name, labels, words) = TextOf(definition);
        return
        [
            (Drop, [P(id), P(hash), P(kinds), P(values)]),
            (Add, [P(id), P(hash), P(kinds), P(values), P(references.Select(r => r.Node).ToArray())]),
            (Describe, [P(id), P(hash), P(name), P(labels), P(words)]),
            (Mark, [P(id), P(hash)]),
        ];
    }

    internal static (string Name, string Labels, string Words) TextOf(JsonElement definition)
    {
        var known = new HashSet<string>(StringComparer.Ordinal);
        var text = new StringBuilder();
        Append(definition.Find("name"));
        var name = text.ToString();
        foreach (var tag in Items("tags"))
            Append(tag);
        var labels = text.ToString();
        Append(definition.Find("description"));
        foreach (var node in Items("nodes"))
        {
            if (node.ValueKind != JsonValueKind.Object)
                continue;
            Append(node.Find("name"));
            Append(node.Find("type"));
        }
        return (name, labels, text.ToString());

        void Append(JsonElement? value)
        {
            if (value is not { ValueKind: JsonValueKind.String } present || text.Length > MaxCharacters)
                return;
            foreach (var word in Words.Of(present.GetString()))
                if (known.Add(word) && text.Length <= MaxCharacters)
                    text.Append(' ').Append(word);
        }

        IEnumerable<JsonElement> Items(string field) => definition.Find(field, JsonValueKind.Array) is { } array ? array.EnumerateArray() : [];
    }

    /// <summary>Indexes what is not, for all tenants. Several processes may do it at once, and it may be killed at any point.</summary>
    /// <returns>How many workflows were looked at.</returns>
    public async Task<long> RunAsync(CancellationToken cancellationToken = default)
    {
        var indexed = 0L;
        foreach (var chunk in (await tenants.ListAsync(cancellationToken)).Select(tenant => tenant.Id).Chunk(TenantsAtOnce))
            foreach (var tenant in await LackingAsync(chunk, cancellationToken))
                indexed += await RunAsync(new TenantDatabase(app, tenant), cancellationToken);
        return indexed;
    }

    async Task<List<Id<Tenant>>> LackingAsync(Id<Tenant>[] among, CancellationToken cancellationToken)
    {
        const string Find = "select t.id from unnest($1) t (id) where exists (select from flowstone.workflows w where w.tenant_id = t.id and w.indexed_version is distinct from w.version)";
        var found = new List<Id<Tenant>>();
        await app.TransactAsync(string.Join(',', among), [new(Find, P(Array.ConvertAll(among, id => id.Value)))], row => found.Add(new(row.GetGuid(0))), cancellationToken);
        return found;
    }

    static async Task<long> RunAsync(TenantDatabase database, CancellationToken cancellationToken)
    {
        const string Find = """
            select w.id, v.definition, v.hash from flowstone.workflows w
              join flowstone.workflow_versions v on v.tenant_id = w.tenant_id and v.workflow_id = w.id and v.number = w.version
             where w.tenant_id = $1 and v.tenant_id = $1 and w.indexed_version is distinct from w.version and w.id > $2 order by w.id limit $3
            """;

        // As a save does: the index of another version must not come between the statements.
        const string Lock = "update flowstone.workflows set version = version where tenant_id = $1 and id = $2";
        var indexed = 0L;
        for (var after = default(Id<Workflow>); ;)
        {
            var batch = await database.QueryAsync(Find, [P(after), P(AtOnce)],
                row => (Id: new Id<Workflow>(row.GetGuid(0)), Definition: JsonElement.Parse(row.GetFieldValue<byte[]>(1), WorkflowRepository.Stored), Hash: row.GetFieldValue<byte[]>(2)), cancellationToken);
            foreach (var workflow in batch)
                await database.ExecuteAsync([(Lock, [P(workflow.Id)]), .. Keep(workflow.Id, workflow.Definition, workflow.Hash)], cancellationToken);
            indexed += batch.Count;
            if (batch.Count < AtOnce)
                return indexed;
            after = batch[^1].Id;
        }
    }
}
