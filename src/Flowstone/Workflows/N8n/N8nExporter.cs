using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Flowstone.Tenancy;

namespace Flowstone.Workflows.N8n;

/// <summary>Gives workflows back in n8n's format. One that was imported and not changed is equal as JSON to what came in.</summary>
public sealed class N8nExporter(TenantScope tenant)
{
    // For people and for n8n: no \u escapes where UTF-8 says it, as n8n itself writes.
    static readonly JsonWriterOptions format = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes every workflow of the tenant, newest version, each to a file of its own.</summary>
    /// <param name="folder">Is made if it is not there; files of the same names are replaced.</param>
    /// <returns>How many workflows were written.</returns>
    public async Task<int> RunAsync(string folder, IProgress<(int Done, int Total)>? progress = null, CancellationToken cancellationToken = default)
    {
        var root = Path.GetFullPath(folder);
        Directory.CreateDirectory(root);
        var origins = await tenant.Workflows.OriginsAsync(cancellationToken);
        var (files, folders) = (new HashSet<string>(StringComparer.OrdinalIgnoreCase), new HashSet<string>(StringComparer.OrdinalIgnoreCase));
        for (var i = 0; i < origins.Count; i++)
        {
            if (await tenant.Workflows.FindVersionAsync(origins[i].Id, number: null, cancellationToken) is not { } version)
                continue;   // deleted since the list was read
            var name = FileName(origins[i]);
            var file = Path.Combine(root, IsFree(name) ? name : $"{origins[i].Id}.json");
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            await WriteAsync(file, N8nFormat.Write(version.Definition), cancellationToken);
            progress?.Report((i + 1, origins.Count));
        }
        return origins.Count;

        // Neither doubled nor in the way of a folder, nor below what is a file.
        bool IsFree(string name)
        {
            var above = Above(name).ToList();
            if (folders.Contains(name) || above.Exists(files.Contains) || !files.Add(name))
                return false;
            folders.UnionWith(above);
            return true;
        }
    }

    static IEnumerable<string> Above(string name)
    {
        for (var slash = name.IndexOf('/', StringComparison.Ordinal); slash >= 0; slash = name.IndexOf('/', slash + 1))
            yield return name[..slash];
    }

    /// <summary>The name it was imported from; otherwise one made of its own name, with a part of its id against doubles.</summary>
    static string FileName(WorkflowOrigin workflow)
    {
        // A key is a path below the import's folder; one that leaves it (or an array's key) is not taken for a file's name.
        if (workflow.Key is { } key && key.EndsWith(".json", StringComparison.OrdinalIgnoreCase) && key.Split('/').All(IsFileName))
            return key;
        var slug = new StringBuilder();
        foreach (var letter in workflow.Name.ToLowerInvariant())
        {
            if (char.IsAsciiLetterOrDigit(letter))
                slug.Append(letter);
            else if (slug.Length > 0 && slug[^1] != '-')
                slug.Append('-');
        }
        return $"{slug.ToString(0, Math.Min(slug.Length, 60)).Trim('-')}-{workflow.Id.ToString()[^8..]}.json".TrimStart('-');
    }

    // File systems take 255 bytes; ".partial" needs some of them.
    static bool IsFileName(string step) => step is not ("" or "." or "..") && Encoding.UTF8.GetByteCount(step) <= 240;

    // Written beside and moved, so that a file under its own name is always whole.
    static async Task WriteAsync(string file, JsonElement document, CancellationToken cancellationToken)
    {
        var partial = file + ".partial";
        await using (var stream = File.Create(partial))
        await using (var writer = new Utf8JsonWriter(stream, format))
        {
            document.WriteTo(writer);
            await writer.FlushAsync(cancellationToken);
            stream.WriteByte((byte)'\n');
        }
        File.Move(partial, file, overwrite: true);
    }
}
