using System.Collections.Concurrent;
using Flowstone.Tenancy;
using Flowstone.Workflows;
using static Flowstone.Data.Sql;

namespace Flowstone.Executions;

/// <summary>A node as its version defines it.</summary>
public sealed record VersionNode(int Node, string Id, string Name, string Type);

/// <summary>
/// The nodes of versions, by ordinal and by id. A node execution stores the ordinal: 4 bytes in the busiest table and its key
/// instead of an id, a name and a type. Versions never change, so what was read once stays true.
/// </summary>
sealed class NodeOrdinals
{
    // A version's nodes are a few KB. Beyond this many versions the cache starts anew; that costs a query per version, nothing else.
    const int MostVersions = 4096;

    readonly ConcurrentDictionary<(Id<Tenant>, Id<Workflow>, int), Nodes> versions = new();

    public sealed record Nodes(VersionNode[] ByOrdinal, Dictionary<string, int> ById);

    public async ValueTask<Nodes> GetAsync(TenantDatabase database, Id<Workflow> workflow, int version, CancellationToken cancellationToken)
    {
        var key = (database.TenantId, workflow, version);
        if (versions.TryGetValue(key, out var known))
            return known;
        const string Read = """
            select (node.ordinality - 1)::int, node.value ->> 'id', node.value ->> 'name', node.value ->> 'type'
              from flowstone.workflow_versions v, jsonb_array_elements(v.definition -> 'nodes') with ordinality node
             where v.tenant_id = $1 and v.workflow_id = $2 and v.number = $3 order by 1
            """;
        var nodes = (await database.QueryAsync(Read, [P(workflow), P(version)],
            row => new VersionNode(row.GetInt32(0), row.GetString(1), row.GetString(2), row.GetString(3)), cancellationToken)).ToArray();
        if (versions.Count >= MostVersions)
            versions.Clear();
        return versions[key] = new Nodes(nodes, nodes.ToDictionary(n => n.Id, n => n.Node, StringComparer.Ordinal));
    }
}
