using System.Text.Json;
using Flowstone.Data;

namespace Flowstone.Workflows.N8n;

/// <summary>n8n's tags are texts in shared files and objects in its API; both may stand in one array.</summary>
static class N8nTags
{
    /// <summary>The names; null if this is no array of tags.</summary>
    public static List<string>? Names(JsonElement? tags)
    {
        if (tags is not { ValueKind: JsonValueKind.Array } array)
            return null;
        var names = new List<string>(array.GetArrayLength());
        foreach (var tag in array.EnumerateArray())
        {
            if ((tag.Text ?? tag.FindText("name")) is not { } name)
                return null;
            names.Add(name);
        }
        return names;
    }

    /// <summary>Whether the names say all that there is.</summary>
    public static bool AreTexts(JsonElement tags) => tags.EnumerateArray().All(tag => tag.ValueKind == JsonValueKind.String);
}
