using System;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Flowstone.Data.Migrations
{
    /// <inheritdoc />
    public partial class WorkflowShares : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.CreateTable(
                name: "workflow_shares",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    workflow_id = table.Column<Guid>(type: "uuid", nullable: false),
                    user_id = table.Column<Guid>(type: "uuid", nullable: false),
                    level = table.Column<string>(type: "character varying(24)", maxLength: 24, nullable: false),
                    expires_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    shared_by = table.Column<Guid>(type: "uuid", nullable: true),
                    shared_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_workflow_shares", x => new { x.tenant_id, x.workflow_id, x.user_id });
                    table.CheckConstraint("ck_workflow_shares_level", "level in ('READ', 'EXECUTE', 'WRITE', 'ADMIN')");
                    table.ForeignKey(
                        name: "fk_workflow_shares_users",
                        columns: x => new { x.tenant_id, x.user_id },
                        principalSchema: "flowstone",
                        principalTable: "users",
                        principalColumns: new[] { "tenant_id", "id" },
                        onDelete: ReferentialAction.Cascade);
                    table.ForeignKey(
                        name: "fk_workflow_shares_workflows",
                        columns: x => new { x.tenant_id, x.workflow_id },
                        principalSchema: "flowstone",
                        principalTable: "workflows",
                        principalColumns: new[] { "tenant_id", "id" },
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateIndex(
                name: "ix_workflows_public",
                schema: "flowstone",
                table: "workflows",
                columns: new[] { "tenant_id", "id" },
                filter: "visibility = 'PUBLIC'");

            migrationBuilder.CreateIndex(
                name: "ix_workflow_shares_by_user",
                schema: "flowstone",
                table: "workflow_shares",
                columns: new[] { "tenant_id", "user_id" });
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(
                name: "workflow_shares",
                schema: "flowstone");

            migrationBuilder.DropIndex(
                name: "ix_workflows_public",
                schema: "flowstone",
                table: "workflows");
        }
    }
}
