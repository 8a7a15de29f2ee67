using Flowstone.Tenancy;
using Flowstone.Tests.Executions;
using Npgsql;

namespace Flowstone.Tests.Users;

/// <summary>Users found by a part of their names, with an index and for one tenant alone.</summary>
public sealed class UserSearchTests(TestDatabase database)
{
    [Fact]
    public async Task A_search_among_many_users_of_many_tenants_uses_the_index()
    {
        var log = new PlanLog();
        var copy = await database.NewDatabaseAsync();
        await using var source = await log.ConnectAsync(database, copy);
        await using var store = new FlowstoneStore(source, TimeProvider.System);
        var tenants = new[] { await store.Tenants.CreateAsync("a", "A"), await store.Tenants.CreateAsync("b", "B") };
        foreach (var tenant in tenants)
            await store.Tenant(tenant.Id, Actor.System("test")).Users.CreateManyAsync(
                [.. Enumerable.Range(0, 5000).Select(i => new Flowstone.Users.NewUser { Email = $"u{i:x5}@{tenant.Slug}.example", FirstName = $"First{i * 7919 % 5000}", LastName = $"Last{i}" })]);
        await database.ExecuteAsync(copy, "vacuum analyze flowstone.users");
        var users = store.Tenant(tenants[0].Id, Actor.System("test")).Users;
        log.Take();

        for (var i = 0; i < 7; i++)
            Assert.Equal("u01000@a.example", Assert.Single(await users.ListAsync(new() { Search = "LAST4096" }, null, 50)).Email);
        var plans = log.Take();
        Assert.Contains(plans, plan => plan.Contains("ix_users_by_text", StringComparison.Ordinal));
        Assert.DoesNotContain(plans, plan => plan.Contains("Seq Scan on users", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Nobody_searches_another_tenants_users_past_the_repository()
    {
        var (mine, theirs) = (await database.NewTenantAsync(), await database.NewTenantAsync());
        await theirs.Scope.Users.CreateAsync(new() { Email = $"ada@{theirs.Tenant.Slug}.example" });
        await using var connection = new NpgsqlConnection(database.AppConnectionString() + ";Pooling=false");
        await connection.OpenAsync();
        foreach (var tenants in new[] { $"set flowstone.tenants = '{mine.Id}'", "set flowstone.tenants = ''", "reset flowstone.tenants" })
        {
            await using var ask = new NpgsqlCommand($"set role flowstone_app; {tenants}; select * from flowstone.find_users('{theirs.Id}', '%')", connection);
            Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, (await Assert.ThrowsAsync<PostgresException>(ask.ExecuteNonQueryAsync)).SqlState);
        }
    }
}
