using System.Text.Json;
using Flowstone.Data;

namespace Flowstone.Workflows;

/// <summary>What a definition names, each with its node; of a definition that breaks rules, what can be read.</summary>
sealed class DefinitionReferences
{
    /// <summary>Of a workflow. A file full of links is a document, and not what it uses.</summary>
    public const int MaxUrls = 1000;

    readonly HashSet<(ReferenceKind, string, string)> known = [];
    readonly List<(ReferenceKind Kind, string Value, string Node)> all = [];
    int urls;

    DefinitionReferences() { }

    /// <summary>In the order of the definition; the node is empty where the workflow itself names it.</summary>
    public static IReadOnlyList<(ReferenceKind Kind, string Value, string Node)> Of(JsonElement definition)
    {
        var references = new DefinitionReferences();
        references.Add(ReferenceKind.Category, definition.Find("category"), "");
        foreach (var tag in Items(definition.Find("tags")))
            references.Add(ReferenceKind.Tag, tag, "");
        if (definition.Find("settings", JsonValueKind.Object)?.Find("errorWorkflow") is { } handler)
            references.AddWorkflow(handler, "");
        foreach (var node in Items(definition.Find("nodes")))
            if (node.ValueKind == JsonValueKind.Object && node.Find("id", JsonValueKind.String)?.GetString() is { } id)
                references.AddNode(node, id);
        return references.all;
    }

    void AddNode(JsonElement node, string id)
    {
        Add(ReferenceKind.NodeType, node.Find("type"), id);
        if (node.Find("credentials", JsonValueKind.Object) is { } credentials)
        {
            foreach (var credential in credentials.EnumerateObject())
            {
                Add(ReferenceKind.Credential, credential.Value, id);   // n8n's oldest documents have the name alone
                if (credential.Value.ValueKind != JsonValueKind.Object)
                    continue;
                Add(ReferenceKind.Credential, credential.Value.Find("id"), id);
                Add(ReferenceKind.Credential, credential.Value.Find("name"), id);
            }
        }
        if (node.Find("parameters", JsonValueKind.Object) is not { } parameters)
            return;
        if (parameters.Find("workflowId") is { } called)
            AddWorkflow(called, id);
        AddUrls(parameters, id);
    }

    // A text, or n8n's { "__rl": true, "value": …, "mode": "id" }. What is an expression is known only when it runs.
    void AddWorkflow(JsonElement reference, string node)
    {
        var value = reference.ValueKind == JsonValueKind.Object ? reference.Find("value") ?? default : reference;
        if (value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 } text && text[0] != '=')
            Add(ReferenceKind.Workflow, value, node);
    }

    void AddUrls(JsonElement value, string node)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var property in value.EnumerateObject())
                    AddUrls(property.Value, node);
                break;
            case JsonValueKind.Array:
                foreach (var item in value.EnumerateArray())
                    AddUrls(item, node);
                break;
            case JsonValueKind.String:
                foreach (var (whole, host) in Urls.In(value.GetString()!))
                {
                    if (urls >= MaxUrls)
                        return;
                    urls += (Add(ReferenceKind.Url, whole, node) ? 1 : 0) + (Add(ReferenceKind.Url, host, node) ? 1 : 0);
                }
                break;
        }
    }

    void Add(ReferenceKind kind, JsonElement? value, string node)
    {
        if (value is { ValueKind: JsonValueKind.String } text)
            Add(kind, text.GetString()!, node);
    }

    bool Add(ReferenceKind kind, string value, string node)
    {
        var reference = (kind, WorkflowReference.Key(value), node);
        if (value.Length == 0 || !known.Add(reference))
            return false;
        all.Add(reference);
        return true;
    }

    static JsonElement.ArrayEnumerator Items(JsonElement? array) => array is { ValueKind: JsonValueKind.Array } items ? items.EnumerateArray() : default;
}
