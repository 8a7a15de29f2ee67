using System.Text.Json;

namespace Flowstone.Data;

static class JsonBytes
{
    /// <summary>The element's UTF-8, as <c>jsonb</c> parameters take it.</summary>
    public static byte[] Of(JsonElement element)
        => System.Runtime.InteropServices.JsonMarshal.GetRawUtf8Value(element).ToArray();
}
