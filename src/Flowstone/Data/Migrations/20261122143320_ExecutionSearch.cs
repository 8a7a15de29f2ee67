using System;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Flowstone.Data.Migrations
{
    /// <summary>What did not succeed is found by workflow and by a part of its error.</summary>
    public partial class ExecutionSearch : Migration
    {
        // The operators need an owner's schema, or the one where somebody installed them before.
        const string TrigramIndex = """
            do $$ declare
                place name;
            begin
                if not exists (select from pg_extension where extname = 'pg_trgm') then
                    create schema if not exists flowstone_extensions;
                    create extension pg_trgm schema flowstone_extensions;
                end if;
                select n.nspname into place from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'pg_trgm';
                execute format('create index ix_executions_by_error on flowstone.executions using gin (error %I.gin_trgm_ops) where error is not null', place);
            end $$;
            """;

        // "Contains" is not leakproof, so under row-level security PostgreSQL asks it only of rows that the policy let through, and never
        // of an index. The owner asks for the application, for one tenant, which must be among those of the transaction; the policy that
        // lets it read is "owner" (TenantPolicies). Composed, so that each call is planned for its own values.
        const string FindErrorsFunction = """
            create function flowstone.find_errors(tenant uuid, pattern text, workflow uuid, statuses text[], since uuid, below uuid, most int) returns setof uuid
            language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
            begin
                if (tenant = any (string_to_array(current_setting('flowstone.tenants', true), ',')::uuid[])) is not true then
                    raise insufficient_privilege using message = 'find_errors: not a tenant of this transaction';
                end if;
                return query execute
                    'select e.id from flowstone.executions e where e.tenant_id = $1 and e.reason is not null and e.error is not null and e.error ilike $2'
                    || case when workflow is null then '' else ' and e.workflow_id = $3' end
                    || case when statuses is null then '' else ' and e.status = any ($4)' end
                    || case when since is null then '' else ' and e.id >= $5' end
                    || case when below is null then '' else ' and e.id < $6' end
                    || ' order by e.id desc limit $7'
                    using tenant, pattern, workflow, statuses, since, below, most;
            end $$;
            """;

        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.CreateIndex(
                name: "ix_executions_unsuccessful_by_workflow",
                schema: "flowstone",
                table: "executions",
                columns: new[] { "tenant_id", "workflow_id", "id" },
                descending: new[] { false, false, true },
                filter: "reason is not null");

            migrationBuilder.Sql(TrigramIndex);
            migrationBuilder.Sql(FindErrorsFunction);
        }

        // Forward only: a release is undone by restoring the backup taken before it.
        protected override void Down(MigrationBuilder migrationBuilder) => throw new NotSupportedException();
    }
}
