using System.Text.Json;
using Flowstone.Data;
using Flowstone.Executions;
using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;
using static Flowstone.Data.Sql;

namespace Flowstone.Tests.Users;

/// <summary>What administrators do with users, and what is left when they go.</summary>
public sealed class UserAdministrationTests(TestDatabase database)
{
    static string Address(TestTenant tenant, string name = "ada") => $"{name}@{tenant.Tenant.Slug}.example";

    [Fact]
    public async Task A_tenant_keeps_an_active_administrator_when_all_demote_delete_and_suspend_each_other_at_once()
    {
        var tenant = await database.NewTenantAsync();
        for (var round = 0; round < 5; round++)
        {
            var admins = new List<User>();
            for (var i = 0; i < 6; i++)
                admins.Add(await tenant.Scope.Users.CreateAsync(new NewUser { Email = $"{Path.GetRandomFileName()}@example.com", Role = UserRole.Admin }));
            await Task.WhenAll(admins.Select(async (admin, i) =>
            {
                try
                {
                    await new Func<Task>[]
                    {
                        () => tenant.Scope.Users.UpdateAsync(admin.Id, new() { Role = UserRole.User }),
                        () => tenant.Scope.Users.UpdateAsync(admin.Id, new() { Status = UserStatus.Suspended }),
                        () => tenant.Scope.Users.DeleteAsync(admin.Id),
                    }[i % 3]();
                }
                catch (ConflictException last)
                {
                    Assert.Contains("active administrator", last.Message, StringComparison.Ordinal);
                }
            }));

            Assert.Single(await tenant.Scope.Users.ListAsync(new() { Role = UserRole.Admin, Status = UserStatus.Active }, null, 50));
        }
    }

    [Fact]
    public async Task Users_change_their_own_profile_and_nothing_else()
    {
        var tenant = await database.NewTenantAsync();
        var (ada, bob) = (await UserAsync(UserRole.User), await UserAsync(UserRole.Viewer));
        var asAda = tenant.Store.Tenant(tenant.Id, Actor.User(ada.Id)).Users;

        Assert.Equal("Ada", (await asAda.UpdateAsync(ada.Id, new() { FirstName = "Ada" })).FirstName);
        foreach (var changes in new UserChanges[] { new() { Role = UserRole.Admin }, new() { Status = UserStatus.Active }, new() { Email = "other@example.com" } })
            await Assert.ThrowsAsync<AccessDeniedException>(() => asAda.UpdateAsync(ada.Id, changes));
        await Assert.ThrowsAsync<AccessDeniedException>(() => asAda.UpdateAsync(bob.Id, new() { FirstName = "Eve" }));
        Assert.Equal("Bob", (await tenant.Store.Tenant(tenant.Id, Actor.User(bob.Id)).Users.UpdateAsync(bob.Id, new() { FirstName = "Bob" })).FirstName);

        Task<User> UserAsync(UserRole role) => tenant.Scope.Users.CreateAsync(new NewUser { Email = $"{Path.GetRandomFileName()}@example.com", Role = role });
    }

    [Fact]
    public async Task What_a_deleted_user_owned_is_transferred_in_the_same_transaction_or_nothing_is()
    {
        var tenant = await database.NewTenantAsync();
        var (leaver, heir) = (await UserAsync(), await UserAsync());
        var asLeaver = tenant.Store.Tenant(tenant.Id, Actor.User(leaver.Id));
        var workflow = await asLeaver.Workflows.CreateAsync(new() { Definition = TestTenant.Definition() });
        var (alone, together) = (await asLeaver.Teams.CreateAsync("Alone", null, leaver.Id), await asLeaver.Teams.CreateAsync("Together", null, leaver.Id));
        var other = await UserAsync();
        await asLeaver.Teams.SetMemberAsync(together.Id, other.Id, TeamRole.Owner);
        await asLeaver.Teams.SetMemberAsync(alone.Id, heir.Id, TeamRole.Viewer);
        await tenant.Scope.Users.UpdateAsync(leaver.Id, new() { Role = UserRole.Admin });

        foreach (var nobody in new[] { leaver.Id, Id<User>.New(tenant.Clock) })
            Assert.Equal("transferTo", (await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Scope.Users.DeleteAsync(leaver.Id, nobody))).Errors[0].Field);
        await Assert.ThrowsAsync<ConflictException>(() => tenant.Scope.Users.DeleteAsync(leaver.Id, heir.Id));   // the last administrator
        Assert.Equal(leaver.Id, (await tenant.Scope.Workflows.FindAsync(workflow.Id))!.OwnerId);
        Assert.Equal([TeamRole.Viewer], (await tenant.Scope.Teams.MembersAsync(alone.Id)).Where(m => m.UserId == heir.Id).Select(m => m.Role));

