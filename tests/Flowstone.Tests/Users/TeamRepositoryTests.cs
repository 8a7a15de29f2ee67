using Flowstone.Tenancy;
using Flowstone.Users;

namespace Flowstone.Tests.Users;

public sealed class TeamRepositoryTests(TestDatabase database)
{
    static Task<User> UserAsync(TestTenant tenant, string name)
        => tenant.Scope.Users.CreateAsync(new NewUser { Email = $"{name}@{tenant.Tenant.Slug}.example" });

    [Fact]
    public async Task A_new_team_has_its_owner_and_is_found_listed_changed_and_deleted()
    {
        var tenant = await database.NewTenantAsync();
        var owner = await UserAsync(tenant, "owner");
        var team = await tenant.Scope.Teams.CreateAsync("Flow", "Those who flow", owner.Id);

        Assert.Equal(team, await tenant.Scope.Teams.FindAsync(team.Id));
        Assert.Equal([team], await tenant.Scope.Teams.ListAsync(null, 10));
        Assert.Equal([new TeamMember { TenantId = tenant.Id, TeamId = team.Id, UserId = owner.Id, Role = TeamRole.Owner, JoinedAt = team.CreatedAt }], await tenant.Scope.Teams.MembersAsync(team.Id));

        tenant.Clock.Advance(TimeSpan.FromMinutes(1));
        await tenant.Scope.Teams.UpdateAsync(team.Id, "Stone", null);
        Assert.Equal(team with { Name = "Stone", UpdatedAt = tenant.Clock.Now() }, await tenant.Scope.Teams.FindAsync(team.Id));

        Assert.True(await tenant.Scope.Teams.DeleteAsync(team.Id));
        Assert.False(await tenant.Scope.Teams.DeleteAsync(team.Id));
        Assert.Null(await tenant.Scope.Teams.FindAsync(team.Id));
        Assert.Empty(await tenant.Scope.Teams.MembersAsync(team.Id));
        await Assert.ThrowsAsync<NotFoundException>(() => tenant.Scope.Teams.UpdateAsync(team.Id, "Ghost", null));
    }

    [Fact]
    public async Task Pages_walk_over_all_teams_without_skip_or_repeat()
    {
        var tenant = await database.NewTenantAsync();
        var owner = await UserAsync(tenant, "owner");
        var made = new List<Id<Team>>();
        for (var i = 0; i < 11; i++)
            made.Add((await tenant.Scope.Teams.CreateAsync($"Team {i}", null, owner.Id)).Id);

        var walked = new List<Id<Team>>();
        for (List<Team> page; (page = await tenant.Scope.Teams.ListAsync(walked is [.., var last] ? last : null, 3)).Count > 0;)
            walked.AddRange(page.Select(team => team.Id));

        Assert.Equal(made.OrderDescending(), walked);
    }

