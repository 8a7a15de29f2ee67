using System.CommandLine;
using Flowstone.Workflows;
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
        return new Command("export", "Write what other systems, or another Flowstone, can read.") { n8n, Workflows() };
    }

    static Command Workflows()
    {
        var folder = new Argument<string>("folder") { Description = "Where to write one .json file per workflow. Is made if it is not there." };
        var plain = new Option<bool>("--plain") { Description = "Format 1.0.0, the original platform's: the newest version alone." };
        var workflows = new Command("workflows", "Write every workflow with all its versions, shares and names of credentials.") { folder, plain, StoreOptions.Tenant }.WithExample("flowstone export workflows ./backup");
        workflows.SetAction(async (arguments, cancellationToken) =>
        {
            await using var open = await OpenStore.OpenAsync(arguments, cancellationToken);
            var tenant = await open.TenantAsync(arguments, cancellationToken);
            var target = Directory.CreateDirectory(arguments.GetRequiredValue(folder)).FullName;
            var total = await tenant.Workflows.CountAsync(cancellationToken);
            var written = await Output.WithProgressAsync<int>("Exporting", async progress =>
            {
                var done = 0;
                for (var page = await tenant.Workflows.ListAsync(new(), null, 100, cancellationToken); page.Count > 0; page = await tenant.Workflows.ListAsync(new(), page[^1].Id, 100, cancellationToken))
                    foreach (var workflow in page)
                    {
                        var path = Path.Combine(target, $"{workflow.Id}.json");
                        try
                        {
                            await using var file = File.Create(path);
                            await tenant.Transfer.ExportAsync(workflow.Id, file, arguments.GetValue(plain) ? WorkflowFormat.Plain : WorkflowFormat.Full, cancellationToken: cancellationToken);
                        }
                        catch (NotFoundException)   // somebody deleted it since it was listed
                        {
                            File.Delete(path);
                            continue;
                        }
                        progress?.Report((++done, Math.Max(total, done)));
                    }
                return done;
            });
            Output.Line($"{written:N0} workflows written to {target}");
        });
        return workflows;
    }
}
