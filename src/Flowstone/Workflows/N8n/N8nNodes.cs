using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Flowstone.Data;
using static Flowstone.Workflows.WorkflowDefinition;

namespace Flowstone.Workflows.N8n;

/// <summary>The nodes of an n8n document, each with an id of its own.</summary>
sealed class N8nNodes
{
    readonly List<Node> nodes = [];
    readonly HashSet<string> ids = new(StringComparer.Ordinal);

    N8nNodes() { }

    /// <summary>As connections may name them.</summary>
    public N8nReferences References => new([.. nodes.Select(node => (node.Id, node.Name))]);

    public bool HaveGeneratedIds => nodes.Exists(node => node.IsGenerated);

    /// <summary>Reads and checks the array; what is wrong is added to the errors.</summary>
    public static N8nNodes Read(JsonElement document, FieldErrors errors)
    {
        var result = new N8nNodes();
        if (errors.Expect("nodes", document.Find("nodes"), JsonValueKind.Array) is not { } array)
            return result;

        var index = 0;
        var firstWithId = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var element in array.EnumerateArray())
        {
            if (errors.IsFull)
                return result;
            result.Add($"nodes[{index}]", index++, element, firstWithId, errors);
        }
        result.GenerateMissingIds();
        return result;
    }

    public void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartArray();
        foreach (var node in nodes)
        {
            if (node.IsGenerated)
                writer.WriteNode(node.Element, () => writer.WriteString("id", node.Id));
            else
                node.Element.WriteTo(writer);
        }
        writer.WriteEndArray();
    }

    /// <summary>See <see cref="N8nFields.NodeIds"/>.</summary>
    public void WriteOriginalIds(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        foreach (var node in nodes.Where(node => node.IsGenerated))
        {
            writer.WriteStartArray(node.Id);
            node.Element.Find("id")?.WriteTo(writer);
            writer.WriteEndArray();
        }
        writer.WriteEndObject();
    }

    void Add(string path, int index, JsonElement element, Dictionary<string, int> firstWithId, FieldErrors errors)
    {
        if (errors.Expect(path, element, JsonValueKind.Object) is null)
            return;
        var name = errors.ExpectText($"{path}.name", element.Find("name"), 0, MaxNameLength) ?? "";
        errors.ExpectText($"{path}.type", element.Find("type"), 1, MaxNameLength);

        // Anything but a text, and an empty one, is as good as missing.
        var id = element.FindText("id") ?? "";
        if (id.Length > 0)
        {
            errors.ExpectText($"{path}.id", element.Find("id"), 1, MaxNameLength);
            if (!ids.Add(id))
                errors.Add($"{path}.id", $"'{FieldErrors.Cut(id)}' is already the id of nodes[{firstWithId[id]}].");
            else
                firstWithId.Add(id, index);
        }
        nodes.Add(new Node(element, id, name, IsGenerated: id.Length == 0));
    }

    // After all ids are known, so that a generated one never takes that of a later node.
    void GenerateMissingIds()
    {
        for (var index = 0; index < nodes.Count; index++)
        {
            if (!nodes[index].IsGenerated)
                continue;
            var attempt = 0;
            string id;
            do
                id = IdOf(nodes[index].Name, index, attempt++);
            while (!ids.Add(id));
            nodes[index] = nodes[index] with { Id = id };
        }
    }

    /// <summary>Made of name and place, so that importing the same file twice makes the same version.</summary>
    static string IdOf(string name, int index, int attempt)
    {
        var bytes = SHA256.HashData(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{index}/{attempt}/{name}"))).AsSpan(0, 16);
        // Version 8 and variant 1 of RFC 9562: a UUID by our own rule.
        var (version, variant) = (BinaryPrimitives.ReadUInt16BigEndian(bytes[6..]), bytes[8]);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[6..], (ushort)((version & 0x0FFF) | 0x8000));
        bytes[8] = (byte)((variant & 0x3F) | 0x80);
        return new Guid(bytes, bigEndian: true).ToString("D");
    }

    sealed record Node(JsonElement Element, string Id, string Name, bool IsGenerated);
}

static class N8nNodeWriting
{
    /// <summary>Writes a node with another id.</summary>
    public static void WriteNode(this Utf8JsonWriter writer, JsonElement node, Action writeId)
    {
        writer.WriteStartObject();
        writeId();
        foreach (var property in node.EnumerateObject())
        {
            if (!property.NameEquals("id"))
                property.WriteTo(writer);
        }
        writer.WriteEndObject();
    }
}
