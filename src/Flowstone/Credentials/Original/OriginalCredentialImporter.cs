using System.Text.Json;
using Flowstone.Data;
using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;

namespace Flowstone.Credentials.Original;

/// <summary>What became of one credential of the original.</summary>
/// <param name="Id">As the original named it.</param>
/// <param name="Message">Why it failed, or what is not as it was; never anything of its content.</param>
public sealed record ImportedCredential(string Id, string Name, ImportOutcome Outcome, string? Message);

public enum ImportOutcome
{
    /// <summary>It was opened, sealed anew and stored.</summary>
    Created,

    /// <summary>It was imported before: nothing was changed.</summary>
    AlreadyThere,

    Failed,
}

/// <summary>
/// Brings the credentials of the original system in, from the JSON file that its backup writes. Each secret is opened in memory and sealed anew before it goes anywhere.
/// A credential is known again by its id, so that an import which was stopped can be repeated; its owner by the e-mail address.
/// </summary>
/// <param name="encryptionKey">The original's ENCRYPTION_KEY.</param>
/// <param name="salt">Of its second layout; null for the original's own.</param>
public sealed class OriginalCredentialImporter(TenantScope tenant, string encryptionKey, string? salt = null)
{
    /// <summary>It is read as a whole.</summary>
    public const int MaxFileBytes = 512 * 1024 * 1024;

    /// <param name="path">A file with an object that has <c>credentials</c>, and maybe <c>users</c>.</param>
    /// <param name="progress">Is told how many of how many are done.</param>
    /// <returns>One entry for each credential of the file, in its order.</returns>
    /// <exception cref="InvalidInputException">There is no such file, or it is not the original's.</exception>
    public async Task<IReadOnlyList<ImportedCredential>> RunAsync(string path, IProgress<(int Done, int Total)>? progress = null, CancellationToken cancellationToken = default)
    {
        var file = await ReadAsync(path, cancellationToken);
        var credentials = file.Find("credentials", JsonValueKind.Array) is { } array ? array.EnumerateArray().ToList()
            : throw new InvalidInputException("path", $"{path} has no array \"credentials\": it is no backup of the original.");
        var owners = await OwnersAsync(file, cancellationToken);
        var known = await tenant.Credentials.ImportKeysAsync(cancellationToken);
        using var secrets = new OriginalSecrets(encryptionKey, salt);
        var report = new List<ImportedCredential>(credentials.Count);
        foreach (var credential in credentials)
        {
            report.Add(await ImportAsync(credential, report.Count, secrets, owners, known, cancellationToken));
            progress?.Report((report.Count, credentials.Count));
        }
        return report;
    }

    async Task<ImportedCredential> ImportAsync(
        JsonElement row, int index, OriginalSecrets secrets, Dictionary<string, Id<User>> owners, HashSet<string> known, CancellationToken cancellationToken)
    {
        var (id, name) = (row.FindText("id") ?? "", row.FindText("name") ?? $"credentials[{index}]");
        if (known.Contains($"original:{id}"))
            return new(id, name, ImportOutcome.AlreadyThere, null);
        try
        {
            if (id.Length == 0)
                throw new InvalidInputException("id", "is missing.");
            var notes = new List<string>();
            var secret = SecretOf(row, secrets);
            var (type, plain) = Shape(row.FindText("type"), secret, notes);
            var owner = owners.TryGetValue(row.FindText("userId") ?? row.FindText("ownerId") ?? "", out var user) ? user : (Id<User>?)null;
            if (owner is null)
                notes.Add("Its owner is not here: only administrators reach it.");
            if (row.FindText("visibility") is "TEAM" or "SHARED")
                notes.Add("It was shared: it is private now, share it again.");
            var request = new NewCredential
            {
                Name = name,
                Description = row.FindText("description"),
                Type = type,
                Secret = default,
                Visibility = row.FindText("visibility") == "PUBLIC" ? Visibility.Public : Visibility.Private,
                ExpiresAt = row.FindText("expiresAt") is { } end ? ParseTime(end) : null,
            };
            await tenant.Credentials.CreateAsync(request, plain, new($"original:{id}", owner, row.Find("isActive", JsonValueKind.False) is null), cancellationToken);
            known.Add($"original:{id}");
            return new(id, name, ImportOutcome.Created, notes.Count == 0 ? null : string.Join(' ', notes));
        }
        catch (Exception error) when (error is CredentialSealException or InvalidInputException or ConflictException)
        {
            return new(id, name, ImportOutcome.Failed, error.Message);
        }
    }

    static DateTimeOffset ParseTime(string text) => DateTimeOffset.TryParse(text, System.Globalization.CultureInfo.InvariantCulture, System.Globalization.DateTimeStyles.AssumeUniversal, out var time) ? time
        : throw new InvalidInputException("expiresAt", "is no time.");

    // Some rows of the original were never sealed.
    static JsonElement SecretOf(JsonElement row, OriginalSecrets secrets)
    {
        var data = row.Find("data") ?? row.Find("encryptedData") ?? throw new InvalidInputException("data", "is missing: there is no secret.");
        var secret = data.ValueKind != JsonValueKind.String ? data
            : row.Find("isEncrypted", JsonValueKind.False) is null ? secrets.Open(data.GetString()!) : Parse(data.GetString()!);
        return secret.ValueKind == JsonValueKind.Object ? secret : throw new InvalidInputException("data", "holds no JSON object.");
    }

    static JsonElement Parse(string text)
    {
        try
        {
            return JsonElement.Parse(text);
        }
        catch (JsonException)   // without it: its message quotes what it read
        {
            throw new InvalidInputException("data", "is said not to be encrypted, and is no JSON.");
        }
    }

    // The original checked nothing. What does not fit its type is kept all the same.
    static (CredentialType Type, byte[] Plain) Shape(string? name, JsonElement secret, List<string> notes)
    {
        try
        {
            if (name is null || !EnumText<CredentialType>.All.Contains(name))
                notes.Add("Its type is none of Flowstone's: it is CUSTOM now.");
            else if (EnumText<CredentialType>.Parse(name) is var type and not CredentialType.Custom)
                return (type, CredentialShape.Check(type, secret));
        }
        catch (InvalidInputException error)
        {
            notes.Add($"It does not fit its type, so it is CUSTOM now: {error.Message}");
        }
        return (CredentialType.Custom, CredentialShape.CheckSize(JsonBytes.Of(secret)));
    }

    async Task<Dictionary<string, Id<User>>> OwnersAsync(JsonElement file, CancellationToken cancellationToken)
    {
        var owners = new Dictionary<string, Id<User>>(StringComparer.Ordinal);
        foreach (var user in file.Find("users", JsonValueKind.Array) is { } users ? users.EnumerateArray() : default)
            if (user.FindText("id") is { } id && user.FindText("email") is { } email && await tenant.Users.FindByEmailAsync(email, cancellationToken) is { } here)
                owners[id] = here.Id;
        return owners;
    }

    static async Task<JsonElement> ReadAsync(string path, CancellationToken cancellationToken)
    {
        if (!File.Exists(path))
            throw new InvalidInputException("path", $"{path} is not there.");
        if (new FileInfo(path).Length is > MaxFileBytes and var length)
            throw new InvalidInputException("path", $"{path} is {length:N0} bytes long; at most {MaxFileBytes:N0} are read.");
        try
        {
            await using var file = File.OpenRead(path);
            return (await JsonDocument.ParseAsync(file, cancellationToken: cancellationToken)).RootElement;
        }
        catch (JsonException error)
        {
            throw new InvalidInputException("path", $"{path} is no JSON (line {error.LineNumber + 1}).");
        }
    }
}
