using Flowstone.Executions;
using Flowstone.Permissions;
using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;

namespace Flowstone.Tests.Permissions;

/// <summary>Each way to a workflow gives its level, and no more.</summary>
public sealed class WorkflowAccessTests(TestDatabase database)
{
    /// <summary>Who comes, by which way, and how far.</summary>
    public static TheoryData<string, AccessLevel> Ways => new()
    {
        { "owner", AccessLevel.Admin },
        { "administrator", AccessLevel.Admin },
        { "stranger", AccessLevel.None },
        { "stranger, public", AccessLevel.View },
        { "team owner", AccessLevel.Admin },
        { "team admin", AccessLevel.Admin },
        { "team member", AccessLevel.Write },
        { "team viewer", AccessLevel.Read },
        { "team member, private", AccessLevel.None },
        { "team member, public", AccessLevel.Write },
        { "share read", AccessLevel.Read },
        { "share execute", AccessLevel.Execute },
        { "share write", AccessLevel.Write },
        { "share admin", AccessLevel.Admin },
        { "share admin, expired", AccessLevel.None },
        { "share read, team member", AccessLevel.Write },
        { "viewer, share admin", AccessLevel.Read },
        { "viewer, owner", AccessLevel.Read },
        { "inactive, owner", AccessLevel.None },
        { "inactive, administrator", AccessLevel.None },
    };

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task Each_way_to_a_workflow_gives_its_level(string way, AccessLevel expected)
    {
        var tenant = await database.NewTenantAsync();
        var parts = way.Split(", ");
        var owner = await UserAsync(tenant, UserRole.User);
        var team = await tenant.Scope.Teams.CreateAsync("Team", null, owner.Id);
        var visitor = await UserAsync(tenant, parts.Contains("administrator") ? UserRole.Admin : parts.Contains("viewer") ? UserRole.Viewer : UserRole.User);
        await UserAsync(tenant, UserRole.Admin);   // so that an administrator may become inactive

        // A viewer cannot make a workflow, but may have been somebody who could.
        var maker = parts.Contains("owner") ? visitor : owner;
        if (parts is ["viewer", "owner"])
            await tenant.Scope.Users.UpdateAsync(maker.Id, new() { Role = UserRole.User });
        var workflow = await tenant.Store.Tenant(tenant.Id, Actor.User(maker.Id)).Workflows.CreateAsync(new()
        {
            Definition = TestTenant.Definition(),
            TeamId = maker == owner ? team.Id : null,
            Visibility = parts.Contains("private") ? Visibility.Private : parts.Contains("public") ? Visibility.Public : null,
        });
        if (parts is ["viewer", "owner"])
            await tenant.Scope.Users.UpdateAsync(maker.Id, new() { Role = UserRole.Viewer });
        foreach (var part in parts)
        {
            if (part.StartsWith("team ", StringComparison.Ordinal))
                await tenant.Scope.Teams.SetMemberAsync(team.Id, visitor.Id, Enum.Parse<TeamRole>(part["team ".Length..], ignoreCase: true));
            if (part.StartsWith("share ", StringComparison.Ordinal))
                await tenant.Scope.Shares.SetAsync(workflow.Id, visitor.Id, Enum.Parse<ShareLevel>(part["share ".Length..], ignoreCase: true), tenant.Clock.Now() + TimeSpan.FromHours(1));
        }
        if (parts.Contains("expired"))
            tenant.Clock.Advance(TimeSpan.FromHours(1));
        if (parts.Contains("inactive"))
            await tenant.Scope.Users.UpdateAsync(visitor.Id, new() { Status = UserStatus.Inactive });

        Assert.Equal(expected, await LevelAsync(tenant, workflow, visitor));
    }

