using System.Globalization;
using System.Text.Json;
using Flowstone.Data;
using Flowstone.Permissions;

namespace Flowstone.Workflows;

/// <summary>The two formats in which a workflow leaves and comes.</summary>
public enum WorkflowFormat
{
    /// <summary>1.0.0, the original platform's: the newest state alone.</summary>
    Plain,

    /// <summary>2.0.0: with all versions, shares, schedules, names of credentials (never secrets), and a checksum.</summary>
    Full,
}

/// <summary>A version as it is in a document.</summary>
/// <param name="Author">The address of who made it; null where nobody is named.</param>
sealed record DocumentVersion(DefinitionColumns Content, string? Message, string? Author, DateTimeOffset? CreatedAt, int? BasedOn);

sealed record DocumentShare(string User, ShareLevel Level, DateTimeOffset? ExpiresAt);

/// <param name="Id">Where it comes from.</param>
sealed record DocumentCredential(string Id, string Name, string Type);

/// <summary>A workflow's document, read and found right as a whole: what is wrong is named with its place, and nothing of it is stored.</summary>
sealed class WorkflowDocument
{
    public const string Plain = "1.0.0", Full = "2.0.0";

    const string FormatName = "flowstone.workflow";

    // More than anybody has: each is a statement of its own.
    public const int MostSchedules = 1_000;
    const int MostCredentials = 1_000;

    static readonly JsonSerializerOptions asRequests = new(FlowstoneJson.Options) { RespectNullableAnnotations = true, MaxDepth = JsonDocuments.MaxDepth };

    public required IReadOnlyList<DocumentVersion> Versions { get; init; }
    public IReadOnlyList<DocumentShare> Shares { get; init; } = [];
    public IReadOnlyList<NewSchedule> Schedules { get; init; } = [];
    public IReadOnlyList<DocumentCredential> Credentials { get; init; } = [];

    /// <param name="maxBytes">Of each definition.</param>
    /// <exception cref="InvalidInputException">It is no such document, of a newer format, or damaged.</exception>
    public static WorkflowDocument Read(JsonElement document, int maxBytes)
    {
        var errors = new FieldErrors(WorkflowDefinition.MaxErrors);
        if (errors.Expect("$", document, JsonValueKind.Object) is not null)
            StorableJson.Check(document, errors, WorkflowTransfer.MaxDepth, WorkflowTransfer.MaxBytes);
        errors.ThrowIfAny();
        return errors.ExpectText("version", document.Find("version"), 1, 20) switch
        {
            Plain => new() { Versions = [new(ReadPlain(document, maxBytes), null, null, null, null)] },
            Full => ReadFull(document, maxBytes, errors),
            null => throw new InvalidInputException("version", $"must be \"{Plain}\" or \"{Full}\": this is no exported workflow. For files of n8n there is: flowstone import n8n"),
            var other => throw new InvalidInputException("version", Version.TryParse(other, out var version) && version > Version.Parse(Full)
                ? $"is {other}, and this Flowstone reads up to {Full}: a newer one wrote it." : $"is '{FieldErrors.Cut(other)}'; {Plain} and {Full} can be read."),
        };
    }

    /// <summary>Over everything but itself and the definitions, of which it covers the hashes.</summary>
    public static string Checksum(JsonElement document)
    {
        var head = JsonBytes.Write(writer =>
        {
            writer.WriteStartObject();
            foreach (var (name, value) in document.LastProperties())
                if (name == "versions")
                    WriteWithoutDefinitions(writer, value);
                else if (name != "checksum")
                    Write(writer, name, value);
            writer.WriteEndObject();
        });
        return $"sha256:{Convert.ToHexStringLower(CanonicalJson.Hash(head))}";
    }

    static void WriteWithoutDefinitions(Utf8JsonWriter writer, JsonElement versions)
    {
        writer.WriteStartArray("versions");
        foreach (var version in versions.EnumerateArray())
        {
            writer.WriteStartObject();
            foreach (var (name, value) in version.LastProperties())
                if (name != "definition")
                    Write(writer, name, value);
            writer.WriteEndObject();
        }
        writer.WriteEndArray();
    }

    static void Write(Utf8JsonWriter writer, string name, JsonElement value)
    {
        writer.WritePropertyName(name);
        value.WriteTo(writer);
    }

