CREATE SCHEMA flowstone;

CREATE FUNCTION flowstone.create_partitions(since timestamp with time zone, until timestamp with time zone) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '5s'
    AS $$
declare
    week timestamptz := date_trunc('week', since at time zone 'UTC') at time zone 'UTC';
    parent text;
    partition text;
    created int := 0;
begin
    perform pg_advisory_xact_lock(hashtext('flowstone.create_partitions'));   -- two at once would both find one missing
    if until > since + interval '10 years' then
        raise exception 'create_partitions: at most ten years at a time';
    end if;
    while week < until loop
        foreach parent in array array['executions', 'node_executions', 'payloads', 'execution_attributes', 'execution_signals'] loop
            partition := parent || to_char(week at time zone 'UTC', '_YYYYMMDD');
            if to_regclass('flowstone_partitions.' || partition) is null then
                -- Made alone and then attached: `partition of` would stop all reads and writes of the parent until the commit.
                execute format('create table flowstone_partitions.%I (like flowstone.%I including all) with (fillfactor = %s)',
                    partition, parent, case when parent in ('executions', 'node_executions') then 50 else 100 end);
                execute format('alter table flowstone_partitions.%I enable row level security, force row level security', partition);
                execute format('alter table flowstone.%I attach partition flowstone_partitions.%I for values from (%L) to (%L)',
                    parent, partition, flowstone.lowest_id(week), flowstone.lowest_id(week + interval '7 days'));
                created := created + 1;
            end if;
        end loop;
        week := week + interval '7 days';
    end loop;
    return created;
end $$;

CREATE FUNCTION flowstone.email_hash(address text) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN sha256(convert_to(lower(NORMALIZE(btrim(address), NFKC)), 'UTF8'::name));

CREATE FUNCTION flowstone.expire_partition(week date, at timestamp with time zone, days integer, dry boolean, besides date[]) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '800ms'
    SET enable_hashjoin TO 'on'
    AS $$
declare
    first uuid := flowstone.lowest_id(week::timestamp at time zone 'UTC');
    behind uuid := flowstone.lowest_id((week + 7)::timestamp at time zone 'UTC');
    parent text;
    executions bigint;
begin
    if extract(isodow from week) <> 1 or days < 1 or to_regclass('flowstone_partitions.executions' || to_char(week, '_YYYYMMDD')) is null then
        return null;
    end if;

    -- Something is unfinished, or finished later than its tenant's cut; a tenant that is gone keeps nothing.
    if exists (select from flowstone.executions e left join flowstone.tenants t on t.id = e.tenant_id
                where e.id >= first and e.id < behind
                  and (e.finished_at is null or e.finished_at >= least(at, now()) - make_interval(days => coalesce((t.settings ->> 'retentionDays')::int, days)))) then
        return null;
    end if;
    select count(*) into executions from flowstone.executions e where e.id >= first and e.id < behind;
    if not dry then
        lock table only flowstone.executions, only flowstone.node_executions, only flowstone.payloads, only flowstone.execution_attributes, only flowstone.execution_signals
            in access exclusive mode;
    end if;

    -- A retry or a fork that lies elsewhere shares its payloads; not in the other weeks that go. With the locks, no other can come.
    if exists (select from (select e.id from flowstone.executions e where e.retry_of >= first and e.retry_of < behind
                            union all select e.id from flowstone.executions e where e.forked_from >= first and e.forked_from < behind) e
                where (e.id < first or e.id >= behind)
                  and not exists (select from unnest(besides) other where e.id >= flowstone.lowest_id(other::timestamp at time zone 'UTC')
                                                                      and e.id < flowstone.lowest_id((other + 7)::timestamp at time zone 'UTC'))) then
        return null;
    end if;
    if not dry then
        foreach parent in array array['executions', 'node_executions', 'payloads', 'execution_attributes', 'execution_signals'] loop
            execute format('drop table if exists flowstone_partitions.%I', parent || to_char(week, '_YYYYMMDD'));
        end loop;
    end if;
    return executions;
end $$;

