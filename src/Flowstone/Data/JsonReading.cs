using System.Runtime.InteropServices;
using System.Text.Json;

namespace Flowstone.Data;

/// <summary>Looks into JSON of unknown shape: what is not as asked is null, never an exception.</summary>
static class JsonReading
{
    extension(JsonElement element)
    {
        /// <summary>The last property of that name; null if there is none, or if this is no object.</summary>
        public JsonElement? Find(string name)
            => element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) ? value : null;

        /// <summary>As the other, but only a value of that kind.</summary>
        public JsonElement? Find(string name, JsonValueKind kind)
            => element.Find(name) is { } value && value.ValueKind == kind ? value : null;

        /// <summary>The string of that name; null if there is none or it is something else.</summary>
        public string? FindText(string name) => element.Find(name)?.Text;

        /// <summary>The characters of a string; null for other kinds and for lone surrogates, which .NET reads as an exception.</summary>
        public string? Text
        {
            get
            {
                try
                {
                    return element.ValueKind == JsonValueKind.String ? element.GetString() : null;
                }
                catch (InvalidOperationException)
                {
                    return null;
                }
            }
        }

        /// <summary>A number that is a whole index from 0 to <paramref name="max"/>; else null.</summary>
        public int? Index(int max)
            => element.ValueKind == JsonValueKind.Number
                && new JsonNumber(JsonMarshal.GetRawUtf8Value(element)).TryGetIndex(max, out var index) ? index : null;

        /// <summary>The properties of an object as jsonb would keep them: of several with one name, the last.</summary>
        public List<(string Name, JsonElement Value)> LastProperties()
        {
            var count = element.GetPropertyCount();
            var properties = new List<(string Name, JsonElement Value)>(count);
            var places = new Dictionary<string, int>(count, StringComparer.Ordinal);
            foreach (var property in element.EnumerateObject())
            {
                var name = property.Name;
                if (places.TryAdd(name, properties.Count))
                    properties.Add((name, property.Value));
                else
                    properties[places[name]] = (name, property.Value);
            }
            return properties;
        }
    }

    /// <summary>The kind with its article, for messages: "an array".</summary>
    public static string Name(this JsonValueKind kind) => kind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => "a number",
        JsonValueKind.True or JsonValueKind.False => "a boolean",
        _ => "null",
    };
}
