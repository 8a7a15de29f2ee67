using System.CommandLine;
using System.Globalization;
using Flowstone.Credentials.Original;
using Flowstone.Data;
using Flowstone.Workflows;
using Flowstone.Workflows.N8n;

namespace Flowstone.Cli;

static class ImportCommand
{
    const int MostNotes = 5;
    const string EncryptionKey = "ENCRYPTION_KEY";

    public static Command Create()
    {
        var path = new Argument<string>("path") { Description = "A .json file with one workflow or an array of them, or a folder of such files." };
        var n8n = new Command("n8n", "Bring in workflows that n8n exported. Again is harmless: what changed gets a new version, the rest stays.")
        { path, StoreOptions.Tenant, StoreOptions.Json }.WithExample("flowstone import n8n ./workflows");
        n8n.SetAction(async (arguments, cancellationToken) =>
        {
            await using var open = await OpenStore.OpenAsync(arguments, cancellationToken);
            var importer = new N8nImporter(await open.TenantAsync(arguments, cancellationToken));
            var report = await Output.WithProgressAsync("Importing", progress => importer.RunAsync(arguments.GetRequiredValue(path), progress, cancellationToken));
            if (arguments.GetValue(StoreOptions.Json))
                Output.Json(report);
            else
                Print(report);
            return report.Failures.Count == 0 ? 0 : 1;
        });
        return new Command("import", "Bring in what other systems stored.") { n8n, Workflows(), Original() };
    }

    static Command Workflows()
    {
        var path = new Argument<string>("path") { Description = "A document that was exported, or a folder of such .json files." };
        var workflows = new Command("workflows", "Bring in workflows that Flowstone, or the original platform, exported. Each makes a new one: a private draft.") { path, StoreOptions.Tenant }
            .WithExample("flowstone import workflows ./backup");
        workflows.SetAction(async (arguments, cancellationToken) =>
        {
            var given = arguments.GetRequiredValue(path);
            var files = File.Exists(given) ? [given] : Directory.Exists(given) ? Directory.GetFiles(given, "*.json").Order(StringComparer.Ordinal).ToArray() : throw new InvalidInputException("path", $"{given} is neither a file nor a folder.");
            await using var open = await OpenStore.OpenAsync(arguments, cancellationToken);
            var tenant = await open.TenantAsync(arguments, cancellationToken);
            var failed = 0;
            await Output.WithProgressAsync<int>("Importing", async progress =>
            {
                for (var i = 0; i < files.Length; i++)
                {
                    try
                    {
                        var imported = await tenant.Transfer.ImportAsync(await ReadAsync(files[i], cancellationToken), cancellationToken);
                        foreach (var note in imported.Notes)
                            Output.Note($"{Path.GetFileName(files[i])}: {note}");
                    }
                    catch (InvalidInputException error)
                    {
                        failed++;
                        Output.Error($"{Path.GetFileName(files[i])}: {error.Message}");
                    }
                    catch
                    {
                        // Each document makes a new workflow: whoever began from the start again would have them twice.
                        Output.Error(string.Create(CultureInfo.InvariantCulture,
                            $"Stopped at {Path.GetFileName(files[i])}. {i - failed:N0} workflows were made of the files before it by name: import the rest without those."));
                        throw;
                    }
                    progress?.Report((i + 1, files.Length));
                }
                return failed;
            });
            Output.Line(string.Create(CultureInfo.InvariantCulture, $"{files.Length:N0} documents: {files.Length - failed:N0} workflows made, {failed:N0} refused"));
            return failed == 0 ? 0 : 1;
        });
        return workflows;
    }

    static async Task<System.Text.Json.JsonElement> ReadAsync(string file, CancellationToken cancellationToken)
        => new FileInfo(file).Length <= WorkflowTransfer.MaxBytes ? JsonDocuments.Parse(await File.ReadAllBytesAsync(file, cancellationToken), WorkflowTransfer.MaxBytes, WorkflowTransfer.MaxDepth)
            : throw new InvalidInputException("$", $"has more than {WorkflowTransfer.MaxBytes:N0} bytes.");

    static Command Original()
    {
        var path = new Argument<string>("path") { Description = "The JSON file of one of its backups." };
        var original = new Command("original", $"Bring in the credentials of the original platform: each is opened with its {EncryptionKey} and sealed anew. Again is harmless: those that are here stay.")
        { path, StoreOptions.Tenant, StoreOptions.Json }.WithExample($"{EncryptionKey}=… flowstone import original ./backup.json");
        original.SetAction(async (arguments, cancellationToken) =>
        {
            var key = Environment.GetEnvironmentVariable(EncryptionKey) is { Length: > 0 } set ? set : throw new InvalidInputException(EncryptionKey, "is not set: the key under which the original platform ran.");
            await using var open = await OpenStore.OpenAsync(arguments, cancellationToken);
            var importer = new OriginalCredentialImporter(await open.TenantAsync(arguments, cancellationToken), key, Environment.GetEnvironmentVariable("ENCRYPTION_SALT"));
            var report = await Output.WithProgressAsync("Importing", progress => importer.RunAsync(arguments.GetRequiredValue(path), progress, cancellationToken));
            if (arguments.GetValue(StoreOptions.Json))
                Output.Json(report);
            else
                Print(report);
            return report.Any(row => row.Outcome == ImportOutcome.Failed) ? 1 : 0;
        });
        return original;
    }

    static void Print(IReadOnlyList<ImportedCredential> report)
    {
        foreach (var row in report)
            if (row.Outcome == ImportOutcome.Failed)
                Output.Error($"{row.Name} ({row.Id}): {row.Message}");
            else if (row.Message is not null)
                Output.Note($"{row.Name} ({row.Id}): {row.Message}");
        Output.Line(string.Create(CultureInfo.InvariantCulture,
            $"{report.Count:N0} credentials: {Of(ImportOutcome.Created):N0} new, {Of(ImportOutcome.AlreadyThere):N0} already here, {Of(ImportOutcome.Failed):N0} failed"));

        int Of(ImportOutcome outcome) => report.Count(row => row.Outcome == outcome);
    }

    static void Print(N8nImportReport report)
    {
        foreach (var failure in report.Failures)
            Output.Error($"{failure.Document}: {failure.Message}");

        // Hundreds of documents may have the same blemish: the first ones show it, the number tells how common it is.
        foreach (var warning in report.Warnings.Take(MostNotes))
            Output.Note($"{warning.Document}: {warning.Message}");
        if (report.Warnings.Count > MostNotes)
            Output.Note($"… and {report.Warnings.Count - MostNotes:N0} more of these; all with --json.");
        Output.Line(string.Create(CultureInfo.InvariantCulture,
            $"{report.Workflows:N0} workflows, {report.Nodes:N0} nodes: {report.Created:N0} new, {report.Updated:N0} changed, {report.Unchanged:N0} unchanged, {report.Failures.Count:N0} failed"));
    }
}
