using System.Text.Json;
using System.Text.Json.Serialization;
using Flowstone.Data;

namespace Flowstone.Workflows;

/// <summary>One value that two states of a JSON object do not share.</summary>
/// <param name="Path">A JSON pointer (RFC 6901): <c>/parameters/values/0/name</c>.</param>
/// <param name="Before">Undefined, and left out in JSON, if there was none: JSON's null is a value.</param>
/// <param name="After">The same of what there is now.</param>
public sealed record FieldChange(
    string Path,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] JsonElement Before,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] JsonElement After)
{
    /// <summary>What turns one value into the other. Into arrays of one length it looks by place; of other arrays the whole is a change.</summary>
    /// <param name="opens">Whether to look into an object or array that both have at a path; null looks into all.</param>
    internal static List<FieldChange> Between(JsonElement before, JsonElement after, Func<string, bool>? opens = null)
    {
        var changes = new List<FieldChange>();
        Compare("", before, after);
        return changes;

        void Compare(string path, JsonElement old, JsonElement now)
        {
            if (old.ValueKind == JsonValueKind.Object && now.ValueKind == JsonValueKind.Object && (path.Length == 0 || opens?.Invoke(path) is not false))
                CompareObjects(path, old, now);
            else if (old.ValueKind == JsonValueKind.Array && now.ValueKind == JsonValueKind.Array && opens is null && old.GetArrayLength() == now.GetArrayLength())
                for (var i = 0; i < old.GetArrayLength(); i++)
                    Compare($"{path}/{i}", old[i], now[i]);
            else if (!CanonicalJson.Equal(old, now))
                changes.Add(new(path, old, now));
        }

        void CompareObjects(string path, JsonElement old, JsonElement now)
        {
            var added = now.LastProperties();
            var rest = added.ToDictionary(property => property.Name, property => property.Value, StringComparer.Ordinal);
            foreach (var (name, value) in old.LastProperties())
            {
                if (rest.Remove(name, out var other))
                    Compare(JsonPointer.Append(path, name), value, other);
                else
                    changes.Add(new(JsonPointer.Append(path, name), value, default));
            }
            foreach (var (name, value) in added)
                if (rest.ContainsKey(name))
                    changes.Add(new(JsonPointer.Append(path, name), default, value));
        }
    }

    /// <summary>The value with the changes.</summary>
    /// <exception cref="InvalidInputException">They are of another value.</exception>
    internal static JsonElement Apply(JsonElement value, IEnumerable<FieldChange> changes)
    {
        var root = new Step();
        foreach (var change in changes)
        {
            var step = root;
            foreach (var name in JsonPointer.Parse(change.Path))
                step = step.Below(name);
            step.Change = change;
        }
        return JsonBytes.Write(writer => Write(writer, value, root));
    }

    static void Write(Utf8JsonWriter writer, JsonElement value, Step step)
    {
        if (step.Change is not null)
            step.Change.After.WriteTo(writer);
        else if (step.Steps is null)
            value.WriteTo(writer);
        else if (value.ValueKind == JsonValueKind.Object)
            WriteObject(writer, value, step.Steps);
        else if (value.ValueKind == JsonValueKind.Array)
        {
            writer.WriteStartArray();
            for (var i = 0; i < value.GetArrayLength(); i++)
                Write(writer, value[i], step.Steps.GetValueOrDefault(i.ToString(System.Globalization.CultureInfo.InvariantCulture), Step.None));
            writer.WriteEndArray();
        }
        else
        {
            throw new InvalidInputException("diff", "is of another definition.");
        }
    }

    static void WriteObject(Utf8JsonWriter writer, JsonElement value, Dictionary<string, Step> steps)
    {
        writer.WriteStartObject();
        var met = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (name, item) in value.LastProperties())
        {
            met.Add(name);
            var step = steps.GetValueOrDefault(name, Step.None);
            if (step.Change is { After.ValueKind: JsonValueKind.Undefined })
                continue;
            writer.WritePropertyName(name);
            Write(writer, item, step);
        }
        foreach (var (name, step) in steps)
        {
            if (met.Contains(name) || step.Change is { After.ValueKind: JsonValueKind.Undefined })
                continue;
            writer.WritePropertyName(name);
            Write(writer, default, step);
        }
        writer.WriteEndObject();
    }

    /// <summary>What the changes say of one value, and of those in it.</summary>
    sealed class Step
    {
        public static readonly Step None = new();

        public FieldChange? Change { get; set; }
        public Dictionary<string, Step>? Steps { get; private set; }

        public Step Below(string name)
        {
            Steps ??= new(StringComparer.Ordinal);
            return Steps.TryGetValue(name, out var step) ? step : Steps[name] = new Step();
        }
    }
}
