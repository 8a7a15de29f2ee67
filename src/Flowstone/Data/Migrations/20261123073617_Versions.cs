using System;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Flowstone.Data.Migrations
{
    /// <summary>What a version's author had edited, the history of what was published, and a trash from which an import can come anew.</summary>
    public partial class Versions : Migration
    {
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropIndex(
                name: "uq_workflows_import_key",
                schema: "flowstone",
                table: "workflows");

            migrationBuilder.AddColumn<int>(
                name: "based_on",
                schema: "flowstone",
                table: "workflow_versions",
                type: "integer",
                nullable: true);

            migrationBuilder.CreateTable(
                name: "workflow_publications",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    workflow_id = table.Column<Guid>(type: "uuid", nullable: false),
                    number = table.Column<int>(type: "integer", nullable: false),
                    version = table.Column<int>(type: "integer", nullable: true),
                    published_by = table.Column<Guid>(type: "uuid", nullable: true),
                    published_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_workflow_publications", x => new { x.tenant_id, x.workflow_id, x.number });
                    table.ForeignKey(
                        name: "fk_workflow_publications_workflows",
                        columns: x => new { x.tenant_id, x.workflow_id },
                        principalSchema: "flowstone",
                        principalTable: "workflows",
                        principalColumns: new[] { "tenant_id", "id" },
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateIndex(
                name: "ix_workflows_trash",
                schema: "flowstone",
                table: "workflows",
                columns: new[] { "tenant_id", "deleted_at" },
                filter: "deleted_at is not null");

            migrationBuilder.CreateIndex(
                name: "uq_workflows_import_key",
                schema: "flowstone",
                table: "workflows",
                columns: new[] { "tenant_id", "import_key" },
                unique: true,
                filter: "import_key is not null and deleted_at is null");
        }

        // Forward only: a release is undone by restoring the backup taken before it.
        protected override void Down(MigrationBuilder migrationBuilder) => throw new NotSupportedException();
    }
}
