using System.Text.Json;
using System.Text.RegularExpressions;
using Flowstone.Data;
using Flowstone.Tenancy;
using Flowstone.Workflows;
using static Flowstone.Data.Sql;

namespace Flowstone.Executions;

/// <summary>The names and types by which a workflow's executions can be found, and what was given under them.</summary>
static partial class SearchAttributes
{
    const int Most = 10;

    /// <exception cref="InvalidInputException">A name is not one, or there are more than ten.</exception>
    public static void Check(IReadOnlyDictionary<string, AttributeType> declared)
    {
        if (declared.Count > Most)
            throw new InvalidInputException("searchAttributes", $"has {declared.Count} names; at most {Most} are allowed.");
        foreach (var name in declared.Keys.Where(name => !Name().IsMatch(name)))
            throw new InvalidInputException(FieldErrors.Step("searchAttributes", name), "must begin with a letter, and have at most 64 letters, digits, '_', '-' and '.'.");
    }

    public static async Task<Dictionary<string, AttributeType>> DeclaredAsync(TenantDatabase database, Id<Workflow> workflow, CancellationToken cancellationToken)
        => (await database.QueryAsync("select search_attributes from flowstone.workflows w where w.tenant_id = $1 and w.id = $2", [P(workflow)],
            row => row.IsDBNull(0) ? [] : JsonSerializer.Deserialize<Dictionary<string, AttributeType>>(row.GetString(0), FlowstoneJson.Options)!, cancellationToken))
            .SingleOrDefault() ?? throw new NotFoundException("Workflow", workflow);

    /// <summary>What an execution was given, as the table keeps it.</summary>
    /// <exception cref="InvalidInputException">A name is not declared, or a value is of another type.</exception>
    public static (string Name, byte[] Value)[] Encode(IReadOnlyDictionary<string, AttributeType> declared, IReadOnlyDictionary<string, AttributeValue> given)
    {
        if (given.Count > Most)
            throw new InvalidInputException("attributes", $"has {given.Count} names; at most {Most} are allowed.");
        return [.. given.Select(attribute => (attribute.Key, Encode(declared, attribute.Key, attribute.Value, anyText: false)))];
    }

    /// <inheritdoc cref="Encode(IReadOnlyDictionary{string, AttributeType}, IReadOnlyDictionary{string, AttributeValue})"/>
    public static byte[] Encode(IReadOnlyDictionary<string, AttributeType> declared, string name, AttributeValue value, bool anyText)
    {
        var field = FieldErrors.Step("attributes", name);
        if (!declared.TryGetValue(name, out var type))
            throw new InvalidInputException(field, "is not a search attribute of the workflow.");
        try
        {
            return (value.As(type, anyText) ?? throw new InvalidInputException(field, $"must be a {EnumText<AttributeType>.Of(type)}, but is a {EnumText<AttributeType>.Of(value.Type)}.")).Encode();
        }
        catch (InvalidInputException error) when (error.Errors[0].Field == "value")
        {
            throw new InvalidInputException(field, error.Errors[0].Message);
        }
    }

    [GeneratedRegex("^[A-Za-z][A-Za-z0-9_.-]{0,63}$")]
    private static partial Regex Name();
}
