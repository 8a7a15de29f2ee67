using Flowstone.Permissions;
using Flowstone.Tenancy;
using Flowstone.Workflows;
using static Flowstone.Data.Sql;

namespace Flowstone.Executions;

/// <summary>Pauses and limits of a tenant's queue.</summary>
public sealed class QueueControl
{
    const int AtOnce = 5000;

    readonly TenantDatabase database;
    readonly AccessRule access;
    readonly TimeProvider clock;
    readonly QueueLanes lanes;

    internal QueueControl(TenantDatabase database, AccessRule access, TimeProvider clock, QueueLanes lanes)
        => (this.database, this.access, this.clock, this.lanes) = (database, access, clock, lanes);

    /// <summary>Nothing of the tenant is handed out any more. What runs goes on.</summary>
    /// <exception cref="AccessDeniedException">Only administrators may.</exception>
    public async Task PauseAsync(CancellationToken cancellationToken = default)
    {
        await access.RequireAdministratorAsync(cancellationToken);
        await database.ExecuteAsync("update flowstone.tenants set paused_at = coalesce(paused_at, $2) where id = $1", [P(clock.Now())], cancellationToken);
    }

    /// <summary>Ends <see cref="PauseAsync(CancellationToken)"/>: in other processes within a second.</summary>
    /// <exception cref="AccessDeniedException">Only administrators may.</exception>
    public async Task ResumeAsync(CancellationToken cancellationToken = default)
    {
        await access.RequireAdministratorAsync(cancellationToken);
        await database.ExecuteAsync("update flowstone.tenants set paused_at = null where id = $1", [], cancellationToken);
    }

    /// <summary>Executions of the workflow can be started, but are not handed out. What runs goes on.</summary>
    /// <exception cref="NotFoundException">This tenant has no such workflow.</exception>
    public async Task PauseAsync(Id<Workflow> workflow, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(AccessLevel.Write, workflow, cancellationToken);
        if (await database.ExecuteAsync("update flowstone.workflows set paused_at = coalesce(paused_at, $3) where tenant_id = $1 and id = $2",
            [P(workflow), P(clock.Now())], cancellationToken) == 0)
            throw new NotFoundException("Workflow", workflow);
    }

    /// <summary>Ends <see cref="PauseAsync(Id{Workflow}, CancellationToken)"/>. What waited is handed out as it was due.</summary>
    /// <exception cref="NotFoundException">This tenant has no such workflow.</exception>
    public async Task ResumeAsync(Id<Workflow> workflow, CancellationToken cancellationToken = default)
    {
        await access.RequireAsync(AccessLevel.Write, workflow, cancellationToken);
        if (await database.ExecuteAsync("update flowstone.workflows set paused_at = null where tenant_id = $1 and id = $2", [P(workflow)], cancellationToken) == 0)
            throw new NotFoundException("Workflow", workflow);
        await LetGoOnAsync($"paused:{workflow}", int.MaxValue, cancellationToken);
    }

    /// <summary>How many executions of the workflow may run at once, over all workers.</summary>
    /// <param name="maximum">1 or more; null is without limit.</param>
    /// <exception cref="NotFoundException">This tenant has no such workflow.</exception>
    public async Task LimitAsync(Id<Workflow> workflow, int? maximum, CancellationToken cancellationToken = default)
    {
        if (maximum < 1)
            throw new InvalidInputException("maximum", "must be 1 or more, or nothing for no limit.");
        await access.RequireAsync(AccessLevel.Write, workflow, cancellationToken);

        // What runs already counts from now on; more than the limit may run until some of it has ended.
        const string Limit = "update flowstone.workflows set max_concurrency = $3 where tenant_id = $1 and id = $2";
        const string Make = """
            insert into flowstone.execution_limits as l (tenant_id, name, maximum, running) select $1, $2, $3, 0 where $3 is not null
            on conflict (tenant_id, name) do update set maximum = excluded.maximum
            """;
        const string Count = """
            with counted as (
                update flowstone.execution_queue q set holds = array_append(coalesce(q.holds, '{}'), $2)
                 where q.tenant_id = $1 and q.workflow_id = $3 and q.worker is not null and not coalesce($2 = any(q.holds), false) and $4 is not null returning 1)
            update flowstone.execution_limits l set running = l.running + (select count(*)::int from counted) where l.tenant_id = $1 and l.name = $2
            """;
        const string Remove = "delete from flowstone.execution_limits where tenant_id = $1 and name = $2 and $3 is null";
        var name = $"workflow:{workflow}";
        var changed = await database.ExecuteAsync(
        [
            (Limit, [P(workflow), P(maximum)]),
            (Make, [P(name), P(maximum)]),
            (Count, [P(name), P(workflow), P(maximum)]),
            (Remove, [P(name), P(maximum)]),
        ], cancellationToken);
        if (changed[0] == 0)
            throw new NotFoundException("Workflow", workflow);
        await LetGoOnAsync($"workflow:{workflow}", maximum ?? int.MaxValue, cancellationToken);
    }

    /// <summary>Lets those go on that were parked for a name; a claim parks again what is still too many.</summary>
    async Task LetGoOnAsync(string parkedFor, int most, CancellationToken cancellationToken)
    {
        const string LetGoOn = """
            update flowstone.execution_queue q set visible_at = coalesce($4, now()), parked_for = null
              from (select p.shard_key, p.execution_id from flowstone.execution_queue p where p.tenant_id = $1 and p.parked_for = $2
                     order by p.priority desc limit $3 for update skip locked) next
             where q.shard_key = next.shard_key and q.execution_id = next.execution_id and q.tenant_id = $1
            returning q.priority
            """;
        while (most > 0)
        {
            var freed = await database.QueryAsync(LetGoOn, [P(parkedFor), P(Math.Min(most, AtOnce)), P(ExecutionRepository.DatabaseNow(clock))], row => row.GetInt16(0), cancellationToken);
            if (freed.Count == 0)
                return;
            lanes.Add(freed.Distinct().Select(priority => new QueuedWork(database.TenantId, priority, null)), clock.Now());
            most -= freed.Count;
        }
    }
}
