using System;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Flowstone.Data.Migrations
{
    /// <inheritdoc />
    public partial class SignInSecurity : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<string>(
                name: "address",
                schema: "flowstone",
                table: "user_sessions",
                type: "character varying(64)",
                maxLength: 64,
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "agent",
                schema: "flowstone",
                table: "user_sessions",
                type: "character varying(500)",
                maxLength: 500,
                nullable: true);

            // Sessions that there are begin to be unused now.
            migrationBuilder.Sql("""
                alter table flowstone.user_sessions add column last_used_at timestamp with time zone not null default now();
                alter table flowstone.user_sessions alter column last_used_at drop default;
                """);

            migrationBuilder.CreateTable(
                name: "login_failures",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    account = table.Column<byte[]>(type: "bytea", nullable: false),
                    source = table.Column<byte[]>(type: "bytea", nullable: false),
                    failures = table.Column<int>(type: "integer", nullable: false),
                    at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    retry_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_login_failures", x => new { x.tenant_id, x.account, x.source });
                });

            migrationBuilder.CreateTable(
                name: "user_devices",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    user_id = table.Column<Guid>(type: "uuid", nullable: false),
                    device_hash = table.Column<byte[]>(type: "bytea", nullable: false),
                    last_used_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_user_devices", x => new { x.tenant_id, x.user_id, x.device_hash });
                    table.ForeignKey(
                        name: "fk_user_devices_users",
                        columns: x => new { x.tenant_id, x.user_id },
                        principalSchema: "flowstone",
                        principalTable: "users",
                        principalColumns: new[] { "tenant_id", "id" },
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "user_tokens",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    token_hash = table.Column<byte[]>(type: "bytea", nullable: false),
                    user_id = table.Column<Guid>(type: "uuid", nullable: false),
                    purpose = table.Column<string>(type: "character varying(24)", maxLength: 24, nullable: false),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    expires_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_user_tokens", x => new { x.tenant_id, x.token_hash });
                    table.CheckConstraint("ck_user_tokens_purpose", "purpose in ('VERIFY_EMAIL', 'RESET_PASSWORD')");
                    table.ForeignKey(
                        name: "fk_user_tokens_users",
                        columns: x => new { x.tenant_id, x.user_id },
                        principalSchema: "flowstone",
                        principalTable: "users",
                        principalColumns: new[] { "tenant_id", "id" },
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateIndex(
                name: "ix_user_tokens_by_user",
                schema: "flowstone",
                table: "user_tokens",
                columns: new[] { "tenant_id", "user_id" });
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(
                name: "login_failures",
                schema: "flowstone");

            migrationBuilder.DropTable(
                name: "user_devices",
                schema: "flowstone");

            migrationBuilder.DropTable(
                name: "user_tokens",
                schema: "flowstone");

            migrationBuilder.DropColumn(
                name: "address",
                schema: "flowstone",
                table: "user_sessions");

            migrationBuilder.DropColumn(
                name: "agent",
                schema: "flowstone",
                table: "user_sessions");

            migrationBuilder.DropColumn(
                name: "last_used_at",
                schema: "flowstone",
                table: "user_sessions");
        }
    }
}
