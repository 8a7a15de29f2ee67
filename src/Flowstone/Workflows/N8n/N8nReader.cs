using System.Text.Json;
using Flowstone.Data;
using static Flowstone.Workflows.WorkflowDefinition;

namespace Flowstone.Workflows.N8n;

/// <summary>One reading of one n8n document.</summary>
sealed class N8nReader(JsonElement document, string fallbackName, int maxBytes)
{
    // A field that is kept stands two levels deeper, in source.fields.
    const int MaxDocumentDepth = MaxDepth - 2;

    public N8nWorkflow Read()
    {
        var (nodes, name) = Check();
        var description = document.FindText("description");
        var tags = N8nTags.Names(document.Find("tags"));
        var connections = document.Find("connections", JsonValueKind.Object) is { } found ? N8nConnections.Read(found, nodes.References) : null;

        var definition = N8nFormat.Build(writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("name", name ?? fallbackName);
            if (description is not null)
                writer.WriteString("description", description);
            if (tags is not null)
                WriteTags(writer, tags);
            writer.WritePropertyName("nodes");
            nodes.Write(writer);
            if (connections is not null)
                WriteEdges(writer, connections.Edges, nodes.References);
            WriteObject(writer, "settings", "settings");
            WriteObject(writer, "pinData", "pinnedData");
            writer.WritePropertyName("source");
            WriteSource(writer, nodes, connections, hasName: name is not null);
            writer.WriteEndObject();
        }, out var bytes);

        // What is kept twice, as edges and as connections, can make a definition larger than its document.
        if (bytes > maxBytes)
            throw new InvalidInputException("$", FormattableString.Invariant($"becomes a definition of {bytes:N0} bytes; at most {maxBytes:N0} are allowed."));
        return new N8nWorkflow(name ?? fallbackName, description, tags ?? [], definition, [.. connections?.Warnings() ?? []]);
    }

    (N8nNodes Nodes, string? Name) Check()
    {
        var errors = new FieldErrors(MaxErrors);
        if (errors.Expect("$", document, JsonValueKind.Object) is not null)
            StorableJson.Check(document, errors, MaxDocumentDepth, maxBytes);
        errors.ThrowIfAny();

        var name = document.FindText("name");
        name = string.IsNullOrWhiteSpace(name) ? null : errors.ExpectText("name", document.Find("name"), 1, MaxNameLength);
        if (fallbackName.Length > MaxNameLength)
            errors.Add("name", $"is missing, and the name given instead has {fallbackName.Length} characters; at most {MaxNameLength} are allowed.");
        if (fallbackName.Contains('\0'))
            errors.Add("name", "is missing, and the name given instead contains U+0000, which PostgreSQL cannot store.");
        var nodes = N8nNodes.Read(document, errors);
        errors.ThrowIfAny();
        return (nodes, name);
    }

    void WriteObject(Utf8JsonWriter writer, string name, string newName)
    {
        if (document.Find(name, JsonValueKind.Object) is not { } value)
            return;
        writer.WritePropertyName(newName);
        value.WriteTo(writer);
    }

    static void WriteTags(Utf8JsonWriter writer, List<string> tags)
    {
        writer.WriteStartArray("tags");
        foreach (var tag in tags)
            writer.WriteStringValue(tag);
        writer.WriteEndArray();
    }

    void WriteSource(Utf8JsonWriter writer, N8nNodes nodes, N8nConnections? connections, bool hasName)
    {
        writer.WriteStartObject();
        writer.WriteString("format", N8nFields.Format);
        if (!hasName)
            writer.WriteString(N8nFields.FallbackName, fallbackName);
        if (nodes.HaveGeneratedIds)
        {
            writer.WritePropertyName(N8nFields.NodeIds);
            nodes.WriteOriginalIds(writer);
        }
        if (document.Find("tags") is { } tags && N8nTags.Names(tags) is not null && !N8nTags.AreTexts(tags))
        {
            writer.WritePropertyName(N8nFields.Tags);
            tags.WriteTo(writer);
        }
        if (connections is not null && document.Find("connections") is { } original && !EdgesSayAll(original, connections, nodes.References))
        {
            writer.WritePropertyName(N8nFields.Connections);
            original.WriteTo(writer);
        }
        WriteFields(writer, hasName);
        writer.WriteEndObject();
    }

    static bool EdgesSayAll(JsonElement original, N8nConnections connections, N8nReferences nodes)
        => connections.AreAllEdges
            && CanonicalJson.Equal(original, N8nFormat.Build(writer => writer.WriteConnections(connections.Edges, nodes)));

    void WriteFields(Utf8JsonWriter writer, bool hasName)
    {
        writer.WriteStartObject(N8nFields.Fields);
        foreach (var (name, value) in document.LastProperties())
        {
            if (IsInterpreted(name, value, hasName))
                continue;
            writer.WritePropertyName(name);
            value.WriteTo(writer);
        }
        writer.WriteEndObject();
    }

    static bool IsInterpreted(string name, JsonElement value, bool hasName) => name switch
    {
        "name" => hasName,
        "description" => value.ValueKind == JsonValueKind.String,
        "tags" => N8nTags.Names(value) is not null,
        "connections" or "settings" or "pinData" => value.ValueKind == JsonValueKind.Object,
        "nodes" => true,
        _ => false,
    };

    static void WriteEdges(Utf8JsonWriter writer, IReadOnlyList<WorkflowEdge> edges, N8nReferences nodes)
    {
        writer.WriteStartArray("edges");
        foreach (var edge in edges)
        {
            writer.WriteStartObject();
            writer.WriteString("source", nodes.IdOf(edge.Source));
            writer.WriteString("output", edge.Output);
            writer.WriteNumber("outputIndex", edge.OutputIndex);
            writer.WriteString("target", nodes.IdOf(edge.Target));
            writer.WriteString("input", edge.Input);
            writer.WriteNumber("inputIndex", edge.InputIndex);
            writer.WriteEndObject();
        }
        writer.WriteEndArray();
    }
}
