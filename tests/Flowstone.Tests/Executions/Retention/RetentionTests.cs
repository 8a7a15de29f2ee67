using Flowstone.Executions;
using Flowstone.Tenancy;
using Flowstone.Tests.Executions.Search;
using Flowstone.Workflows;

namespace Flowstone.Tests.Executions.Retention;

public sealed class RetentionTests(TestDatabase database)
{
    static readonly ExecutionStatus[] statuses = Enum.GetValues<ExecutionStatus>();

    [Fact]
    public async Task Whole_weeks_go_by_partition_and_what_is_unfinished_late_or_referred_to_holds_its_own()
    {
        await using var aged = await AgedDatabase.CreateAsync(database);
        var (a, b) = (await aged.NewTenantAsync("a"), await aged.NewTenantAsync("b"));
        await aged.Store.Retention.SetDaysAsync(b.Tenant.TenantId, 45);
        var monday = aged.Monday(-10);
        var whole = new[] { a.New(monday.AddDays(1), ExecutionStatus.Timeout), a.New(monday.AddDays(2), ExecutionStatus.Cancelled), b.New(monday.AddDays(3), ExecutionStatus.Success) };
        var held = a.New(aged.Monday(-7).AddDays(1), ExecutionStatus.Failed);
        var parent = a.New(aged.Monday(-8).AddDays(1), ExecutionStatus.Success);
        var stay = new[]
        {
            a.New(aged.Monday(-9).AddDays(1), ExecutionStatus.Running),
            a.New(aged.Monday(-8).AddDays(1), ExecutionStatus.Success, finishedAt: aged.Now.AddDays(-2)),
            held,
            a.New(aged.Now.AddDays(-1), ExecutionStatus.Success) with { RetryOf = held.Id },
            b.New(aged.Now.AddDays(-40), ExecutionStatus.Success),
            a.New(aged.Now.AddDays(-1), ExecutionStatus.Success) with { ParentId = parent.Id },
        };
        var go = new[] { parent, a.New(aged.Monday(-9).AddDays(2), ExecutionStatus.Failed), a.New(aged.Monday(-7).AddDays(2), ExecutionStatus.Success), a.New(aged.Now.AddDays(-40), ExecutionStatus.Success) };
        await aged.AddAsync([.. whole, .. stay, .. go]);

        var expected = await aged.Store.Retention.ExplainAsync();
        var report = await aged.Store.Retention.RunAsync();

        Assert.Equal([new ExpiredWeek(DateOnly.FromDateTime(monday.UtcDateTime), 3)], report.Partitions.Where(week => week.Executions > 0));
        Assert.Equal([("a", 30, false, 4L), ("b", 45, true, 0L)], report.Tenants.Select(t => (t.Slug, t.Days, t.OwnDays, t.Executions)));
        Assert.Equal(expected.Partitions, report.Partitions);
        Assert.Equal(expected.Tenants, report.Tenants);
        await aged.AssertRemainAsync(stay);
        Assert.Equal(0, (await aged.Store.Retention.RunAsync()).Executions);
        Assert.Empty((await aged.Store.Health.CheckAsync()).Problems);
    }