    static readonly string[] plainFields = ["name", "description", "nodes", "edges", "variables", "settings", "tags", "category"];

    /// <summary>The fields that 1.0.0 has, of a definition; what is null there is none here.</summary>
    public static IEnumerable<(string Name, JsonElement Value)> PlainFields(JsonElement definition)
        => plainFields.Select(name => (name, definition.Find(name) ?? default)).Where(field => field.Item2.ValueKind is not (JsonValueKind.Undefined or JsonValueKind.Null));

    // The original's nodes may have their name in "data", or none.
    static DefinitionColumns ReadPlain(JsonElement document, int maxBytes)
    {
        var definition = JsonBytes.Write(writer =>
        {
            writer.WriteStartObject();
            foreach (var (name, value) in PlainFields(document))
                if (name == "nodes" && value.ValueKind == JsonValueKind.Array)
                    WriteNamed(writer, value);
                else
                    Write(writer, name, value);
            writer.WriteEndObject();
        });
        return new DefinitionColumns(definition, maxBytes);
    }

    static void WriteNamed(Utf8JsonWriter writer, JsonElement nodes)
    {
        writer.WriteStartArray("nodes");
        foreach (var node in nodes.EnumerateArray())
            if (node.ValueKind != JsonValueKind.Object || node.Find("name") is not null)
                node.WriteTo(writer);
            else
            {
                writer.WriteStartObject();
                foreach (var (name, value) in node.LastProperties())
                    Write(writer, name, value);
                writer.WriteString("name", node.Find("data")?.FindText("label") ?? node.FindText("id") ?? "");
                writer.WriteEndObject();
            }
        writer.WriteEndArray();
    }

    static WorkflowDocument ReadFull(JsonElement document, int maxBytes, FieldErrors errors)
    {
        if (document.FindText("format") != FormatName)
            throw new InvalidInputException("format", $"must be \"{FormatName}\".");
        var versions = new List<DocumentVersion>();
        foreach (var (path, version) in Items(document, "versions", errors))
        {
            if (versions.Count + 1 != version.Find("number")?.Index(int.MaxValue))
                errors.Add($"{path}.number", $"must be {versions.Count + 1}: versions go from 1 without a gap.");
            var basedOn = Present(version, "basedOn");
            if (basedOn is { } earlier && earlier.Index(versions.Count) is not > 0)
                errors.Add($"{path}.basedOn", "must be the number of an earlier version.");
            versions.Add(new(ReadDefinition(path, version, maxBytes), errors.ExpectText($"{path}.message", Present(version, "message"), 0, 2000, optional: true), Present(version, "author")?.Text,
                ReadTime($"{path}.createdAt", version, "createdAt", errors), basedOn?.Index(int.MaxValue)));
        }
        if (versions.Count == 0)
            errors.Add("versions", "must hold at least one version.");
        var sharers = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        var shares = Items(document, "shares", errors, optional: true).Select(share => new DocumentShare(
            errors.ExpectText($"{share.Path}.user", share.Item.Find("user"), 1, 320) ?? "", ReadLevel(share.Path, share.Item, errors), ReadTime($"{share.Path}.expiresAt", share.Item, "expiresAt", errors))).ToList();
        for (var i = 0; i < shares.Count; i++)
            if (shares[i].User.Length > 0 && !sharers.Add(shares[i].User))
                errors.Add($"shares[{i}].user", "has a share already.");
        var credentials = Items(document, "credentials", errors, optional: true, MostCredentials).Select(credential => new DocumentCredential(
            errors.ExpectText($"{credential.Path}.id", credential.Item.Find("id"), 1, 64) ?? "", errors.ExpectText($"{credential.Path}.name", credential.Item.Find("name"), 1, 255) ?? "",
            errors.ExpectText($"{credential.Path}.type", credential.Item.Find("type"), 1, 64) ?? "")).ToList();
        var schedules = Items(document, "schedules", errors, optional: true, MostSchedules).Select(schedule => ReadSchedule(schedule.Path, schedule.Item, errors)).OfType<NewSchedule>().ToList();
        errors.ThrowIfAny();
        if (document.FindText("checksum") is not { } checksum || checksum != Checksum(document))
            throw new InvalidInputException("checksum", "does not fit what is in the file: it was changed or damaged.");
        return new() { Versions = versions, Shares = shares, Schedules = schedules, Credentials = credentials };
    }

