using Flowstone.Data;
using Flowstone.Tenancy;
using static Flowstone.Data.Sql;

namespace Flowstone.Executions;

/// <summary>
/// Adds up what ended, so that no run waits for a counter: each leaves a row of its own, and these go into hourly sums later. Who reads
/// statistics adds both, so they are right at any moment, folded or not.
/// </summary>
public sealed class StatisticsFold
{
    const int RowsAtOnce = 5_000;
    const int TenantsAtOnce = 200;

    readonly Database app;
    readonly TenantDirectory tenants;

    internal StatisticsFold(Database app, TenantDirectory tenants) => (this.app, this.tenants) = (app, tenants);

    /// <summary>Folds what there is, for all tenants. Several processes may do it at once, and it may be killed at any point.</summary>
    /// <returns>How many rows went into the sums.</returns>
    public async Task<long> RunAsync(CancellationToken cancellationToken = default)
    {
        var folded = 0L;
        foreach (var chunk in (await tenants.ListAsync(cancellationToken)).Select(tenant => tenant.Id).Chunk(TenantsAtOnce))
        {
            foreach (var tenant in await WithDeltasAsync(chunk, cancellationToken))
            {
                for (var rows = RowsAtOnce; rows == RowsAtOnce; folded += rows)
                    rows = await FoldAsync(tenant, cancellationToken);
            }
        }
        return folded;
    }

    async Task<List<Id<Tenant>>> WithDeltasAsync(Id<Tenant>[] among, CancellationToken cancellationToken)
    {
        const string Find = "select t.id from unnest($1) t (id) where exists (select from flowstone.execution_deltas d where d.tenant_id = t.id)";
        var found = new List<Id<Tenant>>();
        await app.TransactAsync(string.Join(',', among), [new(Find, P(Array.ConvertAll(among, id => id.Value)))], row => found.Add(new(row.GetGuid(0))), cancellationToken);
        return found;
    }

    /// <summary>A batch of one tenant. What another process folds at this moment is left to it.</summary>
    async Task<int> FoldAsync(Id<Tenant> tenant, CancellationToken cancellationToken)
    {
        const string Fold = """
            with taken as (
                delete from flowstone.execution_deltas d
                 using (select delta_id from flowstone.execution_deltas where tenant_id = $1 limit $2 for update skip locked) batch
                 where d.tenant_id = $1 and d.delta_id = batch.delta_id
                returning d.*),
            added as (
                insert into flowstone.execution_statistics as s (tenant_id, workflow_id, hour, status, bucket, executions, duration_ms, wait_ms)
                select tenant_id, workflow_id, hour, status, bucket, sum(executions), sum(duration_ms), sum(wait_ms) from taken
                 group by tenant_id, workflow_id, hour, status, bucket order by workflow_id, hour, status, bucket
                on conflict (tenant_id, workflow_id, hour, status, bucket) do update
                   set executions = s.executions + excluded.executions, duration_ms = s.duration_ms + excluded.duration_ms, wait_ms = s.wait_ms + excluded.wait_ms)
            select count(*)::int from taken
            """;
        return (await new TenantDatabase(app, tenant).SearchAsync(Fold, [P(RowsAtOnce)], row => row.GetInt32(0), cancellationToken)).Single();
    }
}