    [Fact]
    public async Task Any_history_is_cut_as_a_plain_reading_says_and_the_explanation_agrees()
    {
        await using var aged = await AgedDatabase.CreateAsync(database);
        var tenants = new[] { await aged.NewTenantAsync("a"), await aged.NewTenantAsync("b"), await aged.NewTenantAsync("c") };
        var days = new[] { 30, 10, 50 };
        await aged.Store.Retention.SetDaysAsync(tenants[1].Tenant.TenantId, 10);
        await aged.Store.Retention.SetDaysAsync(tenants[2].Tenant.TenantId, 50);
        var random = new Random(11);
        var all = new List<Execution>();
        foreach (var age in Enumerable.Range(0, 900).Select(_ => random.NextDouble() * 70).OrderDescending())
        {
            var tenant = tenants[random.Next(3)];
            var createdAt = aged.Now.AddDays(-age);
            var status = random.Next(40) == 0 ? statuses[random.Next(3)] : statuses[3 + random.Next(4)];
            var earlier = all.Where(e => e.TenantId == tenant.Tenant.TenantId && e.FinishedAt < createdAt).TakeLast(30).ToList();
            var before = earlier.Count > 0 && random.Next(6) == 0 ? earlier[random.Next(earlier.Count)].Id : (Id<Execution>?)null;
            var reference = random.Next(3);
            all.Add(tenant.New(createdAt, status, finishedAt: createdAt + (TimeSpan.FromDays(random.Next(20) == 0 ? age * random.NextDouble() : 0.001 * age))) with
            {
                RetryOf = reference == 0 ? before : null,
                ForkedFrom = reference == 1 ? before : null,
                ParentId = reference == 2 ? before : null,
            });
        }
        await aged.AddAsync(all);
        var expected = Survivors();
        Assert.InRange(expected.Count, 200, 700);

        var explained = await aged.Store.Retention.ExplainAsync();
        var reports = await Task.WhenAll(Enumerable.Range(0, 2).Select(_ => Task.Run(() => aged.Store.Retention.RunAsync())));

        await aged.AssertRemainAsync(expected);
        Assert.Equal(all.Count - expected.Count, explained.Executions);
        Assert.InRange(reports.Sum(report => report.Executions), explained.Executions, all.Count);   // what one deletes while the other drops its week, both count
        Assert.NotEmpty(explained.Partitions);

        List<Execution> Survivors()
        {
            var kept = all.Where(e => e.FinishedAt is not { } at || at >= aged.Now.AddDays(-days[Array.FindIndex(tenants, t => t.Tenant.TenantId == e.TenantId)])).ToList();
            for (var i = 0; i < kept.Count; i++)
                kept.AddRange(all.Where(e => (e.Id == kept[i].RetryOf || e.Id == kept[i].ForkedFrom) && !kept.Contains(e)));
            return kept;
        }
    }

    [Fact]
    public async Task With_patience_what_will_soon_go_with_its_week_is_left_to_it()
    {
        await using var aged = await AgedDatabase.CreateAsync(database);
        var a = await aged.NewTenantAsync("a");
        var running = a.New(aged.Now.AddDays(-50), ExecutionStatus.Running);
        var soon = a.New(aged.Now.AddDays(-31), ExecutionStatus.Success);
        await aged.AddAsync([running, a.New(running.CreatedAt, ExecutionStatus.Success), soon]);

        Assert.Equal(1, (await aged.Store.Retention.RunAsync(patience: TimeSpan.FromDays(8))).Executions);
        await aged.AssertRemainAsync([running, soon]);
        Assert.Equal(1, (await aged.Store.Retention.RunAsync()).Executions);
    }

    [Fact]
    public async Task What_was_needed_for_a_while_is_swept()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        await StartAsync("short", TimeSpan.FromMinutes(1), "idle");
        await StartAsync("long", TimeSpan.FromDays(1), "busy");
        foreach (var claimed in await tenant.ClaimAsync())
            await tenant.Queue.FinishAsync(claimed.Lease, new() { Status = ExecutionStatus.Success });
        await StartAsync("other", TimeSpan.FromDays(1), "busy");
        await StartAsync("unlimited", TimeSpan.FromDays(1), null);
        await database.ExecuteAsync("flowstone_test", $"insert into flowstone.execution_limits values ('{tenant.Id}', 'workflow:{workflow.Id}', 1, 0)");

        tenant.Clock.Advance(TimeSpan.FromMinutes(59));
        var marks = await CountAsync("write_marks");
        await tenant.Store.Retention.SweepAsync();
        Assert.Equal((3L, 2L, marks), (await CountAsync("execution_keys"), await CountAsync("execution_limits"), await CountAsync("write_marks")));

        tenant.Clock.Advance(TimeSpan.FromMinutes(2));
        await tenant.Store.Retention.SweepAsync();
        Assert.Equal(0, await CountAsync("write_marks"));

        Task StartAsync(string key, TimeSpan window, string? limit) => tenant.Scope.Executions.StartAsync(new()
        {
            WorkflowId = workflow.Id,
            DedupKey = key,
            DedupWindow = window,
            Concurrency = limit is null ? null : new(limit, 2),
        });

