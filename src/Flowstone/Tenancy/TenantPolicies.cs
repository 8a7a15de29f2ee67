using Flowstone.Data;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;
using Npgsql;

namespace Flowstone.Tenancy;

/// <summary>
/// What the database itself enforces, in one place: which rows each role may reach. Derived from the EF model, applied by
/// <see cref="DatabaseInstaller"/>, compared with the catalogue at every start.
/// </summary>
static class TenantPolicies
{
    /// <summary>Owns the schema and runs migrations.</summary>
    public const string OwnerRole = "flowstone_owner";

    /// <summary>What the library uses: owns nothing, bypasses nothing.</summary>
    public const string AppRole = "flowstone_app";

    /// <summary>Claims work for all tenants. It is an <see cref="AppRole"/> with the reach of the policies named "worker" below, no more.</summary>
    public const string WorkerRole = "flowstone_worker";

    /// <summary>Who signs in: may become the two above, and nothing by itself.</summary>
    public const string Login = "flowstone";

    /// <param name="Command">ALL, SELECT, INSERT, UPDATE or DELETE.</param>
    /// <param name="Role">"public" for everybody.</param>
    /// <param name="Condition">As PostgreSQL writes it back; it guards both what is read and what is written.</param>
    sealed record Policy(string Table, string Name, string Command, string Role, string Condition)
    {
        public string Key => $"{Table}.{Name}";

        public bool GuardsWrites => Command is "ALL" or "INSERT" or "UPDATE";
    }

    // No sub-select: a distributed table refuses one. No tenants set, or an empty list, is no rows. As text, because an array would be built
    // for every row; as nothing that an index could use: what a statement is looking for, it says itself; and as a test of null, of which the
    // planner expects that nearly all rows pass (docs/adr/0005).
    static string OfTenant(string column)
        => $"(NULLIF(strpos(current_setting('flowstone.tenants'::text, true), ({column})::text), 0) IS NOT NULL)";

    static IEnumerable<Policy> Expected(IModel model)
    {
        foreach (var table in TenantTables(model))
            yield return new Policy(table, "tenant", "ALL", "public", OfTenant(table == "tenants" ? "id" : "tenant_id"));

        // The worker's whole reach beyond the tenants that it names:
        yield return new Policy("tenants", "worker", "SELECT", WorkerRole, "true");
        yield return new Policy("schedules", "worker", "SELECT", WorkerRole, "true");
        yield return new Policy("execution_queue", "worker", "SELECT", WorkerRole, "true");
        yield return new Policy("execution_queue", "worker_claim", "UPDATE", WorkerRole, "true");

        // flowstone.find_email, which runs as the owner.
        yield return new Policy("user_emails", "sign_in", "SELECT", OwnerRole, "true");

        // flowstone.find_external_login, which does, too.
        yield return new Policy("user_external_logins", "sign_in", "SELECT", OwnerRole, "true");

        // flowstone.find_errors, find_users and expire_partition, which run as the owner: the first two compare their tenant with the transaction's,
        // the last tells nothing of a row.
        yield return new Policy("users", "owner", "SELECT", OwnerRole, "true");
        yield return new Policy("executions", "owner", "SELECT", OwnerRole, "true");
        yield return new Policy("tenants", "owner", "SELECT", OwnerRole, "true");

        // flowstone.find_workflows, which compares its tenant with the transaction's, too.
        foreach (var table in new[] { "workflow_references", "workflow_texts", "workflows" })
            yield return new Policy(table, "owner", "SELECT", OwnerRole, "true");
    }

    /// <summary>What the application may do with a table, in alphabetical order. Audit entries and versions are immutable; tenants and keys are not deleted by it.</summary>
    static IEnumerable<string> Privileges(string table) => table switch
    {
        "audit_entries" or "workflow_versions" => ["insert", "select"],
        "tenants" or "data_keys" => ["insert", "select", "update"],
        "master_keys" => ["delete", "insert", "select"],
        _ => ["delete", "insert", "select", "update"],
    };