    /// <summary>How far the user comes, by trying: each level has something that only it and those above can do.</summary>
    static async Task<AccessLevel> LevelAsync(TestTenant tenant, Workflow workflow, User user)
    {
        var execution = await tenant.StartAsync(workflow);
        var scope = tenant.Store.Tenant(tenant.Id, Actor.User(user.Id));
        var can = new Dictionary<AccessLevel, bool>
        {
            [AccessLevel.View] = await scope.Workflows.FindAsync(workflow.Id) is not null,
            [AccessLevel.Read] = await scope.Executions.FindAsync(execution.Id) is not null,
            [AccessLevel.Execute] = await MayAsync(() => scope.Executions.StartAsync(new NewExecution { WorkflowId = workflow.Id })),
            [AccessLevel.Write] = await MayAsync(() => scope.Workflows.SetAsync(workflow.Id, WorkflowStatus.Active, null)),
            [AccessLevel.Admin] = await MayAsync(() => scope.Shares.ListAsync(workflow.Id)),
        };

        // The lists say the same as the look-ups.
        Assert.Equal(can[AccessLevel.View], (await scope.Workflows.ListAsync(new(), null, 50)).Exists(w => w.Id == workflow.Id));
        Assert.Equal(can[AccessLevel.View] ? 1 : 0, await scope.Workflows.CountAsync());
        Assert.Equal(can[AccessLevel.Read], (await scope.Executions.ListAsync(new(), null, 50)).Exists(e => e.Id == execution.Id));
        Assert.Equal(can[AccessLevel.Read], (await scope.Executions.ActiveAsync(null, 50)).Exists(a => a.Execution.Id == execution.Id));
        var level = can.Where(one => one.Value).Select(one => one.Key).DefaultIfEmpty(AccessLevel.None).Max();
        Assert.All(can, one => Assert.Equal(one.Key <= level, one.Value));
        return level;
    }

    static async Task<bool> MayAsync(Func<Task> call)
    {
        try
        {
            await call();
            return true;
        }
        catch (Exception error) when (error is NotFoundException or AccessDeniedException)
        {
            return false;
        }
    }

    [Fact]
    public async Task Who_may_know_of_a_workflow_is_told_what_is_missing_and_who_may_not_is_told_nothing()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        var (reader, stranger) = (await UserAsync(tenant, UserRole.User), await UserAsync(tenant, UserRole.User));
        await tenant.Scope.Shares.SetAsync(workflow.Id, reader.Id, ShareLevel.Read);

