using System.Text.Json;

namespace Flowstone.Data;

/// <summary>How Flowstone writes JSON: camelCase, enums in upper case, ids as UUIDs.</summary>
public static class FlowstoneJson
{
    public static JsonSerializerOptions Options { get; } = Configure(new JsonSerializerOptions(JsonSerializerDefaults.Web));

    /// <summary>Makes other options, such as ASP.NET's, write the same.</summary>
    public static JsonSerializerOptions Configure(JsonSerializerOptions options)
    {
        options.Converters.Add(new UpperSnakeEnums());
        options.NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.Strict;
        return options;
    }
}
