using Flowstone.Data;
using Flowstone.Executions;
using Flowstone.Tenancy;
using Flowstone.Users;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Flowstone.Tests.Tenancy;

/// <summary>Every table of the model, as the application's role and past the repositories: what the database itself lets through.</summary>
public sealed class TenantIsolationTests(TestDatabase shared) : IAsyncLifetime
{
    // Alone: the jobs of other tests would fold, sweep and so remove what is looked at here.
    static Task<TestDatabase>? alone;
    static readonly Lock guard = new();
    TestDatabase database = null!;

    public async ValueTask InitializeAsync()
    {
        lock (guard)
            alone ??= shared.AloneAsync();
        database = await alone;
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;   // dropped with the cluster

    public static TheoryData<string> Tables
    {
        get
        {
            using var db = new FlowstoneDb(FlowstoneDbOptions.CreateWithoutDatabase(), default);
            return [.. TenantPolicies.TenantTables(db.Model)];
        }
    }

    [Theory, MemberData(nameof(Tables))]
    public async Task Without_a_tenant_there_are_no_rows(string table)
    {
        await FillAsync();
        Assert.True(await database.ScalarAsync<long>($"select count(*) from flowstone.{table}") > 0);

        Assert.Equal(0L, await AsAppAsync(tenants: null, $"select count(*) from flowstone.{table}"));
        Assert.Equal(0L, await AsAppAsync(tenants: "", $"select count(*) from flowstone.{table}"));
    }

    [Theory, MemberData(nameof(Tables))]
    public async Task With_tenant_A_set_no_row_of_B_is_read_changed_deleted_or_inserted(string table)
    {
        var (a, b) = (await FillAsync(), await FillAsync());
        var tenantColumn = table == "tenants" ? "id" : "tenant_id";
        var count = await database.ScalarAsync<long>($"select count(*) from flowstone.{table} where {tenantColumn} = '{b.Id}'");
        Assert.True(count > 0);

        Assert.True((long)(await AsAppAsync(a.Id.ToString(), $"select count(*) from flowstone.{table}"))! > 0);
        Assert.Equal(0L, await AsAppAsync(a.Id.ToString(), $"select count(*) from flowstone.{table} where {tenantColumn} <> '{a.Id}'"));
        Assert.Equal(0, await AffectedOrRefusedAsync(a.Id.ToString(), $"update flowstone.{table} set {tenantColumn} = {tenantColumn} where {tenantColumn} = '{b.Id}'"));
        Assert.Equal(0, await AffectedOrRefusedAsync(a.Id.ToString(), $"delete from flowstone.{table} where {tenantColumn} = '{b.Id}'"));

        // A's own row, given to B: by an update, and by an insert of a copy.
        var stolen = await Assert.ThrowsAsync<PostgresException>(
            () => AffectedAsAppAsync(a.Id.ToString(), $"update flowstone.{table} set {tenantColumn} = '{b.Id}' where {tenantColumn} = '{a.Id}'"));
        Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, stolen.SqlState);
        var copied = await Assert.ThrowsAsync<PostgresException>(() => AffectedAsAppAsync(a.Id.ToString(), $"""
            insert into flowstone.{table}
            select (jsonb_populate_record(t, jsonb_build_object('{tenantColumn}', '{b.Id}'))).* from flowstone.{table} t limit 1
            """));
        Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, copied.SqlState);
        Assert.Equal(count, await database.ScalarAsync<long>($"select count(*) from flowstone.{table} where {tenantColumn} = '{b.Id}'"));
    }

    [Theory]
    [InlineData("' or true --")]
    [InlineData("*")]
    [InlineData("{00000000-0000-0000-0000-000000000000}")]
    public async Task A_forged_setting_opens_nothing(string forged)
    {
        await FillAsync();
        try
        {
            Assert.Equal(0L, await AsAppAsync(forged.Replace("'", "''", StringComparison.Ordinal), "select count(*) from flowstone.workflows"));
        }
        catch (PostgresException error)
        {
            Assert.Equal(PostgresErrorCodes.InvalidTextRepresentation, error.SqlState);
        }
    }

    [Fact]
    public async Task A_foreign_key_cannot_reach_into_another_tenant()
    {
        var (a, b) = (await FillAsync(), await FillAsync());
        var foreign = (await b.Scope.Workflows.ListAsync(new(), null, 1))[0];
        var user = (await b.Scope.Users.ListAsync(new(), null, 1))[0];

        await Assert.ThrowsAsync<NotFoundException>(() => a.Scope.Executions.StartAsync(new NewExecution { WorkflowId = foreign.Id }));
        await Assert.ThrowsAsync<InvalidInputException>(() => a.Scope.Teams.CreateAsync("Theirs", null, user.Id));
        await Assert.ThrowsAsync<NotFoundException>(() => a.Scope.Workflows.UpdateAsync(foreign.Id, TestTenant.Definition(nodes: 5), basedOn: null));
        Assert.Null(await a.Scope.Workflows.FindAsync(foreign.Id));
        Assert.False(await a.Scope.Workflows.DeleteAsync(foreign.Id));
    }

    [Fact]
    public async Task A_worker_reaches_the_queue_and_the_tenants_of_all_and_nothing_else()
    {
        var tenant = await FillAsync();
        await tenant.StartAsync();
        await using var connection = await OpenAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await ExecuteAsync(connection, Database.SetRole(TenantPolicies.WorkerRole));

        var reached = new List<string>();
        foreach (var table in Tables.Select(row => row.Data))
        {
            if ((long)(await ScalarAsync(connection, $"select count(*) from flowstone.{table}"))! > 0)
                reached.Add(table);
        }
        Assert.Equal(["execution_queue", "tenants"], reached);
        Assert.Equal(0, await ExecuteAsync(connection, "delete from flowstone.execution_queue"));
        Assert.Equal(0, await ExecuteAsync(connection, "update flowstone.tenants set name = name"));
    }

    [Fact]
    public async Task The_login_may_do_nothing_until_it_takes_a_role()
    {
        await using var connection = await OpenAsync();
        var refused = await Assert.ThrowsAsync<PostgresException>(() => ScalarAsync(connection, "select count(*) from flowstone.tenants"));
        Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, refused.SqlState);
    }

    [Theory]
    [InlineData("update flowstone.workflow_versions set message = 'other'")]
    [InlineData("delete from flowstone.workflow_versions")]
    [InlineData("delete from flowstone.tenants")]
    [InlineData("truncate flowstone.executions")]
    public async Task Not_even_in_its_own_tenant_may_the_application_do_what_it_never_does(string sql)
    {
        var tenant = await FillAsync();
        var refused = await Assert.ThrowsAsync<PostgresException>(() => AffectedAsAppAsync(tenant.Id.ToString(), sql));
        Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, refused.SqlState);
    }

    [Fact]
    public async Task A_partition_cannot_be_read_past_its_parent()
    {
        var refused = await Assert.ThrowsAsync<PostgresException>(() => AsAppAsync(null, """
            select count(*) from flowstone_partitions.executions_20261116
            """));
        Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, refused.SqlState);
    }

    [Fact]
    public async Task A_pooled_connection_carries_no_tenant_over_even_after_an_error()
    {
        var tenant = await FillAsync();
        await using var source = FlowstoneStore.Connect(new FlowstoneOptions { ConnectionString = database.AppConnectionString(), PoolMin = 0, PoolMax = 1 });
        var store = new FlowstoneStore(source, tenant.Clock);
        var scope = store.Tenant(tenant.Id, Actor.System("test"));

        await scope.Workflows.CountAsync();
        await Assert.ThrowsAsync<ConflictException>(() => scope.Users.CreateAsync(new NewUser { Email = $"{tenant.Tenant.Slug}@example.org" }));

        await using var connection = await source.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await ExecuteAsync(connection, Database.SetRole(TenantPolicies.AppRole));
        Assert.Equal(0L, await ScalarAsync(connection, "select count(*) from flowstone.workflows"));
    }

    /// <summary>A tenant with at least one row in every table.</summary>
    async Task<TestTenant> FillAsync()
    {
        var tenant = await database.NewTenantAsync();
        var user = await tenant.Scope.Users.CreateAsync(new NewUser { Email = $"{tenant.Tenant.Slug}@example.org" });
        await tenant.Store.SignIn.OpenAsync(tenant.Id, user.Id, default);
        await tenant.Scope.Teams.CreateAsync("Team", null, user.Id);
        var claimed = await tenant.StartAndClaimAsync();
        await tenant.Queue.RecordAsync(claimed.Lease, [new() { NodeId = "n0", Input = TestTenant.Json($"\"{new string('a', 100)}\"") }], []);

        await tenant.Scope.ApiKeys.CreateAsync(user.Id, new() { Name = "Key", Scopes = [ApiScope.Read] });

        // What takes more than a line to come about.
        var (id, execution) = (tenant.Id, claimed.Execution);
        await database.ExecuteAsync(null, $"""
            insert into flowstone.execution_attributes (tenant_id, execution_id, name, workflow_id, value) values ('{id}', '{execution.Id}', 'order', '{execution.WorkflowId}', '');
            insert into flowstone.execution_deltas values ('{id}', '{execution.Id}', '{execution.WorkflowId}', now(), 'SUCCESS', 0, 1, 1, 1);
            insert into flowstone.execution_keys values ('{id}', 'key', '{execution.Id}', now());
            insert into flowstone.execution_limits values ('{id}', 'limit', 1, 0);
            insert into flowstone.execution_signals (tenant_id, execution_id, signal_id, name, sent_at) values ('{id}', '{execution.Id}', '{execution.Id}', 'paid', now());
            insert into flowstone.execution_statistics values ('{id}', '{execution.WorkflowId}', now(), 'SUCCESS', 0, 1, 1, 1);
            insert into flowstone.data_keys (tenant_id, id, master_key_id, wrapped_key, created_at, uses) values ('{id}', '{execution.Id}', 'none', '\x01', now(), 0);
            insert into flowstone.api_key_uses select tenant_id, id, now(), 1 from flowstone.api_keys where tenant_id = '{id}';
            insert into flowstone.login_failures values ('{id}', '\x01', '', 1, now(), now());
            insert into flowstone.user_tokens (tenant_id, token_hash, user_id, purpose, created_at, expires_at) values ('{id}', '\x01', '{user.Id}', 'VERIFY_EMAIL', now(), now());
            insert into flowstone.workflow_shares (tenant_id, workflow_id, user_id, level, shared_at) values ('{id}', '{execution.WorkflowId}', '{user.Id}', 'READ', now());
            """);
        return tenant;
    }

    async Task<object?> AsAppAsync(string? tenants, string sql)
    {
        await using var connection = await OpenAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await ExecuteAsync(connection, Database.SetRole(TenantPolicies.AppRole));
        if (tenants is not null)
            await ExecuteAsync(connection, Database.SetTenants(tenants));
        return await ScalarAsync(connection, sql);
    }

    /// <summary>Rows affected; 0 too where the role lacks the right altogether, as it does to change a version.</summary>
    async Task<int> AffectedOrRefusedAsync(string tenants, string sql)
    {
        try
        {
            return await AffectedAsAppAsync(tenants, sql);
        }
        catch (PostgresException error) when (error.SqlState == PostgresErrorCodes.InsufficientPrivilege)
        {
            return 0;
        }
    }

    async Task<int> AffectedAsAppAsync(string tenants, string sql)
    {
        await using var connection = await OpenAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await ExecuteAsync(connection, Database.SetRole(TenantPolicies.AppRole));
        await ExecuteAsync(connection, Database.SetTenants(tenants));
        return await ExecuteAsync(connection, sql);
    }

    // Not from the pool: a statement that is refused on purpose is nothing for others' connections to remember.
    async Task<NpgsqlConnection> OpenAsync()
    {
        var connection = new NpgsqlConnection(database.AppConnectionString() + ";Pooling=false");
        await connection.OpenAsync();
        return connection;
    }

    static async Task<int> ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteNonQueryAsync();
    }

    static async Task<object?> ScalarAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync();
    }
}
