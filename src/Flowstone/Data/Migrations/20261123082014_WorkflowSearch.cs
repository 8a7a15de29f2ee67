using System;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Flowstone.Data.Migrations
{
    /// <summary>Workflows are found by their words and by what they use; lists walk along indexes, newest or last changed first.</summary>
    public partial class WorkflowSearch : Migration
    {
        // As for users: the operators lie where an earlier migration, or somebody before it, put them. With the tenant, so that a search does not read
        // what others' workflows are called. Writes go straight into the index: what waits in a list would be read by each search.
        const string TrigramIndexes = """
            do $$ declare
                place name;
            begin
                select n.nspname into place from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'pg_trgm';
                execute format('create index ix_workflow_texts_labels on flowstone.workflow_texts using gin (tenant_id, labels %I.gin_trgm_ops) with (fastupdate = off)', place);
                execute format('create index ix_workflow_texts_words on flowstone.workflow_texts using gin (tenant_id, words %I.gin_trgm_ops) with (fastupdate = off)', place);
            end $$;
            """;

        // "Contains" is not leakproof: see flowstone.find_errors. The policies that let it read are "owner" (TenantPolicies). Behind a policy PostgreSQL does not
        // know, either, how common a word is, so the newest are looked through first: what is common fills the page there, and what does not is rare
        // enough for the trigrams. The workflow's own row is read last, for what is on the page (docs/benchmarks.md, workflows).
        const string FindWorkflowsFunction = """
            create function flowstone.find_workflows(tenant uuid, patterns text[], among uuid[], of_status text, of_visibility text, of_category text, of_tags text[],
                                                     of_template boolean, of_owner uuid, of_team uuid, ranked boolean, after_rank integer, after_id uuid, most integer)
            returns table (id uuid, rank integer)
            language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
            declare
                newest constant integer := 1000;   -- of which a twentieth fills a page
                few constant integer := 10000;
                in_name text;
                in_labels text;
                in_words text;
                conditions text;
                sought text;
                ranks text;
                page text;
                last uuid;
                met integer;
            begin
                if (tenant = any (string_to_array(current_setting('flowstone.tenants', true), ',')::uuid[])) is not true then
                    raise insufficient_privilege using message = 'find_workflows: not a tenant of this transaction';
                end if;
                select string_agg(format('t.name like $2[%s]', i), ' and '), string_agg(format('t.labels like $2[%s]', i), ' and '), string_agg(format('t.words like $2[%s]', i), ' and ')
                  into in_name, in_labels, in_words from generate_subscripts(patterns, 1) i;
                if in_name is null then
                    return;
                end if;
                conditions := concat(
                    case when of_status is not null then ' and w.status = $4' end,
                    case when of_visibility is not null then ' and w.visibility = $5' end,
                    case when of_category is not null then ' and w.category = $6' end,
                    case when of_tags is not null then ' and exists (select from flowstone.workflow_references r where r.tenant_id = $1 and r.workflow_id = t.workflow_id and r.kind = ''TAG'' and r.value = any ($7))' end,
                    case when of_template is not null then ' and w.is_template = $8' end,
                    case when of_owner is not null then ' and w.owner_id = $9' end,
                    case when of_team is not null then ' and w.team_id = $10' end);

                -- The actor reaches few: all that match are sorted. Where a twentieth of the newest do, each is looked at, else the trigrams tell.
                if cardinality(among) <= few then
                    execute format('select count(*) from (select a.id from unnest($3) a (id) order by a.id desc limit $4) a
                                     cross join lateral (select * from flowstone.workflow_texts t where t.tenant_id = $1 and t.workflow_id = a.id offset 0) t where %s', in_words)
                       into met using tenant, patterns, among, newest / 4;
                    ranks := case when ranked then format('case when %s then 0 when %s then 1 else 2 end', in_name, in_labels) else '0' end;
                    page := case when met >= newest / 80
                        then format('unnest($3) a (id) cross join lateral (select * from flowstone.workflow_texts t where t.tenant_id = $1 and t.workflow_id = a.id offset 0) t where %s', in_words)
                        else format('flowstone.workflow_texts t where t.tenant_id = $1 and t.workflow_id = any ($3) and %s', in_words) end;
                    return query execute format('
                        select t.workflow_id, t.rank from (select t.workflow_id, %s as rank from %s order by 2, 1 desc offset 0) t join flowstone.workflows w on w.tenant_id = $1 and w.id = t.workflow_id
                         where w.deleted_at is null%s%s order by t.rank, t.workflow_id desc limit $11', ranks, page, conditions,
                        case when after_id is not null then ' and (t.rank > $12 or (t.rank = $12 and t.workflow_id < $13))' end)
                        using tenant, patterns, among, of_status, of_visibility, of_category, of_tags, of_template, of_owner, of_team, most, case when ranked then coalesce(after_rank, 0) else 0 end, after_id;
                    return;
                end if;

                -- Rank by rank: what is common fills the page from the newest, and what does not is rare enough for the trigrams.
                for r in 0..2 loop
                    continue when r < case when ranked then coalesce(after_rank, 0) else 2 end;
                    sought := concat(case when not ranked then in_words
                                          when r = 0 then in_labels || ' and ' || in_name
                                          when r = 1 then in_labels || ' and not (' || in_name || ')'
                                          else in_words || ' and not (' || in_labels || ')' end,
                                     case when among is not null then ' and t.workflow_id = any ($3)' end);
                    last := case when after_id is not null and (not ranked or r = after_rank) then after_id else 'ffffffff-ffff-ffff-ffff-ffffffffffff' end;
                    for older in 0..1 loop
                        page := case when older = 0
                            then format('(select * from flowstone.workflow_texts t where t.tenant_id = $1 and t.workflow_id < $11 order by t.workflow_id desc limit %s) t where %s', newest, sought)
                            else format('flowstone.workflow_texts t where t.tenant_id = $1 and t.workflow_id < $11 and %s', sought) end;
                        return query execute format('
                            select t.workflow_id, $13 from (select t.workflow_id from %s order by 1 desc offset 0) t join flowstone.workflows w on w.tenant_id = $1 and w.id = t.workflow_id
                             where w.deleted_at is null%s order by t.workflow_id desc limit $12', page, conditions)
                            using tenant, patterns, among, of_status, of_visibility, of_category, of_tags, of_template, of_owner, of_team, last, most, case when ranked then r else 0 end;
                        get diagnostics met = row_count;
                        most := most - met;
                        if most <= 0 then
                            return;
                        end if;
                        execute 'select t.workflow_id from flowstone.workflow_texts t where t.tenant_id = $1 and t.workflow_id < $2 order by t.workflow_id desc offset $3 - 1 limit 1' into last using tenant, last, newest;
                        exit when last is null;
                    end loop;
                end loop;
            end $$;
            """;

        // Most tags are no categories, and few node types are everywhere: without it a common tag is taken for a rare one.
        const string ValuesByKind = "create statistics flowstone.st_workflow_references_values (mcv) on kind, value from flowstone.workflow_references;";

        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropIndex(
                name: "ix_workflows_by_owner",
                schema: "flowstone",
                table: "workflows");

            migrationBuilder.DropIndex(
                name: "ix_workflows_by_team",
                schema: "flowstone",
                table: "workflows");

            migrationBuilder.AddColumn<int>(
                name: "indexed_version",
                schema: "flowstone",
                table: "workflows",
                type: "integer",
                nullable: true);

            migrationBuilder.CreateTable(
                name: "workflow_references",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    kind = table.Column<string>(type: "character varying(24)", maxLength: 24, nullable: false),
                    value = table.Column<string>(type: "text", nullable: false),
                    workflow_id = table.Column<Guid>(type: "uuid", nullable: false),
                    node_ids = table.Column<string[]>(type: "text[]", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_workflow_references", x => new { x.tenant_id, x.kind, x.value, x.workflow_id });
                    table.CheckConstraint("ck_workflow_references_kind", "kind in ('NODE_TYPE', 'CREDENTIAL', 'WORKFLOW', 'URL', 'TAG', 'CATEGORY')");
                    table.ForeignKey(
                        name: "fk_workflow_references_workflows",
                        columns: x => new { x.tenant_id, x.workflow_id },
                        principalSchema: "flowstone",
                        principalTable: "workflows",
                        principalColumns: new[] { "tenant_id", "id" },
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "workflow_texts",
                schema: "flowstone",
                columns: table => new
                {
                    tenant_id = table.Column<Guid>(type: "uuid", nullable: false),
                    workflow_id = table.Column<Guid>(type: "uuid", nullable: false),
                    name = table.Column<string>(type: "text", nullable: false),
                    labels = table.Column<string>(type: "text", nullable: false),
                    words = table.Column<string>(type: "text", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("pk_workflow_texts", x => new { x.tenant_id, x.workflow_id });
                    table.ForeignKey(
                        name: "fk_workflow_texts_workflows",
                        columns: x => new { x.tenant_id, x.workflow_id },
                        principalSchema: "flowstone",
                        principalTable: "workflows",
                        principalColumns: new[] { "tenant_id", "id" },
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateIndex(
                name: "ix_workflows_by_owner",
                schema: "flowstone",
                table: "workflows",
                columns: new[] { "tenant_id", "owner_id", "id" });

            migrationBuilder.CreateIndex(
                name: "ix_workflows_by_team",
                schema: "flowstone",
                table: "workflows",
                columns: new[] { "tenant_id", "team_id", "id" });

            migrationBuilder.CreateIndex(
                name: "ix_workflows_by_update",
                schema: "flowstone",
                table: "workflows",
                columns: new[] { "tenant_id", "updated_at", "id" });

            migrationBuilder.CreateIndex(
                name: "ix_workflows_templates",
                schema: "flowstone",
                table: "workflows",
                columns: new[] { "tenant_id", "id" },
                filter: "is_template");

            migrationBuilder.CreateIndex(
                name: "ix_workflows_unindexed",
                schema: "flowstone",
                table: "workflows",
                columns: new[] { "tenant_id", "id" },
                filter: "indexed_version is distinct from version");

            migrationBuilder.CreateIndex(
                name: "ix_workflow_references_by_workflow",
                schema: "flowstone",
                table: "workflow_references",
                columns: new[] { "tenant_id", "workflow_id" });

            migrationBuilder.Sql(TrigramIndexes);
            migrationBuilder.Sql(FindWorkflowsFunction);
            migrationBuilder.Sql(ValuesByKind);
        }

        // Forward only: a release is undone by restoring the backup taken before it.
        protected override void Down(MigrationBuilder migrationBuilder) => throw new NotSupportedException();
    }
}