    /// <summary>Tables with rows of tenants, among them the table of the tenants themselves.</summary>
    public static IEnumerable<string> TenantTables(IModel model)
        => model.GetEntityTypes()
            .Where(entity => typeof(ITenantOwned).IsAssignableFrom(entity.ClrType) || entity.ClrType == typeof(Tenant))
            .Select(entity => entity.GetTableName()!)
            .Order(StringComparer.Ordinal);

    /// <summary>Tables that are no tenant's: everybody reads all of them.</summary>
    public static IEnumerable<string> SharedTables(IModel model)
        => model.GetEntityTypes().Select(entity => entity.GetTableName()!).Except(TenantTables(model)).Order(StringComparer.Ordinal);

    static IEnumerable<string> AllTables(IModel model) => TenantTables(model).Concat(SharedTables(model));

    /// <summary>What differs between the catalogue and the model, as sentences that name the table; empty if nothing.</summary>
    public static async Task<IReadOnlyList<string>> FindDriftAsync(NpgsqlConnection connection, IModel model, CancellationToken cancellationToken)
    {
        var drift = new List<string>();
        var tables = new HashSet<string>(StringComparer.Ordinal);
        var policies = new List<Policy>();
        const string Tables = """
            select c.relname, c.relrowsecurity, c.relforcerowsecurity, pg_has_role(r.oid, c.relowner, 'usage'),
                   array(select p from unnest(array['delete', 'insert', 'select', 'update', 'truncate', 'trigger', 'references']) p where has_table_privilege(r.oid, c.oid, p) order by p)
              from pg_class c join pg_namespace n on n.oid = c.relnamespace, pg_roles r
             where n.nspname = 'flowstone' and c.relkind in ('r', 'p') and r.rolname = 'flowstone_app'
            """;
        await ReadAsync(Tables, row =>
        {
            var table = row.GetString(0);
            tables.Add(table);
            if (row.GetBoolean(3))
                drift.Add($"{table}: {AppRole} owns it, so row-level security would not bind it.");
            if (!AllTables(model).Contains(table))
                return;
            if (!row.GetBoolean(1) && TenantTables(model).Contains(table))
                drift.Add($"{table}: row-level security is off.");
            if (!row.GetBoolean(2) && TenantTables(model).Contains(table))
                drift.Add($"{table}: row-level security is not forced.");
            if (!row.GetFieldValue<string[]>(4).SequenceEqual(Privileges(table)))
                drift.Add($"{table}: {AppRole} does not have exactly the rights to {string.Join(", ", Privileges(table))}.");
        });
        await ReadAsync("""
            select tablename, policyname, cmd, array_to_string(roles, ','), qual, with_check, permissive
              from pg_policies where schemaname = 'flowstone'
            """, row =>
        {
            var policy = new Policy(row.GetString(0), row.GetString(1), row.GetString(2), row.GetString(3), row.Get<string>(4) ?? "");
            policies.Add(policy);
            var expected = Expected(model).FirstOrDefault(e => e.Key == policy.Key);
            var check = row.Get<string>(5);
            if (expected is null)
                drift.Add($"{policy.Table}: the policy {policy.Name} is not Flowstone's.");
            else if (policy != expected || check != (expected.GuardsWrites ? expected.Condition : null) || row.GetString(6) != "PERMISSIVE")
                drift.Add($"{policy.Table}: the policy {policy.Name} is not as Flowstone made it.");
        });
        drift.AddRange(AllTables(model).Where(table => !tables.Contains(table)).Select(table => $"{table}: the table is missing."));
        drift.AddRange(Expected(model).Where(e => !policies.Exists(p => p.Key == e.Key)).Select(e => $"{e.Table}: the policy {e.Name} is missing."));
        await ReadAsync("""
            select rolname from pg_roles where rolname in ('flowstone_app', 'flowstone_worker') and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb)
            """, row => drift.Add($"{row.GetString(0)}: the role has more rights than it may have."));
        await ReadAsync("""
            select m.rolname, g.rolname from pg_auth_members a join pg_roles m on m.oid = a.member join pg_roles g on g.oid = a.roleid
             where m.rolname in ('flowstone_app', 'flowstone_worker', 'flowstone')
               and (m.rolname, g.rolname) not in (('flowstone_worker', 'flowstone_app'), ('flowstone', 'flowstone_app'), ('flowstone', 'flowstone_worker'))
            """, row => drift.Add($"{row.GetString(0)}: the role is a member of {row.GetString(1)}, which gives it more than it may have."));
        await ReadAsync("""
            select case when has_schema_privilege(r.oid, n.oid, 'usage') then 'the schema' else c.relname end
              from pg_namespace n join pg_class c on c.relnamespace = n.oid and c.relkind = 'r', pg_roles r
             where n.nspname = 'flowstone_partitions' and r.rolname = 'flowstone_app'
               and (has_schema_privilege(r.oid, n.oid, 'usage') or not (c.relrowsecurity and c.relforcerowsecurity)
                    or has_table_privilege(r.oid, c.oid, 'select, insert, update, delete, truncate')) limit 1
            """, row => drift.Add($"flowstone_partitions: {row.GetString(0)} can be reached past its parent's policies."));
        await ReadAsync("""
            select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
             where n.nspname = 'flowstone'
               and (p.proname <> all (array['lowest_id', 'create_partitions', 'partitions_until', 'email_hash', 'find_email', 'find_external_login', 'find_users', 'find_errors', 'find_workflows', 'expire_partition'])
                    or p.proowner <> 'flowstone_owner'::regrole
                    or p.prosecdef <> (p.proname = any (array['create_partitions', 'partitions_until', 'find_email', 'find_external_login', 'find_users', 'find_errors', 'find_workflows', 'expire_partition']))
                    or (p.prosecdef and not coalesce('search_path=pg_catalog, pg_temp' = any (p.proconfig), false))
                    or (p.proname = 'expire_partition' and has_function_privilege('flowstone_app', p.oid, 'execute'))
                    or exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee = 0))
            """, row => drift.Add($"{row.GetString(0)}: the function is not as Flowstone made it."));
        return drift;

        async Task ReadAsync(string sql, Action<NpgsqlDataReader> read)
        {
            await using var command = new NpgsqlCommand(sql, connection);
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
                read(reader);
        }
    }