CREATE FUNCTION flowstone.find_email(address text) RETURNS TABLE(tenant_id uuid, user_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select e.tenant_id, e.user_id from flowstone.user_emails e where e.email_hash = flowstone.email_hash(address)
$$;

CREATE FUNCTION flowstone.find_errors(tenant uuid, pattern text, workflow uuid, statuses text[], since uuid, below uuid, most integer) RETURNS SETOF uuid
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
    if (tenant = any (string_to_array(current_setting('flowstone.tenants', true), ',')::uuid[])) is not true then
        raise insufficient_privilege using message = 'find_errors: not a tenant of this transaction';
    end if;
    return query execute
        'select e.id from flowstone.executions e where e.tenant_id = $1 and e.reason is not null and e.error is not null and e.error ilike $2'
        || case when workflow is null then '' else ' and e.workflow_id = $3' end
        || case when statuses is null then '' else ' and e.status = any ($4)' end
        || case when since is null then '' else ' and e.id >= $5' end
        || case when below is null then '' else ' and e.id < $6' end
        || ' order by e.id desc limit $7'
        using tenant, pattern, workflow, statuses, since, below, most;
end $_$;

CREATE FUNCTION flowstone.find_external_login(login bytea) RETURNS TABLE(tenant_id uuid, user_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select e.tenant_id, e.user_id from flowstone.user_external_logins e where e.login_hash = login
$$;

CREATE FUNCTION flowstone.find_users(tenant uuid, pattern text) RETURNS SETOF uuid
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
    if (tenant = any (string_to_array(current_setting('flowstone.tenants', true), ',')::uuid[])) is not true then
        raise insufficient_privilege using message = 'find_users: not a tenant of this transaction';
    end if;
    return query execute
        'select u.id from flowstone.users u where u.tenant_id = $1 and (u.email || '' '' || coalesce(u.first_name, '''') || '' '' || coalesce(u.last_name, '''')) ilike $2'
        using tenant, pattern;
end $_$;

CREATE FUNCTION flowstone.find_workflows(tenant uuid, patterns text[], among uuid[], of_status text, of_visibility text, of_category text, of_tags text[], of_template boolean, of_owner uuid, of_team uuid, ranked boolean, after_rank integer, after_id uuid, most integer) RETURNS TABLE(id uuid, rank integer)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
end $_$;

CREATE FUNCTION flowstone.lowest_id(at timestamp with time zone) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (rpad(lpad(to_hex(((EXTRACT(epoch FROM at) * (1000)::numeric))::bigint), 12, '0'::text), 32, '0'::text))::uuid;

CREATE FUNCTION flowstone.partitions_until() RETURNS timestamp with time zone
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select case when count(*) = count(until) then min(until) end from (
        select max(to_date(right(c.relname, 8), 'YYYYMMDD')::timestamp) at time zone 'UTC' + interval '7 days' as until
          from pg_class p join pg_namespace n on n.oid = p.relnamespace
          left join pg_inherits i on i.inhparent = p.oid left join pg_class c on c.oid = i.inhrelid and c.relkind = 'r'
         where n.nspname = 'flowstone' and p.relkind = 'p' group by p.oid) horizon
$$;

CREATE TABLE flowstone.api_key_uses (
    tenant_id uuid NOT NULL,
    key_id uuid NOT NULL,
    hour timestamp with time zone NOT NULL,
    taken integer NOT NULL
);

ALTER TABLE ONLY flowstone.api_key_uses FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.api_keys (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    name character varying(255) NOT NULL,
    prefix character varying(16) NOT NULL,
    scopes text[] NOT NULL,
    rate_limit integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    last_used_at timestamp with time zone,
    key_hash bytea NOT NULL,
    CONSTRAINT ck_api_keys_scopes CHECK (((scopes <@ ARRAY['READ'::text, 'EXECUTE'::text, 'WRITE'::text, 'ADMIN'::text, 'WORK'::text]) AND (cardinality(scopes) > 0)))
);

ALTER TABLE ONLY flowstone.api_keys FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.audit_entries (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    at timestamp with time zone NOT NULL,
    user_id uuid,
    actor character varying(200) NOT NULL,
    action character varying(64) NOT NULL,
    resource_id uuid NOT NULL,
    details jsonb NOT NULL
);

ALTER TABLE ONLY flowstone.audit_entries FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.credential_shares (
    tenant_id uuid NOT NULL,
    credential_id uuid NOT NULL,
    user_id uuid NOT NULL,
    rights text[] NOT NULL,
    expires_at timestamp with time zone,
    max_uses integer,
    uses integer NOT NULL,
    shared_by uuid,
    shared_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_credential_shares_rights CHECK ((rights <@ ARRAY['READ'::text, 'USE'::text, 'EDIT'::text, 'DELETE'::text, 'SHARE'::text, 'ADMIN'::text])),
    CONSTRAINT ck_credential_shares_uses CHECK ((uses <= max_uses))
);

ALTER TABLE ONLY flowstone.credential_shares FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.credential_versions (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    credential_id uuid NOT NULL,
    number integer NOT NULL,
    secret bytea NOT NULL,
    author_id uuid,
    created_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY flowstone.credential_versions FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.credentials (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    name character varying(255) NOT NULL,
    description character varying(2000),
    type character varying(24) NOT NULL,
    visibility character varying(24) NOT NULL,
    owner_id uuid,
    team_id uuid,
    active boolean NOT NULL,
    expires_at timestamp with time zone,
    version integer NOT NULL,
    last_used_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    import_key character varying(1024),
    CONSTRAINT ck_credentials_type CHECK (((type)::text = ANY ((ARRAY['API_KEY'::character varying, 'OAUTH2'::character varying, 'BASIC_AUTH'::character varying, 'JWT'::character varying, 'SSH_KEY'::character varying, 'DATABASE'::character varying, 'CUSTOM'::character varying])::text[]))),
    CONSTRAINT ck_credentials_visibility CHECK (((visibility)::text = ANY ((ARRAY['PRIVATE'::character varying, 'TEAM'::character varying, 'PUBLIC'::character varying])::text[])))
);

ALTER TABLE ONLY flowstone.credentials FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.data_keys (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    master_key_id character varying(2048) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    retired_at timestamp with time zone,
    destroyed_at timestamp with time zone,
    uses bigint NOT NULL,
    wrapped_key bytea,
    closed_at timestamp with time zone,
    resealed_at timestamp with time zone,
    CONSTRAINT ck_data_keys_destroyed CHECK (((wrapped_key IS NULL) = (destroyed_at IS NOT NULL)))
);

ALTER TABLE ONLY flowstone.data_keys FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.execution_attributes (
    tenant_id uuid NOT NULL,
    execution_id uuid NOT NULL,
    name character varying(64) NOT NULL,
    workflow_id uuid NOT NULL,
    value bytea NOT NULL
)
PARTITION BY RANGE (execution_id);

ALTER TABLE ONLY flowstone.execution_attributes FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.execution_deltas (
    tenant_id uuid NOT NULL,
    delta_id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    hour timestamp with time zone NOT NULL,
    status character varying(24) NOT NULL,
    bucket smallint NOT NULL,
    executions integer NOT NULL,
    duration_ms bigint NOT NULL,
    wait_ms bigint NOT NULL,
    CONSTRAINT ck_execution_deltas_status CHECK (((status)::text = ANY ((ARRAY['PENDING'::character varying, 'RUNNING'::character varying, 'WAITING'::character varying, 'SUCCESS'::character varying, 'FAILED'::character varying, 'CANCELLED'::character varying, 'TIMEOUT'::character varying])::text[])))
)
WITH (autovacuum_vacuum_scale_factor='0.05', autovacuum_vacuum_threshold='5000', autovacuum_vacuum_cost_delay='0');

ALTER TABLE ONLY flowstone.execution_deltas FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.execution_keys (
    tenant_id uuid NOT NULL,
    key character varying(255) NOT NULL,
    execution_id uuid NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY flowstone.execution_keys FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.execution_limits (
    tenant_id uuid NOT NULL,
    name character varying(255) NOT NULL,
    maximum integer NOT NULL,
    running integer NOT NULL,
    CONSTRAINT ck_execution_limits CHECK (((maximum > 0) AND (running >= 0)))
)
WITH (fillfactor='50');

ALTER TABLE ONLY flowstone.execution_limits FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.execution_queue (
    shard_key uuid NOT NULL,
    execution_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    priority smallint NOT NULL,
    visible_at timestamp with time zone NOT NULL,
    fence integer NOT NULL,
    worker character varying(255),
    concurrency_key character varying(255),
    failures smallint DEFAULT 0 NOT NULL,
    holds text[],
    max_attempts smallint DEFAULT 10 NOT NULL,
    parked_for character varying(255),
    workflow_id uuid DEFAULT '00000000-0000-0000-0000-000000000000'::uuid NOT NULL
)
WITH (fillfactor='70', autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='500', autovacuum_vacuum_cost_delay='0');

ALTER TABLE ONLY flowstone.execution_queue FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.execution_signals (
    tenant_id uuid NOT NULL,
    execution_id uuid NOT NULL,
    signal_id uuid NOT NULL,
    name character varying(255) NOT NULL,
    body bytea,
    sent_at timestamp with time zone NOT NULL,
    taken_at timestamp with time zone
)
PARTITION BY RANGE (execution_id);

ALTER TABLE ONLY flowstone.execution_signals FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.execution_statistics (
    tenant_id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    hour timestamp with time zone NOT NULL,
    status character varying(24) NOT NULL,
    bucket smallint NOT NULL,
    executions bigint NOT NULL,
    duration_ms bigint NOT NULL,
    wait_ms bigint NOT NULL,
    CONSTRAINT ck_execution_statistics_status CHECK (((status)::text = ANY ((ARRAY['PENDING'::character varying, 'RUNNING'::character varying, 'WAITING'::character varying, 'SUCCESS'::character varying, 'FAILED'::character varying, 'CANCELLED'::character varying, 'TIMEOUT'::character varying])::text[])))
);

ALTER TABLE ONLY flowstone.execution_statistics FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.executions (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    workflow_version integer NOT NULL,
    status character varying(24) NOT NULL,
    reason character varying(32),
    error character varying(4000),
    trigger character varying(24) NOT NULL,
    priority smallint NOT NULL,
    started_by uuid,
    created_at timestamp with time zone NOT NULL,
    due_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    claims integer NOT NULL,
    input bytea,
    output bytea,
    detached boolean DEFAULT false NOT NULL,
    forked_from uuid,
    max_retries smallint DEFAULT 3 NOT NULL,
    parent_id uuid,
    retried_by uuid,
    retry_count smallint DEFAULT 0 NOT NULL,
    retry_of uuid,
    waiting_for character varying(255),
    CONSTRAINT ck_executions_finished CHECK (((finished_at IS NULL) = ((status)::text = ANY ((ARRAY['PENDING'::character varying, 'RUNNING'::character varying, 'WAITING'::character varying])::text[])))),
    CONSTRAINT ck_executions_reason CHECK (((reason IS NOT NULL) = ((status)::text = ANY ((ARRAY['FAILED'::character varying, 'CANCELLED'::character varying, 'TIMEOUT'::character varying])::text[])))),
    CONSTRAINT ck_executions_retries CHECK (((retry_count >= 0) AND (max_retries >= 0))),
    CONSTRAINT ck_executions_started CHECK (((started_at IS NOT NULL) OR ((status)::text = ANY ((ARRAY['PENDING'::character varying, 'CANCELLED'::character varying])::text[])))),
    CONSTRAINT ck_executions_status CHECK (((status)::text = ANY ((ARRAY['PENDING'::character varying, 'RUNNING'::character varying, 'WAITING'::character varying, 'SUCCESS'::character varying, 'FAILED'::character varying, 'CANCELLED'::character varying, 'TIMEOUT'::character varying])::text[]))),
    CONSTRAINT ck_executions_trigger CHECK (((trigger)::text = ANY ((ARRAY['MANUAL'::character varying, 'API'::character varying, 'WEBHOOK'::character varying, 'SCHEDULE'::character varying, 'RETRY'::character varying, 'PARENT'::character varying])::text[])))
)
PARTITION BY RANGE (id);

ALTER TABLE ONLY flowstone.executions FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.login_failures (
    tenant_id uuid NOT NULL,
    account bytea NOT NULL,
    source bytea NOT NULL,
    failures integer NOT NULL,
    at timestamp with time zone NOT NULL,
    retry_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY flowstone.login_failures FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.master_keys (
    id character varying(2048) NOT NULL,
    fingerprint bytea NOT NULL,
    created_at timestamp with time zone NOT NULL
);

CREATE TABLE flowstone.node_executions (
    tenant_id uuid NOT NULL,
    execution_id uuid NOT NULL,
    node integer NOT NULL,
    iteration integer NOT NULL,
    attempt smallint NOT NULL,
    status character varying(24) NOT NULL,
    reason character varying(32),
    error character varying(4000),
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    input bytea,
    output bytea,
    CONSTRAINT ck_node_executions_finished CHECK (((finished_at IS NULL) = ((status)::text = ANY ((ARRAY['PENDING'::character varying, 'RUNNING'::character varying, 'WAITING'::character varying])::text[])))),
    CONSTRAINT ck_node_executions_key CHECK (((node >= 0) AND (iteration >= 0) AND (attempt > 0))),
    CONSTRAINT ck_node_executions_status CHECK (((status)::text = ANY ((ARRAY['PENDING'::character varying, 'RUNNING'::character varying, 'WAITING'::character varying, 'SUCCESS'::character varying, 'FAILED'::character varying, 'CANCELLED'::character varying, 'TIMEOUT'::character varying])::text[])))
)
PARTITION BY RANGE (execution_id);

ALTER TABLE ONLY flowstone.node_executions FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.payloads (
    tenant_id uuid NOT NULL,
    execution_id uuid NOT NULL,
    hash bytea NOT NULL,
    content_type character varying(255) NOT NULL,
    encoding character varying(24) NOT NULL,
    size_bytes bigint NOT NULL,
    body bytea,
    object_key character varying(255),
    sealed boolean DEFAULT false NOT NULL,
    whole_size_bytes bigint,
    CONSTRAINT ck_payloads_body CHECK (((body IS NULL) <> (object_key IS NULL))),
    CONSTRAINT ck_payloads_encoding CHECK (((encoding)::text = ANY ((ARRAY['PLAIN'::character varying, 'BROTLI'::character varying])::text[])))
)
PARTITION BY RANGE (execution_id);
ALTER TABLE ONLY flowstone.payloads ALTER COLUMN body SET STORAGE EXTERNAL;

ALTER TABLE ONLY flowstone.payloads FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.schedule_firings (
    tenant_id uuid NOT NULL,
    schedule_id uuid NOT NULL,
    due_at timestamp with time zone NOT NULL,
    outcome character varying(24) NOT NULL,
    reason character varying(500),
    execution_id uuid,
    due_times integer NOT NULL,
    until timestamp with time zone,
    at timestamp with time zone NOT NULL,
    CONSTRAINT ck_schedule_firings_outcome CHECK (((outcome)::text = ANY ((ARRAY['FIRED'::character varying, 'MISSED'::character varying, 'SKIPPED'::character varying])::text[])))
);

ALTER TABLE ONLY flowstone.schedule_firings FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.schedules (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    name character varying(255) NOT NULL,
    cron character varying(200),
    interval_seconds bigint,
    time_zone character varying(64) NOT NULL,
    jitter_seconds integer NOT NULL,
    overlap character varying(24) NOT NULL,
    missed character varying(24) NOT NULL,
    missed_limit integer NOT NULL,
    input jsonb,
    active boolean NOT NULL,
    starts_at timestamp with time zone NOT NULL,
    ends_at timestamp with time zone,
    next_due_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    fire_at timestamp with time zone,
    last_execution_id uuid,
    CONSTRAINT ck_schedules_kind CHECK (((cron IS NULL) <> (interval_seconds IS NULL))),
    CONSTRAINT ck_schedules_missed CHECK (((missed)::text = ANY ((ARRAY['SKIP'::character varying, 'LATEST'::character varying, 'ALL'::character varying])::text[]))),
    CONSTRAINT ck_schedules_overlap CHECK (((overlap)::text = ANY ((ARRAY['ALLOW'::character varying, 'SKIP'::character varying])::text[])))
);

ALTER TABLE ONLY flowstone.schedules FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.schema_migrations (
    "MigrationId" character varying(150) NOT NULL,
    "ProductVersion" character varying(32) NOT NULL
);

CREATE TABLE flowstone.team_members (
    tenant_id uuid NOT NULL,
    team_id uuid NOT NULL,
    user_id uuid NOT NULL,
    role character varying(24) NOT NULL,
    joined_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_team_members_role CHECK (((role)::text = ANY ((ARRAY['OWNER'::character varying, 'ADMIN'::character varying, 'MEMBER'::character varying, 'VIEWER'::character varying])::text[])))
);

ALTER TABLE ONLY flowstone.team_members FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.teams (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    name character varying(255) NOT NULL,
    description character varying(2000),
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY flowstone.teams FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.tenants (
    id uuid NOT NULL,
    slug character varying(63) NOT NULL,
    name character varying(255) NOT NULL,
    shard_key uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    settings jsonb DEFAULT '{}'::jsonb NOT NULL,
    paused_at timestamp with time zone,
    payload_limit bigint,
    payload_overflow character varying(24),
    seal_payloads boolean DEFAULT false NOT NULL,
    CONSTRAINT ck_tenants_payload_overflow CHECK (((payload_overflow)::text = ANY ((ARRAY['TRUNCATE'::character varying, 'REJECT'::character varying, 'SPILL'::character varying])::text[]))),
    CONSTRAINT ck_tenants_slug CHECK (((slug)::text ~ '^[a-z0-9][a-z0-9-]{0,62}$'::text))
);

ALTER TABLE ONLY flowstone.tenants FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.user_devices (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    device_hash bytea NOT NULL,
    last_used_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY flowstone.user_devices FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.user_emails (
    email_hash bytea NOT NULL,
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL
);

ALTER TABLE ONLY flowstone.user_emails FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.user_external_logins (
    login_hash bytea NOT NULL,
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    provider character varying(128) NOT NULL,
    provider_key character varying(512) NOT NULL,
    display_name character varying(256)
);

ALTER TABLE ONLY flowstone.user_external_logins FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.user_logins (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    password_hash text,
    last_login_at timestamp with time zone,
    security_stamp uuid,
    totp_confirmed_at timestamp with time zone,
    totp_secret bytea,
    totp_step bigint DEFAULT 0 NOT NULL
);

ALTER TABLE ONLY flowstone.user_logins FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.user_recovery_codes (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    code_hash bytea NOT NULL
);

ALTER TABLE ONLY flowstone.user_recovery_codes FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.user_sessions (
    tenant_id uuid NOT NULL,
    token_hash bytea NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    address character varying(64),
    agent character varying(500),
    last_used_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY flowstone.user_sessions FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.user_tokens (
    tenant_id uuid NOT NULL,
    token_hash bytea NOT NULL,
    user_id uuid NOT NULL,
    purpose character varying(24) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_user_tokens_purpose CHECK (((purpose)::text = ANY ((ARRAY['VERIFY_EMAIL'::character varying, 'RESET_PASSWORD'::character varying])::text[])))
);

ALTER TABLE ONLY flowstone.user_tokens FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.users (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    email character varying(320) NOT NULL,
    first_name character varying(255),
    last_name character varying(255),
    role character varying(24) NOT NULL,
    status character varying(24) NOT NULL,
    time_zone character varying(64) NOT NULL,
    language character varying(16) NOT NULL,
    preferences jsonb NOT NULL,
    email_verified_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_users_role CHECK (((role)::text = ANY ((ARRAY['ADMIN'::character varying, 'USER'::character varying, 'VIEWER'::character varying])::text[]))),
    CONSTRAINT ck_users_status CHECK (((status)::text = ANY ((ARRAY['ACTIVE'::character varying, 'INACTIVE'::character varying, 'SUSPENDED'::character varying, 'PENDING_VERIFICATION'::character varying])::text[])))
);

ALTER TABLE ONLY flowstone.users FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.workflow_comments (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    node_id character varying(255),
    parent_id uuid,
    text character varying(10000) NOT NULL,
    x double precision,
    y double precision,
    author_id uuid,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    resolved_at timestamp with time zone,
    resolved_by uuid,
    CONSTRAINT ck_workflow_comments_place CHECK (((x IS NULL) = (y IS NULL)))
);

ALTER TABLE ONLY flowstone.workflow_comments FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.workflow_publications (
    tenant_id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    number integer NOT NULL,
    version integer,
    published_by uuid,
    published_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY flowstone.workflow_publications FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.workflow_references (
    tenant_id uuid NOT NULL,
    kind character varying(24) NOT NULL,
    value text NOT NULL,
    workflow_id uuid NOT NULL,
    node_ids text[] NOT NULL,
    CONSTRAINT ck_workflow_references_kind CHECK (((kind)::text = ANY ((ARRAY['NODE_TYPE'::character varying, 'CREDENTIAL'::character varying, 'WORKFLOW'::character varying, 'URL'::character varying, 'TAG'::character varying, 'CATEGORY'::character varying])::text[])))
);

ALTER TABLE ONLY flowstone.workflow_references FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.workflow_shares (
    tenant_id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    user_id uuid NOT NULL,
    level character varying(24) NOT NULL,
    expires_at timestamp with time zone,
    shared_by uuid,
    shared_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_workflow_shares_level CHECK (((level)::text = ANY ((ARRAY['READ'::character varying, 'EXECUTE'::character varying, 'WRITE'::character varying, 'ADMIN'::character varying])::text[])))
);

ALTER TABLE ONLY flowstone.workflow_shares FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.workflow_texts (
    tenant_id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    name text NOT NULL,
    labels text NOT NULL,
    words text NOT NULL
);

ALTER TABLE ONLY flowstone.workflow_texts FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.workflow_versions (
    tenant_id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    number integer NOT NULL,
    definition jsonb NOT NULL,
    hash bytea NOT NULL,
    message character varying(2000),
    author_id uuid,
    created_at timestamp with time zone NOT NULL,
    based_on integer
);

ALTER TABLE ONLY flowstone.workflow_versions FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.workflows (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    name character varying(255) NOT NULL,
    description text,
    status character varying(24) NOT NULL,
    visibility character varying(24) NOT NULL,
    tags text[] NOT NULL,
    owner_id uuid,
    team_id uuid,
    version integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    import_hash bytea,
    import_key character varying(1024),
    max_concurrency integer,
    paused_at timestamp with time zone,
    payload_limit bigint,
    payload_overflow character varying(24),
    search_attributes jsonb,
    category character varying(255),
    deleted_at timestamp with time zone,
    is_template boolean DEFAULT false NOT NULL,
    published_version integer,
    indexed_version integer,
    CONSTRAINT ck_workflows_payload_overflow CHECK (((payload_overflow)::text = ANY ((ARRAY['TRUNCATE'::character varying, 'REJECT'::character varying, 'SPILL'::character varying])::text[]))),
    CONSTRAINT ck_workflows_status CHECK (((status)::text = ANY ((ARRAY['DRAFT'::character varying, 'ACTIVE'::character varying, 'INACTIVE'::character varying, 'ARCHIVED'::character varying])::text[]))),
    CONSTRAINT ck_workflows_version CHECK ((version > 0)),
    CONSTRAINT ck_workflows_visibility CHECK (((visibility)::text = ANY ((ARRAY['PRIVATE'::character varying, 'TEAM'::character varying, 'PUBLIC'::character varying])::text[])))
);

ALTER TABLE ONLY flowstone.workflows FORCE ROW LEVEL SECURITY;

CREATE TABLE flowstone.write_marks (
    tenant_id uuid NOT NULL,
    group_id uuid NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.05', autovacuum_vacuum_threshold='5000', autovacuum_vacuum_cost_delay='0');

ALTER TABLE ONLY flowstone.write_marks FORCE ROW LEVEL SECURITY;

ALTER TABLE ONLY flowstone.schema_migrations
    ADD CONSTRAINT "PK_schema_migrations" PRIMARY KEY ("MigrationId");

ALTER TABLE ONLY flowstone.api_key_uses
    ADD CONSTRAINT pk_api_key_uses PRIMARY KEY (tenant_id, key_id);

ALTER TABLE ONLY flowstone.api_keys
    ADD CONSTRAINT pk_api_keys PRIMARY KEY (tenant_id, id);

ALTER TABLE ONLY flowstone.audit_entries
    ADD CONSTRAINT pk_audit_entries PRIMARY KEY (tenant_id, id);

ALTER TABLE ONLY flowstone.credential_shares
    ADD CONSTRAINT pk_credential_shares PRIMARY KEY (tenant_id, credential_id, user_id);

ALTER TABLE ONLY flowstone.credential_versions
    ADD CONSTRAINT pk_credential_versions PRIMARY KEY (tenant_id, id);

ALTER TABLE ONLY flowstone.credentials
    ADD CONSTRAINT pk_credentials PRIMARY KEY (tenant_id, id);

ALTER TABLE ONLY flowstone.data_keys
    ADD CONSTRAINT pk_data_keys PRIMARY KEY (tenant_id, id);

ALTER TABLE ONLY flowstone.execution_attributes
    ADD CONSTRAINT pk_execution_attributes PRIMARY KEY (tenant_id, execution_id, name);

ALTER TABLE ONLY flowstone.execution_deltas
    ADD CONSTRAINT pk_execution_deltas PRIMARY KEY (tenant_id, delta_id);

ALTER TABLE ONLY flowstone.execution_keys
    ADD CONSTRAINT pk_execution_keys PRIMARY KEY (tenant_id, key);

ALTER TABLE ONLY flowstone.execution_limits
    ADD CONSTRAINT pk_execution_limits PRIMARY KEY (tenant_id, name);

ALTER TABLE ONLY flowstone.execution_queue
    ADD CONSTRAINT pk_execution_queue PRIMARY KEY (shard_key, execution_id);

ALTER TABLE ONLY flowstone.execution_signals
    ADD CONSTRAINT pk_execution_signals PRIMARY KEY (tenant_id, execution_id, signal_id);

ALTER TABLE ONLY flowstone.execution_statistics
    ADD CONSTRAINT pk_execution_statistics PRIMARY KEY (tenant_id, workflow_id, hour, status, bucket);

ALTER TABLE ONLY flowstone.executions
    ADD CONSTRAINT pk_executions PRIMARY KEY (tenant_id, id);

ALTER TABLE ONLY flowstone.login_failures
    ADD CONSTRAINT pk_login_failures PRIMARY KEY (tenant_id, account, source);

ALTER TABLE ONLY flowstone.master_keys
    ADD CONSTRAINT pk_master_keys PRIMARY KEY (id);

ALTER TABLE ONLY flowstone.node_executions
    ADD CONSTRAINT pk_node_executions PRIMARY KEY (tenant_id, execution_id, node, iteration, attempt);

ALTER TABLE ONLY flowstone.payloads
    ADD CONSTRAINT pk_payloads PRIMARY KEY (tenant_id, execution_id, hash);

ALTER TABLE ONLY flowstone.schedule_firings
    ADD CONSTRAINT pk_schedule_firings PRIMARY KEY (tenant_id, schedule_id, due_at);

ALTER TABLE ONLY flowstone.schedules
    ADD CONSTRAINT pk_schedules PRIMARY KEY (tenant_id, id);

ALTER TABLE ONLY flowstone.team_members
    ADD CONSTRAINT pk_team_members PRIMARY KEY (tenant_id, team_id, user_id);

ALTER TABLE ONLY flowstone.teams
    ADD CONSTRAINT pk_teams PRIMARY KEY (tenant_id, id);

ALTER TABLE ONLY flowstone.tenants
    ADD CONSTRAINT pk_tenants PRIMARY KEY (id);

ALTER TABLE ONLY flowstone.user_devices
    ADD CONSTRAINT pk_user_devices PRIMARY KEY (tenant_id, user_id, device_hash);

ALTER TABLE ONLY flowstone.user_emails
    ADD CONSTRAINT pk_user_emails PRIMARY KEY (email_hash);

ALTER TABLE ONLY flowstone.user_external_logins
    ADD CONSTRAINT pk_user_external_logins PRIMARY KEY (login_hash);

ALTER TABLE ONLY flowstone.user_logins
    ADD CONSTRAINT pk_user_logins PRIMARY KEY (tenant_id, user_id);

ALTER TABLE ONLY flowstone.user_recovery_codes
    ADD CONSTRAINT pk_user_recovery_codes PRIMARY KEY (tenant_id, user_id, code_hash);

ALTER TABLE ONLY flowstone.user_sessions
    ADD CONSTRAINT pk_user_sessions PRIMARY KEY (tenant_id, token_hash);

ALTER TABLE ONLY flowstone.user_tokens
    ADD CONSTRAINT pk_user_tokens PRIMARY KEY (tenant_id, token_hash);

ALTER TABLE ONLY flowstone.users
    ADD CONSTRAINT pk_users PRIMARY KEY (tenant_id, id);

ALTER TABLE ONLY flowstone.workflow_comments
    ADD CONSTRAINT pk_workflow_comments PRIMARY KEY (tenant_id, workflow_id, id);

ALTER TABLE ONLY flowstone.workflow_publications
    ADD CONSTRAINT pk_workflow_publications PRIMARY KEY (tenant_id, workflow_id, number);

ALTER TABLE ONLY flowstone.workflow_references
    ADD CONSTRAINT pk_workflow_references PRIMARY KEY (tenant_id, kind, value, workflow_id);

ALTER TABLE ONLY flowstone.workflow_shares
    ADD CONSTRAINT pk_workflow_shares PRIMARY KEY (tenant_id, workflow_id, user_id);

ALTER TABLE ONLY flowstone.workflow_texts
    ADD CONSTRAINT pk_workflow_texts PRIMARY KEY (tenant_id, workflow_id);

ALTER TABLE ONLY flowstone.workflow_versions
    ADD CONSTRAINT pk_workflow_versions PRIMARY KEY (tenant_id, workflow_id, number);

ALTER TABLE ONLY flowstone.workflows
    ADD CONSTRAINT pk_workflows PRIMARY KEY (tenant_id, id);

ALTER TABLE ONLY flowstone.write_marks
    ADD CONSTRAINT pk_write_marks PRIMARY KEY (tenant_id, group_id);

CREATE INDEX ix_api_keys_by_user ON flowstone.api_keys USING btree (tenant_id, user_id);

CREATE INDEX ix_audit_entries_by_resource ON flowstone.audit_entries USING btree (tenant_id, resource_id, id DESC);

CREATE INDEX ix_credential_shares_by_user ON flowstone.credential_shares USING btree (tenant_id, user_id);

CREATE INDEX ix_credentials_by_end ON flowstone.credentials USING btree (tenant_id, expires_at) WHERE (active AND (expires_at IS NOT NULL));

CREATE INDEX ix_credentials_by_owner ON flowstone.credentials USING btree (tenant_id, owner_id);

CREATE INDEX ix_credentials_by_team ON flowstone.credentials USING btree (tenant_id, team_id) WHERE (team_id IS NOT NULL);

CREATE INDEX ix_credentials_public ON flowstone.credentials USING btree (tenant_id, id) WHERE ((visibility)::text = 'PUBLIC'::text);

CREATE INDEX ix_data_keys_unfinished ON flowstone.data_keys USING btree (tenant_id, retired_at) WHERE ((retired_at IS NOT NULL) AND (resealed_at IS NULL) AND (destroyed_at IS NULL));

CREATE INDEX ix_execution_attributes_by_value ON ONLY flowstone.execution_attributes USING btree (tenant_id, workflow_id, name, value, execution_id DESC);

CREATE INDEX ix_execution_keys_expired ON flowstone.execution_keys USING btree (expires_at);

CREATE INDEX ix_execution_queue_claim ON flowstone.execution_queue USING btree (tenant_id, priority DESC, visible_at, NULLIF(execution_id, '00000000-0000-0000-0000-000000000000'::uuid));

CREATE INDEX ix_execution_queue_parked ON flowstone.execution_queue USING btree (tenant_id, parked_for, priority DESC) WHERE (parked_for IS NOT NULL);

CREATE INDEX ix_executions_by_error ON ONLY flowstone.executions USING gin (error flowstone_extensions.gin_trgm_ops) WHERE (error IS NOT NULL);

CREATE INDEX ix_executions_by_forked ON ONLY flowstone.executions USING btree (tenant_id, forked_from) WHERE (forked_from IS NOT NULL);

CREATE INDEX ix_executions_by_parent ON ONLY flowstone.executions USING btree (tenant_id, parent_id) WHERE (parent_id IS NOT NULL);

CREATE INDEX ix_executions_by_retried ON ONLY flowstone.executions USING btree (tenant_id, retry_of) WHERE (retry_of IS NOT NULL);

CREATE INDEX ix_executions_by_user ON ONLY flowstone.executions USING btree (tenant_id, started_by, id DESC) WHERE (started_by IS NOT NULL);

CREATE INDEX ix_executions_by_workflow ON ONLY flowstone.executions USING btree (tenant_id, workflow_id, id DESC);

CREATE INDEX ix_executions_unsuccessful ON ONLY flowstone.executions USING btree (tenant_id, id DESC) WHERE (reason IS NOT NULL);

CREATE INDEX ix_executions_unsuccessful_by_workflow ON ONLY flowstone.executions USING btree (tenant_id, workflow_id, id DESC) WHERE (reason IS NOT NULL);

CREATE INDEX ix_payloads_by_object ON ONLY flowstone.payloads USING btree (tenant_id, object_key) WHERE (object_key IS NOT NULL);

CREATE INDEX ix_schedule_firings_by_time ON flowstone.schedule_firings USING btree (tenant_id, at);

CREATE INDEX ix_schedules_by_workflow ON flowstone.schedules USING btree (tenant_id, workflow_id, id);

CREATE INDEX ix_schedules_due ON flowstone.schedules USING btree (fire_at) WHERE (fire_at IS NOT NULL);

CREATE INDEX ix_team_members_by_user ON flowstone.team_members USING btree (tenant_id, user_id);

CREATE INDEX ix_user_emails_by_user ON flowstone.user_emails USING btree (tenant_id, user_id);

CREATE INDEX ix_user_external_logins_by_user ON flowstone.user_external_logins USING btree (tenant_id, user_id);

CREATE INDEX ix_user_sessions_by_user ON flowstone.user_sessions USING btree (tenant_id, user_id);

CREATE UNIQUE INDEX ix_user_tokens_by_user ON flowstone.user_tokens USING btree (tenant_id, user_id, purpose);

CREATE INDEX ix_users_by_text ON flowstone.users USING gin (tenant_id, ((((((email)::text || ' '::text) || (COALESCE(first_name, ''::character varying))::text) || ' '::text) || (COALESCE(last_name, ''::character varying))::text)) flowstone_extensions.gin_trgm_ops);

CREATE INDEX ix_workflow_comments_answers ON flowstone.workflow_comments USING btree (tenant_id, workflow_id, parent_id) WHERE (parent_id IS NOT NULL);

CREATE INDEX ix_workflow_references_by_workflow ON flowstone.workflow_references USING btree (tenant_id, workflow_id);

CREATE INDEX ix_workflow_shares_by_user ON flowstone.workflow_shares USING btree (tenant_id, user_id);

CREATE INDEX ix_workflow_texts_labels ON flowstone.workflow_texts USING gin (tenant_id, labels flowstone_extensions.gin_trgm_ops) WITH (fastupdate=off);

CREATE INDEX ix_workflow_texts_words ON flowstone.workflow_texts USING gin (tenant_id, words flowstone_extensions.gin_trgm_ops) WITH (fastupdate=off);

CREATE INDEX ix_workflows_by_owner ON flowstone.workflows USING btree (tenant_id, owner_id, id);

CREATE INDEX ix_workflows_by_owner_update ON flowstone.workflows USING btree (tenant_id, owner_id, updated_at, id);

CREATE INDEX ix_workflows_by_team ON flowstone.workflows USING btree (tenant_id, team_id, id);

CREATE INDEX ix_workflows_by_team_update ON flowstone.workflows USING btree (tenant_id, team_id, updated_at, id) WHERE (team_id IS NOT NULL);

CREATE INDEX ix_workflows_by_update ON flowstone.workflows USING btree (tenant_id, updated_at, id);

CREATE INDEX ix_workflows_public ON flowstone.workflows USING btree (tenant_id, id) WHERE ((visibility)::text = 'PUBLIC'::text);

CREATE INDEX ix_workflows_public_by_update ON flowstone.workflows USING btree (tenant_id, updated_at, id) WHERE ((visibility)::text = 'PUBLIC'::text);

CREATE INDEX ix_workflows_templates ON flowstone.workflows USING btree (tenant_id, id) WHERE is_template;

CREATE INDEX ix_workflows_trash ON flowstone.workflows USING btree (tenant_id, deleted_at) WHERE (deleted_at IS NOT NULL);

CREATE INDEX ix_workflows_unindexed ON flowstone.workflows USING btree (tenant_id, id) WHERE (indexed_version IS DISTINCT FROM version);

CREATE UNIQUE INDEX uq_api_keys_hash ON flowstone.api_keys USING btree (tenant_id, key_hash);

CREATE UNIQUE INDEX uq_credential_versions_number ON flowstone.credential_versions USING btree (tenant_id, credential_id, number);

CREATE UNIQUE INDEX uq_credentials_import_key ON flowstone.credentials USING btree (tenant_id, import_key) WHERE (import_key IS NOT NULL);

CREATE UNIQUE INDEX uq_data_keys_current ON flowstone.data_keys USING btree (tenant_id) WHERE ((retired_at IS NULL) AND (destroyed_at IS NULL));

CREATE UNIQUE INDEX uq_tenants_slug ON flowstone.tenants USING btree (slug);

CREATE UNIQUE INDEX uq_workflows_import_key ON flowstone.workflows USING btree (tenant_id, import_key) WHERE ((import_key IS NOT NULL) AND (deleted_at IS NULL));

CREATE STATISTICS flowstone.st_workflow_references_values (mcv) ON kind, value FROM flowstone.workflow_references;

ALTER TABLE ONLY flowstone.api_key_uses
    ADD CONSTRAINT fk_api_key_uses_api_keys FOREIGN KEY (tenant_id, key_id) REFERENCES flowstone.api_keys(tenant_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY flowstone.api_keys
    ADD CONSTRAINT fk_api_keys_users FOREIGN KEY (tenant_id, user_id) REFERENCES flowstone.users(tenant_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY flowstone.audit_entries
    ADD CONSTRAINT fk_audit_entries_tenants FOREIGN KEY (tenant_id) REFERENCES flowstone.tenants(id) ON DELETE CASCADE;

ALTER TABLE ONLY flowstone.credential_shares
    ADD CONSTRAINT fk_credential_shares_credentials FOREIGN KEY (tenant_id, credential_id) REFERENCES flowstone.credentials(tenant_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY flowstone.credential_shares
    ADD CONSTRAINT fk_credential_shares_users FOREIGN KEY (tenant_id, user_id) REFERENCES flowstone.users(tenant_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY flowstone.credential_versions
    ADD CONSTRAINT fk_credential_versions_credentials FOREIGN KEY (tenant_id, credential_id) REFERENCES flowstone.credentials(tenant_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY flowstone.credentials
    ADD CONSTRAINT fk_credentials_teams FOREIGN KEY (tenant_id, team_id) REFERENCES flowstone.teams(tenant_id, id) ON DELETE RESTRICT;

ALTER TABLE ONLY flowstone.credentials
    ADD CONSTRAINT fk_credentials_tenants FOREIGN KEY (tenant_id) REFERENCES flowstone.tenants(id) ON DELETE CASCADE;

ALTER TABLE ONLY flowstone.credentials
    ADD CONSTRAINT fk_credentials_users FOREIGN KEY (tenant_id, owner_id) REFERENCES flowstone.users(tenant_id, id) ON DELETE RESTRICT;

ALTER TABLE ONLY flowstone.data_keys
    ADD CONSTRAINT fk_data_keys_tenants FOREIGN KEY (tenant_id) REFERENCES flowstone.tenants(id) ON DELETE CASCADE;

ALTER TABLE flowstone.executions
    ADD CONSTRAINT fk_executions_workflow_versions FOREIGN KEY (tenant_id, workflow_id, workflow_version) REFERENCES flowstone.workflow_versions(tenant_id, workflow_id, number);

ALTER TABLE ONLY flowstone.schedule_firings
    ADD CONSTRAINT fk_schedule_firings_schedules FOREIGN KEY (tenant_id, schedule_id) REFERENCES flowstone.schedules(tenant_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY flowstone.schedules
    ADD CONSTRAINT fk_schedules_workflows FOREIGN KEY (tenant_id, workflow_id) REFERENCES flowstone.workflows(tenant_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY flowstone.team_members
    ADD CONSTRAINT fk_team_members_teams FOREIGN KEY (tenant_id, team_id) REFERENCES flowstone.teams(tenant_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY flowstone.team_members
    ADD CONSTRAINT fk_team_members_users FOREIGN KEY (tenant_id, user_id) REFERENCES flowstone.users(tenant_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY flowstone.teams
    ADD CONSTRAINT fk_teams_tenants FOREIGN KEY (tenant_id) REFERENCES flowstone.tenants(id) ON DELETE CASCADE;

ALTER TABLE ONLY flowstone.user_devices
    ADD CONSTRAINT fk_user_devices_users FOREIGN KEY (tenant_id, user_id) REFERENCES flowstone.users(tenant_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY flowstone.user_logins
    ADD CONSTRAINT fk_user_logins_users FOREIGN KEY (tenant_id, user_id) REFERENCES flowstone.users(tenant_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY flowstone.user_recovery_codes
    ADD CONSTRAINT fk_user_recovery_codes_users FOREIGN KEY (tenant_id, user_id) REFERENCES flowstone.users(tenant_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY flowstone.user_sessions
    ADD CONSTRAINT fk_user_sessions_users FOREIGN KEY (tenant_id, user_id) REFERENCES flowstone.users(tenant_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY flowstone.user_tokens
    ADD CONSTRAINT fk_user_tokens_users FOREIGN KEY (tenant_id, user_id) REFERENCES flowstone.users(tenant_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY flowstone.users
    ADD CONSTRAINT fk_users_tenants FOREIGN KEY (tenant_id) REFERENCES flowstone.tenants(id) ON DELETE CASCADE;

ALTER TABLE ONLY flowstone.workflow_comments
    ADD CONSTRAINT fk_workflow_comments_workflow_comments FOREIGN KEY (tenant_id, workflow_id, parent_id) REFERENCES flowstone.workflow_comments(tenant_id, workflow_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY flowstone.workflow_comments
    ADD CONSTRAINT fk_workflow_comments_workflows FOREIGN KEY (tenant_id, workflow_id) REFERENCES flowstone.workflows(tenant_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY flowstone.workflow_publications
    ADD CONSTRAINT fk_workflow_publications_workflows FOREIGN KEY (tenant_id, workflow_id) REFERENCES flowstone.workflows(tenant_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY flowstone.workflow_references
    ADD CONSTRAINT fk_workflow_references_workflows FOREIGN KEY (tenant_id, workflow_id) REFERENCES flowstone.workflows(tenant_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY flowstone.workflow_shares
    ADD CONSTRAINT fk_workflow_shares_users FOREIGN KEY (tenant_id, user_id) REFERENCES flowstone.users(tenant_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY flowstone.workflow_shares
    ADD CONSTRAINT fk_workflow_shares_workflows FOREIGN KEY (tenant_id, workflow_id) REFERENCES flowstone.workflows(tenant_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY flowstone.workflow_texts
    ADD CONSTRAINT fk_workflow_texts_workflows FOREIGN KEY (tenant_id, workflow_id) REFERENCES flowstone.workflows(tenant_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY flowstone.workflow_versions
    ADD CONSTRAINT fk_workflow_versions_workflows FOREIGN KEY (tenant_id, workflow_id) REFERENCES flowstone.workflows(tenant_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY flowstone.workflows
    ADD CONSTRAINT fk_workflows_teams FOREIGN KEY (tenant_id, team_id) REFERENCES flowstone.teams(tenant_id, id);

ALTER TABLE ONLY flowstone.workflows
    ADD CONSTRAINT fk_workflows_tenants FOREIGN KEY (tenant_id) REFERENCES flowstone.tenants(id) ON DELETE CASCADE;

ALTER TABLE ONLY flowstone.workflows
    ADD CONSTRAINT fk_workflows_users FOREIGN KEY (tenant_id, owner_id) REFERENCES flowstone.users(tenant_id, id);

ALTER TABLE flowstone.api_key_uses ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.api_keys ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.audit_entries ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.credential_shares ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.credential_versions ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.credentials ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.data_keys ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.execution_attributes ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.execution_deltas ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.execution_keys ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.execution_limits ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.execution_queue ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.execution_signals ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.execution_statistics ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.executions ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.login_failures ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.node_executions ENABLE ROW LEVEL SECURITY;

CREATE POLICY owner ON flowstone.executions FOR SELECT TO flowstone_owner USING (true);

CREATE POLICY owner ON flowstone.tenants FOR SELECT TO flowstone_owner USING (true);

CREATE POLICY owner ON flowstone.users FOR SELECT TO flowstone_owner USING (true);

CREATE POLICY owner ON flowstone.workflow_references FOR SELECT TO flowstone_owner USING (true);

CREATE POLICY owner ON flowstone.workflow_texts FOR SELECT TO flowstone_owner USING (true);

CREATE POLICY owner ON flowstone.workflows FOR SELECT TO flowstone_owner USING (true);

ALTER TABLE flowstone.payloads ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.schedule_firings ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.schedules ENABLE ROW LEVEL SECURITY;

CREATE POLICY sign_in ON flowstone.user_emails FOR SELECT TO flowstone_owner USING (true);

CREATE POLICY sign_in ON flowstone.user_external_logins FOR SELECT TO flowstone_owner USING (true);

ALTER TABLE flowstone.team_members ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.teams ENABLE ROW LEVEL SECURITY;

CREATE POLICY tenant ON flowstone.api_key_uses USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.api_keys USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.audit_entries USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.credential_shares USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.credential_versions USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.credentials USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.data_keys USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.execution_attributes USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.execution_deltas USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.execution_keys USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.execution_limits USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.execution_queue USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.execution_signals USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.execution_statistics USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.executions USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.login_failures USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.node_executions USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.payloads USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.schedule_firings USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.schedules USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.team_members USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.teams USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.tenants USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.user_devices USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.user_emails USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.user_external_logins USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.user_logins USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.user_recovery_codes USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.user_sessions USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.user_tokens USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.users USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.workflow_comments USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.workflow_publications USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.workflow_references USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.workflow_shares USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.workflow_texts USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.workflow_versions USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.workflows USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

CREATE POLICY tenant ON flowstone.write_marks USING ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL)) WITH CHECK ((NULLIF(strpos(current_setting('flowstone.tenants'::text, true), (tenant_id)::text), 0) IS NOT NULL));

ALTER TABLE flowstone.tenants ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.user_devices ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.user_emails ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.user_external_logins ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.user_logins ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.user_recovery_codes ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.user_sessions ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.user_tokens ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.users ENABLE ROW LEVEL SECURITY;

CREATE POLICY worker ON flowstone.execution_queue FOR SELECT TO flowstone_worker USING (true);

CREATE POLICY worker ON flowstone.schedules FOR SELECT TO flowstone_worker USING (true);

CREATE POLICY worker ON flowstone.tenants FOR SELECT TO flowstone_worker USING (true);

CREATE POLICY worker_claim ON flowstone.execution_queue FOR UPDATE TO flowstone_worker USING (true) WITH CHECK (true);

ALTER TABLE flowstone.workflow_comments ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.workflow_publications ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.workflow_references ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.workflow_shares ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.workflow_texts ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.workflow_versions ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.workflows ENABLE ROW LEVEL SECURITY;

ALTER TABLE flowstone.write_marks ENABLE ROW LEVEL SECURITY;

GRANT USAGE ON SCHEMA flowstone TO flowstone_app;

REVOKE ALL ON FUNCTION flowstone.create_partitions(since timestamp with time zone, until timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION flowstone.create_partitions(since timestamp with time zone, until timestamp with time zone) TO flowstone_app;

REVOKE ALL ON FUNCTION flowstone.email_hash(address text) FROM PUBLIC;
GRANT ALL ON FUNCTION flowstone.email_hash(address text) TO flowstone_app;

REVOKE ALL ON FUNCTION flowstone.expire_partition(week date, at timestamp with time zone, days integer, dry boolean, besides date[]) FROM PUBLIC;
GRANT ALL ON FUNCTION flowstone.expire_partition(week date, at timestamp with time zone, days integer, dry boolean, besides date[]) TO flowstone_worker;

REVOKE ALL ON FUNCTION flowstone.find_email(address text) FROM PUBLIC;
GRANT ALL ON FUNCTION flowstone.find_email(address text) TO flowstone_app;

REVOKE ALL ON FUNCTION flowstone.find_errors(tenant uuid, pattern text, workflow uuid, statuses text[], since uuid, below uuid, most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION flowstone.find_errors(tenant uuid, pattern text, workflow uuid, statuses text[], since uuid, below uuid, most integer) TO flowstone_app;

REVOKE ALL ON FUNCTION flowstone.find_external_login(login bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION flowstone.find_external_login(login bytea) TO flowstone_app;

REVOKE ALL ON FUNCTION flowstone.find_users(tenant uuid, pattern text) FROM PUBLIC;
GRANT ALL ON FUNCTION flowstone.find_users(tenant uuid, pattern text) TO flowstone_app;

REVOKE ALL ON FUNCTION flowstone.find_workflows(tenant uuid, patterns text[], among uuid[], of_status text, of_visibility text, of_category text, of_tags text[], of_template boolean, of_owner uuid, of_team uuid, ranked boolean, after_rank integer, after_id uuid, most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION flowstone.find_workflows(tenant uuid, patterns text[], among uuid[], of_status text, of_visibility text, of_category text, of_tags text[], of_template boolean, of_owner uuid, of_team uuid, ranked boolean, after_rank integer, after_id uuid, most integer) TO flowstone_app;

REVOKE ALL ON FUNCTION flowstone.lowest_id(at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION flowstone.lowest_id(at timestamp with time zone) TO flowstone_app;

REVOKE ALL ON FUNCTION flowstone.partitions_until() FROM PUBLIC;
GRANT ALL ON FUNCTION flowstone.partitions_until() TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.api_key_uses TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.api_keys TO flowstone_app;

GRANT SELECT,INSERT ON TABLE flowstone.audit_entries TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.credential_shares TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.credential_versions TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.credentials TO flowstone_app;

GRANT SELECT,INSERT,UPDATE ON TABLE flowstone.data_keys TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.execution_attributes TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.execution_deltas TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.execution_keys TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.execution_limits TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.execution_queue TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.execution_signals TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.execution_statistics TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.executions TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.login_failures TO flowstone_app;

GRANT SELECT,INSERT,DELETE ON TABLE flowstone.master_keys TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.node_executions TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.payloads TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.schedule_firings TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.schedules TO flowstone_app;

GRANT SELECT ON TABLE flowstone.schema_migrations TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.team_members TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.teams TO flowstone_app;

GRANT SELECT,INSERT,UPDATE ON TABLE flowstone.tenants TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.user_devices TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.user_emails TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.user_external_logins TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.user_logins TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.user_recovery_codes TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.user_sessions TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.user_tokens TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.users TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.workflow_comments TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.workflow_publications TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.workflow_references TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.workflow_shares TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.workflow_texts TO flowstone_app;

GRANT SELECT,INSERT ON TABLE flowstone.workflow_versions TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.workflows TO flowstone_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flowstone.write_marks TO flowstone_app;
