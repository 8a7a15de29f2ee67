using System;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Flowstone.Data.Migrations
{
    /// <summary>Users are found by a part of their names; a second factor, and accounts elsewhere, sign them in; one token of a purpose at a time.</summary>
    public partial class UserSearchAndTwoFactor : Migration
    {
        // As for errors: the operators need an owner's schema, or the one where somebody installed them before. With the tenant, so that a search
        // does not read what others' users are called.
        const string TrigramIndex = """
            do $$ declare
                place name;
            begin
                if not exists (select from pg_extension where extname = 'btree_gin') then
                    create schema if not exists flowstone_extensions;
                    create extension btree_gin schema flowstone_extensions;
                end if;
                select n.nspname into place from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'pg_trgm';
                execute format('create index ix_users_by_text on flowstone.users using gin (tenant_id, ((email || '' '' || coalesce(first_name, '''') || '' '' || coalesce(last_name, ''''))) %I.gin_trgm_ops)', place);
            end $$;
            """;

        // "Contains" is not leakproof: see flowstone.find_errors. The policy that lets it read is "owner" (TenantPolicies).
        const string FindUsersFunction = """
            create function flowstone.find_users(tenant uuid, pattern text) returns setof uuid
            language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
            begin
                if (tenant = any (string_to_array(current_setting('flowstone.tenants', true), ',')::uuid[])) is not true then
                    raise insufficient_privilege using message = 'find_users: not a tenant of this transaction';
                end if;
                return query execute
                    'select u.id from flowstone.users u where u.tenant_id = $1 and (u.email || '' '' || coalesce(u.first_name, '''') || '' '' || coalesce(u.last_name, '''')) ilike $2'
                    using tenant, pattern;
            end $$;
            """;

        const string FindExternalLoginFunction = """
            create function flowstone.find_external_login(login bytea) returns table (tenant_id uuid, user_id uuid)
            language sql stable security definer set search_path = pg_catalog, pg_temp as $$
                select e.tenant_id, e.user_id from flowstone.user_external_logins e where e.login_hash = login
            $$;
            """;

        // Of two that were made at the same instant, the older goes.
        const string OneTokenOfAPurpose = """
            delete from flowstone.user_tokens t using flowstone.user_tokens n
             where n.tenant_id = t.tenant_id and n.user_id = t.user_id and n.purpose = t.purpose and (n.created_at, n.token_hash) > (t.created_at, t.token_hash);
            """;

        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.Sql(OneTokenOfAPurpose);

            migrationBuilder.DropIndex(
                name: "ix_user_tokens_by_user",
                schema: "flowstone",
                table: "user_tokens");

            migrationBuilder.AddColumn<Guid>(
                name: "security_stamp",
                schema: "flowstone",
                table: "user_logins",
                type: "uuid",
                nullable: true);

            migrationBuilder.AddColumn<DateTimeOffset>(
                name: "totp_confirmed_at",
                schema: "flowstone",
                table: "user_logins",
                type: "timestamp with time zone",
                nullable: true);

            migrationBuilder.AddColumn<byte[]>(
                name: "totp_secret",
                schema: "flowstone",
                table: "user_logins",
                type: "bytea",
                nullable: true);

            migrationBuilder.AddColumn<long>(
                name: "totp_step",
                schema: "flowstone",
                table: "user_logins",
                type: "bigint",
                nullable: false,
                defaultValue: 0L);

            migrationBuilder.CreateTable(
                name: "user_external_logins",
                schema: "flowstone",
                columns: table => new
                {
                    login_hash = table.Column<byte[]>(type: "bytea", nullable: false),
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    user_id = table.Column<Guid>(type: "uuid", nullable: false),
                    provider = table.Column<string>(type: "character varying(128)", maxLength: 128, nullable: false),
                    provider_key = table.Column<string>(type: "character varying(512)", maxLength: 512, nullable: false),
                    display_name = table.Column<string>(type: "character varying(256)", maxLength: 256, nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_user_external_logins", x => x.login_hash);
                });

            migrationBuilder.CreateTable(
                name: "user_recovery_codes",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    user_id = table.Column<Guid>(type: "uuid", nullable: false),
                    code_hash = table.Column<byte[]>(type: "bytea", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_user_recovery_codes", x => new { x.tenant_id, x.user_id, x.code_hash });
                    table.ForeignKey(
                        name: "fk_user_recovery_codes_users",
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
                columns: new[] { "tenant_id", "user_id", "purpose" },
                unique: true);

            migrationBuilder.CreateIndex(
                name: "ix_user_external_logins_by_user",
                schema: "flowstone",
                table: "user_external_logins",
                columns: new[] { "tenant_id", "user_id" });

            migrationBuilder.Sql(TrigramIndex);
            migrationBuilder.Sql(FindUsersFunction);
            migrationBuilder.Sql(FindExternalLoginFunction);
        }

        // Forward only: a release is undone by restoring the backup taken before it.
        protected override void Down(MigrationBuilder migrationBuilder) => throw new NotSupportedException();
    }
}
