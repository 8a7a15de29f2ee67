using System;
using System.Text.Json;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Flowstone.Data.Migrations
{
    /// <summary>Everything that Flowstone 0.1 stores.</summary>
    public partial class Initial : Migration
    {
        // Partitions live in a schema of their own, on which nobody has a privilege: they are reached through their parents alone,
        // whose policies then hold. An id's first 48 bits are its time in milliseconds, so a range of time is a range of ids.
        const string PartitionsFunction = """
            create schema flowstone_partitions;

            create function flowstone.lowest_id(at timestamptz) returns uuid language sql immutable parallel safe
            return rpad(lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0'), 32, '0')::uuid;

            create function flowstone.create_partitions(since timestamptz, until timestamptz) returns int
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
                    foreach parent in array array['executions', 'node_executions', 'payloads'] loop
                        partition := parent || to_char(week at time zone 'UTC', '_YYYYMMDD');
                        if to_regclass('flowstone_partitions.' || partition) is null then
                            -- Made alone and then attached: `partition of` would stop all reads and writes of the parent until the commit.
                            execute format('create table flowstone_partitions.%I (like flowstone.%I including all) with (fillfactor = %s)',
                                partition, parent, case parent when 'payloads' then 100 else 75 end);
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

            -- The end of the last partition from which on all three tables have theirs.
            create function flowstone.partitions_until() returns timestamptz language sql stable security definer set search_path = pg_catalog, pg_temp as $$
                select case when count(*) = count(until) then min(until) end from (
                    select max(to_date(right(c.relname, 8), 'YYYYMMDD')::timestamp) at time zone 'UTC' + interval '7 days' as until
                      from pg_class p join pg_namespace n on n.oid = p.relnamespace
                      left join pg_inherits i on i.inhparent = p.oid left join pg_class c on c.oid = i.inhrelid and c.relkind = 'r'
                     where n.nspname = 'flowstone' and p.relkind = 'p' group by p.oid) horizon
            $$;
            """;

        // At sign-in the tenant is not known yet. The owner reads the directory for the application, one address at a time;
        // the policy that lets it is "sign_in" (TenantPolicies).
        const string FindEmailFunction = """
            create function flowstone.email_hash(address text) returns bytea language sql immutable parallel safe
            return sha256(convert_to(lower(normalize(btrim(address), nfkc)), 'UTF8'));

            create function flowstone.find_email(address text) returns table (tenant_id uuid, user_id uuid)
            language sql stable security definer set search_path = pg_catalog, pg_temp as $$
                select e.tenant_id, e.user_id from flowstone.user_emails e where e.email_hash = flowstone.email_hash(address)
            $$;
            """;

        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.EnsureSchema(
                name: "flowstone");

            migrationBuilder.CreateTable(
                name: "execution_queue",
                schema: "flowstone",
                columns: table => new
                {
                    shard_key = table.Column<Guid>(type: "uuid", nullable: false),
                    execution_id = table.Column<Guid>(type: "uuid", nullable: false),
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    priority = table.Column<short>(type: "smallint", nullable: false),
                    visible_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    fence = table.Column<int>(type: "integer", nullable: false),
                    worker = table.Column<string>(type: "character varying(255)", maxLength: 255, nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_execution_queue", x => new { x.shard_key, x.execution_id });
                });

            migrationBuilder.CreateTable(
                name: "node_executions",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    execution_id = table.Column<Guid>(type: "uuid", nullable: false),
                    node = table.Column<int>(type: "integer", nullable: false),
                    iteration = table.Column<int>(type: "integer", nullable: false),
                    attempt = table.Column<short>(type: "smallint", nullable: false),
                    status = table.Column<string>(type: "character varying(24)", maxLength: 24, nullable: false),
                    reason = table.Column<string>(type: "character varying(32)", maxLength: 32, nullable: true),
                    error = table.Column<string>(type: "character varying(4000)", maxLength: 4000, nullable: true),
                    started_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    finished_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    input_hash = table.Column<byte[]>(type: "bytea", nullable: true),
                    output_hash = table.Column<byte[]>(type: "bytea", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_node_executions", x => new { x.tenant_id, x.execution_id, x.node, x.iteration, x.attempt });
                    table.CheckConstraint("ck_node_executions_finished", "(finished_at is null) = (status in ('PENDING', 'RUNNING', 'WAITING'))");
                    table.CheckConstraint("ck_node_executions_key", "node >= 0 and iteration >= 0 and attempt > 0");
                    table.CheckConstraint("ck_node_executions_status", "status in ('PENDING', 'RUNNING', 'WAITING', 'SUCCESS', 'FAILED', 'CANCELLED', 'TIMEOUT')");
                })
                .Annotation(PartitioningSqlGenerator.PartitionBy, "execution_id");

            migrationBuilder.CreateTable(
                name: "payloads",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    execution_id = table.Column<Guid>(type: "uuid", nullable: false),
                    hash = table.Column<byte[]>(type: "bytea", nullable: false),
                    content_type = table.Column<string>(type: "character varying(255)", maxLength: 255, nullable: false),
                    encoding = table.Column<string>(type: "character varying(24)", maxLength: 24, nullable: false),
                    size_bytes = table.Column<long>(type: "bigint", nullable: false),
                    body = table.Column<byte[]>(type: "bytea", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_payloads", x => new { x.tenant_id, x.execution_id, x.hash });
                    table.CheckConstraint("ck_payloads_encoding", "encoding in ('PLAIN', 'BROTLI')");
                })
                .Annotation(PartitioningSqlGenerator.PartitionBy, "execution_id");

            migrationBuilder.CreateTable(
                name: "tenants",
                schema: "flowstone",
                columns: table => new
                {
                    id = table.Column<Guid>(type: "uuid", nullable: false),
                    slug = table.Column<string>(type: "character varying(63)", maxLength: 63, nullable: false),
                    name = table.Column<string>(type: "character varying(255)", maxLength: 255, nullable: false),
                    shard_key = table.Column<Guid>(type: "uuid", nullable: false),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    settings = table.Column<JsonElement>(type: "jsonb", nullable: false, defaultValueSql: "'{}'")
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_tenants", x => x.id);
                    table.CheckConstraint("ck_tenants_slug", "slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'");
                });

            migrationBuilder.CreateTable(
                name: "user_emails",
                schema: "flowstone",
                columns: table => new
                {
                    email_hash = table.Column<byte[]>(type: "bytea", nullable: false),
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    user_id = table.Column<Guid>(type: "uuid", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_user_emails", x => x.email_hash);
                });

            migrationBuilder.CreateTable(
                name: "teams",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    id = table.Column<Guid>(type: "uuid", nullable: false),
                    name = table.Column<string>(type: "character varying(255)", maxLength: 255, nullable: false),
                    description = table.Column<string>(type: "character varying(2000)", maxLength: 2000, nullable: true),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    updated_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_teams", x => new { x.tenant_id, x.id });
                    table.ForeignKey(
                        name: "fk_teams_tenants",
                        column: x => x.tenant_id,
                        principalSchema: "flowstone",
                        principalTable: "tenants",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "users",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    id = table.Column<Guid>(type: "uuid", nullable: false),
                    email = table.Column<string>(type: "character varying(320)", maxLength: 320, nullable: false),
                    first_name = table.Column<string>(type: "character varying(255)", maxLength: 255, nullable: true),
                    last_name = table.Column<string>(type: "character varying(255)", maxLength: 255, nullable: true),
                    role = table.Column<string>(type: "character varying(24)", maxLength: 24, nullable: false),
                    status = table.Column<string>(type: "character varying(24)", maxLength: 24, nullable: false),
                    time_zone = table.Column<string>(type: "character varying(64)", maxLength: 64, nullable: false),
                    language = table.Column<string>(type: "character varying(16)", maxLength: 16, nullable: false),
                    preferences = table.Column<JsonElement>(type: "jsonb", nullable: false),
                    email_verified_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    updated_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_users", x => new { x.tenant_id, x.id });
                    table.CheckConstraint("ck_users_role", "role in ('ADMIN', 'USER', 'VIEWER')");
                    table.CheckConstraint("ck_users_status", "status in ('ACTIVE', 'INACTIVE', 'SUSPENDED', 'PENDING_VERIFICATION')");
                    table.ForeignKey(
                        name: "fk_users_tenants",
                        column: x => x.tenant_id,
                        principalSchema: "flowstone",
                        principalTable: "tenants",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "team_members",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    team_id = table.Column<Guid>(type: "uuid", nullable: false),
                    user_id = table.Column<Guid>(type: "uuid", nullable: false),
                    role = table.Column<string>(type: "character varying(24)", maxLength: 24, nullable: false),
                    joined_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_team_members", x => new { x.tenant_id, x.team_id, x.user_id });
                    table.CheckConstraint("ck_team_members_role", "role in ('OWNER', 'ADMIN', 'MEMBER', 'VIEWER')");
                    table.ForeignKey(
                        name: "fk_team_members_teams",
                        columns: x => new { x.tenant_id, x.team_id },
                        principalSchema: "flowstone",
                        principalTable: "teams",
                        principalColumns: new[] { "tenant_id", "id" },
                        onDelete: ReferentialAction.Cascade);
                    table.ForeignKey(
                        name: "fk_team_members_users",
                        columns: x => new { x.tenant_id, x.user_id },
                        principalSchema: "flowstone",
                        principalTable: "users",
                        principalColumns: new[] { "tenant_id", "id" },
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "user_logins",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    user_id = table.Column<Guid>(type: "uuid", nullable: false),
                    password_hash = table.Column<string>(type: "text", nullable: true),
                    last_login_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_user_logins", x => new { x.tenant_id, x.user_id });
                    table.ForeignKey(
                        name: "fk_user_logins_users",
                        columns: x => new { x.tenant_id, x.user_id },
                        principalSchema: "flowstone",
                        principalTable: "users",
                        principalColumns: new[] { "tenant_id", "id" },
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "user_sessions",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    token_hash = table.Column<byte[]>(type: "bytea", nullable: false),
                    user_id = table.Column<Guid>(type: "uuid", nullable: false),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    expires_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_user_sessions", x => new { x.tenant_id, x.token_hash });
                    table.ForeignKey(
                        name: "fk_user_sessions_users",
                        columns: x => new { x.tenant_id, x.user_id },
                        principalSchema: "flowstone",
                        principalTable: "users",
                        principalColumns: new[] { "tenant_id", "id" },
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "workflows",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    id = table.Column<Guid>(type: "uuid", nullable: false),
                    name = table.Column<string>(type: "character varying(255)", maxLength: 255, nullable: false),
                    description = table.Column<string>(type: "text", nullable: true),
                    status = table.Column<string>(type: "character varying(24)", maxLength: 24, nullable: false),
                    visibility = table.Column<string>(type: "character varying(24)", maxLength: 24, nullable: false),
                    tags = table.Column<string[]>(type: "text[]", nullable: false),
                    owner_id = table.Column<Guid>(type: "uuid", nullable: true),
                    team_id = table.Column<Guid>(type: "uuid", nullable: true),
                    version = table.Column<int>(type: "integer", nullable: false),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    updated_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    import_hash = table.Column<byte[]>(type: "bytea", nullable: true),
                    import_key = table.Column<string>(type: "character varying(1024)", maxLength: 1024, nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_workflows", x => new { x.tenant_id, x.id });
                    table.CheckConstraint("ck_workflows_status", "status in ('DRAFT', 'ACTIVE', 'INACTIVE', 'ARCHIVED')");
                    table.CheckConstraint("ck_workflows_version", "version > 0");
                    table.CheckConstraint("ck_workflows_visibility", "visibility in ('PRIVATE', 'TEAM', 'PUBLIC')");
                    table.ForeignKey(
                        name: "fk_workflows_teams",
                        columns: x => new { x.tenant_id, x.team_id },
                        principalSchema: "flowstone",
                        principalTable: "teams",
                        principalColumns: new[] { "tenant_id", "id" });
                    table.ForeignKey(
                        name: "fk_workflows_tenants",
                        column: x => x.tenant_id,
                        principalSchema: "flowstone",
                        principalTable: "tenants",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                    table.ForeignKey(
                        name: "fk_workflows_users",
                        columns: x => new { x.tenant_id, x.owner_id },
                        principalSchema: "flowstone",
                        principalTable: "users",
                        principalColumns: new[] { "tenant_id", "id" });
                });

            migrationBuilder.CreateTable(
                name: "workflow_versions",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    workflow_id = table.Column<Guid>(type: "uuid", nullable: false),
                    number = table.Column<int>(type: "integer", nullable: false),
                    definition = table.Column<JsonElement>(type: "jsonb", nullable: false),
                    hash = table.Column<byte[]>(type: "bytea", nullable: false),
                    message = table.Column<string>(type: "character varying(2000)", maxLength: 2000, nullable: true),
                    author_id = table.Column<Guid>(type: "uuid", nullable: true),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_workflow_versions", x => new { x.tenant_id, x.workflow_id, x.number });
                    table.ForeignKey(
                        name: "fk_workflow_versions_workflows",
                        columns: x => new { x.tenant_id, x.workflow_id },
                        principalSchema: "flowstone",
                        principalTable: "workflows",
                        principalColumns: new[] { "tenant_id", "id" },
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "executions",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    id = table.Column<Guid>(type: "uuid", nullable: false),
                    workflow_id = table.Column<Guid>(type: "uuid", nullable: false),
                    workflow_version = table.Column<int>(type: "integer", nullable: false),
                    status = table.Column<string>(type: "character varying(24)", maxLength: 24, nullable: false),
                    reason = table.Column<string>(type: "character varying(32)", maxLength: 32, nullable: true),
                    error = table.Column<string>(type: "character varying(4000)", maxLength: 4000, nullable: true),
                    trigger = table.Column<string>(type: "character varying(24)", maxLength: 24, nullable: false),
                    priority = table.Column<short>(type: "smallint", nullable: false),
                    started_by = table.Column<Guid>(type: "uuid", nullable: true),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    due_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    started_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    finished_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    claims = table.Column<int>(type: "integer", nullable: false),
                    input_hash = table.Column<byte[]>(type: "bytea", nullable: true),
                    output_hash = table.Column<byte[]>(type: "bytea", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_executions", x => new { x.tenant_id, x.id });
                    table.CheckConstraint("ck_executions_finished", "(finished_at is null) = (status in ('PENDING', 'RUNNING', 'WAITING'))");
                    table.CheckConstraint("ck_executions_started", "started_at is not null or status in ('PENDING', 'CANCELLED')");
                    table.CheckConstraint("ck_executions_status", "status in ('PENDING', 'RUNNING', 'WAITING', 'SUCCESS', 'FAILED', 'CANCELLED', 'TIMEOUT')");
                    table.CheckConstraint("ck_executions_trigger", "trigger in ('MANUAL', 'API', 'WEBHOOK', 'SCHEDULE', 'RETRY', 'PARENT')");
                    table.ForeignKey(
                        name: "fk_executions_workflow_versions",
                        columns: x => new { x.tenant_id, x.workflow_id, x.workflow_version },
                        principalSchema: "flowstone",
                        principalTable: "workflow_versions",
                        principalColumns: new[] { "tenant_id", "workflow_id", "number" });
                })
                .Annotation(PartitioningSqlGenerator.PartitionBy, "id");

            migrationBuilder.CreateIndex(
                name: "ix_execution_queue_by_tenant",
                schema: "flowstone",
                table: "execution_queue",
                columns: new[] { "tenant_id", "priority", "visible_at" },
                descending: new[] { false, true, false });

            migrationBuilder.CreateIndex(
                name: "ix_execution_queue_claim",
                schema: "flowstone",
                table: "execution_queue",
                columns: new[] { "priority", "visible_at" },
                descending: new[] { true, false });

            migrationBuilder.CreateIndex(
                name: "ix_executions_by_workflow",
                schema: "flowstone",
                table: "executions",
                columns: new[] { "tenant_id", "workflow_id", "id" },
                descending: new[] { false, false, true });

            migrationBuilder.CreateIndex(
                name: "ix_team_members_by_user",
                schema: "flowstone",
                table: "team_members",
                columns: new[] { "tenant_id", "user_id" });

            migrationBuilder.CreateIndex(
                name: "uq_tenants_slug",
                schema: "flowstone",
                table: "tenants",
                column: "slug",
                unique: true);

            migrationBuilder.CreateIndex(
                name: "ix_user_emails_by_user",
                schema: "flowstone",
                table: "user_emails",
                columns: new[] { "tenant_id", "user_id" });

            migrationBuilder.CreateIndex(
                name: "ix_user_sessions_by_user",
                schema: "flowstone",
                table: "user_sessions",
                columns: new[] { "tenant_id", "user_id" });

            migrationBuilder.CreateIndex(
                name: "ix_workflows_by_owner",
                schema: "flowstone",
                table: "workflows",
                columns: new[] { "tenant_id", "owner_id" });

            migrationBuilder.CreateIndex(
                name: "ix_workflows_by_team",
                schema: "flowstone",
                table: "workflows",
                columns: new[] { "tenant_id", "team_id" });

            migrationBuilder.CreateIndex(
                name: "uq_workflows_import_key",
                schema: "flowstone",
                table: "workflows",
                columns: new[] { "tenant_id", "import_key" },
                unique: true,
                filter: "import_key is not null");

            migrationBuilder.Sql(PartitionsFunction);
            migrationBuilder.Sql(FindEmailFunction);

            // Bodies are compressed before they come here; a second compression would only cost.
            migrationBuilder.Sql("alter table flowstone.payloads alter column body set storage external;");

            // Small and busy: room for updates in place, and a vacuum that comes early.
            migrationBuilder.Sql("""
                alter table flowstone.execution_queue set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02,
                    autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);
                """);
        }

        // Forward only: a release is undone by restoring the backup taken before it.
        protected override void Down(MigrationBuilder migrationBuilder) => throw new NotSupportedException();
    }
}
