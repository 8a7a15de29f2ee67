using Flowstone.Data;
using Flowstone.Permissions;
using Flowstone.Tenancy;
using Flowstone.Workflows;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Executions;

/// <summary>How large payloads may be, what becomes of larger ones, and whether they are encrypted. A change takes effect within seconds everywhere.</summary>
public sealed class PayloadPolicyRepository
{
    readonly TenantDatabase database;
    readonly AccessRule access;
    readonly PayloadStore payloads;

    internal PayloadPolicyRepository(TenantDatabase database, AccessRule access, PayloadStore payloads)
        => (this.database, this.access, this.payloads) = (database, access, payloads);

    /// <summary>What the tenant decides for its workflows.</summary>
    public async Task<TenantPayloadPolicy> GetAsync(CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(AccessLevel.Read, cancellationToken);
        return (await database.QueryAsync("select payload_limit, payload_overflow, seal_payloads from flowstone.tenants where id = $1", [],
            row => new TenantPayloadPolicy { LimitBytes = row.Get<long?>(0), Overflow = Overflow(row), Seal = row.GetBoolean(2) }, cancellationToken)).Single();
    }

    /// <summary>What the workflow decides by itself.</summary>
    /// <exception cref="NotFoundException">This tenant has no such workflow.</exception>
    public async Task<PayloadPolicy> GetAsync(Id<Workflow> workflow, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(AccessLevel.View, workflow, cancellationToken);
        return (await database.QueryAsync("select payload_limit, payload_overflow from flowstone.workflows where tenant_id = $1 and id = $2", [P(workflow)],
            row => new PayloadPolicy { LimitBytes = row.Get<long?>(0), Overflow = Overflow(row) }, cancellationToken)).SingleOrDefault()
            ?? throw new NotFoundException("Workflow", workflow);
    }

    /// <exception cref="AccessDeniedException">Only administrators may.</exception>
    /// <exception cref="InvalidInputException">It asks for an object store or a key that this process does not have.</exception>
    public async Task SetAsync(TenantPayloadPolicy policy, CancellationToken cancellationToken = default)
    {
        await access.RequireAdministratorAsync(cancellationToken);
        policy.Check(payloads.HasObjects);
        if (policy.Seal && !payloads.Sealer.CanSeal)
            throw new InvalidInputException("seal", "needs a master key: set FLOWSTONE_KEY_FILE, FLOWSTONE_MASTER_KEY or FLOWSTONE_KMS_KEY (docs/credentials.md).");
        const string Set = "update flowstone.tenants set payload_limit = $2, payload_overflow = $3, seal_payloads = $4 where id = $1";
        await database.ExecuteAsync(Set, [P(policy.LimitBytes), Overflow(policy), P(policy.Seal)], cancellationToken);
        payloads.Policies.Forget();
    }

    /// <exception cref="NotFoundException">This tenant has no such workflow.</exception>
    /// <exception cref="InvalidInputException">It asks for an object store that this process does not have.</exception>
    public async Task SetAsync(Id<Workflow> workflow, PayloadPolicy policy, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(AccessLevel.Write, workflow, cancellationToken);
        policy.Check(payloads.HasObjects);
        const string Set = "update flowstone.workflows set payload_limit = $3, payload_overflow = $4 where tenant_id = $1 and id = $2";
        if (await database.ExecuteAsync(Set, [P(workflow), P(policy.LimitBytes), Overflow(policy)], cancellationToken) == 0)
            throw new NotFoundException("Workflow", workflow);
        payloads.Policies.Forget();
    }

    static PayloadOverflow? Overflow(NpgsqlDataReader row) => row.Get<string>(1) is { } text ? EnumText<PayloadOverflow>.Parse(text) : null;

    static NpgsqlParameter Overflow(PayloadPolicy policy) => P(policy.Overflow is { } overflow ? EnumText<PayloadOverflow>.Of(overflow) : null);
}
