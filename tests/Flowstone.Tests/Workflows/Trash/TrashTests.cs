using Flowstone.Executions;
using Flowstone.Permissions;
using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;
using Npgsql;

namespace Flowstone.Tests.Workflows.Trash;

public sealed class TrashTests(TestDatabase database)
{
    [Fact]
    public async Task What_comes_back_from_the_trash_is_byte_for_byte_what_went_in()
    {
        var tenant = await database.NewTenantAsync();
        var (workflow, owner) = await OwnedAsync(tenant);
        var friend = await tenant.Scope.Users.CreateAsync(new NewUser { Email = $"{Path.GetRandomFileName()}@example.com" });
        await owner.Workflows.UpdateAsync(workflow.Id, TestTenant.Definition(nodes: 5), 1, "More");
        await owner.Workflows.PublishAsync(workflow.Id, 1);
        await owner.Shares.SetAsync(workflow.Id, friend.Id, ShareLevel.Write);
        await owner.Executions.StartAsync(new NewExecution { WorkflowId = workflow.Id });
        var before = await RowsAsync(tenant, workflow.Id);
        Assert.True(before.Count >= 7, string.Join("\n", before));

        Assert.True(await owner.Workflows.DeleteAsync(workflow.Id));
        Assert.False(await owner.Workflows.DeleteAsync(workflow.Id));
        Assert.NotEqual(before, await RowsAsync(tenant, workflow.Id));
        Assert.Equal(workflow.Id, (await owner.Workflows.UndeleteAsync(workflow.Id)).Id);

        Assert.Equal(before, await RowsAsync(tenant, workflow.Id));
    }

    /// <summary>All rows of every table that names workflows, as text: also of tables that come later.</summary>
    async Task<List<string>> RowsAsync(TestTenant tenant, Id<Workflow> workflow)
    {
        await using var connection = new NpgsqlConnection(database.SuperuserConnectionString());
        await connection.OpenAsync();
        var tables = await ReadAsync("""
            select a.attrelid::regclass::text from pg_attribute a join pg_class c on c.oid = a.attrelid
             where a.attname = 'workflow_id' and c.relnamespace = 'flowstone'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
            """);
        Assert.Contains("flowstone.workflow_publications", tables);
        var rows = await ReadAsync($"select 'workflows ' || row_to_json(w) from flowstone.workflows w where tenant_id = '{tenant.Id}' and id = '{workflow}'");
        foreach (var table in tables.Order(StringComparer.Ordinal))
            rows.AddRange(await ReadAsync($"select '{table} ' || row_to_json(t) from {table} t where tenant_id = '{tenant.Id}' and workflow_id = '{workflow}' order by 1"));
        return rows;

        async Task<List<string>> ReadAsync(string sql)
        {
            await using var command = new NpgsqlCommand(sql, connection);
            await using var reader = await command.ExecuteReaderAsync();
            var read = new List<string>();
            while (await reader.ReadAsync())
                read.Add(reader.GetString(0));
            return read;
        }
    }

    static async Task<(Workflow, TenantScope)> OwnedAsync(TestTenant tenant)
    {
        var user = await tenant.Scope.Users.CreateAsync(new NewUser { Email = $"{Path.GetRandomFileName()}@example.com" });
        var scope = tenant.Store.Tenant(tenant.Id, Actor.User(user.Id));
        return (await scope.Workflows.CreateAsync(new() { Definition = TestTenant.Definition(), Visibility = Visibility.Public }), scope);
    }

