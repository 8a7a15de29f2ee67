using Flowstone.Tenancy;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Npgsql;

namespace Flowstone.Data;

/// <summary>
/// Makes an empty database Flowstone's, and an older one current: roles, migrations, policies, partitions. It can be run again at any time.
/// </summary>
/// <param name="connectionString">Of somebody who may create roles and become the owner: a superuser, or a managed service's administrator.</param>
public sealed class DatabaseInstaller(string connectionString)
{
    /// <summary>How far ahead partitions are made.</summary>
    internal static readonly TimeSpan Horizon = TimeSpan.FromDays(28);

    internal static readonly string CreatePartitions = $"select flowstone.create_partitions(now() - interval '7 days', now() + interval '{Horizon.Days} days')";

    const long LockKey = 0x666c6f7773746f6e; // "flowston": one installer at a time

    /// <summary>Makes an empty database on a server, if it has none of that name.</summary>
    /// <param name="server">A connection string of somebody who may create databases.</param>
    /// <param name="name">Lower-case letters, digits and underscores.</param>
    public static async Task CreateDatabaseAsync(string server, string name, CancellationToken cancellationToken = default)
    {
        CheckName(name);
        try
        {
            await ExecuteAsync(server, $"create database {name}", cancellationToken);
        }
        catch (ConflictException)
        {
            // It is there, or somebody made it at the same moment: as wanted.
        }
    }

    /// <summary>Deletes a database with all that is in it, and ends its connections.</summary>
    public static Task DropDatabaseAsync(string server, string name, CancellationToken cancellationToken = default)
    {
        CheckName(name);
        return ExecuteAsync(server, $"drop database if exists {name} with (force)", cancellationToken);
    }

    static void CheckName(string name)
    {
        if (name.Length is 0 or > 63 || !name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '_'))
            throw new InvalidInputException("database", "must be 1 to 63 lower-case letters, digits and underscores.");
    }

    static async Task ExecuteAsync(string server, string sql, CancellationToken cancellationToken)
    {
        try
        {
            await using var connection = new NpgsqlConnection(server);
            await connection.OpenAsync(cancellationToken);
            await using var command = new NpgsqlCommand(sql, connection);
            await command.ExecuteNonQueryAsync(cancellationToken);
        }
        catch (Exception error) when (PostgresErrors.Explain(error) is { } explained)
        {
            throw explained;
        }
    }

    /// <summary>Migrations that the database lacks.</summary>
    public async Task<IReadOnlyList<string>> PendingAsync(CancellationToken cancellationToken = default)
    {
        try
        {
            await using var connection = new NpgsqlConnection(connectionString);
            await using var db = new FlowstoneDb(FlowstoneDbOptions.Create(connection), default);
            return [.. await db.Database.GetPendingMigrationsAsync(cancellationToken)];
        }
        catch (Exception error) when (PostgresErrors.Explain(error) is { } explained)
        {
            throw explained;
        }
    }

    /// <summary>The whole schema as one script that can be run again: roles, migrations, policies, partitions.</summary>
    public static string Script()
    {
        using var db = new FlowstoneDb(FlowstoneDbOptions.CreateWithoutDatabase(), default);
        var migrations = db.GetService<IMigrator>().GenerateScript(options: MigrationsSqlGenerationOptions.Idempotent);
        return $"{CreateRoles};\nset role {TenantPolicies.OwnerRole};\n{migrations}\n{TenantPolicies.ApplyScript(db.Model)}\n{CreatePartitions};\n";
    }

    /// <returns>The migrations that were applied now.</returns>
    /// <exception cref="UnavailableException">The database cannot be reached.</exception>
    /// <exception cref="InvalidInputException">The database's encoding is not UTF8.</exception>
    public async Task<IReadOnlyList<string>> RunAsync(CancellationToken cancellationToken = default)
    {
        try
        {
            // Not pooled: the role, the time-out and the lock end with the session. Without a limit: an index on many rows takes its time.
            await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(connectionString) { Pooling = false, CommandTimeout = 0 }.ConnectionString);
            await connection.OpenAsync(cancellationToken);
            if (connection.PostgresParameters["server_encoding"] is var encoding and not "UTF8")
                throw new InvalidInputException("database", $"has the encoding {encoding}, which cannot store everything that people write. Make one with: create database … encoding 'UTF8' template template0");
            await RunSqlAsync($"select pg_advisory_lock({LockKey})");
            await RunSqlAsync(CreateRoles);
            await RunSqlAsync($"set role {TenantPolicies.OwnerRole}");
            await RunSqlAsync("set lock_timeout = '10s'");   // rather fail, and be run again, than let a busy table's users queue up behind us

            await using var db = new FlowstoneDb(FlowstoneDbOptions.Create(connection), default);
            var pending = (await db.Database.GetPendingMigrationsAsync(cancellationToken)).ToList();
            await db.Database.MigrateAsync(cancellationToken);
            if (pending.Count > 0 || (await TenantPolicies.FindDriftAsync(connection, db.Model, cancellationToken)).Count > 0)
            {
                await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
                await RunSqlAsync(TenantPolicies.ApplyScript(db.Model));
                await transaction.CommitAsync(cancellationToken);
            }
            await RunSqlAsync(CreatePartitions);
            return pending;

            async Task RunSqlAsync(string sql)
            {
                await using var command = new NpgsqlCommand(sql, connection);
                await command.ExecuteNonQueryAsync(cancellationToken);
            }
        }
        catch (Exception error) when (PostgresErrors.Explain(error) is { } explained)
        {
            throw explained;
        }
    }

    // Roles belong to the whole server, so a second database finds them made. None has a password: who connects over the network
    // sets one (`alter role flowstone password …`). The login `flowstone` inherits nothing: until a transaction takes a role, it may do nothing.
    const string CreateRoles = """
        do $$ declare
            role text;
            may_become text := case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end;
        begin
            foreach role in array array['flowstone_owner', 'flowstone_app', 'flowstone_worker', 'flowstone'] loop
                if not exists (select from pg_roles where rolname = role) then
                    execute format('create role %I %s', role, case role when 'flowstone' then 'login noinherit' when 'flowstone_owner' then 'nologin' else 'login' end);
                end if;
                -- From PostgreSQL 16 on, who makes a role is a member of it, but may not yet become it.
                if not pg_has_role(current_user, role, may_become) then
                    execute format('grant %I to %I %s', role, current_user, case may_become when 'set' then 'with set true' else '' end);
                end if;
            end loop;
            if not pg_has_role('flowstone_worker', 'flowstone_app', 'member') then
                grant flowstone_app to flowstone_worker;
            end if;
            if not pg_has_role('flowstone', 'flowstone_worker', 'member') then
                grant flowstone_app, flowstone_worker to flowstone;
            end if;
            if not has_database_privilege('flowstone_owner', current_database(), 'create') then
                execute format('grant create on database %I to flowstone_owner', current_database());
            end if;
        end $$
        """;
}
