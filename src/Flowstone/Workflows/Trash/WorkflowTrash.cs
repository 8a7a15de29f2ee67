using Flowstone.Data;
using Flowstone.Tenancy;
using static Flowstone.Data.Sql;

namespace Flowstone.Workflows;

/// <summary>
/// Empties the trash of all tenants of what has lain there long enough. A workflow whose executions are kept waits until retention took them: they refer
/// to its versions. Several processes may do it at once.
/// </summary>
public sealed class WorkflowTrash
{
    public const int DefaultDays = 30;

    const int AtOnce = 100;

    readonly Database app;
    readonly TenantDirectory tenants;
    readonly TimeProvider clock;

    internal WorkflowTrash(Database app, TenantDirectory tenants, TimeProvider clock) => (this.app, this.tenants, this.clock) = (app, tenants, clock);

    /// <summary>Deletes for good what was deleted longer ago than the tenant keeps it.</summary>
    /// <param name="days">For tenants that say nothing themselves; 0 is all.</param>
    /// <returns>How many workflows.</returns>
    public async Task<int> PurgeAsync(int days = DefaultDays, CancellationToken cancellationToken = default)
    {
        if (days is < 0 or > 36500)
            throw new InvalidInputException("days", "must be 0 to 36,500.");
        var (now, purged) = (clock.Now(), 0);
        foreach (var tenant in await tenants.ListAsync(cancellationToken))
            purged += await PurgeAsync(new TenantDatabase(app, tenant.Id), days, now, cancellationToken);
        return purged;
    }

    /// <summary>Says how long a tenant keeps what is in the trash; null leaves it to the default.</summary>
    /// <exception cref="NotFoundException">There is no such tenant.</exception>
    public async Task SetDaysAsync(Id<Tenant> tenant, int? days, CancellationToken cancellationToken = default)
    {
        if (days is < 0 or > 36500)
            throw new InvalidInputException("days", "must be 0 to 36,500.");
        const string Set = """
            update flowstone.tenants set settings = case when $2 is null then settings - 'trashDays' else jsonb_set(settings, '{trashDays}', to_jsonb($2)) end where id = $1
            """;
        if (await new TenantDatabase(app, tenant).ExecuteAsync(Set, [P(days)], cancellationToken) == 0)
            throw new NotFoundException("Tenant", tenant);
    }

    static async Task<int> PurgeAsync(TenantDatabase database, int days, DateTimeOffset now, CancellationToken cancellationToken)
    {
        const string Due = """
            select w.id from flowstone.workflows w join flowstone.tenants t on t.id = w.tenant_id
             where w.tenant_id = $1 and w.deleted_at <= $2 - make_interval(days => coalesce((t.settings ->> 'trashDays')::int, $3))
               and not exists (select from flowstone.executions e where e.tenant_id = $1 and e.workflow_id = w.id)
             order by w.deleted_at limit $4
            """;
        for (var purged = 0; ;)
        {
            var before = purged;
            var due = await database.QueryAsync(Due, [P(now), P(days), P(AtOnce)], row => new Id<Workflow>(row.GetGuid(0)), cancellationToken);
            foreach (var workflow in due)
                purged += await PurgeAsync(database, workflow, cancellationToken) ? 1 : 0;
            if (due.Count < AtOnce || purged == before)
                return purged;
        }
    }

    /// <returns>False if an execution still refers to it, or somebody took it out.</returns>
    internal static async Task<bool> PurgeAsync(TenantDatabase database, Id<Workflow> workflow, CancellationToken cancellationToken)
    {
        // What refers to it by a key goes with it; an execution's key is in the way, and then nothing goes.
        const string Purge = """
            with gone as (delete from flowstone.workflows w where w.tenant_id = $1 and w.id = $2 and w.deleted_at is not null returning w.id),
            deltas as (delete from flowstone.execution_deltas x using gone where x.tenant_id = $1 and x.workflow_id = gone.id),
            sums as (delete from flowstone.execution_statistics x using gone where x.tenant_id = $1 and x.workflow_id = gone.id),
            limits as (delete from flowstone.execution_limits l using gone where l.tenant_id = $1 and l.name = 'workflow:' || gone.id)
            select 1 from gone
            """;
        try
        {
            return (await database.QueryAsync(Purge, [P(workflow)], row => row.GetInt32(0), cancellationToken)).Count > 0;
        }
        catch (InvalidInputException)
        {
            return false;
        }
    }
}
