using System.Text.Json;
using Flowstone.Data;
using Flowstone.Tenancy;

namespace Flowstone.Workflows.N8n;

/// <summary>What an import did. A failure concerns one document; the others went in.</summary>
public sealed class N8nImportReport
{
    /// <summary>Workflows that are new.</summary>
    public int Created { get; internal set; }

    /// <summary>Workflows whose document changed since it was imported last: each has a new version.</summary>
    public int Updated { get; internal set; }

    public int Unchanged { get; internal set; }

    /// <summary>Nodes in all documents that were read, changed or not.</summary>
    public int Nodes { get; internal set; }

    public List<ImportNote> Failures { get; } = [];

    /// <summary>What went in, but deserves a look.</summary>
    public List<ImportNote> Warnings { get; } = [];

    public int Workflows => Created + Updated + Unchanged;
}

/// <param name="Document">The file, with <c>#</c> and the place for a document in an array.</param>
public sealed record ImportNote(string Document, string Message);

/// <summary>Brings n8n's exports in: a file, a folder, or a file with an array of workflows.</summary>
/// <remarks>
/// A workflow is known again by its file's path below the folder; in an array by its n8n id, or its place if it has none. Its document's
/// hash is kept, so that a second import of the same changes nothing, and an import of a changed one appends a version.
/// </remarks>
public sealed class N8nImporter(TenantScope tenant)
{
    /// <summary>For a file with an array; each workflow in it may have <see cref="WorkflowRepository.MaxDefinitionBytes"/>.</summary>
    public const int MaxFileBytes = 512 * 1024 * 1024;

    readonly N8nImportReport report = new();
    readonly HashSet<string> seen = new(StringComparer.Ordinal);
    Dictionary<string, WorkflowOrigin> known = [];

    /// <param name="path">A <c>.json</c> file, or a folder whose <c>.json</c> files are read, also in folders below.</param>
    /// <param name="progress">Is told after each file how many of how many are done.</param>
    /// <exception cref="InvalidInputException">There is no such file or folder, or the folder has no <c>.json</c> file.</exception>
    public async Task<N8nImportReport> RunAsync(string path, IProgress<(int Done, int Total)>? progress = null, CancellationToken cancellationToken = default)
    {
        var (root, files) = Find(path);
        known = (await tenant.Workflows.OriginsAsync(cancellationToken)).Where(o => o.Key is not null).ToDictionary(o => o.Key!, StringComparer.Ordinal);
        for (var i = 0; i < files.Length; i++)
        {
            await ImportFileAsync(files[i], Path.GetRelativePath(root, files[i]).Replace('\\', '/'), cancellationToken);
            progress?.Report((i + 1, files.Length));
        }
        return report;
    }

    static (string Root, string[] Files) Find(string path)
    {
        if (File.Exists(path))
            return (Path.GetDirectoryName(Path.GetFullPath(path))!, [Path.GetFullPath(path)]);
        if (!Directory.Exists(path))
            throw new InvalidInputException("path", $"{path} is neither a file nor a folder.");
        var files = Directory.EnumerateFiles(path, "*.json", SearchOption.AllDirectories).Select(Path.GetFullPath).Order(StringComparer.Ordinal).ToArray();
        return files.Length > 0 ? (Path.GetFullPath(path), files) : throw new InvalidInputException("path", $"{path} has no .json file.");
    }

    async Task ImportFileAsync(string file, string name, CancellationToken cancellationToken)
    {
        JsonElement content;
        try
        {
            var length = new FileInfo(file).Length;
            if (length > MaxFileBytes)
                throw new InvalidInputException("$", $"is {length:N0} bytes long; at most {MaxFileBytes:N0} are allowed.");
            var bytes = await File.ReadAllBytesAsync(file, cancellationToken);
            content = JsonDocuments.Parse(bytes, StartsArray(bytes) ? MaxFileBytes : tenant.Workflows.MaxDefinitionBytes);
        }
        catch (Exception error) when (error is InvalidInputException or IOException or UnauthorizedAccessException)
        {
            report.Failures.Add(new(name, error.Message));
            return;
        }
        if (content.ValueKind != JsonValueKind.Array)
        {
            await ImportAsync(content, name, name, name, cancellationToken);
            return;
        }
        var place = 0;
        var ids = new HashSet<string>(StringComparer.Ordinal);
        foreach (var document in content.EnumerateArray())
        {
            // Only the first of equal ids is known by it: what n8n exports never repeats one, what people edit may.
            var key = FindId(document) is { } id && ids.Add(id) ? $"id:{id}" : $"{name}#{place}";
            await ImportAsync(document, name, $"{name}#{place++}", key, cancellationToken);
        }
    }

    static string? FindId(JsonElement document)
    {
        try
        {
            return document.Find("id") is { ValueKind: JsonValueKind.String or JsonValueKind.Number } id ? id.ToString() : null;
        }
        catch (InvalidOperationException)
        {
            return null;   // a lone surrogate in it or in a key: refused in a moment, with its place
        }
    }

    async Task ImportAsync(JsonElement document, string file, string name, string key, CancellationToken cancellationToken)
    {
        try
        {
            Text.Check("path", key, 1024);
            if (!seen.Add(key))
                throw new InvalidInputException("id", "is that of another document of this import, which went in.");
            var fallbackName = Path.GetFileNameWithoutExtension(file);
            var workflow = N8nFormat.Read(document, string.IsNullOrWhiteSpace(fallbackName) ? Path.GetFileName(file) : fallbackName, tenant.Workflows.MaxDefinitionBytes);
            var hash = CanonicalJson.Hash(document);
            if (!known.TryGetValue(key, out var origin))
            {
                await tenant.Workflows.ImportAsync(new NewWorkflow { Definition = workflow.Definition, Message = $"Imported from {Path.GetFileName(name)}" }, key, hash, cancellationToken);
                report.Created++;
            }
            else if (hash.AsSpan().SequenceEqual(origin.Hash))
            {
                report.Unchanged++;
            }
            else
            {
                await tenant.Workflows.UpdateAsync(origin.Id, workflow.Definition, basedOn: null, $"Imported again from {Path.GetFileName(name)}", hash, cancellationToken);
                report.Updated++;
            }
            report.Nodes += workflow.Definition.GetProperty("nodes").GetArrayLength();
            report.Warnings.AddRange(workflow.Warnings.Select(warning => new ImportNote(name, warning)));
        }
        catch (Exception error) when (error is InvalidInputException or ConflictException)
        {
            report.Failures.Add(new(name, error.Message));
        }
    }

    static bool StartsArray(ReadOnlySpan<byte> utf8)
    {
        if (utf8.StartsWith("\uFEFF"u8))
            utf8 = utf8[3..];
        return utf8.TrimStart(" \t\r\n"u8).StartsWith("["u8);
    }
}
