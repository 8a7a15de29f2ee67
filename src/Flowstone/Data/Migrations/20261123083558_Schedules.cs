using System;
using System.Text.Json;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Flowstone.Data.Migrations
{
    /// <summary>When workflows are started by themselves, and what became of each due time.</summary>
    public partial class Schedules : Migration
    {
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.CreateTable(
                name: "schedules",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    id = table.Column<Guid>(type: "uuid", nullable: false),
                    workflow_id = table.Column<Guid>(type: "uuid", nullable: false),
                    name = table.Column<string>(type: "character varying(255)", maxLength: 255, nullable: false),
                    cron = table.Column<string>(type: "character varying(200)", maxLength: 200, nullable: true),
                    interval_seconds = table.Column<long>(type: "bigint", nullable: true),
                    time_zone = table.Column<string>(type: "character varying(64)", maxLength: 64, nullable: false),
                    jitter_seconds = table.Column<int>(type: "integer", nullable: false),
                    overlap = table.Column<string>(type: "character varying(24)", maxLength: 24, nullable: false),
                    missed = table.Column<string>(type: "character varying(24)", maxLength: 24, nullable: false),
                    missed_limit = table.Column<int>(type: "integer", nullable: false),
                    input = table.Column<JsonElement>(type: "jsonb", nullable: true),
                    active = table.Column<bool>(type: "boolean", nullable: false),
                    starts_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    ends_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    next_due_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    updated_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    fire_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    last_execution_id = table.Column<Guid>(type: "uuid", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_schedules", x => new { x.tenant_id, x.id });
                    table.CheckConstraint("ck_schedules_kind", "(cron is null) <> (interval_seconds is null)");
                    table.CheckConstraint("ck_schedules_missed", "missed in ('SKIP', 'LATEST', 'ALL')");
                    table.CheckConstraint("ck_schedules_overlap", "overlap in ('ALLOW', 'SKIP')");
                    table.ForeignKey(
                        name: "fk_schedules_workflows",
                        columns: x => new { x.tenant_id, x.workflow_id },
                        principalSchema: "flowstone",
                        principalTable: "workflows",
                        principalColumns: new[] { "tenant_id", "id" },
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "schedule_firings",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    schedule_id = table.Column<Guid>(type: "uuid", nullable: false),
                    due_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    outcome = table.Column<string>(type: "character varying(24)", maxLength: 24, nullable: false),
                    reason = table.Column<string>(type: "character varying(500)", maxLength: 500, nullable: true),
                    execution_id = table.Column<Guid>(type: "uuid", nullable: true),
                    due_times = table.Column<int>(type: "integer", nullable: false),
                    until = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_schedule_firings", x => new { x.tenant_id, x.schedule_id, x.due_at });
                    table.CheckConstraint("ck_schedule_firings_outcome", "outcome in ('FIRED', 'MISSED', 'SKIPPED')");
                    table.ForeignKey(
                        name: "fk_schedule_firings_schedules",
                        columns: x => new { x.tenant_id, x.schedule_id },
                        principalSchema: "flowstone",
                        principalTable: "schedules",
                        principalColumns: new[] { "tenant_id", "id" },
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateIndex(
                name: "ix_schedule_firings_by_time",
                schema: "flowstone",
                table: "schedule_firings",
                columns: new[] { "tenant_id", "at" });

            migrationBuilder.CreateIndex(
                name: "ix_schedules_by_workflow",
                schema: "flowstone",
                table: "schedules",
                columns: new[] { "tenant_id", "workflow_id", "id" });

            migrationBuilder.CreateIndex(
                name: "ix_schedules_due",
                schema: "flowstone",
                table: "schedules",
                column: "fire_at",
                filter: "fire_at is not null");
        }

        // Forward only: a release is undone by restoring the backup taken before it.
        protected override void Down(MigrationBuilder migrationBuilder) => throw new NotSupportedException();
    }
}
