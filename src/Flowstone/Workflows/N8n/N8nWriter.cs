using System.Text.Json;
using Flowstone.Data;

namespace Flowstone.Workflows.N8n;

/// <summary>One export of one definition.</summary>
sealed class N8nWriter(JsonElement definition)
{
    // Null where the definition was not made of an n8n document.
    readonly JsonElement? source = definition.Find("source") is { } found && found.FindText("format") == N8nFields.Format ? found : null;
    readonly HashSet<string> written = new(StringComparer.Ordinal);

    // An edited field wins over what was kept of the document, so the kept fields come last and fill the gaps.
    public JsonElement Write() => N8nFormat.Build(writer =>
    {
        writer.WriteStartObject();
        WriteName(writer);
        Copy(writer, "description", "description");
        WriteNodes(writer);
        WriteConnections(writer);
        Copy(writer, "settings", "settings");
        Copy(writer, "pinnedData", "pinData");
        WriteTags(writer);
        foreach (var (name, value) in definition.LastProperties())
        {
            if (!N8nFields.OfDefinition.Contains(name) && !N8nFields.OfDocument.Contains(name))
                WriteField(writer, name, value);
        }
        foreach (var (name, value) in source?.Find(N8nFields.Fields, JsonValueKind.Object)?.LastProperties() ?? [])
        {
            if (!written.Contains(name))
                WriteField(writer, name, value);
        }
        writer.WriteEndObject();
    });

    void WriteName(Utf8JsonWriter writer)
    {
        if (definition.FindText("name") is { } name && name != source?.FindText(N8nFields.FallbackName))
            Copy(writer, "name", "name");
    }

    void WriteTags(Utf8JsonWriter writer)
    {
        if (definition.Find("tags") is not { } tags)
            return;
        var kept = source?.Find(N8nFields.Tags);
        var unchanged = N8nTags.Names(kept) is { } names && N8nTags.Names(tags) is { } now && names.SequenceEqual(now, StringComparer.Ordinal);
        WriteField(writer, "tags", unchanged ? kept!.Value : tags);
    }

    void WriteConnections(Utf8JsonWriter writer)
    {
        // A document without connections stays one; n8n does not read a workflow of ours without them.
        if (definition.Find("edges") is null && source is not null)
            return;

        var graph = WorkflowGraph.Read(definition);
        var nodes = new N8nReferences([.. graph.Nodes.Select(node => (node.Id, node.Name))]);
        Begin(writer, "connections");
        if (source?.Find(N8nFields.Connections, JsonValueKind.Object) is { } kept
            && N8nConnectionsWriter.AreSame(N8nConnections.Read(kept, nodes).Edges, graph.Edges))
            kept.WriteTo(writer);
        else
            writer.WriteConnections(graph.Edges, nodes);
    }

    void WriteNodes(Utf8JsonWriter writer)
    {
        var originalIds = source?.Find(N8nFields.NodeIds, JsonValueKind.Object);
        Begin(writer, "nodes");
        writer.WriteStartArray();
        foreach (var node in definition.Find("nodes", JsonValueKind.Array)?.EnumerateArray() ?? [])
        {
            if (node.FindText("id") is { } id && originalIds?.Find(id, JsonValueKind.Array) is { } original)
                writer.WriteNode(node, () => WriteOriginalId(writer, original));
            else
                node.WriteTo(writer);
        }
        writer.WriteEndArray();
    }

    static void WriteOriginalId(Utf8JsonWriter writer, JsonElement original)
    {
        if (original.GetArrayLength() == 0)
            return;
        writer.WritePropertyName("id");
        original[0].WriteTo(writer);
    }

    void Copy(Utf8JsonWriter writer, string name, string newName)
    {
        if (definition.Find(name) is { } value)
            WriteField(writer, newName, value);
    }

    void WriteField(Utf8JsonWriter writer, string name, JsonElement value)
    {
        Begin(writer, name);
        value.WriteTo(writer);
    }

    void Begin(Utf8JsonWriter writer, string name)
    {
        written.Add(name);
        writer.WritePropertyName(name);
    }
}
