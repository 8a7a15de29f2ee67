using System;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Flowstone.Data.Migrations
{
    /// <inheritdoc />
    public partial class DataKeys : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.CreateTable(
                name: "data_keys",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    id = table.Column<Guid>(type: "uuid", nullable: false),
                    master_key_id = table.Column<string>(type: "character varying(2048)", maxLength: 2048, nullable: false),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    retired_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    destroyed_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    uses = table.Column<long>(type: "bigint", nullable: false),
                    wrapped_key = table.Column<byte[]>(type: "bytea", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_data_keys", x => new { x.tenant_id, x.id });
                    table.CheckConstraint("ck_data_keys_destroyed", "(wrapped_key is null) = (destroyed_at is not null)");
                    table.ForeignKey(
                        name: "fk_data_keys_tenants",
                        column: x => x.tenant_id,
                        principalSchema: "flowstone",
                        principalTable: "tenants",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "master_keys",
                schema: "flowstone",
                columns: table => new
                {
                    id = table.Column<string>(type: "character varying(2048)", maxLength: 2048, nullable: false),
                    fingerprint = table.Column<byte[]>(type: "bytea", nullable: false),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_master_keys", x => x.id);
                });

            migrationBuilder.CreateIndex(
                name: "uq_data_keys_current",
                schema: "flowstone",
                table: "data_keys",
                column: "tenant_id",
                unique: true,
                filter: "retired_at is null and destroyed_at is null");
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(
                name: "data_keys",
                schema: "flowstone");

            migrationBuilder.DropTable(
                name: "master_keys",
                schema: "flowstone");
        }
    }
}
