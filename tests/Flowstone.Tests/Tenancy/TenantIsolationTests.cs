using Flowstone.Credentials;
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

    static readonly FlowstoneDb model = new(FlowstoneDbOptions.CreateWithoutDatabase(), default);

    static IEnumerable<string> Tables => TenantPolicies.TenantTables(model.Model);

    /// <summary>What the transaction says of its tenant while it goes for B's rows; null says nothing. Only the first is anybody's.</summary>
    static IEnumerable<string?> Claims(TestTenant a, TestTenant b) =>
        [a.Id.ToString(), null, "", "'' or true --", "*", "%", "{}", "null", $"{a.Id},", b.Id.ToString()[..35], b.Id.Value.ToString("N"), "00000000-0000-0000-0000-000000000000"];

    /// <summary>Every table x select, insert, update, delete x whatever the transaction claims to be, and x every foreign key pointed at another tenant's row.</summary>
    [Fact]
    public async Task No_table_lets_a_transaction_reach_the_rows_of_a_tenant_that_it_does_not_name()
    {
        var (a, b) = (await FillAsync(), await FillAsync());
        var leaks = new List<string>();
        var cases = 0;
        await using var connection = await OpenAsync();
        foreach (var table in Tables)
        {
            var tenant = table == "tenants" ? "id" : "tenant_id";
            var (own, others) = (await RowAsync(table, tenant, a), await RowAsync(table, tenant, b));
            Assert.True((long)(await AsAppAsync(a.Id.ToString(), $"select count(*) from flowstone.{table}"))! > 0, $"{table}: nothing of one's own is seen, so this test would tell nothing.");
            var count = await database.ScalarAsync<long>($"select count(*) from flowstone.{table} where {tenant} = '{b.Id}'");
            foreach (var claim in Claims(a, b))
            {
                var given = claim == a.Id.ToString() ? own : others;
                await TryAsync($"select from {table}", claim, $"select 1 from flowstone.{table} where {tenant} <> '{a.Id}'");
                await TryAsync($"update {table}", claim, $"update flowstone.{table} set {tenant} = {tenant} where {tenant} <> '{a.Id}'");
                await TryAsync($"delete from {table}", claim, $"delete from flowstone.{table} where {tenant} <> '{a.Id}'");
                await TryAsync($"insert into {table}", claim, $"insert into flowstone.{table} {Populate(table, given, $"'{tenant}', '{b.Id}'")}", PostgresErrorCodes.InsufficientPrivilege);
            }
            await TryAsync($"give away {table}", a.Id.ToString(), $"update flowstone.{table} set {tenant} = '{b.Id}' where {tenant} = '{a.Id}'", PostgresErrorCodes.InsufficientPrivilege);
            foreach (var key in model.Model.GetEntityTypes().Where(e => e.GetTableName() == table && typeof(ITenantOwned).IsAssignableFrom(e.ClrType)).SelectMany(e => e.GetForeignKeys()))
            {
                var target = key.PrincipalEntityType.GetTableName()!;
                var columns = key.Properties.Zip(key.PrincipalKey.Properties, (from, to) => (From: from.GetColumnName(), To: to.GetColumnName())).Where(c => c.From != "tenant_id").ToList();
                if (columns.Count == 0)
                    continue;   // to the tenant itself: that is giving away
                var foreign = await RowAsync(target, "tenant_id", b);
                var values = string.Join(", ", columns.Select(c => $"'{c.From}', '{foreign}'::jsonb -> '{c.To}'"));
                await TryAsync($"insert into {table} pointing to {target}", a.Id.ToString(), $"insert into flowstone.{table} {Populate(table, own, values)}", PostgresErrorCodes.ForeignKeyViolation, PostgresErrorCodes.UniqueViolation);
                await TryAsync($"point {table} to {target}", a.Id.ToString(),
                    $"update flowstone.{table} set {string.Join(", ", columns.Select(c => $"{c.From} = o.{c.From}"))} from ({Populate(table, own, values)}) o where flowstone.{table}.{tenant} = '{a.Id}'",
                    PostgresErrorCodes.ForeignKeyViolation, PostgresErrorCodes.UniqueViolation, PostgresErrorCodes.InsufficientPrivilege, PostgresErrorCodes.CheckViolation);
            }
            Assert.Equal(count, await database.ScalarAsync<long>($"select count(*) from flowstone.{table} where {tenant} = '{b.Id}'"));
        }
        Console.WriteLine($"Tenant isolation: {cases} cases over {Tables.Count()} tables, {leaks.Count} leaks");
        Assert.Empty(leaks);
        Assert.True(cases > 1000);

        // Refused with one of these, if any is given; otherwise no row, or no right at all.
        async Task TryAsync(string what, string? claim, string sql, params string[] refusals)
        {
            cases++;
            try
            {
                if (await RowsAsync(connection, claim, sql) is var rows && (rows > 0 || refusals.Length > 0))
                    leaks.Add($"{what} as {claim ?? "nobody"}: {rows} rows");
            }
            catch (PostgresException error) when (refusals.Length == 0 ? error.SqlState == PostgresErrorCodes.InsufficientPrivilege : refusals.Contains(error.SqlState))
            {
                // As it should.
            }
        }
    }

    Task<string> RowAsync(string table, string tenantColumn, TestTenant tenant)
        => database.ScalarAsync<string>($"select replace(to_jsonb(t)::text, '''', '''''') from flowstone.{table} t where {tenantColumn} = '{tenant.Id}' limit 1")!;

    static string Populate(string table, string row, string changes) => $"select * from jsonb_populate_record(null::flowstone.{table}, '{row}'::jsonb || jsonb_build_object({changes}))";

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
        foreach (var table in Tables)
        {
            if ((long)(await ScalarAsync(connection, $"select count(*) from flowstone.{table}"))! > 0)
                reached.Add(table);
        }
        Assert.Equal(["execution_queue", "schedules", "tenants"], reached);
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

        await tenant.Scope.Comments.CreateAsync(claimed.Execution.WorkflowId, new() { Text = "Why?" });
        var credential = await tenant.Scope.Credentials.CreateAsync(new() { Name = "Key", Type = CredentialType.Custom, Secret = TestTenant.Definition() });
        await tenant.Scope.CredentialShares.SetAsync(credential.Id, user.Id, [CredentialRight.Use]);
        var schedule = await tenant.Scope.Schedules.CreateAsync(claimed.Execution.WorkflowId, new() { Name = "Yearly", Cron = "0 0 1 1 *" });
        await database.ExecuteAsync(null, $"insert into flowstone.schedule_firings (tenant_id, schedule_id, due_at, outcome, due_times, at) values ('{tenant.Id}', '{schedule.Id}', now(), 'MISSED', 1, now())");

        // What takes more than a line to come about.
        var (id, execution) = (tenant.Id, claimed.Execution);
        await database.ExecuteAsync(null, $"""
            insert into flowstone.execution_attributes (tenant_id, execution_id, name, workflow_id, value) values ('{id}', '{execution.Id}', 'order', '{execution.WorkflowId}', '');
            insert into flowstone.execution_deltas values ('{id}', '{execution.Id}', '{execution.WorkflowId}', now(), 'SUCCESS', 0, 1, 1, 1);
            insert into flowstone.execution_keys values ('{id}', 'key', '{execution.Id}', now());
            insert into flowstone.execution_limits values ('{id}', 'limit', 1, 0);
            insert into flowstone.execution_signals (tenant_id, execution_id, signal_id, name, sent_at) values ('{id}', '{execution.Id}', '{execution.Id}', 'paid', now());
            insert into flowstone.execution_statistics values ('{id}', '{execution.WorkflowId}', now(), 'SUCCESS', 0, 1, 1, 1);
            insert into flowstone.api_key_uses select tenant_id, id, now(), 1 from flowstone.api_keys where tenant_id = '{id}';
            insert into flowstone.login_failures values ('{id}', '\x01', '', 1, now(), now());
            insert into flowstone.user_tokens (tenant_id, token_hash, user_id, purpose, created_at, expires_at) values ('{id}', '\x01', '{user.Id}', 'VERIFY_EMAIL', now(), now());
            insert into flowstone.user_recovery_codes values ('{id}', '{user.Id}', '\x01');
            insert into flowstone.user_external_logins (login_hash, tenant_id, user_id, provider, provider_key) values (sha256('{id}'::bytea), '{id}', '{user.Id}', 'Google', '1');
            insert into flowstone.workflow_publications values ('{id}', '{execution.WorkflowId}', 1, 1, null, now());
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

    /// <summary>Rows that were read or changed.</summary>
    static async Task<int> RowsAsync(NpgsqlConnection connection, string? tenants, string sql)
    {
        await using var transaction = await connection.BeginTransactionAsync();   // rolled back
        await using var command = new NpgsqlCommand($"{Database.SetRole(TenantPolicies.AppRole)}; {(tenants is null ? "" : Database.SetTenants(tenants) + ";")} {sql}", connection);
        await using var reader = await command.ExecuteReaderAsync();
        var rows = 0;
        while (await reader.ReadAsync())
            rows++;
        await reader.CloseAsync();
        return rows + Math.Max(0, reader.RecordsAffected);
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
