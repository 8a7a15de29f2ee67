using Flowstone.Executions;
using Flowstone.Users;
using Flowstone.Workflows;

namespace Flowstone.Tests.Executions.Search;

public sealed class ExecutionSearchTests(TestDatabase database)
{
    static readonly ExecutionStatus[] statuses = Enum.GetValues<ExecutionStatus>();

    [Fact]
    public async Task Any_filter_finds_what_a_plain_reading_of_all_executions_finds_in_pages_without_gap_or_repeat()
    {
        var tenant = await database.NewTenantAsync();
        var random = new Random(7);
        var workflows = new[] { await DeclaringAsync(tenant), await tenant.CreateWorkflowAsync() };
        var users = new[] { await UserAsync(tenant), await UserAsync(tenant) };
        var parents = new[] { Id<Execution>.New(tenant.Clock), Id<Execution>.New(tenant.Clock) };
        var start = tenant.Clock.Now() - TimeSpan.FromDays(6);
        var all = Enumerable.Range(0, 300).Select(i =>
        {
            var status = statuses[random.Next(statuses.Length)];
            return StoredExecutions.New(workflows[random.Next(2)], start + TimeSpan.FromMinutes(i * 25), status) with
            {
                Trigger = (ExecutionTrigger)random.Next(6),
                StartedBy = random.Next(3) is var user and < 2 ? users[user] : null,
                ParentId = random.Next(3) is var parent and < 2 ? parents[parent] : null,
                Error = status is ExecutionStatus.Failed or ExecutionStatus.Timeout ? $"Order {i % 20} could not be sent: 100% \\ timeout_{i % 3}" : null,
                RetryCount = (short)random.Next(4),
                RetriedBy = random.Next(2) == 0 ? parents[0] : null,
            };
        }).ToList();
        await StoredExecutions.AddAsync(database.SuperuserConnectionString(), all);
        var attributes = new Dictionary<Id<Execution>, (string Customer, double Amount)>();
        foreach (var execution in all.Where(e => e.WorkflowId == workflows[0].Id))
        {
            attributes[execution.Id] = ($"c{random.Next(4)}", random.Next(-5, 5));
            await tenant.Scope.Executions.SetAttributesAsync(execution.Id, new Dictionary<string, AttributeValue> { ["customer"] = attributes[execution.Id].Customer, ["amount"] = attributes[execution.Id].Amount });
        }
        var found = 0;
        for (var round = 0; round < 250; round++)
        {
            var filter = new ExecutionFilter
            {
                WorkflowId = Maybe(() => workflows[random.Next(2)].Id),
                Statuses = random.Next(2) == 0 ? null : statuses.Where(_ => random.Next(3) == 0).ToList(),
                Trigger = random.Next(5) == 0 ? (ExecutionTrigger)random.Next(6) : null,
                StartedBy = Maybe(() => users[random.Next(2)]),
                ParentId = Maybe(() => parents[random.Next(2)]),
                From = Maybe(() => start + TimeSpan.FromDays(random.NextDouble() * 6)),
                To = Maybe(() => start + TimeSpan.FromDays(random.NextDouble() * 6)),
                ErrorText = new[] { null, null, null, "ORDER 1", "100% \\", "timeout_2", "e", "_" }[random.Next(8)],
                Retryable = random.Next(6) == 0,
            };
            if (filter.WorkflowId == workflows[0].Id)
            {
                filter = filter with
                {
                    Attributes = new AttributeCondition[] { new("customer", Comparison.Equal, "c1"), new("amount", (Comparison)random.Next(5), random.Next(-5, 5)), new("amount", Comparison.Less, 4) }
                        .Where(_ => random.Next(3) == 0).ToList(),
                };
            }
            var expected = all.Where(e => Matches(e, filter)).OrderByDescending(e => e.Id).ToList();
            found += expected.Count;

            var listed = new List<Execution>();
            for (Id<Execution>? before = null; ;)
            {
                var page = await tenant.Scope.Executions.ListAsync(filter, before, 9);
                listed.AddRange(page);
                if (page.Count < 9)
                    break;
                before = page[^1].Id;
            }
            Assert.True(expected.SequenceEqual(listed), $"{filter}: {expected.Count} expected, {listed.Count} found");
            Assert.Equal(new Total(expected.Count, TotalKind.Exact), await tenant.Scope.Executions.CountAsync(filter));
        }
        Assert.True(found > 1000, $"The filters found only {found} in all: do they still mean something?");

        T? Maybe<T>(Func<T> make) where T : struct => random.Next(4) == 0 ? make() : null;

        bool Matches(Execution e, ExecutionFilter f)
            => (f.WorkflowId is null || e.WorkflowId == f.WorkflowId) && (f.Statuses is null || f.Statuses.Contains(e.Status)) && (f.Trigger is null || e.Trigger == f.Trigger)
                && (f.StartedBy is null || e.StartedBy == f.StartedBy) && (f.ParentId is null || e.ParentId == f.ParentId)
                && (f.From is null || e.Id.CreatedAt.ToUnixTimeMilliseconds() >= f.From.Value.ToUnixTimeMilliseconds()) && (f.To is null || e.Id.CreatedAt.ToUnixTimeMilliseconds() < f.To.Value.ToUnixTimeMilliseconds())
                && (f.ErrorText is null || e.Error?.Contains(f.ErrorText, StringComparison.OrdinalIgnoreCase) == true)
                && (!f.Retryable || (e.Status is ExecutionStatus.Failed or ExecutionStatus.Timeout && e.RetryCount < e.MaxRetries && e.RetriedBy is null))
                && f.Attributes.All(a => attributes.TryGetValue(e.Id, out var has) && Holds(a, a.Name == "customer" ? string.CompareOrdinal(has.Customer, (string)a.Value.ToObject()) : has.Amount.CompareTo((double)a.Value.ToObject())));

        static bool Holds(AttributeCondition condition, int order) => condition.Comparison switch
        {
            Comparison.Equal => order == 0,
            Comparison.Less => order < 0,
            Comparison.LessOrEqual => order <= 0,
            Comparison.Greater => order > 0,
            _ => order >= 0,
        };
    }

