using System.Text.Json;
using Flowstone.Data;
using static Flowstone.Workflows.WorkflowDefinition;

namespace Flowstone.Workflows;

/// <summary>The shape of a definition, as opposed to what any stored JSON must fulfil.</summary>
sealed class WorkflowDefinitionRules(FieldErrors errors)
{
    readonly Dictionary<string, int> nodeIds = new(StringComparer.Ordinal);
    int nodesSeen;

    public void Check(JsonElement definition)
    {
        errors.ExpectText("name", definition.Find("name"), 1, MaxNameLength, optional: true);
        if (definition.Find("category") is { ValueKind: not JsonValueKind.Null } category)
            errors.ExpectText("category", category, 0, MaxNameLength);
        errors.Expect("settings", definition.Find("settings"), JsonValueKind.Object, optional: true);
        errors.Expect("pinnedData", definition.Find("pinnedData"), JsonValueKind.Object, optional: true);
        CheckSettings(definition.Find("settings"));
        CheckVariables(definition.Find("variables"));
        foreach (var (path, tag) in Items("tags", definition.Find("tags"), optional: true))
            errors.Expect(path, tag, JsonValueKind.String);

        foreach (var (path, node) in Items("nodes", definition.Find("nodes"), optional: false))
            CheckNode(path, node);
        foreach (var (path, edge) in Items("edges", definition.Find("edges"), optional: true))
            CheckEdge(path, edge);
    }

    // Of the settings that Flowstone knows; of others, anything. Null is as if it were not there.
    void CheckSettings(JsonElement? settings)
    {
        foreach (var text in new[] { "timezone", "errorWorkflow", "callerPolicy", "executionOrder" })
            CheckSetting(text, JsonValueKind.String);
        CheckSetting("executionTimeout", JsonValueKind.Number);

        void CheckSetting(string name, JsonValueKind kind)
        {
            if (settings?.Find(name) is { ValueKind: not JsonValueKind.Null } setting)
                errors.Expect($"settings.{name}", setting, kind);
        }
    }

    void CheckVariables(JsonElement? variables)
    {
        if (errors.Expect("variables", variables, JsonValueKind.Object, optional: true) is not { } present)
            return;
        foreach (var variable in present.EnumerateObject())
            if (variable.Name.Length is 0 or > MaxNameLength)
                errors.Add(FieldErrors.Step("variables", variable.Name), $"its name must have 1 to {MaxNameLength} characters.");
    }

    void CheckNode(string path, JsonElement node)
    {
        var index = nodesSeen++;
        if (errors.Expect(path, node, JsonValueKind.Object) is null)
            return;
        if (errors.ExpectText($"{path}.id", node.Find("id"), 1, MaxNameLength) is { } id && !nodeIds.TryAdd(id, index))
            errors.Add($"{path}.id", $"'{id}' is already the id of nodes[{nodeIds[id]}].");
        errors.ExpectText($"{path}.name", node.Find("name"), 0, MaxNameLength);
        errors.ExpectText($"{path}.type", node.Find("type"), 1, MaxNameLength);
    }

    void CheckEdge(string path, JsonElement edge)
    {
        if (errors.Expect(path, edge, JsonValueKind.Object) is null)
            return;
        CheckEnd($"{path}.source", edge.Find("source"));
        CheckEnd($"{path}.target", edge.Find("target"));
        errors.ExpectText($"{path}.output", edge.Find("output"), 0, MaxNameLength, optional: true);
        errors.ExpectText($"{path}.input", edge.Find("input"), 0, MaxNameLength, optional: true);
        CheckIndex($"{path}.outputIndex", edge.Find("outputIndex"));
        CheckIndex($"{path}.inputIndex", edge.Find("inputIndex"));
    }

    void CheckEnd(string path, JsonElement? reference)
    {
        if (errors.Expect(path, reference, JsonValueKind.String)?.Text is { } id && !nodeIds.ContainsKey(id))
            errors.Add(path, $"there is no node '{FieldErrors.Cut(id)}'.");
    }

    void CheckIndex(string path, JsonElement? index)
    {
        if (index is { } present && present.Index(MaxConnectorIndex) is null)
            errors.Add(path, $"must be a whole number from 0 to {MaxConnectorIndex}.");
    }

    /// <summary>The items of an array with their paths; none if there is no array, which is then an error.</summary>
    IEnumerable<(string Path, JsonElement Item)> Items(string field, JsonElement? array, bool optional)
    {
        if (errors.Expect(field, array, JsonValueKind.Array, optional) is not { } present)
            yield break;
        var index = 0;
        foreach (var item in present.EnumerateArray())
        {
            if (errors.IsFull)
                yield break;
            yield return ($"{field}[{index++}]", item);
        }
    }
}
