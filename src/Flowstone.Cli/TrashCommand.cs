using System.CommandLine;
using Flowstone.Workflows;

namespace Flowstone.Cli;

static class TrashCommand
{
    public static Command Create()
    {
        var list = new Command("list", "List the deleted workflows of a tenant.") { StoreOptions.Tenant, StoreOptions.Json }.WithExample("flowstone trash list --tenant acme");
        list.SetAction(async (arguments, cancellationToken) =>
        {
            await using var open = await OpenStore.OpenAsync(arguments, cancellationToken);
            var workflows = await (await open.TenantAsync(arguments, cancellationToken)).Workflows.ListTrashAsync(null, int.MaxValue, cancellationToken);
            if (arguments.GetValue(StoreOptions.Json))
            {
                Output.Json(workflows);
                return;
            }
            foreach (var workflow in workflows)
                Output.Line($"{workflow.Id}  {workflow.DeletedAt:yyyy-MM-dd HH:mm}  {workflow.Name}");
        });

        var id = new Argument<Guid>("ID") { Description = "Of the workflow, as 'trash list' tells it." };
        var restore = new Command("restore", "Take a workflow out of the trash.") { id, StoreOptions.Tenant }.WithExample("flowstone trash restore 01a2074a-3c9e-7c34-9b5c-0d6f3c1e2a77 --tenant acme");
        restore.SetAction(async (arguments, cancellationToken) =>
        {
            await using var open = await OpenStore.OpenAsync(arguments, cancellationToken);
            var workflow = await (await open.TenantAsync(arguments, cancellationToken)).Workflows.UndeleteAsync(new(arguments.GetValue(id)), cancellationToken);
            Output.Line($"{workflow.Name} is back.");
        });

        var days = new Option<int>("--days") { Description = "Only what was deleted longer ago, in tenants that do not say themselves; 0 is all.", DefaultValueFactory = _ => WorkflowTrash.DefaultDays };
        var yes = new Option<bool>("--yes") { Description = "Needed: what is purged does not come back." };
        var purge = new Command("purge", "Delete for good what is in the trash of all tenants, but for what executions refer to. The server does it every day.") { days, yes }.WithExample("flowstone trash purge --days 0 --yes");
        purge.SetAction(async (arguments, cancellationToken) =>
        {
            if (!arguments.GetValue(yes))
                throw new InvalidInputException("--yes", "is needed to delete for good.");
            await using var open = await OpenStore.OpenAsync(arguments, cancellationToken);
            Output.Line($"{await open.Store.Trash.PurgeAsync(arguments.GetValue(days), cancellationToken):N0} workflow(s) deleted for good.");
        });
        return new Command("trash", "See, restore and purge deleted workflows.") { list, restore, purge };
    }
}
