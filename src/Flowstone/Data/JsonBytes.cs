using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Flowstone.Data;

static class JsonBytes
{
    // Deeper than anything stored, since what is stored goes into it.
    static readonly JsonDocumentOptions depth = new() { MaxDepth = JsonDocuments.MaxDepth + 20 };

    // With \u escapes, a text in Japanese would double its size, and a script of many quotes would have six times as much.
    public static readonly JsonWriterOptions Relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The element's UTF-8, as <c>jsonb</c> parameters take it.</summary>
    public static byte[] Of(JsonElement element)
        => System.Runtime.InteropServices.JsonMarshal.GetRawUtf8Value(element).ToArray();

    /// <summary>What is written, as an element.</summary>
    public static JsonElement Write(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, Relaxed))
            write(writer);
        return JsonElement.Parse(buffer.WrittenSpan, depth);
    }
}