    static DefinitionColumns ReadDefinition(string path, JsonElement version, int maxBytes)
    {
        try
        {
            var content = new DefinitionColumns(version.Find("definition") ?? throw new InvalidInputException("$", "is missing; an object is needed."), maxBytes);
            return Convert.ToHexStringLower(content.Hash) == version.FindText("hash") ? content
                : throw new InvalidInputException("$", "is not what its hash says: the file was changed or damaged.");
        }
        catch (InvalidInputException error)
        {
            throw new InvalidInputException([.. error.Errors.Select(e => e with { Field = e.Field == "$" ? $"{path}.definition" : $"{path}.definition.{e.Field}" })]);
        }
    }

    static IEnumerable<(string Path, JsonElement Item)> Items(JsonElement document, string name, FieldErrors errors, bool optional = false, int most = int.MaxValue)
    {
        if (errors.Expect(name, document.Find(name), JsonValueKind.Array, optional) is not { } array)
            return [];
        if (array.GetArrayLength() > most)
            throw new InvalidInputException(name, FormattableString.Invariant($"are {array.GetArrayLength():N0}; at most {most:N0} are allowed."));
        return array.EnumerateArray().Select((item, i) => ($"{name}[{i}]", item)).Where(item => errors.Expect(item.Item1, item.item, JsonValueKind.Object) is not null);
    }

    static JsonElement? Present(JsonElement item, string name) => item.Find(name) is { ValueKind: not JsonValueKind.Null } value ? value : null;

    static DateTimeOffset? ReadTime(string path, JsonElement item, string name, FieldErrors errors)
    {
        if (Present(item, name) is not { } text)
            return null;
        if (text.Text is { } given && DateTimeOffset.TryParse(given, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time))
            return time.ToUniversalTime();
        errors.Add(path, "must be a time, such as 2027-01-31T00:00:00Z.");
        return null;
    }

    static NewSchedule? ReadSchedule(string path, JsonElement schedule, FieldErrors errors)
    {
        try
        {
            return schedule.Deserialize<NewSchedule>(asRequests);
        }
        catch (JsonException error)
        {
            errors.Add($"{path}{error.Path?[1..]}", "is not what a schedule has there.");
            return null;
        }
    }

    static ShareLevel ReadLevel(string path, JsonElement share, FieldErrors errors)
    {
        if (share.FindText("level") is { } level && EnumText<ShareLevel>.All.Contains(level))
            return EnumText<ShareLevel>.Parse(level);
        errors.Add($"{path}.level", $"must be one of {string.Join(", ", EnumText<ShareLevel>.All)}.");
        return default;
    }

    /// <summary>Writes the document, its definitions one after the other.</summary>
    /// <param name="head">All but format, version and definitions.</param>
    /// <param name="definitions">Of its versions, in their order.</param>
    public static async Task WriteFullAsync(Stream target, JsonElement head, IAsyncEnumerable<JsonElement> definitions, CancellationToken cancellationToken)
    {
        var whole = JsonBytes.Write(writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("format", FormatName);
            writer.WriteString("version", Full);
            foreach (var (name, value) in head.LastProperties())
                Write(writer, name, value);
            writer.WriteEndObject();
        });
        await using var writer = new Utf8JsonWriter(target, JsonBytes.Relaxed);
        writer.WriteStartObject();
        writer.WriteString("format", FormatName);
        writer.WriteString("version", Full);
        writer.WriteString("checksum", Checksum(whole));
        foreach (var (name, value) in head.LastProperties().Where(property => property.Name != "versions"))
            Write(writer, name, value);
        writer.WriteStartArray("versions");
        await using var next = definitions.GetAsyncEnumerator(cancellationToken);
        foreach (var version in head.GetProperty("versions").EnumerateArray())
        {
            if (!await next.MoveNextAsync())
                break;
            writer.WriteStartObject();
            foreach (var (name, value) in version.LastProperties())
                Write(writer, name, value);
            Write(writer, "definition", next.Current);
            writer.WriteEndObject();
            await writer.FlushAsync(cancellationToken);
        }
        writer.WriteEndArray();
        writer.WriteEndObject();
    }
}
