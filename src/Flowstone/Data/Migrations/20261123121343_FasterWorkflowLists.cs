using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Flowstone.Data.Migrations
{
    /// <summary>A user's search looks at what fills the page, not at all that the user reaches; and each way of a user to a workflow has an index by change.</summary>
    public partial class FasterWorkflowLists : Migration
    {
        // "Contains" is not leakproof: see flowstone.find_errors. The policies that let it read are "owner" (TenantPolicies). Behind a policy PostgreSQL does not
        // know, either, how common a word is, so a sample of the newest tells. The workflow's own row is read last, for what is on the page (docs/benchmarks.md, workflows).
        const string FindWorkflowsFunction = """
            create or replace function flowstone.find_workflows(tenant uuid, patterns text[], among uuid[], of_status text, of_visibility text, of_category text, of_tags text[],
                                                                of_template boolean, of_owner uuid, of_team uuid, ranked boolean, after_rank integer, after_id uuid, most integer)
            returns table (id uuid, rank integer)
            language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
            declare
                few constant integer := 1000;     -- are looked at one by one in no time
                sample constant integer := 250;   -- of the newest
                common constant integer := 12;    -- of the sample: fills a page before long
                highest constant uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
                in_name text;
                in_labels text;
                in_words text;
                conditions text;
                walk text;
                page text;
                sought text;
                mine uuid[];            -- what the actor reaches, the newest first
                seen integer[];         -- how many of the sample have it in the name, the labels, the words
                everywhere integer[];   -- the same among all of the tenant's
                hits integer;
                last uuid;
                reached integer;
                step integer;           -- null: not on a walk
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
                conditions := concat('w.deleted_at is null',
                    case when of_status is not null then ' and w.status = $4' end,
                    case when of_visibility is not null then ' and w.visibility = $5' end,
                    case when of_category is not null then ' and w.category = $6' end,
                    case when of_tags is not null then ' and exists (select from flowstone.workflow_references r where r.tenant_id = $1 and r.workflow_id = t.workflow_id and r.kind = ''TAG'' and r.value = any ($7))' end,
                    case when of_template is not null then ' and w.is_template = $8' end,
                    case when of_owner is not null then ' and w.owner_id = $9' end,
                    case when of_team is not null then ' and w.team_id = $10' end);

                -- Of all, or of what the actor reaches, the newest first.
                walk := case when among is null
                    then '(select * from flowstone.workflow_texts t where t.tenant_id = $1 and t.workflow_id < $11 order by t.workflow_id desc limit $14) t'
                    else '(select t.* from unnest($3) a (id) cross join lateral (select * from flowstone.workflow_texts t where t.tenant_id = $1 and t.workflow_id = a.id offset 0) t where a.id < $11) t' end;

                if cardinality(among) <= few then
                    return query execute format('
                        select t.workflow_id, t.rank from (select t.workflow_id, %s as rank from %s where %s) t join flowstone.workflows w on w.tenant_id = $1 and w.id = t.workflow_id
                         where (t.rank > $13 or (t.rank = $13 and t.workflow_id < $15)) and %s order by t.rank, t.workflow_id desc limit $12',
                        case when ranked then format('case when %s then 0 when %s then 1 else 2 end', in_name, in_labels) else '0' end, walk, in_words, conditions)
                        using tenant, patterns, among, of_status, of_visibility, of_category, of_tags, of_template, of_owner, of_team, highest, most,
                              case when ranked then coalesce(after_rank, 0) else 0 end, null, coalesce(after_id, highest);
                    return;
                end if;

                sought := format('select array[count(*) filter (where %s), count(*) filter (where %s), count(*) filter (where %s)] from ', in_name, in_labels, in_words);
                execute sought || '(select * from flowstone.workflow_texts t where t.tenant_id = $1 order by t.workflow_id desc limit $3) t' into everywhere using tenant, patterns, sample;
                seen := everywhere;
                if among is not null then
                    mine := array(select a.id from unnest(among) a (id) order by a.id desc);
                    execute sought || walk into seen using tenant, patterns, mine[:sample], null, null, null, null, null, null, null, highest;
                end if;

                -- Rank by rank: what is rare, the trigrams tell; what is common is met on a walk, in step that become longer.
                for r in 0..2 loop
                    continue when r < case when ranked then coalesce(after_rank, 0) else 2 end;
                    sought := case when not ranked then in_words
                                   when r = 0 then in_labels || ' and ' || in_name
                                   when r = 1 then in_labels || ' and not (' || in_name || ')'
                                   else in_words || ' and not (' || in_labels || ')' end;
                    last := case when after_id is not null and (not ranked or r = after_rank) then after_id else highest end;
                    hits := case when not ranked then seen[3] when r = 0 then seen[1] else seen[r + 1] - seen[r] end;
                    reached := 0;
                    step := least(most, 10000) * 2 * sample / greatest(hits, common);
                    loop
                        if hits < common and everywhere[case when r = 2 then 3 else 2 end] < common then
                            step := null;
                            page := format('(select t.workflow_id from flowstone.workflow_texts t where t.tenant_id = $1 and t.workflow_id < $11 and %s offset 0) t', sought)
                                || case when among is not null then ' where (t.workflow_id in (select unnest ($3))) is true' else '' end;   -- the planner would look at each of an array
                        else
                            page := walk || ' where ' || sought;
                        end if;
                        return query execute format('
                            select t.workflow_id, $13 from (select t.workflow_id from %s order by 1 desc offset 0) t join flowstone.workflows w on w.tenant_id = $1 and w.id = t.workflow_id
                             where %s order by t.workflow_id desc limit $12', page, conditions)
                            using tenant, patterns, case when step is null then mine else mine[reached + 1 : reached + step] end, of_status, of_visibility, of_category, of_tags, of_template, of_owner, of_team,
                                  last, most, case when ranked then r else 0 end, step;
                        get diagnostics met = row_count;
                        most := most - met;
                        if most <= 0 then
                            return;
                        end if;
                        exit when step is null;
                        reached := reached + step;
                        if among is null then
                            execute 'select t.workflow_id from flowstone.workflow_texts t where t.tenant_id = $1 and t.workflow_id < $2 order by t.workflow_id desc offset $3 - 1 limit 1' into last using tenant, last, step;
                        end if;
                        exit when last is null or reached >= cardinality(mine);
                        step := step * 4;
                    end loop;
                end loop;
            end $$;
            """;

        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.CreateIndex(
                name: "ix_workflows_by_owner_update",
                schema: "flowstone",
                table: "workflows",
                columns: new[] { "tenant_id", "owner_id", "updated_at", "id" });

            migrationBuilder.CreateIndex(
                name: "ix_workflows_by_team_update",
                schema: "flowstone",
                table: "workflows",
                columns: new[] { "tenant_id", "team_id", "updated_at", "id" },
                filter: "team_id is not null");

            migrationBuilder.CreateIndex(
                name: "ix_workflows_public_by_update",
                schema: "flowstone",
                table: "workflows",
                columns: new[] { "tenant_id", "updated_at", "id" },
                filter: "visibility = 'PUBLIC'");

            migrationBuilder.Sql(FindWorkflowsFunction);
        }

        // Forward only: a release is undone by restoring the backup taken before it.
        protected override void Down(MigrationBuilder migrationBuilder) => throw new NotSupportedException();
    }
}