    [Fact]
    public async Task What_is_in_the_trash_is_not_there_and_its_executions_are()
    {
        var tenant = await database.NewTenantAsync();
        var (workflow, owner) = await OwnedAsync(tenant);
        await owner.Workflows.SetSearchAttributesAsync(workflow.Id, new Dictionary<string, AttributeType> { ["a"] = AttributeType.Text });
        var execution = await owner.Executions.StartAsync(new NewExecution { WorkflowId = workflow.Id, MaxAttempts = 1, Input = TestTenant.Json("[1]"), Attributes = new Dictionary<string, AttributeValue> { ["a"] = "x" } });
        await tenant.Queue.GiveBackAsync(Assert.Single(await tenant.ClaimAsync()).Lease, "It failed.");   // a dead letter
        var waiting = await owner.Executions.StartAsync(new NewExecution { WorkflowId = workflow.Id });
        await owner.Workflows.DeleteAsync(workflow.Id);

        foreach (var scope in new[] { owner, tenant.Scope })   // an administrator neither
        {
            var workflows = scope.Workflows;
            Assert.Null(await workflows.FindAsync(workflow.Id));
            Assert.Empty(await workflows.ListAsync(new(), null, 9));
            Assert.Equal(0, await workflows.CountAsync());
            Assert.Null(await workflows.FindVersionAsync(workflow.Id, 1));
            Assert.Empty(await workflows.VersionsAsync(workflow.Id, null, 9));
            await Assert.ThrowsAsync<NotFoundException>(() => workflows.UpdateAsync(workflow.Id, TestTenant.Definition("Other"), null));
            await Assert.ThrowsAsync<NotFoundException>(() => workflows.SetAsync(workflow.Id, WorkflowStatus.Active, null));
            await Assert.ThrowsAsync<NotFoundException>(() => workflows.PublishAsync(workflow.Id));
            await Assert.ThrowsAsync<NotFoundException>(() => scope.Shares.ListAsync(workflow.Id));
            await Assert.ThrowsAsync<NotFoundException>(() => scope.Queue.PauseAsync(workflow.Id));
            await Assert.ThrowsAsync<NotFoundException>(() => scope.Executions.StartAsync(new NewExecution { WorkflowId = workflow.Id }));
            await Assert.ThrowsAsync<NotFoundException>(() => scope.Executions.StartAsync(new NewExecution { WorkflowId = workflow.Id, WorkflowVersion = 1 }));
            await Assert.ThrowsAsync<NotFoundException>(() => scope.Executions.StartManyAsync([new NewExecution { WorkflowId = workflow.Id }]));
            await Assert.ThrowsAsync<ConflictException>(() => scope.Executions.RetryAsync(execution.Id));
            Assert.Empty(await scope.Executions.RedriveAsync());

            Assert.NotNull(await scope.Executions.FindAsync(execution.Id));
            Assert.NotNull(await scope.Executions.FindPayloadAsync(execution.Id, execution.Input!));
            Assert.Equal(2, (await scope.Executions.ListAsync(new() { WorkflowId = workflow.Id }, null, 9)).Count);
            Assert.Single(await scope.Executions.ListAsync(new() { WorkflowId = workflow.Id, Attributes = [new("a", Comparison.Equal, "x")] }, null, 9));
            Assert.Equal("Test", (await scope.Workflows.NamesAsync([workflow.Id]))[workflow.Id]);
            Assert.Equal(workflow.Id, Assert.Single(await workflows.ListTrashAsync(null, 9)).Id);
        }
        Assert.Equal(waiting.Id, Assert.Single(await tenant.ClaimAsync()).Execution.Id);   // what waits goes on
        await owner.Workflows.UndeleteAsync(workflow.Id);
        Assert.NotNull(await owner.Executions.RetryAsync(execution.Id));
    }

    [Fact]
    public async Task The_trash_is_for_whoever_could_delete()
    {
        var tenant = await database.NewTenantAsync();
        var (workflow, owner) = await OwnedAsync(tenant);
        var writer = await tenant.Scope.Users.CreateAsync(new NewUser { Email = $"{Path.GetRandomFileName()}@example.com" });
        await owner.Shares.SetAsync(workflow.Id, writer.Id, ShareLevel.Write);
        await owner.Workflows.DeleteAsync(workflow.Id);

        var other = tenant.Store.Tenant(tenant.Id, Actor.User(writer.Id));
        Assert.Empty(await other.Workflows.ListTrashAsync(null, 9));
        await Assert.ThrowsAsync<NotFoundException>(() => other.Workflows.UndeleteAsync(workflow.Id));
        await Assert.ThrowsAsync<NotFoundException>(() => other.Workflows.PurgeAsync(workflow.Id));
        await owner.Workflows.PurgeAsync(workflow.Id);
        await Assert.ThrowsAsync<NotFoundException>(() => owner.Workflows.UndeleteAsync(workflow.Id));
    }

    [Fact]
    public async Task The_trash_is_emptied_after_its_days_but_for_what_executions_refer_to()
    {
        var alone = await database.AloneAsync();   // it empties all tenants'
        var tenant = await alone.NewTenantAsync();
        var (old, executed, recent) = (await tenant.CreateWorkflowAsync(), await tenant.CreateWorkflowAsync(), await tenant.CreateWorkflowAsync());
        await tenant.Scope.Workflows.UpdateAsync(old.Id, TestTenant.Definition("2"), 1);
        var execution = await tenant.StartAsync(executed);
        foreach (var workflow in new[] { old, executed })
            await tenant.Scope.Workflows.DeleteAsync(workflow.Id);
        tenant.Clock.Advance(TimeSpan.FromDays(29));
        await tenant.Scope.Workflows.DeleteAsync(recent.Id);

        Assert.Equal(0, await tenant.Store.Trash.PurgeAsync());
        tenant.Clock.Advance(TimeSpan.FromDays(1));
        Assert.Equal(1, await tenant.Store.Trash.PurgeAsync());
        Assert.Equal(new[] { recent.Id, executed.Id }.OrderDescending(), (await tenant.Scope.Workflows.ListTrashAsync(null, 9)).Select(w => w.Id));
        await Assert.ThrowsAsync<ConflictException>(() => tenant.Scope.Workflows.PurgeAsync(executed.Id));
        Assert.Equal(1, (await tenant.Scope.Executions.TimelineAsync(execution.Id)).Execution.WorkflowVersion);

        await tenant.Store.Trash.SetDaysAsync(tenant.Id, 0);
        Assert.Equal(1, await tenant.Store.Trash.PurgeAsync());
        Assert.Equal([executed.Id], (await tenant.Scope.Workflows.ListTrashAsync(null, 9)).Select(w => w.Id));
    }
}
