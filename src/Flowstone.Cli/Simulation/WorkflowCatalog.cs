using System.Collections.Concurrent;
using Flowstone.Tenancy;
using Flowstone.Workflows;

namespace Flowstone.Cli.Simulation;

/// <summary>The tenants that take part, their workflows, and the plans of the versions that run.</summary>
sealed class WorkflowCatalog
{
    const int PageSize = 200;

    readonly FlowstoneStore store;
    readonly ConcurrentDictionary<(Id<Tenant>, Id<Workflow>, int), GraphPlan> plans = new();

    public sealed record Member(TenantScope Scope, IReadOnlyList<Workflow> Workflows);

    WorkflowCatalog(FlowstoneStore store, IReadOnlyList<Member> members) => (this.store, Members) = (store, members);

    public IReadOnlyList<Member> Members { get; }

    public IEnumerable<Id<Tenant>> TenantIds => Members.Select(m => m.Scope.TenantId);

    /// <exception cref="SimulationException">There is no such tenant, or none has a workflow.</exception>
    public static async Task<WorkflowCatalog> LoadAsync(FlowstoneStore store, SimulationOptions options, CancellationToken cancellationToken)
    {
        var all = await store.Tenants.ListAsync(cancellationToken);
        if (options.TenantSlugs.FirstOrDefault(slug => all.All(t => t.Slug != slug)) is { } missing)
            throw new SimulationException($"There is no tenant '{missing}'.");
        var members = new List<Member>();
        foreach (var tenant in all.Where(t => options.TenantSlugs.Count == 0 || options.TenantSlugs.Contains(t.Slug)))
        {
            if (options.TenantSlugs.Count == 0 && members.Count == options.Tenants)
                break;
            var scope = Scope(store, tenant.Id);
            if (await WorkflowsAsync(scope, cancellationToken) is { Count: > 0 } workflows)
                members.Add(new Member(scope, workflows));
        }
        return members.Count > 0 ? new WorkflowCatalog(store, members)
            : throw new SimulationException("No tenant has a workflow to run: make some first, for instance by 'flowstone seed' or 'flowstone import n8n'.");
    }

    /// <summary>For what was started before; nothing is started.</summary>
    public static WorkflowCatalog Of(FlowstoneStore store, IEnumerable<Id<Tenant>> tenants)
        => new(store, [.. tenants.Distinct().Select(id => new Member(Scope(store, id), []))]);

    public TenantScope Scope(Id<Tenant> tenant) => Scope(store, tenant);

    public async Task<GraphPlan> PlanAsync(Id<Tenant> tenant, Id<Workflow> workflow, int version, CancellationToken cancellationToken)
    {
        if (plans.TryGetValue((tenant, workflow, version), out var known))
            return known;
        var found = await Scope(tenant).Workflows.FindVersionAsync(workflow, version, cancellationToken)
            ?? throw new NotFoundException($"Workflow {workflow} version", version);
        return plans[(tenant, workflow, version)] = GraphPlan.Create(WorkflowGraph.Read(found.Definition));
    }

    static TenantScope Scope(FlowstoneStore store, Id<Tenant> tenant) => store.Tenant(tenant, Actor.System("simulate"));

    // In the order of their making, so that a seed picks the same ones again.
    static async Task<List<Workflow>> WorkflowsAsync(TenantScope scope, CancellationToken cancellationToken)
    {
        var workflows = new List<Workflow>();
        for (Id<Workflow>? before = null; ;)
        {
            var page = await scope.Workflows.ListAsync(new WorkflowFilter(), before, PageSize, cancellationToken);
            workflows.AddRange(page.Where(w => w.Status != WorkflowStatus.Archived));
            if (page.Count < PageSize)
                return [.. workflows.OrderBy(w => w.Id)];
            before = page[^1].Id;
        }
    }
}
