using Flowstone.Executions;
using Flowstone.Permissions;
using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;
using static Flowstone.Data.Sql;

namespace Flowstone.Tests.Users;

public sealed class ApiKeyTests(TestDatabase database)
{
    static Task<User> UserAsync(TestTenant tenant, UserRole role = UserRole.User)
        => tenant.Scope.Users.CreateAsync(new NewUser { Email = $"{Path.GetRandomFileName()}@example.com", Role = role });

    [Fact]
    public async Task A_key_is_shown_once_and_finds_its_user_until_it_expires_or_is_deleted()
    {
        var tenant = await database.NewTenantAsync();
        var user = await UserAsync(tenant);
        var asUser = tenant.Store.Tenant(tenant.Id, Actor.User(user.Id));
        var (key, stored) = await asUser.ApiKeys.CreateAsync(user.Id, new() { Name = "CI", Scopes = [ApiScope.Write, ApiScope.Read, ApiScope.Read], ExpiresAt = tenant.Clock.Now() + TimeSpan.FromDays(1) });

        Assert.StartsWith($"{stored.Prefix}_", key, StringComparison.Ordinal);
        Assert.Equal([ApiScope.Read, ApiScope.Write], stored.Scopes);
        var listed = Assert.Single(await asUser.ApiKeys.ListAsync(user.Id));
        Assert.Equal(stored with { Scopes = listed.Scopes }, listed);
        Assert.Equal(stored.Scopes, listed.Scopes);
        Assert.Equal(0L, await database.ScalarAsync<long>($"select count(*) from flowstone.api_keys k where k::text like '%{key[20..40]}%'"));   // a hash alone

        var found = await tenant.Store.ApiKeys.FindAsync(key);
        Assert.Equal((stored.Id, user.Id, UserRole.User), (found!.KeyId, found.User.UserId, found.User.Role));
        Assert.Equal(tenant.Clock.Now(), (await asUser.ApiKeys.ListAsync(user.Id))[0].LastUsedAt);
        foreach (var wrong in new[] { "", "fs_", key[..^1], key + "A", key.Replace(stored.Prefix, "fs_aaaaaaaa", StringComparison.Ordinal), key[3..], new string('a', 100_000) })
            Assert.Null(await tenant.Store.ApiKeys.FindAsync(wrong));

        await tenant.Scope.Users.UpdateAsync(user.Id, new() { Status = UserStatus.Suspended });
        Assert.Null(await tenant.Store.ApiKeys.FindAsync(key));
        await tenant.Scope.Users.UpdateAsync(user.Id, new() { Status = UserStatus.Active });
        tenant.Clock.Advance(TimeSpan.FromDays(1));
        Assert.Null(await tenant.Store.ApiKeys.FindAsync(key));

        (key, stored) = await asUser.ApiKeys.CreateAsync(user.Id, new() { Name = "CI", Scopes = [ApiScope.Read] });
        Assert.True(await asUser.ApiKeys.DeleteAsync(user.Id, stored.Id));
        Assert.Null(await tenant.Store.ApiKeys.FindAsync(key));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(130)]
    public async Task A_key_is_used_as_often_as_it_may_be_over_all_servers_together_and_no_more(int perHour)
    {
        var tenant = await database.NewTenantAsync();
        var user = await UserAsync(tenant);
        var (key, _) = await tenant.Scope.ApiKeys.CreateAsync(user.Id, new() { Name = "Busy", Scopes = [ApiScope.Read], RateLimit = perHour });
        var servers = new[] { tenant, tenant.InAnotherProcess(database.Source), tenant.InAnotherProcess(database.Source) };

        for (var hour = 0; hour < 2; hour++)
        {
            var (let, refused) = (0, 0);
            await Task.WhenAll(Enumerable.Range(0, perHour * 2 + 20).Select(async i =>
            {
                try
                {
                    Assert.NotNull(await servers[i % 3].Store.ApiKeys.FindAsync(key));
                    Interlocked.Increment(ref let);
                }
                catch (RateLimitException error)
                {
                    Assert.InRange(error.RetryAfter, TimeSpan.Zero, TimeSpan.FromHours(1));
                    Interlocked.Increment(ref refused);
                }
            }));

            // What a server took and did not use is lost to the others: at most a share less one each.
            Assert.InRange(let, perHour - 2 * Math.Max(0, perHour / 50 - 1), perHour);
            Assert.Equal(perHour * 2 + 20, let + refused);
            tenant.Clock.Advance(TimeSpan.FromHours(1));
        }
    }

