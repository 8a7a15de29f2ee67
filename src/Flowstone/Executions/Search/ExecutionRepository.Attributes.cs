using Flowstone.Permissions;
using static Flowstone.Data.Sql;

namespace Flowstone.Executions;

public sealed partial class ExecutionRepository
{
    /// <summary>The values by which the execution is found, by name.</summary>
    public async Task<IReadOnlyDictionary<string, AttributeValue>> AttributesAsync(Id<Execution> id, CancellationToken cancellationToken = default)
        => !await access.MayAsync(AccessLevel.Read, id, cancellationToken) ? new Dictionary<string, AttributeValue>()
            : (await database.QueryAsync("select name, value from flowstone.execution_attributes a where a.tenant_id = $1 and a.execution_id = $2 order by name", [P(id)],
            row => (Name: row.GetString(0), Value: AttributeValue.Decode(row.GetFieldValue<byte[]>(1))), cancellationToken))
            .ToDictionary(row => row.Name, row => row.Value);

    /// <summary>Sets values by which the execution is found, at any time; others stay.</summary>
    /// <exception cref="NotFoundException">This tenant has no such execution.</exception>
    /// <exception cref="InvalidInputException">The workflow does not declare such a name, or the value is of another type.</exception>
    public async Task SetAttributesAsync(Id<Execution> id, IReadOnlyDictionary<string, AttributeValue> values, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(AccessLevel.Execute, id, cancellationToken);
        var execution = await FindAsync(id, cancellationToken) ?? throw new NotFoundException("Execution", id);
        var declared = await SearchAttributes.DeclaredAsync(database, execution.WorkflowId, cancellationToken);
        await SetAttributesAsync(id, SearchAttributes.Encode(declared, values), cancellationToken);
    }

    async Task SetAttributesAsync(Id<Execution> id, (string Name, byte[] Value)[] values, CancellationToken cancellationToken)
    {
        const string Set = """
            insert into flowstone.execution_attributes as a (tenant_id, execution_id, workflow_id, name, value)
            select e.tenant_id, e.id, e.workflow_id, given.name, given.value
              from flowstone.executions e, unnest($3, $4) given (name, value) where e.tenant_id = $1 and e.id = $2 order by given.name
            on conflict (tenant_id, execution_id, name) do update set value = excluded.value where a.value <> excluded.value
            """;
        if (values.Length > 0)
            await database.ExecuteAsync(Set, [P(id), P(Array.ConvertAll(values, v => v.Name)), P(Array.ConvertAll(values, v => v.Value))], cancellationToken);
    }
}
