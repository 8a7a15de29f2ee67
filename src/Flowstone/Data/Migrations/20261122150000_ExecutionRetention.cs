using System;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Flowstone.Data.Migrations
{
    /// <summary>Weeks that are past their time are dropped as a whole. The model is the one before.</summary>
    [DbContext(typeof(FlowstoneDb))]
    [Migration("20261122150000_ExecutionRetention")]
    public partial class ExecutionRetention : Migration
    {
        // For the worker's role alone. The wait for the locks is shorter than deadlock_timeout, so that it is this function that gives way, and not a writer.
        const string ExpirePartitionFunction = """
            create function flowstone.expire_partition(week date, at timestamptz, days int, dry boolean, besides date[]) returns bigint
            language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '800ms' set enable_hashjoin = 'on' as $$
            declare
                first uuid := flowstone.lowest_id(week::timestamp at time zone 'UTC');
                behind uuid := flowstone.lowest_id((week + 7)::timestamp at time zone 'UTC');
                parent text;
                executions bigint;
            begin
                if extract(isodow from week) <> 1 or days < 1 or to_regclass('flowstone_partitions.executions' || to_char(week, '_YYYYMMDD')) is null then
                    return null;
                end if;

                -- Something is unfinished, or finished later than its tenant's cut; a tenant that is gone keeps nothing.
                if exists (select from flowstone.executions e left join flowstone.tenants t on t.id = e.tenant_id
                            where e.id >= first and e.id < behind
                              and (e.finished_at is null or e.finished_at >= least(at, now()) - make_interval(days => coalesce((t.settings ->> 'retentionDays')::int, days)))) then
                    return null;
                end if;
                select count(*) into executions from flowstone.executions e where e.id >= first and e.id < behind;
                if not dry then
                    lock table only flowstone.executions, only flowstone.node_executions, only flowstone.payloads, only flowstone.execution_attributes, only flowstone.execution_signals
                        in access exclusive mode;
                end if;

                -- A retry or a fork that lies elsewhere shares its payloads; not in the other weeks that go. With the locks, no other can come.
                if exists (select from (select e.id from flowstone.executions e where e.retry_of >= first and e.retry_of < behind
                                        union all select e.id from flowstone.executions e where e.forked_from >= first and e.forked_from < behind) e
                            where (e.id < first or e.id >= behind)
                              and not exists (select from unnest(besides) other where e.id >= flowstone.lowest_id(other::timestamp at time zone 'UTC')
                                                                                  and e.id < flowstone.lowest_id((other + 7)::timestamp at time zone 'UTC'))) then
                    return null;
                end if;
                if not dry then
                    foreach parent in array array['executions', 'node_executions', 'payloads', 'execution_attributes', 'execution_signals'] loop
                        execute format('drop table if exists flowstone_partitions.%I', parent || to_char(week, '_YYYYMMDD'));
                    end loop;
                end if;
                return executions;
            end $$;
            """;

        protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(ExpirePartitionFunction);

        // Forward only: a release is undone by restoring the backup taken before it.
        protected override void Down(MigrationBuilder migrationBuilder) => throw new NotSupportedException();
    }
}