    [Fact]
    public async Task Using_a_key_writes_once_per_share()
    {
        var tenant = await database.NewTenantAsync();
        var user = await UserAsync(tenant);
        var (key, stored) = await tenant.Scope.ApiKeys.CreateAsync(user.Id, new() { Name = "Busy", Scopes = [ApiScope.Read] });
        for (var i = 0; i < 40; i++)
            await tenant.Store.ApiKeys.FindAsync(key);
        Assert.Equal(40, await database.ScalarAsync<int>("select taken from flowstone.api_key_uses where key_id = $1", P(stored.Id)));   // two shares of 20
    }

    public static TheoryData<ApiScope, AccessLevel> Scopes => new()
    {
        { ApiScope.Read, AccessLevel.Read }, { ApiScope.Execute, AccessLevel.Execute }, { ApiScope.Write, AccessLevel.Write }, { ApiScope.Admin, AccessLevel.Admin }, { ApiScope.Work, AccessLevel.None },
    };

    [Theory]
    [MemberData(nameof(Scopes))]
    public async Task A_key_does_what_its_user_may_within_its_scopes(ApiScope scope, AccessLevel expected)
    {
        var tenant = await database.NewTenantAsync();
        foreach (var role in new[] { UserRole.User, UserRole.Admin })
        {
            var user = await UserAsync(tenant, role);
            var workflow = await tenant.Store.Tenant(tenant.Id, Actor.User(user.Id)).Workflows.CreateAsync(new() { Definition = TestTenant.Definition() });
            var execution = await tenant.StartAsync(workflow);
            var (key, _) = await tenant.Scope.ApiKeys.CreateAsync(user.Id, new() { Name = "Key", Scopes = [scope] });
            var scoped = tenant.Store.Tenant(tenant.Id, Actor.Key((await tenant.Store.ApiKeys.FindAsync(key))!));

            await MayAsync(AccessLevel.Read, async () => Assert.NotNull(await scoped.Executions.FindAsync(execution.Id)));
            await MayAsync(AccessLevel.Execute, () => scoped.Executions.StartAsync(new NewExecution { WorkflowId = workflow.Id }));
            await MayAsync(AccessLevel.Write, () => scoped.Workflows.SetAsync(workflow.Id, WorkflowStatus.Active, null));
            await MayAsync(AccessLevel.Admin, () => scoped.Shares.ListAsync(workflow.Id));
            await MayAsync(role == UserRole.Admin ? AccessLevel.Admin : null, () => scoped.Users.UpdateAsync(user.Id, new() { Role = role }));
            await MayAsync(AccessLevel.Admin, () => scoped.ApiKeys.CreateAsync(user.Id, new() { Name = "Another", Scopes = [ApiScope.Admin] }));
        }

        async Task MayAsync(AccessLevel? needed, Func<Task> call)
        {
            var error = await Record.ExceptionAsync(call);
            if (needed is null || expected < needed)
                Assert.True(error is NotFoundException or AccessDeniedException or Xunit.Sdk.XunitException, $"{scope}, {needed}: {error}");
            else
                Assert.Null(error);
        }
    }

    [Fact]
    public async Task Keys_are_ones_own_and_the_scope_to_work_is_an_administrators_to_give()
    {
        var tenant = await database.NewTenantAsync();
        var (user, other) = (await UserAsync(tenant), await UserAsync(tenant));
        var keys = tenant.Store.Tenant(tenant.Id, Actor.User(user.Id)).ApiKeys;
        await Assert.ThrowsAsync<AccessDeniedException>(() => keys.CreateAsync(user.Id, new() { Name = "Key", Scopes = [ApiScope.Work] }));
        await Assert.ThrowsAsync<AccessDeniedException>(() => keys.CreateAsync(other.Id, new() { Name = "Key", Scopes = [ApiScope.Read] }));
        await Assert.ThrowsAsync<AccessDeniedException>(() => keys.ListAsync(other.Id));
        Assert.NotNull((await tenant.Scope.ApiKeys.CreateAsync(other.Id, new() { Name = "Key", Scopes = [ApiScope.Work] })).Key);
        foreach (var (field, request) in new (string, NewApiKey)[]
        {
            ("scopes", new() { Name = "Key", Scopes = [] }), ("name", new() { Name = "", Scopes = [ApiScope.Read] }), ("rateLimit", new() { Name = "Key", Scopes = [ApiScope.Read], RateLimit = 0 }),
            ("rateLimit", new() { Name = "Key", Scopes = [ApiScope.Read], RateLimit = 1_000_001 }), ("expiresAt", new() { Name = "Key", Scopes = [ApiScope.Read], ExpiresAt = tenant.Clock.Now() }),
        })
            Assert.Equal(field, (await Assert.ThrowsAsync<InvalidInputException>(() => keys.CreateAsync(user.Id, request))).Errors[0].Field);
        await Assert.ThrowsAsync<NotFoundException>(() => tenant.Scope.ApiKeys.CreateAsync(Id<User>.New(tenant.Clock), new() { Name = "Key", Scopes = [ApiScope.Read] }));
    }
}
