using System.Text.Json;
using Flowstone.Credentials;
using Flowstone.Executions;
using Flowstone.Tenancy;
using Flowstone.Workflows;
using Npgsql;

namespace Flowstone.Tests;

/// <summary>A tenant, its repositories, its clock, and builders that default everything.</summary>
public sealed class TestTenant
{
    readonly FlowstoneStore store;

    TestTenant(FlowstoneStore store, ManualClock clock, Tenant tenant)
        => (this.store, Clock, Tenant, Scope) = (store, clock, tenant, store.Tenant(tenant.Id, Actor.System("test")));

    public ManualClock Clock { get; }
    public Tenant Tenant { get; }
    public TenantScope Scope { get; }
    public Id<Tenant> Id => Tenant.Id;
    public ExecutionQueue Queue => store.Queue;
    public FlowstoneStore Store => store;

    internal static async Task<TestTenant> CreateAsync(NpgsqlDataSource source, PayloadSettings? settings, IKeyRing? keys = null)
    {
        var clock = new ManualClock();
        var store = new FlowstoneStore(source, clock, settings, keys: keys ?? TestKeys.Ring);   // not disposed: the data source is shared
        var slug = $"t{Path.GetRandomFileName().Replace(".", "", StringComparison.Ordinal)}";
        return new TestTenant(store, clock, await store.Tenants.CreateAsync(slug, "Test"));
    }

    public static JsonElement Definition(string name = "Test", int nodes = 3, string? note = null)
        => JsonSerializer.SerializeToElement(new
        {
            name,
            nodes = Enumerable.Range(0, nodes).Select(i => new { id = $"n{i}", name = $"Node {i}", type = "test.node", note }),
            edges = Enumerable.Range(1, Math.Max(0, nodes - 1)).Select(i => new { source = $"n{i - 1}", output = "main", outputIndex = 0, target = $"n{i}", input = "main", inputIndex = 0 }),
        });

    public async Task<Workflow> CreateWorkflowAsync(string name = "Test", int nodes = 3)
        => await Scope.Workflows.CreateAsync(new NewWorkflow { Definition = Definition(name, nodes) });

    /// <summary>Starts an execution, of a new workflow unless one is given.</summary>
    public async Task<Execution> StartAsync(Workflow? workflow = null, short priority = 0, DateTimeOffset? dueAt = null, PayloadBody? input = null)
        => await Scope.Executions.StartAsync(new NewExecution
        {
            WorkflowId = (workflow ?? await CreateWorkflowAsync()).Id,
            Priority = priority,
            DueAt = dueAt,
            Input = input,
        });

    public Task<IReadOnlyList<ClaimedExecution>> ClaimAsync(string worker = "worker", int limit = 10, TimeSpan? lease = null)
        => Queue.ClaimAsync(new ClaimRequest { Worker = worker, Limit = limit, Lease = lease ?? TimeSpan.FromSeconds(30), TenantId = Id });

    /// <summary>Starts one execution and claims it.</summary>
    public async Task<ClaimedExecution> StartAndClaimAsync()
    {
        await StartAsync();
        return Assert.Single(await ClaimAsync());
    }

    /// <summary>What this tenant's store would find after another process had opened the database.</summary>
    internal TestTenant InAnotherProcess(NpgsqlDataSource source, PayloadSettings? settings = null, IKeyRing? keys = null) => new(new FlowstoneStore(source, Clock, settings, keys: keys ?? TestKeys.Ring), Clock, Tenant);

    public static PayloadBody Json(string text) => new(System.Text.Encoding.UTF8.GetBytes(text));
}
