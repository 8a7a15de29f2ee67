using System.CommandLine;
using Flowstone.Workflows.N8n;

namespace Flowstone.Cli;

static class ExportCommand
{
    public static Command Create()
    {
        var folder = new Argument<string>("folder") { Description = "Where to write one .json file per workflow. Is made if it is not there." };
        var n8n = new Command("n8n", "Write the newest version of every workflow in n8n's format. What was imported and not changed equals, as JSON, what came in.")
        { folder, StoreOptions.Tenant, StoreOptions.Json }.WithExample("flowstone export n8n ./exported");
        n8n.SetAction(async (arguments, cancellationToken) =>
        {
            await using var open = await OpenStore.OpenAsync(arguments, cancellationToken);
            var exporter = new N8nExporter(await open.TenantAsync(arguments, cancellationToken));
            var target = Path.GetFullPath(arguments.GetRequiredValue(folder));
            var written = await Output.WithProgressAsync("Exporting", progress => exporter.RunAsync(target, progress, cancellationToken));
            if (arguments.GetValue(StoreOptions.Json))
                Output.Json(new { workflows = written, folder = target });
            else
                Output.Line($"{written:N0} workflows written to {target}");
        });
        return new Command("export", "Write what other systems can read.") { n8n };
    }
}
