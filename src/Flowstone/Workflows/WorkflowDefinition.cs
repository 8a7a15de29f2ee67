using System.Text.Json;
using Flowstone.Data;

namespace Flowstone.Workflows;

/// <summary>
/// What a workflow does, as a JSON object: <c>nodes</c>, <c>edges</c> between their ids, <c>settings</c>, <c>pinnedData</c>, and where it came
/// from in <c>source</c>. Fields that Flowstone does not know, at the top and in nodes, are kept as they are.
/// </summary>
public static class WorkflowDefinition
{
    public const int MaxBytes = JsonDocuments.MaxBytes;

    public const int MaxDepth = JsonDocuments.MaxDepth;

    /// <summary>Of names, ids, types and connectors, in UTF-16 units: never more than the 255 characters that a column takes.</summary>
    public const int MaxNameLength = 255;

    /// <summary>Outputs are written as arrays by other formats, so one edge with index a billion would fill the memory.</summary>
    public const int MaxConnectorIndex = 255;

    /// <summary>Nobody reads more.</summary>
    public const int MaxErrors = 20;

    /// <summary>Every broken rule with its path, at most <see cref="MaxErrors"/>; none if the definition can be stored and run.</summary>
    public static IReadOnlyList<FieldError> Validate(JsonElement definition)
    {
        var errors = new FieldErrors(MaxErrors);
        if (errors.Expect("$", definition, JsonValueKind.Object) is null)
            return errors.All;

        if (StorableJson.Check(definition, errors, MaxDepth, MaxBytes))
            new WorkflowDefinitionRules(errors).Check(definition);
        return errors.All;
    }
}
