using System.Text.Json;
using static Flowstone.Data.Sql;

namespace Flowstone.Workflows;

public sealed partial class WorkflowRepository
{
    /// <summary>What is probably wrong with a version; the newest if <paramref name="number"/> is null. A publication would refuse it.</summary>
    /// <exception cref="NotFoundException">There is no such workflow or version, or the actor may not know of it.</exception>
    public async Task<IReadOnlyList<GraphIssue>> ListIssuesAsync(Id<Workflow> id, int? number = null, CancellationToken cancellationToken = default)
    {
        var version = await FindVersionAsync(id, number, cancellationToken) ?? throw new NotFoundException("Workflow", id);
        return await WarningsAsync(version.Definition, cancellationToken);
    }

    async Task<IReadOnlyList<GraphIssue>> WarningsAsync(JsonElement definition, CancellationToken cancellationToken)
    {
        // Whether they are there, not whether the actor may use them: that is asked when they are used.
        const string There = "select c.id::text from flowstone.credentials c where c.tenant_id = $1 and c.id = any($2)";
        var asked = GraphChecks.Credentials(definition).Select(id => Guid.TryParse(id, out var guid) ? guid : default).Where(id => id != default).ToArray();
        var there = asked.Length == 0 ? [] : await database.QueryAsync(There, [P(asked)], row => row.GetString(0), cancellationToken);
        return GraphChecks.Check(definition, id => there.Contains(id, StringComparer.OrdinalIgnoreCase));
    }
}
