using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Flowstone.Workflows.N8n;

/// <summary>
/// Converts n8n's export format to definitions and back without loss: what <see cref="Write"/> makes of a definition that <see cref="Read"/>
/// made is equal as JSON to the document that went in, also when the definition has been through jsonb in between.
/// </summary>
/// <remarks>
/// The rule that makes this hold for documents of any shape: a field is interpreted only if it has the type that n8n gives it; any other field is
/// kept in <c>source.fields</c>. Whatever an interpretation cannot say (connections to nodes that are not there, tags with ids, missing node
/// ids) is kept beside it in <c>source</c>, and comes back as long as nobody edited the interpreted form.
/// </remarks>
public static class N8nFormat
{
    /// <summary>Reads an n8n document.</summary>
    /// <param name="document">As parsed; nothing is assumed about it.</param>
    /// <param name="fallbackName">The name if the document has none, such as that of the file. Not blank.</param>
    /// <param name="maxBytes">Of the definition.</param>
    /// <exception cref="InvalidInputException">Not an n8n workflow, or one that cannot be stored: the errors name the fields.</exception>
    public static N8nWorkflow Read(JsonElement document, string fallbackName, int maxBytes = WorkflowDefinition.MaxBytes)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(fallbackName);
        return new N8nReader(document, fallbackName, maxBytes).Read();
    }

    /// <summary>Writes a valid definition as an n8n document, whether it came from n8n or not.</summary>
    public static JsonElement Write(JsonElement definition) => new N8nWriter(definition).Write();

    // Relaxed: jsonb and n8n take UTF-8, and a name in Japanese would double its size as \u escapes.
    static readonly JsonWriterOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    internal static JsonElement Build(Action<Utf8JsonWriter> write) => Build(write, out _);

    internal static JsonElement Build(Action<Utf8JsonWriter> write, out int bytes)
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        using (var writer = new Utf8JsonWriter(buffer, Plain))
            write(writer);
        bytes = buffer.WrittenCount;
        return JsonElement.Parse(buffer.WrittenSpan, new JsonDocumentOptions { MaxDepth = 1000 });
    }
}
