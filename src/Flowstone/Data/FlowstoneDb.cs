using System.Text.Json;
using Flowstone.Audit;
using Flowstone.Credentials;
using Flowstone.Executions;
using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.EntityFrameworkCore.Metadata.Conventions;
using Microsoft.EntityFrameworkCore.Storage.ValueConversion;

namespace Flowstone.Data;

/// <summary>
/// The EF model, which is the list of tables: migrations, tenancy, backup and distribution walk it. It reads, for one tenant;
/// writes are statements with their precondition in the <c>where</c>.
/// </summary>
sealed class FlowstoneDb(DbContextOptions<FlowstoneDb> options, Id<Tenant> tenantId) : DbContext(options)
{
    public const string Schema = "flowstone";

    public Id<Tenant> TenantId => tenantId;

    protected override void ConfigureConventions(ModelConfigurationBuilder conventions)
    {
        // Every index is written in a mapping, with the query that it serves.
        conventions.Conventions.Remove<ForeignKeyIndexConvention>();
        conventions.DefaultTypeMapping<JsonElement>().HasColumnType("jsonb");
        foreach (var rows in new[] { typeof(Tenant), typeof(User), typeof(Team), typeof(ApiKey), typeof(DataKey), typeof(Workflow), typeof(WorkflowComment), typeof(Execution), typeof(Credential), typeof(CredentialVersion), typeof(AuditEntry), typeof(Schedule) })
            conventions.Properties(typeof(Id<>).MakeGenericType(rows)).HaveConversion(typeof(IdConverter<>).MakeGenericType(rows));
        conventions.Properties<PayloadRef>().HaveConversion<PayloadRefConverter>();
    }

    protected override void OnModelCreating(ModelBuilder model)
    {
        model.HasDefaultSchema(Schema);
        model.ApplyConfigurationsFromAssembly(typeof(FlowstoneDb).Assembly);
        foreach (var entity in model.Model.GetEntityTypes())
        {
            foreach (var property in entity.GetProperties())
            {
                property.SetColumnName(JsonNamingPolicy.SnakeCaseLower.ConvertName(property.Name));
                KeepEnumsAsText(entity, property);
            }
            NameConstraints(entity);
            if (typeof(ITenantOwned).IsAssignableFrom(entity.ClrType))
                typeof(FlowstoneDb).GetMethod(nameof(FilterByTenant), System.Reflection.BindingFlags.NonPublic | System.Reflection.BindingFlags.Instance)!
                    .MakeGenericMethod(entity.ClrType).Invoke(this, [model]);
        }
    }

    void FilterByTenant<T>(ModelBuilder model) where T : class, ITenantOwned
        => model.Entity<T>().HasQueryFilter("tenant", row => row.TenantId == TenantId);

    static void KeepEnumsAsText(IMutableEntityType entity, IMutableProperty property)
    {
        var type = Nullable.GetUnderlyingType(property.ClrType) ?? property.ClrType;
        if (!type.IsEnum)
            return;
        property.SetValueConverter((ValueConverter)Activator.CreateInstance(typeof(EnumTextConverter<>).MakeGenericType(type))!);
        property.SetMaxLength(24);
        var column = property.GetColumnName();
        var check = (string)typeof(EnumText<>).MakeGenericType(type).GetMethod(nameof(EnumText<>.Check))!.Invoke(null, [column])!;
        entity.AddCheckConstraint($"ck_{entity.GetTableName()}_{column}", check);
    }

    static void NameConstraints(IMutableEntityType entity)
    {
        var table = entity.GetTableName();
        entity.FindPrimaryKey()!.SetName($"pk_{table}");
        foreach (var key in entity.GetForeignKeys())
            key.SetConstraintName($"fk_{table}_{key.PrincipalEntityType.GetTableName()}");
    }
}

sealed class IdConverter<T>() : ValueConverter<Id<T>, Guid>(id => id.Value, value => new Id<T>(value));

sealed class PayloadRefConverter() : ValueConverter<PayloadRef, byte[]>(reference => reference.Stored, stored => PayloadRef.FromStored(stored));
