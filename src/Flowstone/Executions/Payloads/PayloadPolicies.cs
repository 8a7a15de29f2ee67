using System.Collections.Concurrent;
using Flowstone.Data;
using Flowstone.Tenancy;
using Flowstone.Workflows;
using static Flowstone.Data.Sql;

namespace Flowstone.Executions;

/// <summary>
/// The policies, kept for seconds so that a write need not ask: what another process changes takes effect within <see cref="GoodFor"/>,
/// what this one changes at once.
/// </summary>
sealed class PayloadPolicies(Database app, TimeProvider clock)
{
    public static readonly TimeSpan GoodFor = TimeSpan.FromSeconds(5);

    const int Most = 65_536;

    readonly ConcurrentDictionary<(Id<Tenant> Tenant, Id<Workflow> Workflow), Known> known = new();

    sealed class Known(Task<EffectivePolicy> load, DateTimeOffset at)
    {
        int asked;

        public Task<EffectivePolicy> Load => load;
        public DateTimeOffset At => at;
        public bool IsFirstToAskAgain => Interlocked.Exchange(ref asked, 1) == 0;
    }

    public ValueTask<EffectivePolicy> GetAsync(Id<Tenant> tenant, Id<Workflow> workflow, CancellationToken cancellationToken)
    {
        var (key, now) = ((tenant, workflow), clock.Now());
        if (!known.TryGetValue(key, out var policy) || policy.Load.IsFaulted || now - policy.At >= GoodFor)
        {
            if (known.Count >= Most)
                known.Clear();
            known[key] = policy = new Known(LoadAsync(key), now);
        }
        else if (now - policy.At > GoodFor / 2 && policy.IsFirstToAskAgain)
            _ = RefreshAsync(key, policy, now);   // beforehand, so that a busy workflow's writes never wait for it
        return policy.Load.IsCompletedSuccessfully ? new(policy.Load.Result) : new(policy.Load.WaitAsync(cancellationToken));
    }

    public void Forget() => known.Clear();

    async Task RefreshAsync((Id<Tenant>, Id<Workflow>) key, Known old, DateTimeOffset now)
    {
        try
        {
            known.TryUpdate(key, new Known(Task.FromResult(await LoadAsync(key)), now), old);
        }
        catch (FlowstoneException)
        {
            // The old one is good for as long again; after that, whoever writes is told.
        }
    }

    async Task<EffectivePolicy> LoadAsync((Id<Tenant> Tenant, Id<Workflow> Workflow) key)
    {
        const string Read = """
            select coalesce(w.payload_limit, t.payload_limit), coalesce(w.payload_overflow, t.payload_overflow), t.seal_payloads
              from flowstone.tenants t left join flowstone.workflows w on w.tenant_id = t.id and w.id = $2
             where t.id = $1
            """;
        var policy = EffectivePolicy.None;
        await app.TransactAsync(key.Tenant.ToString(), [new Statement(Read, P(key.Tenant), P(key.Workflow))],
            row => policy = new EffectivePolicy(
                row.Get<long?>(0) ?? long.MaxValue,
                row.Get<string>(1) is { } overflow ? EnumText<PayloadOverflow>.Parse(overflow) : PayloadOverflow.Reject,
                row.GetBoolean(2)), CancellationToken.None);
        return policy;
    }
}