        var denied = await Assert.ThrowsAsync<AccessDeniedException>(() => tenant.Store.Tenant(tenant.Id, Actor.User(reader.Id)).Workflows.SetAsync(workflow.Id, WorkflowStatus.Active, null));
        Assert.Equal("This needs WRITE; you have READ. Ask its owner or an administrator.", denied.Message);
        var hidden = await Assert.ThrowsAsync<NotFoundException>(() => tenant.Store.Tenant(tenant.Id, Actor.User(stranger.Id)).Workflows.SetAsync(workflow.Id, WorkflowStatus.Active, null));
        var absent = Id<Workflow>.New(tenant.Clock);
        var missing = await Assert.ThrowsAsync<NotFoundException>(() => tenant.Store.Tenant(tenant.Id, Actor.User(stranger.Id)).Workflows.SetAsync(absent, WorkflowStatus.Active, null));
        Assert.Equal(missing.Message.Replace(absent.ToString(), "it", StringComparison.Ordinal), hidden.Message.Replace(workflow.Id.ToString(), "it", StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_a_hidden_workflow_declares_is_not_told_by_searches()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        await tenant.Scope.Workflows.SetSearchAttributesAsync(workflow.Id, new Dictionary<string, AttributeType> { ["order"] = AttributeType.Text });
        var stranger = tenant.Store.Tenant(tenant.Id, Actor.User((await UserAsync(tenant, UserRole.User)).Id));
        foreach (var (id, name) in new[] { (workflow.Id, "order"), (workflow.Id, "other"), (Id<Workflow>.New(tenant.Clock), "order") })
            await Assert.ThrowsAsync<NotFoundException>(() => stranger.Executions.ListAsync(new() { WorkflowId = id, Attributes = [new(name, Comparison.Equal, "x")] }, null, 10));
    }

    [Fact]
    public async Task A_share_is_listed_changed_given_back_and_gone_with_its_workflow_or_user()
    {
        var tenant = await database.NewTenantAsync();
        var (workflow, other) = (await tenant.CreateWorkflowAsync(), await tenant.CreateWorkflowAsync());
        var (ada, bob) = (await UserAsync(tenant, UserRole.User), await UserAsync(tenant, UserRole.User));
        var asAda = tenant.Store.Tenant(tenant.Id, Actor.User(ada.Id));

        var first = await tenant.Scope.Shares.SetAsync(workflow.Id, ada.Id, ShareLevel.Admin);
        tenant.Clock.Advance(TimeSpan.FromSeconds(1));
        var second = await asAda.Shares.SetAsync(workflow.Id, bob.Id, ShareLevel.Read, tenant.Clock.Now() + TimeSpan.FromDays(1));
        Assert.Equal((null, ada.Id), (first.SharedBy, second.SharedBy));
        Assert.Equal([first, second], await asAda.Shares.ListAsync(workflow.Id));
        second = await asAda.Shares.SetAsync(workflow.Id, bob.Id, ShareLevel.Write);
        Assert.Equal([first, second], await asAda.Shares.ListAsync(workflow.Id));

        Assert.Equal("expiresAt", (await Assert.ThrowsAsync<InvalidInputException>(() => asAda.Shares.SetAsync(workflow.Id, bob.Id, ShareLevel.Read, tenant.Clock.Now()))).Errors[0].Field);
        await Assert.ThrowsAsync<NotFoundException>(() => asAda.Shares.SetAsync(workflow.Id, Id<User>.New(tenant.Clock), ShareLevel.Read));
        await Assert.ThrowsAsync<NotFoundException>(() => asAda.Shares.SetAsync(other.Id, bob.Id, ShareLevel.Read));

        Assert.True(await tenant.Store.Tenant(tenant.Id, Actor.User(bob.Id)).Shares.DeleteAsync(workflow.Id, bob.Id));   // gives it back
        await Assert.ThrowsAsync<NotFoundException>(() => tenant.Store.Tenant(tenant.Id, Actor.User(bob.Id)).Shares.DeleteAsync(workflow.Id, ada.Id));
        Assert.Equal([first], await asAda.Shares.ListAsync(workflow.Id));
        Assert.True(await tenant.Scope.Users.DeleteAsync(ada.Id));
        Assert.Empty(await tenant.Scope.Shares.ListAsync(workflow.Id));
    }

    [Fact]
    public async Task A_workflow_is_given_only_to_a_team_whose_workflows_one_may_change()
    {
        var tenant = await database.NewTenantAsync();
        var (owner, viewer, stranger) = (await UserAsync(tenant, UserRole.User), await UserAsync(tenant, UserRole.User), await UserAsync(tenant, UserRole.User));
        var team = await tenant.Scope.Teams.CreateAsync("Team", null, owner.Id);
        await tenant.Scope.Teams.SetMemberAsync(team.Id, viewer.Id, TeamRole.Viewer);

        Assert.Equal(Visibility.Team, (await CreateAsync(owner)).Visibility);
        foreach (var user in new[] { viewer, stranger })
            Assert.Equal("teamId", (await Assert.ThrowsAsync<InvalidInputException>(() => CreateAsync(user))).Errors[0].Field);

        async Task<Workflow> CreateAsync(User user)
            => await tenant.Store.Tenant(tenant.Id, Actor.User(user.Id)).Workflows.CreateAsync(new() { Definition = TestTenant.Definition(), TeamId = team.Id });
    }

    static Task<User> UserAsync(TestTenant tenant, UserRole role)
        => tenant.Scope.Users.CreateAsync(new NewUser { Email = $"{Path.GetRandomFileName()}@example.com", Role = role });
}
