using System;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Flowstone.Data.Migrations
{
    /// <summary>What is said of workflows and their nodes.</summary>
    public partial class WorkflowComments : Migration
    {
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.CreateTable(
                name: "workflow_comments",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    id = table.Column<Guid>(type: "uuid", nullable: false),
                    workflow_id = table.Column<Guid>(type: "uuid", nullable: false),
                    node_id = table.Column<string>(type: "character varying(255)", maxLength: 255, nullable: true),
                    parent_id = table.Column<Guid>(type: "uuid", nullable: true),
                    text = table.Column<string>(type: "character varying(10000)", maxLength: 10000, nullable: false),
                    x = table.Column<double>(type: "double precision", nullable: true),
                    y = table.Column<double>(type: "double precision", nullable: true),
                    author_id = table.Column<Guid>(type: "uuid", nullable: true),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    updated_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    resolved_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    resolved_by = table.Column<Guid>(type: "uuid", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_workflow_comments", x => new { x.tenant_id, x.workflow_id, x.id });
                    table.CheckConstraint("ck_workflow_comments_place", "(x is null) = (y is null)");
                    table.ForeignKey(
                        name: "fk_workflow_comments_workflow_comments",
                        columns: x => new { x.tenant_id, x.workflow_id, x.parent_id },
                        principalSchema: "flowstone",
                        principalTable: "workflow_comments",
                        principalColumns: new[] { "tenant_id", "workflow_id", "id" },
                        onDelete: ReferentialAction.Cascade);
                    table.ForeignKey(
                        name: "fk_workflow_comments_workflows",
                        columns: x => new { x.tenant_id, x.workflow_id },
                        principalSchema: "flowstone",
                        principalTable: "workflows",
                        principalColumns: new[] { "tenant_id", "id" },
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateIndex(
                name: "ix_workflow_comments_answers",
                schema: "flowstone",
                table: "workflow_comments",
                columns: new[] { "tenant_id", "workflow_id", "parent_id" },
                filter: "parent_id is not null");
        }

        // Forward only: a release is undone by restoring the backup taken before it.
        protected override void Down(MigrationBuilder migrationBuilder) => throw new NotSupportedException();
    }
}
