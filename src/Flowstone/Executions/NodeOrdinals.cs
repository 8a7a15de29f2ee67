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

    // A worker holds few executions at once; what is forgotten here costs a query.
    const int MostExecutions = 65_536;

    readonly ConcurrentDictionary<(Id<Tenant>, Id<Workflow>, int), Nodes> versions = new();
    readonly ConcurrentDictionary<Id<Execution>, (Id<Tenant> Tenant, Id<Workflow> Workflow, int Version)> executions = new();

    public sealed record Nodes(Id<Workflow> WorkflowId, VersionNode[] ByOrdinal, Dictionary<string, int> ById);

    /// <summary>Which version an execution runs, so that its steps need not ask.</summary>
    public void Remember(Execution execution)
    {
        if (executions.Count >= MostExecutions)
            executions.Clear();
        executions[execution.Id] = (execution.TenantId, execution.WorkflowId, execution.WorkflowVersion);
    }

    public void Forget(Id<Execution> execution) => executions.TryRemove(execution, out _);

    /// <exception cref="NotFoundException">This tenant has no such execution.</exception>
    public async ValueTask<Nodes> GetAsync(TenantDatabase database, Id<Execution> execution, CancellationToken cancellationToken)
    {
        if (!executions.TryGetValue(execution, out var known) || known.Tenant != database.TenantId)
        {
            var rows = await database.QueryAsync("select workflow_id, workflow_version from flowstone.executions where tenant_id = $1 and id = $2",
                [P(execution)], row => (Workflow: new Id<Workflow>(row.GetGuid(0)), Version: row.GetInt32(1)), cancellationToken);
            if (rows.Count == 0)
                throw new NotFoundException("Execution", execution);
            known = (database.TenantId, rows[0].Workflow, rows[0].Version);
            if (executions.Count >= MostExecutions)
                executions.Clear();
            executions[execution] = known;
        }
        return await GetAsync(database, known.Workflow, known.Version, cancellationToken);
    }

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
        return versions[key] = new Nodes(workflow, nodes, nodes.ToDictionary(n => n.Id, n => n.Node, StringComparer.Ordinal));
    }
}