        Task<long> CountAsync(string table) => database.ScalarAsync<long>($"select count(*) from flowstone.{table} where tenant_id = '{tenant.Id}'");
    }

    [Fact]
    public async Task The_application_of_a_tenant_cannot_drop_a_week()
    {
        await using var connection = new Npgsql.NpgsqlConnection(database.AppConnectionString() + ";Pooling=false");
        await connection.OpenAsync();
        await using var drop = new Npgsql.NpgsqlCommand("set role flowstone_app; select flowstone.expire_partition('2026-01-05', now(), 1, false, '{}')", connection);
        Assert.Equal(Npgsql.PostgresErrorCodes.InsufficientPrivilege, (await Assert.ThrowsAsync<Npgsql.PostgresException>(drop.ExecuteNonQueryAsync)).SqlState);
    }

    /// <summary>A database of its own with partitions of the last months.</summary>
    sealed class AgedDatabase : IAsyncDisposable
    {
        readonly TestDatabase database;
        readonly string name;

        AgedDatabase(TestDatabase database, string name)
        {
            (this.database, this.name) = (database, name);
            Store = new FlowstoneStore(FlowstoneStore.Connect(new FlowstoneOptions { ConnectionString = database.AppConnectionString(name), PoolMin = 0 }), TimeProvider.System);
        }

        public FlowstoneStore Store { get; }
        public DateTimeOffset Now { get; } = TimeProvider.System.Now();

        public static async Task<AgedDatabase> CreateAsync(TestDatabase database)
        {
            var aged = new AgedDatabase(database, await database.NewDatabaseAsync());
            await database.ExecuteAsync(aged.name, "select flowstone.create_partitions(now() - interval '85 days', now())");
            return aged;
        }

        /// <summary>The Monday so many weeks from now.</summary>
        public DateTimeOffset Monday(int weeks) => new DateTimeOffset(Now.UtcDateTime.Date, TimeSpan.Zero).AddDays(-(((int)Now.UtcDateTime.DayOfWeek + 6) % 7) + (7 * weeks));

        public async Task<AgedTenant> NewTenantAsync(string slug)
        {
            var tenant = Store.Tenant((await Store.Tenants.CreateAsync(slug, "Test")).Id, Actor.System("test"));
            return new AgedTenant(tenant, await tenant.Workflows.CreateAsync(new NewWorkflow { Definition = TestTenant.Definition() }));
        }

        /// <summary>Each with a row in every table that goes with it.</summary>
        public async Task AddAsync(IReadOnlyList<Execution> executions)
        {
            await StoredExecutions.AddAsync(database.SuperuserConnectionString(name), executions);
            await database.ExecuteAsync(name, """
                insert into flowstone.node_executions (tenant_id, execution_id, node, iteration, attempt, status, started_at) select tenant_id, id, 0, 0, 1, 'RUNNING', now() from flowstone.executions;
                insert into flowstone.payloads (tenant_id, execution_id, hash, content_type, encoding, size_bytes, body) select tenant_id, id, 'a', 'b', 'PLAIN', 1, 'c' from flowstone.executions;
                insert into flowstone.execution_attributes (tenant_id, execution_id, workflow_id, name, value) select tenant_id, id, workflow_id, 'a', 'b' from flowstone.executions;
                insert into flowstone.execution_signals (tenant_id, execution_id, signal_id, name, sent_at) select tenant_id, id, id, 'a', now() from flowstone.executions;
                """);
        }

        public async Task AssertRemainAsync(IEnumerable<Execution> executions)
        {
            var expected = executions.Select(e => e.Id.Value).Order().ToArray();
            foreach (var (table, column) in new[] { ("executions", "id"), ("node_executions", "execution_id"), ("payloads", "execution_id"), ("execution_attributes", "execution_id"), ("execution_signals", "execution_id") })
                Assert.Equal(expected, await IdsAsync($"select coalesce(array_agg({column} order by {column}), '{{}}') from flowstone.{table}"));
        }

        async Task<Guid[]> IdsAsync(string sql)
        {
            await using var connection = new Npgsql.NpgsqlConnection(database.SuperuserConnectionString(name));
            await connection.OpenAsync();
            await using var command = new Npgsql.NpgsqlCommand(sql, connection);
            return (Guid[])(await command.ExecuteScalarAsync())!;
        }

        public ValueTask DisposeAsync() => Store.DisposeAsync();
    }

    sealed record AgedTenant(TenantScope Tenant, Workflow Workflow)
    {
        public Execution New(DateTimeOffset createdAt, ExecutionStatus status, DateTimeOffset? finishedAt = null) => StoredExecutions.New(Workflow, createdAt, status, finishedAt);
    }
}