    [Fact]
    public async Task Texts_that_do_not_fit_are_refused_by_field()
    {
        var tenant = await database.NewTenantAsync();
        var owner = await UserAsync(tenant, "owner");
        var team = await tenant.Scope.Teams.CreateAsync("Flow", null, owner.Id);

        foreach (var (field, name, description) in new[]
        {
            ("name", "", null), ("name", " ", null), ("name", new string('a', 256), null), ("name", "a\0", null),
            ("description", "fine", new string('a', 2001)), ("description", "fine", "\uD800"),
        })
        {
            Assert.Equal(field, (await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Scope.Teams.CreateAsync(name, description, owner.Id))).Errors[0].Field);
            Assert.Equal(field, (await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Scope.Teams.UpdateAsync(team.Id, name, description))).Errors[0].Field);
        }
        Assert.Equal([team], await tenant.Scope.Teams.ListAsync(null, 10));
    }

    [Fact]
    public async Task Members_come_change_and_go_but_the_last_owner_stays()
    {
        var tenant = await database.NewTenantAsync();
        var (ada, bob) = (await UserAsync(tenant, "ada"), await UserAsync(tenant, "bob"));
        var team = await tenant.Scope.Teams.CreateAsync("Flow", null, ada.Id);
        var teams = tenant.Scope.Teams;

        await Assert.ThrowsAsync<ConflictException>(() => teams.RemoveMemberAsync(team.Id, ada.Id));
        await Assert.ThrowsAsync<ConflictException>(() => teams.SetMemberAsync(team.Id, ada.Id, TeamRole.Admin));
        await teams.SetMemberAsync(team.Id, ada.Id, TeamRole.Owner);
        await teams.SetMemberAsync(team.Id, bob.Id, TeamRole.Viewer);
        await Assert.ThrowsAsync<ConflictException>(() => teams.RemoveMemberAsync(team.Id, ada.Id));
        Assert.Equal([(ada.Id, TeamRole.Owner), (bob.Id, TeamRole.Viewer)], await RolesAsync());

        await teams.SetMemberAsync(team.Id, bob.Id, TeamRole.Owner);
        await teams.SetMemberAsync(team.Id, ada.Id, TeamRole.Member);
        await Assert.ThrowsAsync<ConflictException>(() => teams.RemoveMemberAsync(team.Id, bob.Id));
        Assert.True(await teams.RemoveMemberAsync(team.Id, ada.Id));
        Assert.False(await teams.RemoveMemberAsync(team.Id, ada.Id));
        Assert.Equal([(bob.Id, TeamRole.Owner)], await RolesAsync());

        async Task<List<(Id<User>, TeamRole)>> RolesAsync() => [.. (await teams.MembersAsync(team.Id)).Select(m => (m.UserId, m.Role)).OrderBy(m => m.UserId == ada.Id ? 0 : 1)];
    }

    [Fact]
    public async Task When_two_owners_leave_or_step_down_at_the_same_moment_one_of_them_stays_owner()
    {
        var tenant = await database.NewTenantAsync();
        var (ada, bob) = (await UserAsync(tenant, "ada"), await UserAsync(tenant, "bob"));
        var teams = tenant.Scope.Teams;
        for (var round = 0; round < 20; round++)
        {
            var team = (await teams.CreateAsync($"Round {round}", null, ada.Id)).Id;
            await teams.SetMemberAsync(team, bob.Id, TeamRole.Owner);

            var results = await Task.WhenAll(
                Outcome.OfAsync(() => teams.RemoveMemberAsync(team, ada.Id)),
                Outcome.OfAsync(() => round % 2 == 0 ? teams.RemoveMemberAsync(team, bob.Id) : teams.SetMemberAsync(team, bob.Id, TeamRole.Viewer)));

            Assert.IsType<ConflictException>(Assert.Single(results, result => result is not null));
            Assert.Single(await teams.MembersAsync(team), member => member.Role == TeamRole.Owner);
        }
    }

    [Fact]
    public async Task The_last_owner_of_a_team_is_not_deleted_and_a_member_is()
    {
        var tenant = await database.NewTenantAsync();
        var (ada, bob) = (await UserAsync(tenant, "ada"), await UserAsync(tenant, "bob"));
        var team = await tenant.Scope.Teams.CreateAsync("Flow", null, ada.Id);
        await tenant.Scope.Teams.SetMemberAsync(team.Id, bob.Id, TeamRole.Member);

        await Assert.ThrowsAsync<ConflictException>(() => tenant.Scope.Users.DeleteAsync(ada.Id));
        Assert.True(await tenant.Scope.Users.DeleteAsync(bob.Id));

        Assert.Equal(ada.Id, Assert.Single(await tenant.Scope.Teams.MembersAsync(team.Id)).UserId);
        Assert.NotNull(await tenant.Scope.Users.FindByEmailAsync(ada.Email));
    }

    [Fact]
    public async Task Users_and_teams_of_another_tenant_are_refused()
    {
        var (tenant, other) = (await database.NewTenantAsync(), await database.NewTenantAsync());
        var (owner, foreigner) = (await UserAsync(tenant, "owner"), await UserAsync(other, "foreigner"));
        var team = await tenant.Scope.Teams.CreateAsync("Flow", null, owner.Id);

        await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Scope.Teams.SetMemberAsync(team.Id, foreigner.Id, TeamRole.Member));
        await Assert.ThrowsAsync<InvalidInputException>(() => other.Scope.Teams.SetMemberAsync(team.Id, foreigner.Id, TeamRole.Owner));
        await Assert.ThrowsAsync<InvalidInputException>(() => other.Scope.Teams.CreateAsync("Theirs", null, owner.Id));
        await Assert.ThrowsAsync<NotFoundException>(() => other.Scope.Teams.UpdateAsync(team.Id, "Theirs", null));
        Assert.False(await other.Scope.Teams.RemoveMemberAsync(team.Id, owner.Id));
        Assert.False(await other.Scope.Teams.DeleteAsync(team.Id));
        Assert.Empty(await other.Scope.Teams.MembersAsync(team.Id));
        Assert.Empty(await other.Scope.Teams.ListAsync(null, 10));
        Assert.Single(await tenant.Scope.Teams.MembersAsync(team.Id));
    }

    [Fact]
    public async Task Owners_and_admins_manage_their_team_and_ownership_is_passed_on()
    {
        var tenant = await database.NewTenantAsync();
        var (owner, admin, member, stranger) = (await UserAsync(tenant, "owner"), await UserAsync(tenant, "admin"), await UserAsync(tenant, "member"), await UserAsync(tenant, "stranger"));
        var team = (await As(owner).CreateAsync("Team", null, owner.Id)).Id;
        await As(owner).SetMemberAsync(team, admin.Id, TeamRole.Admin);
        await As(admin).SetMemberAsync(team, member.Id, TeamRole.Member);

        await Assert.ThrowsAsync<AccessDeniedException>(() => As(stranger).CreateAsync("Theirs", null, owner.Id));
        foreach (var user in new[] { member, stranger })
        {
            await Assert.ThrowsAsync<AccessDeniedException>(() => As(user).UpdateAsync(team, "Mine", null));
            await Assert.ThrowsAsync<AccessDeniedException>(() => As(user).SetMemberAsync(team, user.Id, TeamRole.Owner));
            await Assert.ThrowsAsync<AccessDeniedException>(() => As(user).RemoveMemberAsync(team, admin.Id));
        }
        await Assert.ThrowsAsync<AccessDeniedException>(() => As(admin).SetMemberAsync(team, admin.Id, TeamRole.Owner));
        await Assert.ThrowsAsync<AccessDeniedException>(() => As(admin).SetMemberAsync(team, owner.Id, TeamRole.Viewer));
        await Assert.ThrowsAsync<AccessDeniedException>(() => As(admin).RemoveMemberAsync(team, owner.Id));
        await Assert.ThrowsAsync<AccessDeniedException>(() => As(admin).TransferAsync(team, owner.Id, admin.Id));
        await Assert.ThrowsAsync<AccessDeniedException>(() => As(admin).DeleteAsync(team));

        await Assert.ThrowsAsync<ConflictException>(() => As(owner).RemoveMemberAsync(team, owner.Id));   // the last one
        await As(owner).TransferAsync(team, owner.Id, stranger.Id);
        Assert.Equal([(admin.Id, TeamRole.Admin), (member.Id, TeamRole.Member), (owner.Id, TeamRole.Admin), (stranger.Id, TeamRole.Owner)],
            (await As(member).MembersAsync(team)).Select(m => (m.UserId, m.Role)).OrderBy(m => new[] { admin.Id, member.Id, owner.Id, stranger.Id }.IndexOf(m.UserId)));
        await Assert.ThrowsAsync<ConflictException>(() => As(stranger).TransferAsync(team, owner.Id, member.Id));
        Assert.True(await As(member).RemoveMemberAsync(team, member.Id));   // leaves
        Assert.True(await As(stranger).DeleteAsync(team));

        TeamRepository As(User user) => tenant.Store.Tenant(tenant.Id, Actor.User(user.Id)).Teams;
    }
}
