using System.Buffers;
using System.Text.Json;

namespace Flowstone.Data;

static class JsonBytes
{
    // Deeper than anything stored, since what is stored goes into it.
    static readonly JsonDocumentOptions depth = new() { MaxDepth = JsonDocuments.MaxDepth + 20 };

    /// <summary>The element's UTF-8, as <c>jsonb</c> parameters take it.</summary>
    public static byte[] Of(JsonElement element)
        => System.Runtime.InteropServices.JsonMarshal.GetRawUtf8Value(element).ToArray();

    /// <summary>What is written, as an element.</summary>
    public static JsonElement Write(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer))
            write(writer);
        return JsonElement.Parse(buffer.WrittenSpan, depth);
    }
}
