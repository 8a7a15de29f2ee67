using System.CommandLine;
using Flowstone.Cli.Demo;
using Flowstone.Server;
using Flowstone.Server.Auth;
using Flowstone.Tenancy;
using Flowstone.Users;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;

namespace Flowstone.Cli;

static class UpCommand
{
    public static Command Create()
    {
        var noDemo = new Option<bool>("--no-demo") { Description = "Leave the database empty." };
        var command = new Command("up", "Start everything: a PostgreSQL of its own, demo data at the first start, HTTP API and console. Ctrl-C stops it.")
        { ServerOptions.Port, ServerOptions.Address, noDemo }.WithExample("flowstone up --port 8080");
        command.SetAction(async (arguments, cancellationToken) =>
        {
            await using var open = await OpenStore.OpenAsync(arguments, cancellationToken);
            var tenant = await open.DefaultTenantAsync(cancellationToken);

            // Demo people have no place in a database that somebody gave us.
            var made = open.Postgres is null || arguments.GetValue(noDemo) ? null : await DemoData.CreateAsync(open.Store, tenant, cancellationToken);
            await using var app = FlowstoneServer.Build([], ServerOptions.Configure(arguments, open.Options.ConnectionString, open.Options.KeyFile));
            using var watch = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            var watching = open.KeepPostgresAliveAsync(watch.Token);
            var code = await FlowstoneServer.RunAsync(app, url => Welcome(url, app, open, tenant, made).GetAwaiter().GetResult(), cancellationToken);
            await watch.CancelAsync();
            await watching;
            return code;
        });
        return command;
    }

    static async Task Welcome(string url, WebApplication app, OpenStore open, Id<Tenant> tenant, DemoData.Administrator? made)
    {
        Output.Line("");
        Output.Line($"Flowstone is up:  {url}");
        if (made is not null)
            Output.Line($"Sign in as        {made.Email}  {made.Password}   (shown once)");
        var admins = await open.Store.Tenant(tenant, Actor.System("flowstone up")).Users.ListAsync(new UserFilter { Role = UserRole.Admin, Status = UserStatus.Active }, null, 1);
        if (open.Postgres is not null && admins is [var admin])
            Output.Line($"Or open           {url}{app.Services.GetRequiredService<SignInLinks>().Create(tenant, admin.Id)}   (once, within 10 minutes)");
        if (open.Postgres is { } postgres)
        {
            Output.Line($"PostgreSQL        {postgres.Version} in {Path.GetDirectoryName(postgres.Folder)}");
            if (open.Options.KeyFile is { } keys)
                Output.Line($"Master key        {keys}   (keep a copy elsewhere)");
            Output.Line($"Look inside       {postgres.Binaries}/psql -h {postgres.SocketFolder} -U {TenantPolicies.AppRole} {OpenStore.DatabaseName}");
        }
        Output.Line("Ctrl-C stops it.");
    }
}
