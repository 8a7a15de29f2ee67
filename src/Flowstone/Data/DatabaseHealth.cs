using Flowstone.Credentials;
using Flowstone.Tenancy;
using Flowstone.Workflows;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Flowstone.Data;

/// <summary>Whether Flowstone can work with its database.</summary>
/// <param name="Problems">Each a sentence that says what to do; empty if all is well.</param>
/// <param name="PartitionsUntil">Up to when executions have a partition to go to; null where that could not be asked.</param>
public sealed record DatabaseStatus(IReadOnlyList<string> Problems, DateTimeOffset? PartitionsUntil)
{
    /// <summary>How long the first due time of a schedule has been waiting that nobody has fired; null where that could not be asked.</summary>
    public TimeSpan? ScheduleLag { get; init; }

    public bool IsReady => Problems.Count == 0;

    /// <summary>Whether schema, roles, policies and master keys are right; null where that could not be asked. If they are not, nothing must be served.</summary>
    public bool? IsSafe { get; init; }
}

/// <summary>Asks the database whether it is as Flowstone needs it, and keeps its partitions ahead of time.</summary>
public sealed class DatabaseHealth
{
    static readonly TimeSpan ShortestHorizon = TimeSpan.FromDays(14);

    readonly NpgsqlDataSource source;
    static readonly TimeSpan LongestScheduleLag = TimeSpan.FromMinutes(5);

    readonly MasterKeys masters;
    readonly ScheduleRunner schedules;

    internal DatabaseHealth(NpgsqlDataSource source, MasterKeys masters, ScheduleRunner schedules) => (this.source, this.masters, this.schedules) = (source, masters, schedules);

    /// <summary>Schema, policies, roles, partitions, and whether the master keys of its secrets are here. Never throws for a database that is away: that is a problem too.</summary>
    public async Task<DatabaseStatus> CheckAsync(CancellationToken cancellationToken = default)
    {
        try
        {
            await using var db = new FlowstoneDb(FlowstoneDbOptions.For(source), default);
            await using var connection = await source.OpenConnectionAsync(cancellationToken);
            await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
            const string MayTakeRoles = $"select bool_and(pg_has_role(oid, case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end)) and count(*) = 2 from pg_roles where rolname in ('{TenantPolicies.AppRole}', '{TenantPolicies.WorkerRole}')";
            if (!await ScalarAsync<bool>(connection, MayTakeRoles, cancellationToken))
                return new([$"The database's user may not become {TenantPolicies.AppRole} and {TenantPolicies.WorkerRole}: connect as {TenantPolicies.Login}, or grant the two roles. If there are none yet, run 'flowstone migrate'."], null) { IsSafe = false };
            await ExecuteAsync(connection, Database.SetRole(TenantPolicies.AppRole), cancellationToken);
            if (!await ScalarAsync<bool>(connection, "select coalesce((select has_schema_privilege(oid, 'usage') from pg_namespace where nspname = 'flowstone'), false) and to_regclass('flowstone.schema_migrations') is not null", cancellationToken))
                return new(["The database has no Flowstone schema: run 'flowstone migrate'."], null) { IsSafe = false };
            var problems = new List<string>();
            var applied = await ScalarAsync<string[]>(connection, """select array_agg("MigrationId"::text) from flowstone.schema_migrations""", cancellationToken);
            var missing = db.Database.GetMigrations().Except(applied).ToList();
            if (missing.Count > 0)
                problems.Add($"The schema lacks {missing.Count} migration(s), first {missing[0]}: run 'flowstone migrate'.");
            foreach (var drift in await TenantPolicies.FindDriftAsync(connection, db.Model, cancellationToken))
                problems.Add($"{drift} Tenants would not be safe; run 'flowstone migrate' to put it right.");
            if (problems.Count == 0)
                problems.AddRange(await masters.FindProblemsAsync(cancellationToken));
            var safe = problems.Count == 0;
            if (await ScalarAsync<bool>(connection, "select pg_is_in_recovery() or current_setting('default_transaction_read_only')::bool", cancellationToken))
                problems.Add("The database is read-only, probably a standby: connect to the primary.");
            var until = await ScalarAsync<DateTime?>(connection, "select flowstone.partitions_until()", cancellationToken);
            if (until is null || await ScalarAsync<bool>(connection, $"select flowstone.partitions_until() < now() + interval '{ShortestHorizon.Days} days'", cancellationToken))
                problems.Add($"Partitions reach only to {until:yyyy-MM-dd}: run 'flowstone migrate', and see that the server's partition job runs.");
            TimeSpan? lag = safe ? await schedules.LagAsync(cancellationToken) : null;
            if (lag > LongestScheduleLag)
                problems.Add($"A schedule has been due for {lag.Value.TotalMinutes:N0} minutes, and nobody fires it: see that a server runs, and what its log says of schedules.");
            return new(problems, until) { IsSafe = safe, ScheduleLag = lag };
        }
        catch (UnavailableException error)   // of a KMS that is away, and may come back
        {
            return new([error.Message], null);
        }
        catch (Exception error) when (PostgresErrors.Explain(error) is { } explained)
        {
            // A wrong password, user or database will not pass by itself; a database that is away may come back.
            var lasting = error is PostgresException { SqlState: PostgresErrorCodes.InvalidCatalogName or PostgresErrorCodes.InvalidPassword or PostgresErrorCodes.InvalidAuthorizationSpecification };
            return new([explained.Message], null) { IsSafe = lasting ? false : null };
        }
    }

    /// <summary>Makes the partitions that are missing up to the horizon of four weeks.</summary>
    /// <returns>How many were made.</returns>
    public async Task<int> CreatePartitionsAsync(CancellationToken cancellationToken = default)
    {
        try
        {
            await using var connection = await source.OpenConnectionAsync(cancellationToken);
            await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
            await ExecuteAsync(connection, Database.SetRole(TenantPolicies.AppRole), cancellationToken);
            var created = await ScalarAsync<int>(connection, DatabaseInstaller.CreatePartitions, cancellationToken);
            await transaction.CommitAsync(cancellationToken);
            return created;
        }
        catch (Exception error) when (PostgresErrors.Explain(error) is { } explained)
        {
            throw explained;
        }
    }

    static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    static async Task<T> ScalarAsync<T>(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync(cancellationToken) is T value ? value : default!;
    }
}