    /// <summary>The statements that bring the catalogue to what <see cref="FindDriftAsync"/> expects, whatever it was before.</summary>
    public static string ApplyScript(IModel model)
    {
        var script = new System.Text.StringBuilder("""
            do $$ declare stray record; begin
                for stray in select tablename, policyname from pg_policies where schemaname = 'flowstone' loop
                    execute format('drop policy %I on flowstone.%I', stray.policyname, stray.tablename);
                end loop;
            end $$;
            revoke all on all functions in schema flowstone from public;
            revoke all on schema flowstone_partitions from public, flowstone_app, flowstone_worker;
            revoke all on all tables in schema flowstone_partitions from public, flowstone_app, flowstone_worker;
            grant usage on schema flowstone to flowstone_app;
            grant execute on all functions in schema flowstone to flowstone_app;
            revoke all on function flowstone.expire_partition from flowstone_app;
            grant execute on function flowstone.expire_partition to flowstone_worker;
            grant select on flowstone.schema_migrations to flowstone_app;

            """);
        foreach (var table in TenantTables(model))
            script.AppendLine($"alter table flowstone.{table} enable row level security, force row level security;");
        foreach (var table in AllTables(model))
        {
            script.AppendLine($"revoke all on flowstone.{table} from {AppRole};");
            script.AppendLine($"grant {string.Join(", ", Privileges(table))} on flowstone.{table} to {AppRole};");
        }
        foreach (var policy in Expected(model))
        {
            var check = policy.GuardsWrites ? $" with check ({policy.Condition})" : "";
            script.AppendLine($"create policy {policy.Name} on flowstone.{policy.Table} for {policy.Command} to {policy.Role} using ({policy.Condition}){check};");
        }
        return script.ToString();
    }
}
