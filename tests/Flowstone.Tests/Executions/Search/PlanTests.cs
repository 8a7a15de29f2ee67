using System.Text.RegularExpressions;
using Flowstone.Executions;
using Flowstone.Tenancy;
using Flowstone.Workflows;
using Npgsql;

namespace Flowstone.Tests.Executions.Search;

/// <summary>How PostgreSQL finds what is asked for, told by itself (auto_explain) while the repositories ask, as the application's role.</summary>
public sealed partial class PlanTests(PlanTests.FilledDatabase filled) : IClassFixture<PlanTests.FilledDatabase>
{
    [Fact]
    public Task A_page_walks_the_key() => UsesAsync("pk_executions", e => e.ListAsync(new(), null, 50));

    [Fact]
    public Task A_later_page_begins_at_its_place() => UsesAsync("pk_executions", e => e.ListAsync(new(), filled.Middle, 50));

    [Fact]
    public Task Success_is_met_along_the_key() => UsesAsync("pk_executions", e => e.ListAsync(new() { Statuses = [ExecutionStatus.Success] }, null, 50));

    [Fact]
    public Task A_span_of_time_is_a_span_of_the_key() => UsesAsync("pk_executions", e => e.ListAsync(new() { From = filled.Start.AddDays(2), To = filled.Start.AddDays(3), Trigger = ExecutionTrigger.Api }, null, 50));

    [Fact]
    public Task A_workflows_page_walks_its_index() => UsesAsync("ix_executions_by_workflow", e => e.ListAsync(new() { WorkflowId = filled.Rare.Id }, null, 50));

    [Fact]
    public Task Failures_walk_the_index_of_what_did_not_succeed() => UsesAsync("ix_executions_unsuccessful", e => e.ListAsync(new() { Statuses = [ExecutionStatus.Failed] }, null, 50));

    [Fact]
    public Task Three_failures_among_all_runs_of_a_workflow_are_found_at_once()
        => UsesAsync("ix_executions_unsuccessful_by_workflow", e => e.ListAsync(new() { WorkflowId = filled.Busy.Id, Statuses = [ExecutionStatus.Failed, ExecutionStatus.Timeout] }, null, 50));

    [Fact]
    public Task What_can_be_retried_walks_the_index_of_what_did_not_succeed() => UsesAsync("ix_executions_unsuccessful", e => e.ListAsync(new() { Retryable = true }, null, 50));

    [Fact]
    public Task What_is_unfinished_comes_from_the_queue() => UsesAsync("ix_execution_queue_claim", e => e.ListAsync(new() { Statuses = [ExecutionStatus.Pending] }, null, 50));

    [Fact]
    public Task What_a_user_started_has_an_index() => UsesAsync("ix_executions_by_user", e => e.ListAsync(new() { StartedBy = new(filled.Somebody) }, null, 50));

    [Fact]
    public Task Children_have_an_index() => UsesAsync("ix_executions_by_parent", e => e.ListAsync(new() { ParentId = new(filled.Somebody) }, null, 50));

    [Fact]
    public Task A_rare_error_is_found_by_its_letters() => UsesAsync("ix_executions_by_error", e => e.ListAsync(new() { ErrorText = "order 4720 was refused: 17" }, null, 50));

    [Fact]
    public Task An_attribute_has_an_index() => UsesAsync("ix_execution_attributes_by_value",
        e => e.ListAsync(new() { WorkflowId = filled.Busy.Id, Attributes = [new("customer", Comparison.Equal, "c77")] }, null, 50));

    [Fact]
    public Task Three_attributes_begin_with_one_and_look_the_others_up() => UsesAsync("ix_execution_attributes_by_value",
        e => e.ListAsync(new() { WorkflowId = filled.Busy.Id, Attributes = [new("customer", Comparison.Equal, "c77"), new("amount", Comparison.Greater, 100), new("amount", Comparison.Less, 900)] }, null, 50));

    [Fact]
    public Task A_count_of_failures_reads_their_index() => UsesAsync("ix_executions_unsuccessful", e => e.CountAsync(new() { Statuses = [ExecutionStatus.Failed] }));

    [Fact]
    public Task The_oldest_for_an_estimate_is_the_first_of_the_key() => UsesAsync("pk_executions", e => e.EstimateAsync(new()));

    [Fact]
    public Task What_is_active_walks_the_queue() => UsesAsync("ix_execution_queue_claim", e => e.ActiveAsync(null, 50));

    [Fact]
    public Task Later_pages_of_what_is_active_too() => UsesAsync("ix_execution_queue_claim", e => e.ActiveAsync(new(1, filled.Start, filled.Middle), 50));

    [Fact]
    public Task Logs_are_of_one_execution() => UsesAsync("pk_node_executions", e => e.LogsAsync(filled.Middle, null, 50));

    [Fact]
    public Task Statistics_are_read_by_key() => UsesAsync("pk_execution_statistics", e => e.StatisticsAsync(filled.Busy.Id));

    async Task UsesAsync(string index, Func<ExecutionRepository, Task> ask)
    {
        for (var i = 0; i < 7; i++)   // more often than PostgreSQL tries before it may settle on a plan for any value
            await ask(filled.Executions);
        var plans = string.Join('\n', filled.TakePlans());
        var used = Index().Matches(plans).Select(match => filled.ParentIndexes.GetValueOrDefault(match.Groups[1].Value, match.Groups[1].Value)).ToHashSet();
        Assert.True(used.Any(name => name.StartsWith(index, StringComparison.Ordinal)), $"{index} is not among {string.Join(", ", used)}:\n{plans}");
        Assert.False(WholePartition().IsMatch(plans), plans);
    }

