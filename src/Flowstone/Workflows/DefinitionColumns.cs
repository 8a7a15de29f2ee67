using System.Text.Json;
using Flowstone.Data;

namespace Flowstone.Workflows;

/// <summary>What the columns beside a definition hold; made only of a definition that breaks no rule.</summary>
sealed class DefinitionColumns
{
    /// <exception cref="InvalidInputException">The definition breaks a rule; all broken ones are named.</exception>
    public DefinitionColumns(JsonElement definition, int maxBytes = WorkflowDefinition.MaxBytes)
    {
        if (WorkflowDefinition.Validate(definition, maxBytes) is { Count: > 0 } errors)
            throw new InvalidInputException(errors);
        if (definition.Find("name") is not { ValueKind: JsonValueKind.String } name)   // n8n's documents may lack one; what is stored may not
            throw new InvalidInputException("name", "is missing; a string is needed.");
        Json = JsonBytes.Of(definition);
        Hash = CanonicalJson.Hash(definition);
        Name = name.GetString()!;
        Description = definition.TryGetProperty("description", out var description) && description.ValueKind == JsonValueKind.String ? description.GetString() : null;
        Tags = definition.TryGetProperty("tags", out var tags) && tags.ValueKind == JsonValueKind.Array ? [.. tags.EnumerateArray().Select(tag => tag.GetString()!)] : [];
        Category = definition.FindText("category") is { Length: > 0 } category ? category : null;
    }

    public byte[] Json { get; }
    public byte[] Hash { get; }
    public string Name { get; }
    public string? Description { get; }
    public string[] Tags { get; }
    public string? Category { get; }
}
