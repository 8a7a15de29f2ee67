using Flowstone.Executions;
using Flowstone.Users;
using Flowstone.Workflows;

namespace Flowstone.Tenancy;

/// <summary>What one actor may do in one tenant. There is no other way to a repository.</summary>
public sealed class TenantScope
{
    internal TenantScope(TenantDatabase database, Actor actor, TimeProvider clock, NodeOrdinals nodes, PayloadStore payloads, GroupCommit writes, QueueLanes lanes)
    {
        Actor = actor;
        TenantId = database.TenantId;
        Users = new UserRepository(database, clock);
        Teams = new TeamRepository(database, clock);
        Workflows = new WorkflowRepository(database, actor, clock);
        Executions = new ExecutionRepository(database, actor, clock, nodes, payloads, writes, lanes);
        Queue = new QueueControl(database, clock, lanes);
        PayloadPolicies = new PayloadPolicyRepository(database, payloads);
    }

    public Id<Tenant> TenantId { get; }
    public Actor Actor { get; }
    public UserRepository Users { get; }
    public TeamRepository Teams { get; }
    public WorkflowRepository Workflows { get; }
    public ExecutionRepository Executions { get; }

    /// <summary>Pauses and limits.</summary>
    public QueueControl Queue { get; }

    public PayloadPolicyRepository PayloadPolicies { get; }
}
