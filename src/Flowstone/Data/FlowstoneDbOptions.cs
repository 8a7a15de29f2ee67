using System.Data.Common;
using System.Runtime.CompilerServices;
using Flowstone.Tenancy;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.EntityFrameworkCore.Migrations;
using Npgsql;

namespace Flowstone.Data;

static class FlowstoneDbOptions
{
    static readonly ConditionalWeakTable<NpgsqlDataSource, DbContextOptions<FlowstoneDb>> made = [];

    /// <summary>Made once per database: building options anew would cost EF its caches.</summary>
    public static DbContextOptions<FlowstoneDb> For(NpgsqlDataSource database)
        => made.GetValue(database, key => Create(options => options.UseNpgsql(key, Configure)));

    /// <summary>For migrations, which have a connection of their own.</summary>
    public static DbContextOptions<FlowstoneDb> Create(NpgsqlConnection connection) => Create(options => options.UseNpgsql(connection, Configure));

    /// <summary>For <c>dotnet ef</c>, which needs the model and no database.</summary>
    public static DbContextOptions<FlowstoneDb> CreateWithoutDatabase() => Create(options => options.UseNpgsql(Configure));

    static DbContextOptions<FlowstoneDb> Create(Action<DbContextOptionsBuilder> connect)
    {
        var options = new DbContextOptionsBuilder<FlowstoneDb>()
            .UseQueryTrackingBehavior(QueryTrackingBehavior.NoTracking)   // rows are records: read, never mutated
            .AddInterceptors(TenantPrefix.Instance)
            .ReplaceService<IMigrationsSqlGenerator, PartitioningSqlGenerator>();
        connect(options);
        return (DbContextOptions<FlowstoneDb>)options.Options;
    }

    static void Configure(Npgsql.EntityFrameworkCore.PostgreSQL.Infrastructure.NpgsqlDbContextOptionsBuilder npgsql)
        => npgsql.MigrationsHistoryTable("schema_migrations", FlowstoneDb.Schema).SetPostgresVersion(15, 0);

    /// <summary>Sets role and tenant in the round trip of the query itself: <c>begin; set local …; QUERY; commit</c>.</summary>
    sealed class TenantPrefix : DbCommandInterceptor
    {
        public static readonly TenantPrefix Instance = new();

        public override ValueTask<InterceptionResult<DbDataReader>> ReaderExecutingAsync(
            DbCommand command, CommandEventData eventData, InterceptionResult<DbDataReader> result, CancellationToken cancellationToken = default)
        {
            if (eventData.Context is FlowstoneDb db && eventData.CommandSource == CommandSource.LinqQuery)
                command.CommandText = $"begin;{Database.SetRole(TenantPolicies.AppRole)};{Database.SetTenants(db.TenantId.ToString())};{command.CommandText};commit";
            return new(result);
        }
    }
}
