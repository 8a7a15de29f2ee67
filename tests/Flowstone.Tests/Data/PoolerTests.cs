using System.Diagnostics;
using Flowstone.Data;
using Flowstone.Executions;
using Flowstone.Tenancy;
using Npgsql;

namespace Flowstone.Tests.Data;

/// <summary>PgBouncer in transaction mode between us and the database: no session state, no prepared statements, no notifications.</summary>
public sealed class PoolerTests(TestDatabase database)
{
    const string Pooler = "/usr/sbin/pgbouncer";

    [Fact]
    public async Task Whole_runs_of_several_tenants_pass_through_a_transaction_pooler_with_two_connections()
    {
        Assert.SkipUnless(File.Exists(Pooler), "PgBouncer is not installed: sudo apt-get install pgbouncer");
        var tenants = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => database.NewTenantAsync()));
        var workflows = await Task.WhenAll(tenants.Select(tenant => tenant.CreateWorkflowAsync()));
        await using var pooler = await PgBouncer.StartAsync(new NpgsqlConnectionStringBuilder(database.AppConnectionString()));
        await using var store = new FlowstoneStore(FlowstoneStore.Connect(new FlowstoneOptions { ConnectionString = pooler.ConnectionString, PoolMin = 0, PoolMax = 8 }), TimeProvider.System);

        await Task.WhenAll(Enumerable.Range(0, 12).Select(async i =>
        {
            var (tenant, workflow) = (tenants[i % 3], workflows[i % 3]);
            var execution = await store.Tenant(tenant.Id, Actor.System("test")).Executions.StartAsync(new NewExecution { WorkflowId = workflow.Id });
            var claimed = Assert.Single(await store.Queue.ClaimAsync(new ClaimRequest { Worker = "w", Limit = 1, TenantId = tenant.Id }));
            await store.Queue.RecordAsync(claimed.Lease, [new() { NodeId = "n0" }], []);
            await store.Queue.RecordAsync(claimed.Lease, [], [new() { NodeId = "n0", Status = ExecutionStatus.Success, Output = TestTenant.Json("17") }]);
            Assert.Empty(await store.Queue.RenewAsync([claimed.Lease], TimeSpan.FromSeconds(30)));
            await store.Queue.FinishAsync(claimed.Lease, new ExecutionOutcome { Status = ExecutionStatus.Success });
        }));

        foreach (var tenant in tenants)
        {
            var executions = await store.Tenant(tenant.Id, Actor.System("test")).Executions.ListAsync(new ExecutionFilter(), null, 50);
            Assert.Equal(4, executions.Count);
            Assert.All(executions, e => Assert.Equal((tenant.Id, ExecutionStatus.Success), (e.TenantId, e.Status)));
        }
    }

    [Fact]
    public async Task No_tenant_is_carried_over_by_a_pooler_that_hands_every_transaction_to_another()
    {
        Assert.SkipUnless(File.Exists(Pooler), "PgBouncer is not installed: sudo apt-get install pgbouncer");
        var tenants = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => database.NewTenantAsync()));
        var workflows = await Task.WhenAll(tenants.Select(tenant => tenant.CreateWorkflowAsync()));
        await using var pooler = await PgBouncer.StartAsync(new NpgsqlConnectionStringBuilder(database.AppConnectionString()));
        await using var source = FlowstoneStore.Connect(new FlowstoneOptions { ConnectionString = pooler.ConnectionString, PoolMin = 0, PoolMax = 8 });
        await using var store = new FlowstoneStore(source, TimeProvider.System);

        await Task.WhenAll(Enumerable.Range(0, 200).Select(async i =>
        {
            var (own, other) = (store.Tenant(tenants[i % 4].Id, Actor.System("test")), workflows[(i + 1) % 4]);
            Assert.Equal(workflows[i % 4].Id, Assert.Single(await own.Workflows.ListAsync(new(), null, 10)).Id);
            Assert.Null(await own.Workflows.FindAsync(other.Id));
            if (i % 5 == 0)
                await Assert.ThrowsAsync<InvalidInputException>(() => own.Teams.CreateAsync("Theirs", null, default));   // an error ends a transaction, too
            if (i % 3 == 0)
                Assert.Equal(0L, await WithoutTenantAsync(source));
        }));

        static async Task<long> WithoutTenantAsync(NpgsqlDataSource source)
        {
            await using var connection = await source.OpenConnectionAsync();
            await using var batch = new NpgsqlBatch(connection)
            {
                BatchCommands = { new("begin"), new(Database.SetRole(TenantPolicies.AppRole)), new("select count(*) from flowstone.workflows"), new("commit") },
            };
            return (long)(await batch.ExecuteScalarAsync())!;
        }
    }

    /// <summary>A pooler of the test's own, on a Unix socket, that has two connections to the server.</summary>
    sealed class PgBouncer(Process process, string folder, NpgsqlConnectionStringBuilder server) : IAsyncDisposable
    {
        public string ConnectionString { get; } = new NpgsqlConnectionStringBuilder(server.ConnectionString) { Host = folder, Port = 6432 }.ConnectionString + ";Max Auto Prepare=0";

        public static async Task<PgBouncer> StartAsync(NpgsqlConnectionStringBuilder server)
        {
            var folder = Directory.CreateTempSubdirectory("fb").FullName;
            File.SetUnixFileMode(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.GroupExecute
                | UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute);
            await File.WriteAllTextAsync($"{folder}/users.txt", $"\"{server.Username}\" \"\"\n");
            await File.WriteAllTextAsync($"{folder}/pgbouncer.ini", $"""
                [databases]
                {server.Database} = host={server.Host} port={server.Port}
                [pgbouncer]
                pool_mode = transaction
                default_pool_size = 2
                auth_type = trust
                auth_file = {folder}/users.txt
                unix_socket_dir = {folder}
                listen_port = 6432
                ignore_startup_parameters = extra_float_digits

                """);
            // It refuses to run as root, as PostgreSQL does.
            string[] command = Environment.IsPrivilegedProcess ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--", Pooler] : [Pooler];
            var process = Process.Start(new ProcessStartInfo(command[0], [.. command[1..], "--quiet", $"{folder}/pgbouncer.ini"]))!;
            for (var tries = 0; !File.Exists($"{folder}/.s.PGSQL.6432"); tries++)
            {
                Assert.True(tries < 200 && !process.HasExited, "PgBouncer did not start.");
                await Task.Delay(50);
            }
            return new PgBouncer(process, folder, server);
        }

        public async ValueTask DisposeAsync()
        {
            process.Kill();
            await process.WaitForExitAsync();
            process.Dispose();
            Directory.Delete(folder, recursive: true);
        }
    }
}