    [Fact]
    public async Task A_count_stops_at_ten_thousand_and_an_estimate_says_about_how_many()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        var start = tenant.Clock.Now() - TimeSpan.FromDays(1);
        await StoredExecutions.AddAsync(database.SuperuserConnectionString(),
            [.. Enumerable.Range(0, 10_050).Select(i => StoredExecutions.New(workflow, start + TimeSpan.FromSeconds(i), i < 10 ? ExecutionStatus.Failed : ExecutionStatus.Success))]);
        await database.ExecuteAsync("flowstone_test", "analyze flowstone.executions");
        var executions = tenant.Scope.Executions;

        Assert.Equal(new Total(10_000, TotalKind.MoreThan), await executions.CountAsync(new()));
        Assert.Equal(new Total(10, TotalKind.Exact), await executions.CountAsync(new() { Statuses = [ExecutionStatus.Failed] }));
        var estimate = await executions.EstimateAsync(new() { Trigger = ExecutionTrigger.Api });
        Assert.Equal(TotalKind.Estimate, estimate.Kind);
        Assert.InRange(estimate.Value, 5_000, 20_000);
    }

    [Fact]
    public async Task An_estimate_of_a_workflow_is_what_ended_and_what_is_queued()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        for (var i = 0; i < 4; i++)
            await tenant.StartAsync(workflow);
        tenant.Clock.Advance(TimeSpan.FromSeconds(1));
        await tenant.StartAsync();
        var claimed = Assert.Single(await tenant.ClaimAsync(limit: 1));
        await tenant.Queue.FinishAsync(claimed.Lease, new() { Status = ExecutionStatus.Success });

        Assert.Equal(new Total(4, TotalKind.Estimate), await tenant.Scope.Executions.EstimateAsync(new() { WorkflowId = workflow.Id }));
        Assert.Equal(new Total(1, TotalKind.Estimate), await tenant.Scope.Executions.EstimateAsync(new() { WorkflowId = workflow.Id, Statuses = [ExecutionStatus.Success] }));
        Assert.Equal(new Total(5, TotalKind.Estimate), await tenant.Scope.Executions.EstimateAsync(new()));
    }

    [Fact]
    public async Task What_is_active_comes_by_priority_in_pages()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        var started = new List<Execution>();
        for (var i = 0; i < 11; i++)
            started.Add(await tenant.StartAsync(workflow, priority: (short)(i % 3), dueAt: tenant.Clock.Now() + TimeSpan.FromSeconds(i / 4)));
        var claimed = Assert.Single(await tenant.ClaimAsync(limit: 1));
        var done = Assert.Single(await tenant.ClaimAsync(limit: 1));
        await tenant.Queue.FinishAsync(done.Lease, new() { Status = ExecutionStatus.Success });

        var active = new List<ActiveExecution>();
        for (List<ActiveExecution> page; ; active.AddRange(page))
        {
            page = await tenant.Scope.Executions.ActiveAsync(active.Count == 0 ? null : active[^1].Place, 2);
            if (page.Count == 0)
                break;
        }

        Assert.Equal(started.Select(e => e.Id).Except([done.Execution.Id]).Order(), active.Select(a => a.Execution.Id).Order());
        Assert.Equal(active.OrderByDescending(a => a.Place.Priority).ThenBy(a => a.Place.ClaimableAt).ThenBy(a => a.Place.Id), active);
        Assert.Equal(ExecutionStatus.Running, active.Single(a => a.Execution.Id == claimed.Execution.Id).Execution.Status);
    }

    [Fact]
    public async Task Logs_come_in_pages_in_the_order_of_the_timeline_with_the_names_of_nodes()
    {
        var tenant = await database.NewTenantAsync();
        var claimed = await tenant.StartAndClaimAsync();
        for (var i = 0; i < 3; i++)
        {
            await tenant.Queue.RecordAsync(claimed.Lease, [.. new[] { "n2", "n0", "n1" }.Select(node => new NodeStart { NodeId = node, Iteration = i })], []);
            tenant.Clock.Advance(TimeSpan.FromSeconds(1));
        }
        var timeline = await tenant.Scope.Executions.TimelineAsync(claimed.Execution.Id);

        var logs = new List<TimelineStep>();
        for (List<TimelineStep> page; ; logs.AddRange(page))
        {
            page = await tenant.Scope.Executions.LogsAsync(claimed.Execution.Id, logs.Count == 0 ? null : StepPlace.Of(logs[^1].Execution), 4);
            if (page.Count == 0)
                break;
        }

        Assert.Equal(timeline.Steps, logs);
        Assert.Equal("Node 0", logs[0].Node.Name);
        await Assert.ThrowsAsync<NotFoundException>(() => tenant.Scope.Executions.LogsAsync(Id<Execution>.New(tenant.Clock), null, 4));
    }

    [Fact]
    public async Task Attributes_are_of_the_declared_names_and_types()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await DeclaringAsync(tenant);
        var placed = new DateTimeOffset(2026, 1, 31, 12, 0, 0, TimeSpan.Zero);
        var execution = await StartAsync(("customer", "acme"), ("amount", 12.5), ("paid", true), ("placed", "2026-01-31T13:00:00+01:00"));

        Assert.Equal(new Dictionary<string, AttributeValue> { ["amount"] = 12.5, ["customer"] = "acme", ["paid"] = true, ["placed"] = placed }, await tenant.Scope.Executions.AttributesAsync(execution.Id));
        Assert.Equal([execution.Id], await FindAsync(new("placed", Comparison.GreaterOrEqual, placed), new("paid", Comparison.Equal, true)));
        Assert.Equal([execution.Id], await FindAsync(new("amount", Comparison.Less, "13"), new("paid", Comparison.Equal, "true")));   // as a query string says it
        Assert.Empty(await FindAsync(new AttributeCondition("amount", Comparison.Less, 12.5)));
        await tenant.Scope.Executions.SetAttributesAsync(execution.Id, new Dictionary<string, AttributeValue> { ["customer"] = "other" });
        Assert.Empty(await FindAsync(new AttributeCondition("customer", Comparison.Equal, "acme")));

        Assert.Equal("attributes.colour", await FieldAsync(() => StartAsync(("colour", "red"))));
        Assert.Equal("attributes.amount", await FieldAsync(() => StartAsync(("amount", "12.5"))));
        Assert.Equal("attributes.placed", await FieldAsync(() => StartAsync(("placed", "yesterday"))));
        Assert.Equal("attributes.paid", await FieldAsync(() => FindAsync(new AttributeCondition("paid", Comparison.Equal, 1))));
        Assert.Equal("workflowId", await FieldAsync(() => tenant.Scope.Executions.ListAsync(new() { Attributes = [new("paid", Comparison.Equal, true)] }, null, 10)));
        Assert.Equal("searchAttributes", await FieldAsync(() => tenant.Scope.Workflows.SetSearchAttributesAsync(workflow.Id, Enumerable.Range(0, 11).ToDictionary(i => $"a{i}", _ => AttributeType.Text))));
        Assert.Equal("searchAttributes['1st']", await FieldAsync(() => tenant.Scope.Workflows.SetSearchAttributesAsync(workflow.Id, new Dictionary<string, AttributeType> { ["1st"] = AttributeType.Text })));
        Assert.Single(await tenant.Scope.Executions.ListAsync(new() { WorkflowId = workflow.Id }, null, 10));

        Task<Execution> StartAsync(params (string Name, AttributeValue Value)[] attributes)
            => tenant.Scope.Executions.StartAsync(new() { WorkflowId = workflow.Id, Attributes = attributes.ToDictionary(a => a.Name, a => a.Value) });

        async Task<IEnumerable<Id<Execution>>> FindAsync(params AttributeCondition[] conditions)
            => (await tenant.Scope.Executions.ListAsync(new() { WorkflowId = workflow.Id, Attributes = conditions }, null, 10)).Select(e => e.Id);

        static async Task<string> FieldAsync(Func<Task> work) => (await Assert.ThrowsAsync<InvalidInputException>(work)).Errors[0].Field;
    }

    [Fact]
    public async Task Errors_of_another_tenant_are_not_searched_not_even_by_the_function_itself()
    {
        var (mine, theirs) = (await database.NewTenantAsync(), await database.NewTenantAsync());
        var claimed = await theirs.StartAndClaimAsync();
        await theirs.Queue.FinishAsync(claimed.Lease, new() { Status = ExecutionStatus.Failed, Error = "a secret of theirs" });

        Assert.Single(await theirs.Scope.Executions.ListAsync(new() { ErrorText = "SECRET" }, null, 10));
        Assert.Empty(await mine.Scope.Executions.ListAsync(new() { ErrorText = "secret" }, null, 10));
        await using var connection = new Npgsql.NpgsqlConnection(database.AppConnectionString() + ";Pooling=false");
        await connection.OpenAsync();
        foreach (var tenants in new[] { $"set flowstone.tenants = '{mine.Id}'", "set flowstone.tenants = ''", "reset flowstone.tenants" })
        {
            await using var ask = new Npgsql.NpgsqlCommand($"set role flowstone_app; {tenants}; select * from flowstone.find_errors('{theirs.Id}', '%', null, null, null, null, null)", connection);
            var refused = await Assert.ThrowsAsync<Npgsql.PostgresException>(ask.ExecuteNonQueryAsync);
            Assert.Equal(Npgsql.PostgresErrorCodes.InsufficientPrivilege, refused.SqlState);
        }
    }

    static async Task<Workflow> DeclaringAsync(TestTenant tenant)
    {
        var workflow = await tenant.CreateWorkflowAsync();
        await tenant.Scope.Workflows.SetSearchAttributesAsync(workflow.Id, new Dictionary<string, AttributeType>
        {
            ["customer"] = AttributeType.Text,
            ["amount"] = AttributeType.Number,
            ["paid"] = AttributeType.Boolean,
            ["placed"] = AttributeType.Time,
        });
        return workflow;
    }

    static async Task<Id<User>> UserAsync(TestTenant tenant)
        => (await tenant.Scope.Users.CreateAsync(new NewUser { Email = $"{Path.GetRandomFileName()}@example.org" })).Id;
}
