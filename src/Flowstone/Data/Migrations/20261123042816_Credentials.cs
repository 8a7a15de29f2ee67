using System;
using System.Text.Json;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Flowstone.Data.Migrations
{
    /// <summary>Credentials with sealed versions and shares; and the audit trail that revealing one is entered in.</summary>
    public partial class Credentials : Migration
    {
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.CreateTable(
                name: "audit_entries",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    id = table.Column<Guid>(type: "uuid", nullable: false),
                    at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    user_id = table.Column<Guid>(type: "uuid", nullable: true),
                    actor = table.Column<string>(type: "character varying(200)", maxLength: 200, nullable: false),
                    action = table.Column<string>(type: "character varying(64)", maxLength: 64, nullable: false),
                    resource_id = table.Column<Guid>(type: "uuid", nullable: false),
                    details = table.Column<JsonElement>(type: "jsonb", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_audit_entries", x => new { x.tenant_id, x.id });
                    table.ForeignKey(
                        name: "fk_audit_entries_tenants",
                        column: x => x.tenant_id,
                        principalSchema: "flowstone",
                        principalTable: "tenants",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "credentials",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    id = table.Column<Guid>(type: "uuid", nullable: false),
                    name = table.Column<string>(type: "character varying(255)", maxLength: 255, nullable: false),
                    description = table.Column<string>(type: "character varying(2000)", maxLength: 2000, nullable: true),
                    type = table.Column<string>(type: "character varying(24)", maxLength: 24, nullable: false),
                    visibility = table.Column<string>(type: "character varying(24)", maxLength: 24, nullable: false),
                    owner_id = table.Column<Guid>(type: "uuid", nullable: true),
                    team_id = table.Column<Guid>(type: "uuid", nullable: true),
                    active = table.Column<bool>(type: "boolean", nullable: false),
                    expires_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    version = table.Column<int>(type: "integer", nullable: false),
                    last_used_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    updated_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_credentials", x => new { x.tenant_id, x.id });
                    table.CheckConstraint("ck_credentials_type", "type in ('API_KEY', 'OAUTH2', 'BASIC_AUTH', 'JWT', 'SSH_KEY', 'DATABASE', 'CUSTOM')");
                    table.CheckConstraint("ck_credentials_visibility", "visibility in ('PRIVATE', 'TEAM', 'PUBLIC')");
                    table.ForeignKey(
                        name: "fk_credentials_teams",
                        columns: x => new { x.tenant_id, x.team_id },
                        principalSchema: "flowstone",
                        principalTable: "teams",
                        principalColumns: new[] { "tenant_id", "id" },
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "fk_credentials_tenants",
                        column: x => x.tenant_id,
                        principalSchema: "flowstone",
                        principalTable: "tenants",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                    table.ForeignKey(
                        name: "fk_credentials_users",
                        columns: x => new { x.tenant_id, x.owner_id },
                        principalSchema: "flowstone",
                        principalTable: "users",
                        principalColumns: new[] { "tenant_id", "id" },
                        onDelete: ReferentialAction.Restrict);
                });

            migrationBuilder.CreateTable(
                name: "credential_shares",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    credential_id = table.Column<Guid>(type: "uuid", nullable: false),
                    user_id = table.Column<Guid>(type: "uuid", nullable: false),
                    rights = table.Column<string[]>(type: "text[]", nullable: false),
                    expires_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    max_uses = table.Column<int>(type: "integer", nullable: true),
                    uses = table.Column<int>(type: "integer", nullable: false),
                    shared_by = table.Column<Guid>(type: "uuid", nullable: true),
                    shared_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_credential_shares", x => new { x.tenant_id, x.credential_id, x.user_id });
                    table.CheckConstraint("ck_credential_shares_rights", "rights <@ array['READ', 'USE', 'EDIT', 'DELETE', 'SHARE', 'ADMIN']");
                    table.CheckConstraint("ck_credential_shares_uses", "uses <= max_uses");
                    table.ForeignKey(
                        name: "fk_credential_shares_credentials",
                        columns: x => new { x.tenant_id, x.credential_id },
                        principalSchema: "flowstone",
                        principalTable: "credentials",
                        principalColumns: new[] { "tenant_id", "id" },
                        onDelete: ReferentialAction.Cascade);
                    table.ForeignKey(
                        name: "fk_credential_shares_users",
                        columns: x => new { x.tenant_id, x.user_id },
                        principalSchema: "flowstone",
                        principalTable: "users",
                        principalColumns: new[] { "tenant_id", "id" },
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "credential_versions",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    id = table.Column<Guid>(type: "uuid", nullable: false),
                    credential_id = table.Column<Guid>(type: "uuid", nullable: false),
                    number = table.Column<int>(type: "integer", nullable: false),
                    secret = table.Column<byte[]>(type: "bytea", nullable: false),
                    author_id = table.Column<Guid>(type: "uuid", nullable: true),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_credential_versions", x => new { x.tenant_id, x.id });
                    table.ForeignKey(
                        name: "fk_credential_versions_credentials",
                        columns: x => new { x.tenant_id, x.credential_id },
                        principalSchema: "flowstone",
                        principalTable: "credentials",
                        principalColumns: new[] { "tenant_id", "id" },
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateIndex(
                name: "ix_audit_entries_by_resource",
                schema: "flowstone",
                table: "audit_entries",
                columns: new[] { "tenant_id", "resource_id", "id" },
                descending: new[] { false, false, true });

            migrationBuilder.CreateIndex(
                name: "ix_credential_shares_by_user",
                schema: "flowstone",
                table: "credential_shares",
                columns: new[] { "tenant_id", "user_id" });

            migrationBuilder.CreateIndex(
                name: "uq_credential_versions_number",
                schema: "flowstone",
                table: "credential_versions",
                columns: new[] { "tenant_id", "credential_id", "number" },
                unique: true);

            migrationBuilder.CreateIndex(
                name: "ix_credentials_by_end",
                schema: "flowstone",
                table: "credentials",
                columns: new[] { "tenant_id", "expires_at" },
                filter: "active and expires_at is not null");

            migrationBuilder.CreateIndex(
                name: "ix_credentials_by_owner",
                schema: "flowstone",
                table: "credentials",
                columns: new[] { "tenant_id", "owner_id" });

            migrationBuilder.CreateIndex(
                name: "ix_credentials_by_team",
                schema: "flowstone",
                table: "credentials",
                columns: new[] { "tenant_id", "team_id" },
                filter: "team_id is not null");
        }

        // Forward only: a release is undone by restoring the backup taken before it.
        protected override void Down(MigrationBuilder migrationBuilder) => throw new NotSupportedException();
    }
}
