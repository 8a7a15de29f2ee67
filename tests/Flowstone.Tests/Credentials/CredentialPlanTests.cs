using Flowstone.Credentials;
using Flowstone.Tenancy;
using Flowstone.Tests.Executions;

namespace Flowstone.Tests.Credentials;

/// <summary>How PostgreSQL finds credentials among 30,000 of a tenant, told by itself.</summary>
public sealed class CredentialPlanTests(TestDatabase database)
{
    [Fact]
    public async Task Lists_search_and_reveal_read_no_table_as_a_whole_and_no_secret_but_one()
    {
        var (log, copy) = (new PlanLog(), await database.NewDatabaseAsync());
        await using var source = await log.ConnectAsync(database, copy);
        await using var store = new FlowstoneStore(source, TimeProvider.System, keys: TestKeys.Ring);
        var tenant = (await store.Tenants.CreateAsync("busy", "Busy")).Id;
        var everything = store.Tenant(tenant, Actor.System("test"));
        var (user, other) = (await everything.Users.CreateAsync(new() { Email = "ada@example.com" }), await everything.Users.CreateAsync(new() { Email = "bob@example.com" }));
        var own = await store.Tenant(tenant, Actor.User(user.Id)).Credentials.CreateAsync(new() { Name = "Own", Type = CredentialType.Custom, Secret = JsonOf("{}") });
        await database.ExecuteAsync(copy, $"""
            insert into flowstone.credentials (tenant_id, id, name, type, visibility, owner_id, active, version, created_at, updated_at)
            select '{tenant}', gen_random_uuid(), 'Credential ' || n, 'CUSTOM', case when n % 1000 = 0 then 'PUBLIC' else 'PRIVATE' end, '{other.Id}', true, 1, now(), now() from generate_series(1, 30000) n;
            insert into flowstone.credential_versions (tenant_id, id, credential_id, number, secret, created_at)
            select tenant_id, gen_random_uuid(), id, 1, '\\x00', now() from flowstone.credentials where name <> 'Own'
            """);
        await database.ExecuteAsync(copy, "vacuum analyze");
        var (credentials, all) = (store.Tenant(tenant, Actor.User(user.Id)).Credentials, everything.Credentials);

        await UsesAsync(() => credentials.ListAsync(new(), null, 50), "ix_credentials_by_owner", "ix_credentials_public");
        await UsesAsync(() => credentials.ListAsync(new() { Search = "own" }, null, 50), "ix_credentials_by_owner", "ix_credentials_public");
        await UsesAsync(() => credentials.CountAsync(new()), "ix_credentials_by_owner", "ix_credentials_public");
        await UsesAsync(() => all.ListAsync(new(), null, 50), "pk_credentials");
        await UsesAsync(() => all.ListAsync(new() { OwnerId = user.Id }, null, 50), "ix_credentials_by_owner");
        await UsesAsync(() => credentials.RevealAsync(own.Id), "pk_credentials", "uq_credential_versions_number");

        async Task UsesAsync(Func<Task> ask, params string[] indexes)
        {
            log.Take();
            for (var i = 0; i < 7; i++)
                await ask();
            var plans = string.Join('\n', log.Take());
            Assert.All(indexes, index => Assert.Contains(index, plans, StringComparison.Ordinal));
            Assert.DoesNotContain("Seq Scan on credentials", plans, StringComparison.Ordinal);
            Assert.DoesNotContain("Seq Scan on credential_versions", plans, StringComparison.Ordinal);
            Assert.Equal(indexes.Contains("uq_credential_versions_number"), plans.Contains("credential_versions", StringComparison.Ordinal));   // lists never look at secrets
        }

        static System.Text.Json.JsonElement JsonOf(string text) => System.Text.Json.JsonElement.Parse(text);
    }
}
