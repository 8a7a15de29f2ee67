using System;
using System.Text.Json;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Flowstone.Data.Migrations
{
    /// <summary>Limits, pauses, dedup keys, retries, forks, signals, statistics, spilled payloads; short payloads within the row.</summary>
    public partial class ExecutionPlane : Migration
    {
        const string PartitionsFunction = """
            create or replace function flowstone.create_partitions(since timestamptz, until timestamptz) returns int
            language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '5s' as $$
            declare
                week timestamptz := date_trunc('week', since at time zone 'UTC') at time zone 'UTC';
                parent text;
                partition text;
                created int := 0;
            begin
                perform pg_advisory_xact_lock(hashtext('flowstone.create_partitions'));   -- two at once would both find one missing
                if until > since + interval '10 years' then
                    raise exception 'create_partitions: at most ten years at a time';
                end if;
                while week < until loop
                    foreach parent in array array['executions', 'node_executions', 'payloads', 'execution_attributes', 'execution_signals'] loop
                        partition := parent || to_char(week at time zone 'UTC', '_YYYYMMDD');
                        if to_regclass('flowstone_partitions.' || partition) is null then
                            -- Made alone and then attached: `partition of` would stop all reads and writes of the parent until the commit.
                            execute format('create table flowstone_partitions.%I (like flowstone.%I including all) with (fillfactor = %s)',
                                partition, parent, case when parent in ('executions', 'node_executions') then 75 else 100 end);
                            execute format('alter table flowstone_partitions.%I enable row level security, force row level security', partition);
                            execute format('alter table flowstone.%I attach partition flowstone_partitions.%I for values from (%L) to (%L)',
                                parent, partition, flowstone.lowest_id(week), flowstone.lowest_id(week + interval '7 days'));
                            created := created + 1;
                        end if;
                    end loop;
                    week := week + interval '7 days';
                end loop;
                return created;
            end $$;
            """;

        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropIndex(
                name: "ix_execution_queue_by_tenant",
                schema: "flowstone",
                table: "execution_queue");

            migrationBuilder.DropIndex(
                name: "ix_execution_queue_claim",
                schema: "flowstone",
                table: "execution_queue");

            migrationBuilder.RenameColumn(
                name: "output_hash",
                schema: "flowstone",
                table: "node_executions",
                newName: "output");

            migrationBuilder.RenameColumn(
                name: "input_hash",
                schema: "flowstone",
                table: "node_executions",
                newName: "input");

            migrationBuilder.RenameColumn(
                name: "output_hash",
                schema: "flowstone",
                table: "executions",
                newName: "output");

            migrationBuilder.RenameColumn(
                name: "input_hash",
                schema: "flowstone",
                table: "executions",
                newName: "input");

            migrationBuilder.AddColumn<int>(
                name: "max_concurrency",
                schema: "flowstone",
                table: "workflows",
                type: "integer",
                nullable: true);

            migrationBuilder.AddColumn<DateTimeOffset>(
                name: "paused_at",
                schema: "flowstone",
                table: "workflows",
                type: "timestamp with time zone",
                nullable: true);

            migrationBuilder.AddColumn<long>(
                name: "payload_limit",
                schema: "flowstone",
                table: "workflows",
                type: "bigint",
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "payload_overflow",
                schema: "flowstone",
                table: "workflows",
                type: "character varying(24)",
                maxLength: 24,
                nullable: true);

            migrationBuilder.AddColumn<JsonElement>(
                name: "search_attributes",
                schema: "flowstone",
                table: "workflows",
                type: "jsonb",
                nullable: true);

            migrationBuilder.AddColumn<DateTimeOffset>(
                name: "paused_at",
                schema: "flowstone",
                table: "tenants",
                type: "timestamp with time zone",
                nullable: true);

            migrationBuilder.AddColumn<long>(
                name: "payload_limit",
                schema: "flowstone",
                table: "tenants",
                type: "bigint",
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "payload_overflow",
                schema: "flowstone",
                table: "tenants",
                type: "character varying(24)",
                maxLength: 24,
                nullable: true);

            migrationBuilder.AddColumn<bool>(
                name: "seal_payloads",
                schema: "flowstone",
                table: "tenants",
                type: "boolean",
                nullable: false,
                defaultValue: false);

            migrationBuilder.AlterColumn<byte[]>(
                name: "body",
                schema: "flowstone",
                table: "payloads",
                type: "bytea",
                nullable: true,
                oldClrType: typeof(byte[]),
                oldType: "bytea");

            migrationBuilder.AddColumn<string>(
                name: "object_key",
                schema: "flowstone",
                table: "payloads",
                type: "character varying(255)",
                maxLength: 255,
                nullable: true);

            migrationBuilder.AddColumn<bool>(
                name: "sealed",
                schema: "flowstone",
                table: "payloads",
                type: "boolean",
                nullable: false,
                defaultValue: false);

            migrationBuilder.AddColumn<long>(
                name: "whole_size_bytes",
                schema: "flowstone",
                table: "payloads",
                type: "bigint",
                nullable: true);

            migrationBuilder.AddColumn<bool>(
                name: "detached",
                schema: "flowstone",
                table: "executions",
                type: "boolean",
                nullable: false,
                defaultValue: false);

            migrationBuilder.AddColumn<Guid>(
                name: "forked_from",
                schema: "flowstone",
                table: "executions",
                type: "uuid",
                nullable: true);

            migrationBuilder.AddColumn<short>(
                name: "max_retries",
                schema: "flowstone",
                table: "executions",
                type: "smallint",
                nullable: false,
                defaultValue: (short)3);

            migrationBuilder.AddColumn<Guid>(
                name: "parent_id",
                schema: "flowstone",
                table: "executions",
                type: "uuid",
                nullable: true);

            migrationBuilder.AddColumn<Guid>(
                name: "retried_by",
                schema: "flowstone",
                table: "executions",
                type: "uuid",
                nullable: true);

            migrationBuilder.AddColumn<short>(
                name: "retry_count",
                schema: "flowstone",
                table: "executions",
                type: "smallint",
                nullable: false,
                defaultValue: (short)0);

            migrationBuilder.AddColumn<Guid>(
                name: "retry_of",
                schema: "flowstone",
                table: "executions",
                type: "uuid",
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "waiting_for",
                schema: "flowstone",
                table: "executions",
                type: "character varying(255)",
                maxLength: 255,
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "concurrency_key",
                schema: "flowstone",
                table: "execution_queue",
                type: "character varying(255)",
                maxLength: 255,
                nullable: true);

            migrationBuilder.AddColumn<short>(
                name: "failures",
                schema: "flowstone",
                table: "execution_queue",
                type: "smallint",
                nullable: false,
                defaultValue: (short)0);

            migrationBuilder.AddColumn<string[]>(
                name: "holds",
                schema: "flowstone",
                table: "execution_queue",
                type: "text[]",
                nullable: true);

            migrationBuilder.AddColumn<short>(
                name: "max_attempts",
                schema: "flowstone",
                table: "execution_queue",
                type: "smallint",
                nullable: false,
                defaultValue: (short)10);

            migrationBuilder.AddColumn<string>(
                name: "parked_for",
                schema: "flowstone",
                table: "execution_queue",
                type: "character varying(255)",
                maxLength: 255,
                nullable: true);

            migrationBuilder.AddColumn<Guid>(
                name: "workflow_id",
                schema: "flowstone",
                table: "execution_queue",
                type: "uuid",
                nullable: false,
                defaultValue: new Guid("00000000-0000-0000-0000-000000000000"));

            migrationBuilder.CreateTable(
                name: "execution_attributes",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    execution_id = table.Column<Guid>(type: "uuid", nullable: false),
                    name = table.Column<string>(type: "character varying(64)", maxLength: 64, nullable: false),
                    workflow_id = table.Column<Guid>(type: "uuid", nullable: false),
                    value = table.Column<byte[]>(type: "bytea", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_execution_attributes", x => new { x.tenant_id, x.execution_id, x.name });
                })
                .Annotation(PartitioningSqlGenerator.PartitionBy, "execution_id");

            migrationBuilder.CreateTable(
                name: "execution_deltas",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    delta_id = table.Column<Guid>(type: "uuid", nullable: false),
                    workflow_id = table.Column<Guid>(type: "uuid", nullable: false),
                    hour = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    status = table.Column<string>(type: "character varying(24)", maxLength: 24, nullable: false),
                    bucket = table.Column<short>(type: "smallint", nullable: false),
                    executions = table.Column<int>(type: "integer", nullable: false),
                    duration_ms = table.Column<long>(type: "bigint", nullable: false),
                    wait_ms = table.Column<long>(type: "bigint", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_execution_deltas", x => new { x.tenant_id, x.delta_id });
                    table.CheckConstraint("ck_execution_deltas_status", "status in ('PENDING', 'RUNNING', 'WAITING', 'SUCCESS', 'FAILED', 'CANCELLED', 'TIMEOUT')");
                });

            migrationBuilder.CreateTable(
                name: "execution_keys",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    key = table.Column<string>(type: "character varying(255)", maxLength: 255, nullable: false),
                    execution_id = table.Column<Guid>(type: "uuid", nullable: false),
                    expires_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_execution_keys", x => new { x.tenant_id, x.key });
                });

            migrationBuilder.CreateTable(
                name: "execution_limits",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    name = table.Column<string>(type: "character varying(255)", maxLength: 255, nullable: false),
                    maximum = table.Column<int>(type: "integer", nullable: false),
                    running = table.Column<int>(type: "integer", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_execution_limits", x => new { x.tenant_id, x.name });
                    table.CheckConstraint("ck_execution_limits", "maximum > 0 and running >= 0");
                });

            migrationBuilder.CreateTable(
                name: "execution_signals",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    execution_id = table.Column<Guid>(type: "uuid", nullable: false),
                    signal_id = table.Column<Guid>(type: "uuid", nullable: false),
                    name = table.Column<string>(type: "character varying(255)", maxLength: 255, nullable: false),
                    body = table.Column<byte[]>(type: "bytea", nullable: true),
                    sent_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    taken_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_execution_signals", x => new { x.tenant_id, x.execution_id, x.signal_id });
                })
                .Annotation(PartitioningSqlGenerator.PartitionBy, "execution_id");

            migrationBuilder.CreateTable(
                name: "execution_statistics",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    workflow_id = table.Column<Guid>(type: "uuid", nullable: false),
                    hour = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    status = table.Column<string>(type: "character varying(24)", maxLength: 24, nullable: false),
                    bucket = table.Column<short>(type: "smallint", nullable: false),
                    executions = table.Column<long>(type: "bigint", nullable: false),
                    duration_ms = table.Column<long>(type: "bigint", nullable: false),
                    wait_ms = table.Column<long>(type: "bigint", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_execution_statistics", x => new { x.tenant_id, x.workflow_id, x.hour, x.status, x.bucket });
                    table.CheckConstraint("ck_execution_statistics_status", "status in ('PENDING', 'RUNNING', 'WAITING', 'SUCCESS', 'FAILED', 'CANCELLED', 'TIMEOUT')");
                });

            migrationBuilder.CreateTable(
                name: "write_marks",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    group_id = table.Column<Guid>(type: "uuid", nullable: false),
                    statement = table.Column<short>(type: "smallint", nullable: false),
                    calls = table.Column<int[]>(type: "integer[]", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_write_marks", x => new { x.tenant_id, x.group_id, x.statement });
                });

            // What is there already: a payload's name begins with its kind, what did not succeed has a reason, the queue knows the workflow.
            // The owner is bound by the policies too, until they are forced again at the end of the migration.
            migrationBuilder.Sql("""
                alter table flowstone.executions no force row level security;
                alter table flowstone.node_executions no force row level security;
                alter table flowstone.execution_queue no force row level security;
                update flowstone.executions set input = '\x00' || input, output = '\x00' || output, reason = case when status in ('FAILED', 'CANCELLED', 'TIMEOUT') then coalesce(reason, status) end
                 where input is not null or output is not null or status in ('FAILED', 'CANCELLED', 'TIMEOUT');
                update flowstone.node_executions set input = '\x00' || input, output = '\x00' || output where input is not null or output is not null;
                update flowstone.execution_queue q set workflow_id = e.workflow_id from flowstone.executions e where e.tenant_id = q.tenant_id and e.id = q.execution_id;
                """);

            migrationBuilder.AddCheckConstraint(
                name: "ck_workflows_payload_overflow",
                schema: "flowstone",
                table: "workflows",
                sql: "payload_overflow in ('TRUNCATE', 'REJECT', 'SPILL')");

            migrationBuilder.AddCheckConstraint(
                name: "ck_tenants_payload_overflow",
                schema: "flowstone",
                table: "tenants",
                sql: "payload_overflow in ('TRUNCATE', 'REJECT', 'SPILL')");

            migrationBuilder.CreateIndex(
                name: "ix_payloads_by_object",
                schema: "flowstone",
                table: "payloads",
                columns: new[] { "tenant_id", "object_key" },
                filter: "object_key is not null");

            migrationBuilder.AddCheckConstraint(
                name: "ck_payloads_body",
                schema: "flowstone",
                table: "payloads",
                sql: "(body is null) <> (object_key is null)");

            migrationBuilder.CreateIndex(
                name: "ix_executions_by_forked",
                schema: "flowstone",
                table: "executions",
                columns: new[] { "tenant_id", "forked_from" },
                filter: "forked_from is not null");

            migrationBuilder.CreateIndex(
                name: "ix_executions_by_parent",
                schema: "flowstone",
                table: "executions",
                columns: new[] { "tenant_id", "parent_id" },
                filter: "parent_id is not null");

            migrationBuilder.CreateIndex(
                name: "ix_executions_by_retried",
                schema: "flowstone",
                table: "executions",
                columns: new[] { "tenant_id", "retry_of" },
                filter: "retry_of is not null");

            migrationBuilder.CreateIndex(
                name: "ix_executions_by_user",
                schema: "flowstone",
                table: "executions",
                columns: new[] { "tenant_id", "started_by", "id" },
                descending: new[] { false, false, true },
                filter: "started_by is not null");

            migrationBuilder.CreateIndex(
                name: "ix_executions_unsuccessful",
                schema: "flowstone",
                table: "executions",
                columns: new[] { "tenant_id", "id" },
                descending: new[] { false, true },
                filter: "reason is not null");

            migrationBuilder.AddCheckConstraint(
                name: "ck_executions_reason",
                schema: "flowstone",
                table: "executions",
                sql: "(reason is not null) = (status in ('FAILED', 'CANCELLED', 'TIMEOUT'))");

            migrationBuilder.AddCheckConstraint(
                name: "ck_executions_retries",
                schema: "flowstone",
                table: "executions",
                sql: "retry_count >= 0 and max_retries >= 0");

            migrationBuilder.CreateIndex(
                name: "ix_execution_queue_claim",
                schema: "flowstone",
                table: "execution_queue",
                columns: new[] { "tenant_id", "priority", "visible_at", "execution_id" },
                descending: new[] { false, true, false, false });

            migrationBuilder.CreateIndex(
                name: "ix_execution_queue_parked",
                schema: "flowstone",
                table: "execution_queue",
                columns: new[] { "tenant_id", "parked_for", "priority" },
                descending: new[] { false, false, true },
                filter: "parked_for is not null");

            migrationBuilder.CreateIndex(
                name: "ix_execution_attributes_by_value",
                schema: "flowstone",
                table: "execution_attributes",
                columns: new[] { "tenant_id", "workflow_id", "name", "value", "execution_id" },
                descending: new[] { false, false, false, false, true });

            migrationBuilder.CreateIndex(
                name: "ix_execution_keys_expired",
                schema: "flowstone",
                table: "execution_keys",
                column: "expires_at");

            migrationBuilder.Sql(PartitionsFunction);

            // The new tables need the partitions that the others have.
            migrationBuilder.Sql("""
                do $$ begin
                    perform flowstone.create_partitions(min(to_date(right(c.relname, 8), 'YYYYMMDD')), now())
                       from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'flowstone_partitions' and c.relname like 'executions\_%' having count(*) > 0;
                end $$;
                """);

            // Written and deleted all the time: a vacuum that comes early.
            migrationBuilder.Sql("""
                alter table flowstone.write_marks set (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
                alter table flowstone.execution_deltas set (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
                alter table flowstone.execution_limits set (fillfactor = 50);
                """);
        }

        // Forward only: a release is undone by restoring the backup taken before it.
        protected override void Down(MigrationBuilder migrationBuilder) => throw new NotSupportedException();
    }
}
