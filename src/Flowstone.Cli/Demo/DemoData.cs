using System.Security.Cryptography;
using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;
using Flowstone.Workflows.N8n;

namespace Flowstone.Cli.Demo;

/// <summary>What a first look at Flowstone shows: people, a team, the sample workflows, and a day of executions.</summary>
static class DemoData
{
    const string Email = "admin@demo.test";

    /// <param name="Password">Random, and nowhere stored: it is shown once.</param>
    public sealed record Administrator(Id<User> Id, string Email, string Password);

    /// <summary>Fills a tenant that has no users and no workflows.</summary>
    /// <returns>Who may sign in, or null if the tenant was in use: then nothing was changed.</returns>
    public static async Task<Administrator?> CreateAsync(FlowstoneStore store, Id<Tenant> tenantId, CancellationToken cancellationToken)
    {
        var system = store.Tenant(tenantId, Actor.System("demo"));
        if (await system.Users.FindByEmailAsync(Email, cancellationToken) is { } unfinished)
            return await SetPasswordAsync(system, unfinished, cancellationToken);
        if ((await system.Users.ListAsync(new UserFilter(), before: null, limit: 1, cancellationToken)).Count > 0
            || await system.Workflows.CountAsync(cancellationToken) > 0)
            return null;

        var admin = await system.Users.CreateAsync(new NewUser { Email = Email, FirstName = "Ada", LastName = "Admin", Role = UserRole.Admin }, cancellationToken);
        var editor = await system.Users.CreateAsync(new NewUser { Email = "eddie@demo.test", FirstName = "Eddie", LastName = "Editor" }, cancellationToken);
        var viewer = await system.Users.CreateAsync(new NewUser { Email = "vera@demo.test", FirstName = "Vera", LastName = "Viewer", Role = UserRole.Viewer }, cancellationToken);
        var team = await system.Teams.CreateAsync("Operations", "Keeps the shop running.", admin.Id, cancellationToken);
        await system.Teams.SetMemberAsync(team.Id, editor.Id, TeamRole.Member, cancellationToken);
        await system.Teams.SetMemberAsync(team.Id, viewer.Id, TeamRole.Viewer, cancellationToken);

        var asAdmin = store.Tenant(tenantId, Actor.User(admin.Id));
        var workflows = new List<Workflow>();
        foreach (var (name, document) in SampleWorkflows.All())
            workflows.Add(await asAdmin.Workflows.CreateAsync(new NewWorkflow
            {
                Definition = N8nFormat.Read(document, name).Definition,
                Status = WorkflowStatus.Active,
                Visibility = Visibility.Team,
                TeamId = team.Id,
                Message = "Sample",
            }, cancellationToken));
        await new DemoHistory(store, tenantId, admin.Id).CreateAsync(workflows, cancellationToken);
        return await SetPasswordAsync(system, admin, cancellationToken);
    }

    // At the end: if all this was interrupted, nobody was told a password, and the next time gives one.
    static async Task<Administrator?> SetPasswordAsync(TenantScope tenant, User admin, CancellationToken cancellationToken)
    {
        var password = NewPassword();
        return await tenant.Users.SetFirstPasswordAsync(admin.Id, SignIn.HashPassword(password), cancellationToken)
            ? new Administrator(admin.Id, admin.Email, password) : null;
    }

    // 80 bits, in letters and digits that cannot be mistaken for each other.
    static string NewPassword()
    {
        var letters = RandomNumberGenerator.GetString("abcdefghjkmnpqrstuvwxyz23456789", 16);
        return string.Join('-', letters.Chunk(4).Select(part => new string(part)));
    }
}
