using System.Text.Json;
using Flowstone.Data;
using Flowstone.Tenancy;
using Flowstone.Users;

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
        var users = await tenant.Scope.Users.CreateManyAsync([.. Enumerable.Range(0, 6).Select(i => new NewUser { Email = Address(tenant, $"u{i}"), Role = i < 2 ? UserRole.Admin : UserRole.User })]);
        await tenant.Scope.Users.UpdateAsync(users[5].Id, new() { Status = UserStatus.Suspended });
        await tenant.Store.SignIn.VerifyEmailAsync(await tenant.Scope.Users.CreateTokenAsync(users[0].Id, TokenPurpose.VerifyEmail));

        foreach (var (filter, count) in new (UserFilter, int)[]
        {
            (new(), 6), (new() { Role = UserRole.Admin }, 2), (new() { Status = UserStatus.Suspended }, 1), (new() { Verified = true }, 1), (new() { Verified = false }, 5),
            (new() { Search = "U3@" }, 1), (new() { Role = UserRole.User, Search = "u" , Status = UserStatus.Active }, 3),
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
