using System.Text.RegularExpressions;
using Flowstone.Credentials;
using Flowstone.Data;
using Flowstone.Tenancy;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Metadata;

namespace Flowstone.Tests.Conventions;

/// <summary>What every table must be, now and when another is added (docs: tenancy; Citus' rules).</summary>
public sealed partial class ModelTests(TestDatabase database)
{
    // Keyed by the address and by the shard: the two look-ups that come before the tenant is known. Without foreign keys for that reason.
    static readonly string[] keyedOtherwise = ["user_emails", "user_external_logins", "execution_queue"];

    static readonly IModel model = new FlowstoneDb(FlowstoneDbOptions.CreateWithoutDatabase(), default).GetService<IDesignTimeModel>().Model;

    static IEnumerable<IEntityType> TenantOwned => model.GetEntityTypes().Where(entity => typeof(ITenantOwned).IsAssignableFrom(entity.ClrType));

    [Fact]
    public void Every_table_is_a_tenants_or_one_of_the_few_that_are_shared()
        => Assert.Equal([typeof(MasterKey), typeof(Tenant)], model.GetEntityTypes().Except(TenantOwned).Select(entity => entity.ClrType).OrderBy(type => type.Name));

    [Fact]
    public void Every_table_of_tenants_is_filtered_and_its_keys_start_with_the_tenant()
    {
        foreach (var entity in TenantOwned)
        {
            Assert.Contains(entity.GetDeclaredQueryFilters(), filter => filter.Key == "tenant");
            foreach (var key in entity.GetForeignKeys())
                Assert.Equal("TenantId", key.Properties[0].Name);
            if (keyedOtherwise.Contains(entity.GetTableName()))
            {
                Assert.Empty(entity.GetForeignKeys());
                continue;
            }
            foreach (var key in entity.GetKeys())
                Assert.Equal("TenantId", key.Properties[0].Name);
            foreach (var index in entity.GetIndexes().Where(index => index.IsUnique))
                Assert.Equal("TenantId", index.Properties[0].Name);
        }
    }

    [Fact]
    public void No_foreign_key_sets_null_and_each_has_an_index_that_starts_with_it()
    {
        foreach (var key in model.GetEntityTypes().SelectMany(entity => entity.GetForeignKeys()))
        {
            Assert.NotEqual(DeleteBehavior.SetNull, key.DeleteBehavior);
            Assert.NotEqual(DeleteBehavior.ClientSetNull, key.DeleteBehavior);
            var columns = key.Properties.Select(p => p.Name).ToList();
            var leads = key.DeclaringEntityType.GetIndexes().Select(i => i.Properties).Concat(key.DeclaringEntityType.GetKeys().Select(k => k.Properties)).Select(p => p.Select(c => c.Name).ToList());
            // Versions of one workflow are few: its executions are found by the first two columns.
            var needed = key.PrincipalEntityType.GetTableName() == "workflow_versions" ? columns[..2] : columns;
            Assert.True(leads.Any(lead => lead.Take(needed.Count).SequenceEqual(needed)), $"{key.GetConstraintName()} has no index: deleting {key.PrincipalEntityType.GetTableName()} would read all of {key.DeclaringEntityType.GetTableName()}.");
        }
    }

    [Fact]
    public async Task No_foreign_key_leads_to_a_partitioned_table()
        => Assert.Equal(0L, await database.ScalarAsync<long>("select count(*) from pg_constraint c join pg_class p on p.oid = c.confrelid where c.contype = 'f' and p.relkind = 'p'"));

    [Fact]
    public async Task No_table_has_a_sequence_an_identity_or_a_trigger_of_its_own()
    {
        Assert.Equal(0L, await database.ScalarAsync<long>("select count(*) from pg_class where relkind = 'S' and relnamespace::regnamespace::text like 'flowstone%'"));
        Assert.Equal(0L, await database.ScalarAsync<long>("select count(*) from pg_attribute a join pg_class c on c.oid = a.attrelid where a.attidentity <> '' and c.relnamespace::regnamespace::text like 'flowstone%'"));
        Assert.Equal(0L, await database.ScalarAsync<long>("select count(*) from pg_trigger t join pg_class c on c.oid = t.tgrelid where not t.tgisinternal and c.relnamespace::regnamespace::text like 'flowstone%'"));
    }

    [Fact]
    public async Task Every_enum_column_takes_its_texts_and_no_other()
    {
        foreach (var (entity, property) in model.GetEntityTypes().SelectMany(entity => entity.GetProperties().Select(property => (entity, property))))
        {
            var type = Nullable.GetUnderlyingType(property.ClrType) ?? property.ClrType;
            if (!type.IsEnum)
                continue;
            var name = $"ck_{entity.GetTableName()}_{property.GetColumnName()}";
            var check = await database.ScalarAsync<string>($"select pg_get_constraintdef(oid) from pg_constraint where conname = '{name}' and conrelid = 'flowstone.{entity.GetTableName()}'::regclass");
            var texts = (IEnumerable<string>)typeof(EnumText<>).MakeGenericType(type).GetProperty("All")!.GetValue(null)!;
            Assert.Equal(texts.Order(StringComparer.Ordinal), Quoted().Matches(check).Select(match => match.Groups[1].Value).Order(StringComparer.Ordinal));
        }
    }

    [GeneratedRegex("'([A-Z0-9_]+)'")]
    private static partial Regex Quoted();
}
