using System.CommandLine;

namespace Flowstone.Cli;

static class TenantCommand
{
    public static Command Create()
    {
        var slug = new Argument<string>("slug") { Description = "Lower-case letters, digits and hyphens." };
        var name = new Option<string?>("--name") { Description = "The name for people. Default: the slug." };
        var create = new Command("create", "Make a tenant.") { slug, name }.WithExample("flowstone tenant create acme --name 'Acme Ltd'");
        create.SetAction(async (arguments, cancellationToken) =>
        {
            await using var open = await OpenStore.OpenAsync(arguments, cancellationToken);
            var tenant = await open.Store.Tenants.CreateAsync(arguments.GetRequiredValue(slug), arguments.GetValue(name) ?? arguments.GetRequiredValue(slug), cancellationToken);
            Output.Line($"{tenant.Slug}  {tenant.Id}");
        });
        var list = new Command("list", "List the tenants.") { StoreOptions.Json }.WithExample("flowstone tenant list --json");
        list.SetAction(async (arguments, cancellationToken) =>
        {
            await using var open = await OpenStore.OpenAsync(arguments, cancellationToken);
            var tenants = await open.Store.Tenants.ListAsync(cancellationToken);
            if (arguments.GetValue(StoreOptions.Json))
                Output.Json(tenants.Select(t => new { t.Id, t.Slug, t.Name, t.CreatedAt }));
            else if (tenants.Count == 0)
                Output.Line("No tenants yet. Run: flowstone tenant create SLUG");
            foreach (var tenant in arguments.GetValue(StoreOptions.Json) ? [] : tenants)
                Output.Line($"{tenant.Slug,-24}  {tenant.Id}  {tenant.Name}");
        });
        return new Command("tenant", "Make and list tenants.") { create, list };
    }
}
