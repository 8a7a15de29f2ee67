using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.EntityFrameworkCore.Migrations.Operations;
using Npgsql.EntityFrameworkCore.PostgreSQL.Infrastructure.Internal;
using Npgsql.EntityFrameworkCore.PostgreSQL.Migrations;

namespace Flowstone.Data;

/// <summary>
/// Ends <c>create table</c> with <c>partition by range (COLUMN)</c> where a migration says so:
/// <c>.Annotation(PartitioningSqlGenerator.PartitionBy, "id")</c>. EF has no word for it.
/// </summary>
#pragma warning disable EF1001 // The constructor's second argument is EF's business; it is only handed on.
sealed class PartitioningSqlGenerator(MigrationsSqlGeneratorDependencies dependencies, INpgsqlSingletonOptions options)
    : NpgsqlMigrationsSqlGenerator(dependencies, options)
#pragma warning restore EF1001
{
    public const string PartitionBy = "Flowstone:PartitionBy";

    protected override void Generate(CreateTableOperation operation, IModel? model, MigrationCommandListBuilder builder, bool terminate = true)
    {
        if (operation[PartitionBy] is not string column)
        {
            base.Generate(operation, model, builder, terminate);
            return;
        }
        base.Generate(operation, model, builder, terminate: false);
        builder.Append($" partition by range ({column})").AppendLine(Dependencies.SqlGenerationHelper.StatementTerminator);
        EndStatement(builder);
    }
}
