using System.Text.Json;

namespace Flowstone.Workflows.N8n;

/// <summary>What an n8n export says.</summary>
/// <param name="Name">The document's name, or the fallback if it has none.</param>
/// <param name="Tags">Names, in the document's order.</param>
/// <param name="Definition">Valid by <see cref="WorkflowDefinition.Validate"/>; <see cref="N8nFormat.Write"/> makes the document of it again.</param>
/// <param name="Warnings">What was kept, but has no effect: sentences for the user.</param>
public sealed record N8nWorkflow(
    string Name, string? Description, IReadOnlyList<string> Tags, JsonElement Definition, IReadOnlyList<string> Warnings);