    [GeneratedRegex(@"(?:using|Bitmap Index Scan on) (\w+)")]
    private static partial Regex Index();

    [GeneratedRegex(@"Seq Scan on \w+_\d{8}\b")]
    private static partial Regex WholePartition();

    /// <summary>A busy workflow with few failures, a rare one, neighbours, in three weeks; analyzed.</summary>
    public sealed class FilledDatabase(TestDatabase database) : IAsyncLifetime
    {
        readonly PlanLog log = new();
        readonly Random random = new(3);
        NpgsqlDataSource source = null!;

        public ExecutionRepository Executions { get; private set; } = null!;
        public Dictionary<string, string> ParentIndexes { get; } = [];
        public Workflow Busy { get; private set; } = null!;
        public Workflow Rare { get; private set; } = null!;
        public DateTimeOffset Start { get; private set; }
        public Id<Execution> Middle { get; private set; }
        public Guid Somebody { get; } = Guid.Parse("00000000-0000-7000-8000-00000000beef");

        public List<string> TakePlans() => log.Take();

        public async ValueTask InitializeAsync()
        {
            var copy = await database.NewDatabaseAsync();
            source = await log.ConnectAsync(database, copy);
            var store = new FlowstoneStore(source, TimeProvider.System);
            var tenants = new List<TenantScope>();
            for (var i = 0; i < 4; i++)
                tenants.Add(store.Tenant((await store.Tenants.CreateAsync($"t{i}", "Test")).Id, Actor.System("test")));
            Start = TimeProvider.System.Now().AddDays(-7);
            foreach (var tenant in tenants)
            {
                (Busy, Rare) = (await NewWorkflowAsync(tenant), await NewWorkflowAsync(tenant));
                Executions = tenant.Executions;
                var rows = Enumerable.Range(0, 6_000).Select(i => Row(i, failing: false)).Concat(Enumerable.Range(0, 6_000).Select(i => Row(i * 40 % 6_000, failing: true))).ToList();
                Middle = rows[3_000].Id;
                await StoredExecutions.AddAsync(database.SuperuserConnectionString(copy), rows);
            }
            await database.ExecuteAsync(copy, $"""
                insert into flowstone.execution_attributes (tenant_id, execution_id, workflow_id, name, value)
                select e.tenant_id, e.id, e.workflow_id, a.name, a.value from flowstone.executions e, lateral (values
                       ('customer', '\x00'::bytea || convert_to('c' || abs(hashtext(e.id::text)) % 500, 'UTF8')),
                       ('amount', '\x01'::bytea || int8send(((1 << 31)::bigint << 32) + abs(hashtext(e.id::text)) % 1000))) a (name, value);
                insert into flowstone.node_executions (tenant_id, execution_id, node, iteration, attempt, status, started_at)
                select tenant_id, id, n, 0, 1, 'RUNNING', created_at from flowstone.executions, generate_series(0, 2) n;
                insert into flowstone.execution_statistics (tenant_id, workflow_id, hour, status, bucket, executions, duration_ms, wait_ms)
                select tenant_id, workflow_id, date_trunc('hour', created_at), 'SUCCESS', 1, count(*), 1, 1 from flowstone.executions group by 1, 2, 3;
                """);
            await database.ExecuteAsync(copy, "vacuum analyze");
            await using var connection = new NpgsqlConnection(database.SuperuserConnectionString(copy));
            await connection.OpenAsync();
            await using var indexes = new NpgsqlCommand("select c.relname, p.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid and c.relkind = 'i' join pg_class p on p.oid = i.inhparent", connection);
            await using var reader = await indexes.ExecuteReaderAsync();
            while (await reader.ReadAsync())
                ParentIndexes[reader.GetString(0)] = reader.GetString(1);
            log.Take();
        }

        static async Task<Workflow> NewWorkflowAsync(TenantScope tenant)
        {
            var workflow = await tenant.Workflows.CreateAsync(new NewWorkflow { Definition = TestTenant.Definition() });
            await tenant.Workflows.SetSearchAttributesAsync(workflow.Id, new Dictionary<string, AttributeType> { ["customer"] = AttributeType.Text, ["amount"] = AttributeType.Number });
            return workflow;
        }

        Execution Row(int i, bool failing)
        {
            var rare = i % 40 == 0;
            var status = failing ? ExecutionStatus.Failed : i % 100 == 99 ? ExecutionStatus.Pending : rare && i % 80 == 0 ? ExecutionStatus.Failed : i is 10 or 2_000 or 5_500 ? ExecutionStatus.Failed : ExecutionStatus.Success;
            return StoredExecutions.New(rare ? Rare : Busy, Start.AddSeconds(i * 100), status) with
            {
                StartedBy = i % 50 == 0 ? new(Somebody) : null,
                ParentId = i % 50 == 1 ? new(Somebody) : null,
                Error = status == ExecutionStatus.Failed ? $"Order {i} was refused: {random.Next()} {random.Next()}" : null,
            };
        }

        public async ValueTask DisposeAsync() => await source.DisposeAsync();
    }
}
