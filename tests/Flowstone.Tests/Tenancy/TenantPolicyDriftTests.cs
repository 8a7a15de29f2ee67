using Flowstone.Data;

namespace Flowstone.Tests.Tenancy;

public sealed class TenantPolicyDriftTests(TestDatabase database)
{
    [Fact]
    public async Task Every_way_of_weakening_the_database_is_noticed_named_and_mended()
    {
        var copy = await database.NewDatabaseAsync();
        var store = new FlowstoneStore(FlowstoneStore.Connect(new FlowstoneOptions { ConnectionString = database.AppConnectionString(copy), PoolMin = 0 }), TimeProvider.System);
        Assert.Empty((await store.Health.CheckAsync()).Problems);

        foreach (var (weakening, expected) in new[]
        {
            ("alter table flowstone.users disable row level security", "users: row-level security is off."),
            ("alter table flowstone.executions no force row level security", "executions: row-level security is not forced."),
            ("drop policy tenant on flowstone.workflows", "workflows: the policy tenant is missing."),
            ("alter policy tenant on flowstone.payloads using (true)", "payloads: the policy tenant is not as Flowstone made it."),
            ("alter policy tenant on flowstone.teams with check (true)", "teams: the policy tenant is not as Flowstone made it."),
            ("alter policy tenant on flowstone.teams to flowstone_owner", "teams: the policy tenant is not as Flowstone made it."),
            ("create policy backdoor on flowstone.user_logins using (true)", "user_logins: the policy backdoor is not Flowstone's."),
            ("alter table flowstone.user_sessions owner to flowstone_app", "user_sessions: flowstone_app owns it, so row-level security would not bind it."),
            ("grant update on flowstone.workflow_versions to flowstone_app", "workflow_versions: flowstone_app does not have exactly the rights to insert, select."),
            ("grant usage on schema flowstone_partitions to flowstone_app", "flowstone_partitions: the schema can be reached past its parent's policies."),
            ("alter function flowstone.find_email security invoker", "flowstone.find_email(text): the function is not as Flowstone made it."),
            ("grant execute on function flowstone.create_partitions to public", "flowstone.create_partitions(timestamp with time zone,timestamp with time zone): the function is not as Flowstone made it."),
            ("create function flowstone.back_door() returns int language sql security definer return 1", "flowstone.back_door(): the function is not as Flowstone made it."),
            ("grant update on flowstone.master_keys to flowstone_app", "master_keys: flowstone_app does not have exactly the rights to delete, insert, select."),
            ("revoke delete on flowstone.team_members from flowstone_app", "team_members: flowstone_app does not have exactly the rights to delete, insert, select, update."),
        })
        {
            await database.ExecuteAsync(copy, weakening);
            Assert.Contains((await store.Health.CheckAsync()).Problems, problem => problem.StartsWith(expected, StringComparison.Ordinal));
            await database.ExecuteAsync(copy, "alter table flowstone.user_sessions owner to flowstone_owner");
            await database.ExecuteAsync(copy, "alter function flowstone.find_email security definer; drop function if exists flowstone.back_door");
            await new DatabaseInstaller(database.SuperuserConnectionString(copy)).RunAsync();
            Assert.Empty((await store.Health.CheckAsync()).Problems);
        }
        await store.DisposeAsync();
    }

    [Fact]
    public async Task A_role_that_was_given_more_is_noticed()
    {
        await using var postgres = await Flowstone.EmbeddedPostgres.StartThrowAwayAsync();   // roles belong to the whole server
        await new DatabaseInstaller(postgres.ConnectionString()).RunAsync();
        await using var store = new FlowstoneStore(FlowstoneStore.Connect(new FlowstoneOptions { ConnectionString = postgres.ConnectionString(user: "flowstone"), PoolMin = 0 }), TimeProvider.System);
        Assert.Empty((await store.Health.CheckAsync()).Problems);

        await using var connection = new Npgsql.NpgsqlConnection(postgres.ConnectionString() + ";Pooling=false");
        await connection.OpenAsync();
        await using var grant = new Npgsql.NpgsqlCommand("grant flowstone_worker to flowstone_app; alter role flowstone_worker bypassrls", connection);
        await Assert.ThrowsAnyAsync<Npgsql.PostgresException>(() => grant.ExecuteNonQueryAsync());   // the worker is a member of app: a circle
        grant.CommandText = "create role stray; grant stray to flowstone_app; alter role flowstone_worker bypassrls";
        await grant.ExecuteNonQueryAsync();

        var problems = (await store.Health.CheckAsync()).Problems;
        Assert.Contains(problems, p => p.StartsWith("flowstone_app: the role is a member of stray", StringComparison.Ordinal));
        Assert.Contains(problems, p => p.StartsWith("flowstone_worker: the role has more rights", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_database_that_is_not_ready_says_what_to_do()
    {
        await database.ExecuteAsync("postgres", "create database not_installed");
        Assert.Equal(["The database has no Flowstone schema: run 'flowstone migrate'."], await ProblemsAsync(database.AppConnectionString("not_installed")));
        Assert.Contains("There is no such database", Assert.Single(await ProblemsAsync(database.AppConnectionString("nowhere"))), StringComparison.Ordinal);
        Assert.Contains("cannot be reached", Assert.Single(await ProblemsAsync("Host=/nowhere;Username=flowstone;Database=x")), StringComparison.Ordinal);

        static async Task<IReadOnlyList<string>> ProblemsAsync(string connectionString)
        {
            await using var store = new FlowstoneStore(FlowstoneStore.Connect(new FlowstoneOptions { ConnectionString = connectionString, PoolMin = 0 }), TimeProvider.System);
            return (await store.Health.CheckAsync()).Problems;
        }
    }

    [Fact]
    public async Task The_script_of_the_schema_makes_a_ready_database_and_can_run_again()
    {
        await database.ExecuteAsync("postgres", "create database scripted");
        await database.ExecuteAsync("scripted", DatabaseInstaller.Script());
        await database.ExecuteAsync("scripted", DatabaseInstaller.Script());

        await using var store = new FlowstoneStore(FlowstoneStore.Connect(new FlowstoneOptions { ConnectionString = database.AppConnectionString("scripted"), PoolMin = 0 }), TimeProvider.System);
        Assert.Empty((await store.Health.CheckAsync()).Problems);
    }

    [Fact]
    public async Task Two_installers_at_once_do_not_disturb_each_other()
    {
        await database.ExecuteAsync("postgres", "create database installed_twice");
        var installer = new DatabaseInstaller(database.SuperuserConnectionString("installed_twice"));

        var applied = await Task.WhenAll(installer.RunAsync(), installer.RunAsync());

        Assert.Contains(applied, a => a.Count > 0);
        Assert.Empty(await installer.PendingAsync());
    }
}
