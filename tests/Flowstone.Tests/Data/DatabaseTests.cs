using Flowstone.Data;
using Flowstone.Tenancy;
using Npgsql;

namespace Flowstone.Tests.Data;

public sealed class DatabaseTests(TestDatabase database)
{
    [Fact]
    public async Task A_statement_that_fails_while_it_is_prepared_costs_one_call_and_no_more()
    {
        var tenant = await database.NewTenantAsync();
        await using var source = FlowstoneStore.Connect(new FlowstoneOptions { ConnectionString = database.AppConnectionString(), PoolMin = 0, PoolMax = 1 });
        var app = new Database(source, TenantPolicies.AppRole);

        await CountAsync(tenant.Id.ToString());
        await Assert.ThrowsAsync<PostgresException>(() => CountAsync("no uuid"));   // its second use prepares it, and to plan it fails in Bind
        await Assert.ThrowsAsync<UnavailableException>(() => CountAsync(tenant.Id.ToString()));
        await CountAsync(tenant.Id.ToString());
        await CountAsync(tenant.Id.ToString());

        Task CountAsync(string tenants) => app.TransactAsync(tenants, [new Statement("select count(*) from flowstone.workflows where id = current_setting('flowstone.tenants')::uuid")], row => row.GetInt64(0), default);
    }

    [Fact]
    public async Task A_transaction_is_all_or_nothing_and_its_connection_is_good_afterwards()
    {
        var tenant = await database.NewTenantAsync();
        await using var source = FlowstoneStore.Connect(new FlowstoneOptions { ConnectionString = database.AppConnectionString(), PoolMin = 0, PoolMax = 1 });
        var app = new Database(source, TenantPolicies.AppRole);
        var insert = new Statement("insert into flowstone.teams (tenant_id, id, name, created_at, updated_at) values ($1, $2, 'Team', now(), now())",
            Sql.P(tenant.Id), Sql.P(Id<Flowstone.Users.Team>.New(tenant.Clock)));

        await Assert.ThrowsAsync<ConflictException>(() => app.TransactAsync(tenant.Id.ToString(), [insert, Copy(insert)], read: null, default));

        Assert.Empty(await tenant.Scope.Teams.ListAsync(null, 10));
        Assert.Equal(1, Assert.Single(await app.TransactAsync(tenant.Id.ToString(), [Copy(insert)], read: null, default)));

        static Statement Copy(Statement statement) => new(statement.Text, [.. statement.Parameters.Select(p => p.Clone())]);
    }

    [Fact]
    public async Task A_database_that_cannot_store_every_character_is_refused()
    {
        await database.ExecuteAsync("postgres", "create database latin encoding 'LATIN1' locale 'C' template template0");

        var refused = await Assert.ThrowsAsync<InvalidInputException>(() => new DatabaseInstaller(database.SuperuserConnectionString("latin")).RunAsync());

        Assert.Contains("LATIN1", refused.Errors[0].Message, StringComparison.Ordinal);
    }
}