        await tenant.Scope.Users.UpdateAsync(heir.Id, new() { Role = UserRole.Admin });
        Assert.True(await tenant.Scope.Users.DeleteAsync(leaver.Id, heir.Id));
        Assert.Equal(heir.Id, (await tenant.Scope.Workflows.FindAsync(workflow.Id))!.OwnerId);
        Assert.Equal([(heir.Id, TeamRole.Owner)], (await tenant.Scope.Teams.MembersAsync(alone.Id)).Select(m => (m.UserId, m.Role)));
        Assert.Equal([(other.Id, TeamRole.Owner)], (await tenant.Scope.Teams.MembersAsync(together.Id)).Select(m => (m.UserId, m.Role)));

        Task<User> UserAsync() => tenant.Scope.Users.CreateAsync(new NewUser { Email = $"{Path.GetRandomFileName()}@example.com" });
    }

    [Fact]
    public async Task What_a_deleted_user_owned_is_deleted_with_every_trace_of_its_executions_or_nothing_is()
    {
        var tenant = await database.NewTenantAsync();
        var (leaver, colleague) = (await UserAsync(), await UserAsync());
        var (asLeaver, asColleague) = (tenant.Store.Tenant(tenant.Id, Actor.User(leaver.Id)), tenant.Store.Tenant(tenant.Id, Actor.User(colleague.Id)));
        var (workflow, kept) = (await asLeaver.Workflows.CreateAsync(new() { Definition = TestTenant.Definition() }), await asColleague.Workflows.CreateAsync(new() { Definition = TestTenant.Definition() }));
        var (alone, together) = (await asLeaver.Teams.CreateAsync("Alone", null, leaver.Id), await asLeaver.Teams.CreateAsync("Together", null, leaver.Id));
        await asLeaver.Teams.SetMemberAsync(together.Id, colleague.Id, TeamRole.Member);
        var keptRun = await tenant.StartAsync(kept);
        await asLeaver.Executions.StartAsync(new() { WorkflowId = workflow.Id, Input = TestTenant.Json($"\"{new string('a', 100)}\"") });

        Assert.Contains("cancel them", (await Assert.ThrowsAsync<ConflictException>(() => DeleteAsync())).Message, StringComparison.Ordinal);
        foreach (var claimed in await tenant.ClaimAsync())
            await tenant.Queue.FinishAsync(claimed.Lease, new ExecutionOutcome { Status = ExecutionStatus.Success, Output = TestTenant.Json("17") });
        Assert.Contains("last owner", (await Assert.ThrowsAsync<ConflictException>(() => DeleteAsync())).Message, StringComparison.Ordinal);
        Assert.NotNull(await tenant.Scope.Workflows.FindAsync(workflow.Id));
        await asLeaver.Teams.SetMemberAsync(together.Id, colleague.Id, TeamRole.Owner);

        Assert.True(await DeleteAsync());
        Assert.Null(await tenant.Scope.Workflows.FindAsync(workflow.Id));
        Assert.Null(await tenant.Scope.Teams.FindAsync(alone.Id));
        Assert.NotNull(await tenant.Scope.Teams.FindAsync(together.Id));
        Assert.Equal([keptRun.Id], (await tenant.Scope.Executions.ListAsync(new(), null, 10)).Select(e => e.Id));
        foreach (var table in new[] { "executions", "execution_deltas", "workflows", "workflow_versions" })
            Assert.Equal(0L, await database.ScalarAsync<long>($"select count(*) from flowstone.{table} t where tenant_id = $1 and to_jsonb(t)::text like '%' || $2 || '%'", P(tenant.Id), P(workflow.Id.ToString())));
        Assert.False(await DeleteAsync());

        Task<bool> DeleteAsync() => tenant.Scope.Users.DeleteAsync(leaver.Id, deleteOwned: true);
        Task<User> UserAsync() => tenant.Scope.Users.CreateAsync(new NewUser { Email = $"{Path.GetRandomFileName()}@example.com" });
    }

    [Fact]
    public async Task An_overview_shows_a_user_with_workflows_teams_and_keys()
    {
        var tenant = await database.NewTenantAsync();
        var (ada, bob) = (await tenant.Scope.Users.CreateAsync(new NewUser { Email = Address(tenant) }), await tenant.Scope.Users.CreateAsync(new NewUser { Email = Address(tenant, "bob") }));
        var asAda = tenant.Store.Tenant(tenant.Id, Actor.User(ada.Id));
        for (var i = 0; i < 12; i++)
        {
            tenant.Clock.Advance(TimeSpan.FromSeconds(1));
            await asAda.Workflows.CreateAsync(new() { Definition = TestTenant.Definition($"W{i}"), Status = i == 11 ? WorkflowStatus.Archived : WorkflowStatus.Active });
        }
        var team = await asAda.Teams.CreateAsync("Team", null, ada.Id);
        var key = (await asAda.ApiKeys.CreateAsync(ada.Id, new() { Name = "Key", Scopes = [ApiScope.Read], ExpiresAt = tenant.Clock.Now().AddDays(1) })).Stored;
        await tenant.Store.Tenant(tenant.Id, Actor.User(bob.Id)).Workflows.CreateAsync(new() { Definition = TestTenant.Definition("Bob's") });

        var overview = await asAda.Users.OverviewAsync(ada.Id);
        Assert.Equal(ada.Id, overview.User.Id);
        Assert.Equal(Enumerable.Range(1, 10).Select(i => $"W{i}"), overview.Workflows.Select(w => w.Name).Order(StringComparer.Ordinal).OrderBy(name => name.Length));
        Assert.Equal(new UserTeam(team.Id, "Team", TeamRole.Owner), Assert.Single(overview.Teams));
        Assert.Equal(key.Id, Assert.Single(overview.ApiKeys).Id);
        await Assert.ThrowsAsync<AccessDeniedException>(() => asAda.Users.OverviewAsync(bob.Id));
        tenant.Clock.Advance(TimeSpan.FromDays(2));
        Assert.Empty((await tenant.Scope.Users.OverviewAsync(ada.Id)).ApiKeys);
    }

    [Fact]
    public async Task Many_users_are_made_at_once_and_taken_addresses_are_left_out()
    {
        var (tenant, other) = (await database.NewTenantAsync(), await database.NewTenantAsync());
        var taken = await other.Scope.Users.CreateAsync(new NewUser { Email = Address(tenant, "taken") });
        var hash = SignIn.HashPassword("correct horse");
        var made = await tenant.Scope.Users.CreateManyAsync(
        [
            new() { Email = Address(tenant, "ada"), FirstName = "Ada", PasswordHash = hash }, new() { Email = taken.Email.ToUpperInvariant() },
            new() { Email = Address(tenant, "ADA") }, new() { Email = $" {Address(tenant, "bob")} ", Role = UserRole.Viewer },
        ]);

        Assert.Equal([("Ada", UserRole.User), (null, UserRole.Viewer)], made.Select(u => (u.FirstName, u.Role)));
        foreach (var user in made)
            Assert.Equal(JsonSerializer.Serialize(user, FlowstoneJson.Options), JsonSerializer.Serialize(await tenant.Scope.Users.FindAsync(user.Id), FlowstoneJson.Options));
        Assert.NotNull(await tenant.Store.SignIn.WithPasswordAsync(made[0].Email, "correct horse"));
        Assert.Empty(await tenant.Scope.Users.CreateManyAsync([]));
        await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Scope.Users.CreateManyAsync([new() { Email = Address(tenant, "eve") }, new() { Email = "nobody" }]));
        Assert.Equal(2, await tenant.Scope.Users.CountAsync(new()));
    }

    [Fact]
    public async Task Users_are_counted_as_they_are_listed()
    {
        var tenant = await database.NewTenantAsync();
        var users = await tenant.Scope.Users.CreateManyAsync([.. Enumerable.Range(0, 6).Select(i => new NewUser { Email = Address(tenant, $"u{i}"), FirstName = i == 0 ? "Ada" : null, LastName = i == 0 ? "Lovelace" : null, Role = i < 2 ? UserRole.Admin : UserRole.User })]);
        await tenant.Scope.Users.UpdateAsync(users[5].Id, new() { Status = UserStatus.Suspended });
        await tenant.Store.SignIn.VerifyEmailAsync(await tenant.Scope.Users.CreateTokenAsync(users[0].Id, TokenPurpose.VerifyEmail));

        foreach (var (filter, count) in new (UserFilter, int)[]
        {
            (new(), 6), (new() { Role = UserRole.Admin }, 2), (new() { Status = UserStatus.Suspended }, 1), (new() { Verified = true }, 1), (new() { Verified = false }, 5),
            (new() { Search = "U3@" }, 1), (new() { Search = "da lov" }, 1), (new() { Search = "%" }, 0), (new() { Role = UserRole.User, Search = "u" , Status = UserStatus.Active }, 3),
        })
        {
            Assert.Equal(count, await tenant.Scope.Users.CountAsync(filter));
            Assert.Equal(count, (await tenant.Scope.Users.ListAsync(filter, null, 50)).Count);
        }
        var figures = await tenant.Scope.Users.StatisticsAsync();
        Assert.Equal((6, 1, 5, 1, 2), (figures.Total, figures.Verified, figures.ByStatus[UserStatus.Active], figures.ByStatus[UserStatus.Suspended], figures.ByRole[UserRole.Admin]));
    }

    [Fact]
    public async Task A_lock_is_seen_and_opened_by_an_administrator_and_is_no_suspension()
    {
        var tenant = await database.NewTenantAsync();
        var user = await tenant.Scope.Users.CreateAsync(new NewUser { Email = Address(tenant), PasswordHash = SignIn.HashPassword("correct horse") });
        Assert.Equal(new LoginFailures(0, null), await tenant.Scope.Users.LoginFailuresAsync(user.Id));
        for (var i = 0; i < 3; i++)
            await tenant.Store.SignIn.WithPasswordAsync(user.Email, "guess", new("203.0.113.7"));
        Assert.Equal(new LoginFailures(3, tenant.Clock.Now() + TimeSpan.FromSeconds(1)), await tenant.Scope.Users.LoginFailuresAsync(user.Id));

        await tenant.Scope.Users.UnlockAsync(user.Id);
        Assert.Equal(new LoginFailures(0, null), await tenant.Scope.Users.LoginFailuresAsync(user.Id));
        Assert.NotNull(await tenant.Store.SignIn.WithPasswordAsync(user.Email, "correct horse", new("203.0.113.7")));
        await Assert.ThrowsAsync<NotFoundException>(() => tenant.Scope.Users.UnlockAsync(Id<User>.New(tenant.Clock)));
        await Assert.ThrowsAsync<NotFoundException>(() => tenant.Scope.Users.LoginFailuresAsync(Id<User>.New(tenant.Clock)));
    }

    [Fact]
    public async Task A_refused_change_changes_nothing()
    {
        var tenant = await database.NewTenantAsync();
        var admin = await tenant.Scope.Users.CreateAsync(new NewUser { Email = Address(tenant, "admin"), Role = UserRole.Admin });
        var session = (await tenant.Store.SignIn.OpenAsync(tenant.Id, admin.Id)).Token;

        await Assert.ThrowsAsync<ConflictException>(() => tenant.Scope.Users.UpdateAsync(admin.Id, new() { Role = UserRole.User, Email = Address(tenant, "other") }));

        Assert.NotNull(await tenant.Store.SignIn.FindAsync(session));
        Assert.Equal(admin.Id, (await tenant.Scope.Users.FindByEmailAsync(admin.Email))?.Id);
        Assert.Null(await tenant.Scope.Users.FindByEmailAsync(Address(tenant, "other")));
    }
}
