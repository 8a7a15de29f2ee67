using Flowstone.Data;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Workflows;

/// <summary>A workflow whose newest version names what was asked for.</summary>
/// <param name="NodeIds">The nodes that do, in the order of the definition; none where the workflow's settings do.</param>
public sealed record WorkflowUse(Id<Workflow> Id, string Name, IReadOnlyList<string> NodeIds);

public sealed partial class WorkflowRepository
{
    /// <summary>A page of the workflows that use it, of those that the actor may know of, newest first, continuing below <paramref name="before"/>.</summary>
    /// <param name="value">As the definition has it; of a URL a host will do.</param>
    public async Task<List<WorkflowUse>> UsageAsync(ReferenceKind kind, string value, Id<Workflow>? before, int limit, CancellationToken cancellationToken = default)
    {
        Text.Require("value", value, int.MaxValue);
        var reach = await access.RowsAsync(next: 6, cancellationToken);
        return await database.WalkAsync($"""
            select page.id, page.name, n.node_ids from ({Users(reach, "$2", "$3", "$4", conditions: "", "$5")}) page
              cross join lateral (
                select r.node_ids from flowstone.workflow_references r where r.tenant_id = $1 and r.kind = $2 and r.value = $3 and r.workflow_id = page.id offset 0) n
             order by page.id desc
            """, [P(EnumText<ReferenceKind>.Of(kind)), P(WorkflowReference.Key(kind == ReferenceKind.Url ? Urls.Sought(value) : value)), P(before), P(limit), .. reach.Parameters],
            row => new WorkflowUse(new(row.GetGuid(0)), row.GetString(1), row.GetFieldValue<string[]>(2)), cancellationToken);
    }

    /// <summary>The newest workflows, id and name, that refer to something.</summary>
    /// <param name="kind">Places of parameters, as the others are.</param>
    /// <param name="conditions">To be put behind others.</param>
    static string Users((string Sql, string? Few, NpgsqlParameter[]) reach, string kind, string value, string before, string conditions, string limit)
    {
        // From the references, also where nearly all workflows have one: they come in order, and the page is soon full. Until it is, their key is enough.
        var many = reach.Few is null ? "" : " and f.ids is null";
        var below = $"case when {before} is null then 'ffffffff-ffff-ffff-ffff-ffffffffffff' else {before} end";   // coalesce is nothing that may use an index behind a policy
        var walk = $"""
            select w.id, w.name from flowstone.workflow_references r cross join lateral (
                   select w.id, w.name from flowstone.workflows w where w.tenant_id = $1 and w.id = r.workflow_id and w.deleted_at is null{conditions}{reach.Sql} offset 0) w
             where r.tenant_id = $1 and r.kind = {kind} and r.value = {value} and r.workflow_id < {below}{many}
             order by r.workflow_id desc limit {limit}
            """;

        // Who reaches few might wait for a page that never fills: each of the few is looked at instead.
        return reach.Few is null ? walk : $"""
            select p.id, p.name from {reach.Few} cross join lateral (
                (select w.id, w.name from (select distinct a.id from unnest(f.ids) a (id) order by a.id desc offset 0) a
                   cross join lateral (select r.workflow_id from flowstone.workflow_references r where r.tenant_id = $1 and r.kind = {kind} and r.value = {value} and r.workflow_id = a.id offset 0) r
                   cross join lateral (select w.id, w.name from flowstone.workflows w where w.tenant_id = $1 and w.id = r.workflow_id and w.deleted_at is null{conditions} offset 0) w
                  where a.id < {below} order by a.id desc limit {limit})
                union all ({walk})) p
            """;
    }
}
