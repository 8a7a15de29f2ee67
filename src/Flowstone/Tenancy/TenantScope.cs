using Flowstone.Credentials;
using Flowstone.Data;
using Flowstone.Executions;
using Flowstone.Permissions;
using Flowstone.Users;
using Flowstone.Workflows;

namespace Flowstone.Tenancy;

/// <summary>What one actor may do in one tenant. There is no other way to a repository.</summary>
public sealed class TenantScope
{
    internal TenantScope(
        TenantDatabase database, Database app, SecretSealer secrets, KeyRotation rotation, LoginAttempts.Limits limits, int maxDefinitionBytes, Actor actor, TimeProvider clock, NodeOrdinals nodes, PayloadStore payloads, GroupCommit writes, QueueLanes lanes)
    {
        Actor = actor;
        TenantId = database.TenantId;
        var access = new AccessRule(database, actor, clock);
        Users = new UserRepository(database, access, limits, clock);
        Sessions = new SessionRepository(database, access, clock);
        TwoFactor = new TwoFactor(database, app, access, secrets, limits, clock);
        ApiKeys = new ApiKeyRepository(database, access, clock);
        Teams = new TeamRepository(database, access, clock);
        Workflows = new WorkflowRepository(database, access, maxDefinitionBytes, clock);
        Shares = new WorkflowShareRepository(database, access, clock);
        Comments = new WorkflowCommentRepository(database, access, clock);
        Credentials = new CredentialRepository(database, access, secrets, clock);
        CredentialShares = new CredentialShareRepository(database, access, clock);
        Schedules = new ScheduleRepository(database, access, clock);
        Transfer = new WorkflowTransfer(database, access, Workflows, Shares, Schedules, Credentials, clock);
        Keys = new TenantKeys(TenantId, access, rotation);
        Executions = new ExecutionRepository(database, access, clock, nodes, payloads, writes, lanes);
        Queue = new QueueControl(database, access, clock, lanes);
        PayloadPolicies = new PayloadPolicyRepository(database, access, payloads);
    }

    public Id<Tenant> TenantId { get; }
    public Actor Actor { get; }
    public UserRepository Users { get; }

    /// <summary>The devices on which users are signed in.</summary>
    public SessionRepository Sessions { get; }

    /// <summary>The second factor of users.</summary>
    public TwoFactor TwoFactor { get; }

    public ApiKeyRepository ApiKeys { get; }
    public TeamRepository Teams { get; }
    public WorkflowRepository Workflows { get; }

    /// <summary>With whom workflows are shared.</summary>
    public WorkflowShareRepository Shares { get; }

    /// <summary>What is said of workflows and their nodes.</summary>
    public WorkflowCommentRepository Comments { get; }

    public CredentialRepository Credentials { get; }

    /// <summary>With whom credentials are shared.</summary>
    public CredentialShareRepository CredentialShares { get; }

    /// <summary>When workflows are started by themselves.</summary>
    public ScheduleRepository Schedules { get; }

    /// <summary>Copies, exports and imports workflows.</summary>
    public WorkflowTransfer Transfer { get; }

    /// <summary>What seals the tenant's secrets.</summary>
    public TenantKeys Keys { get; }

    public ExecutionRepository Executions { get; }

    /// <summary>Pauses and limits.</summary>
    public QueueControl Queue { get; }

    public PayloadPolicyRepository PayloadPolicies { get; }
}
