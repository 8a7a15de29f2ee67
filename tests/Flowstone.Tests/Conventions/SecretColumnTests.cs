using System.Text.RegularExpressions;
using Flowstone.Credentials;
using Flowstone.Data;
using Flowstone.Tenancy;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Metadata;

namespace Flowstone.Tests.Conventions;

/// <summary>A column that looks like a secret is sealed, or a hash, or here with the reason why it is none.</summary>
public sealed partial class SecretColumnTests
{
    static readonly IModel model = new FlowstoneDb(FlowstoneDbOptions.CreateWithoutDatabase(), default).GetService<IDesignTimeModel>().Model;

    static readonly Dictionary<string, string> noSecrets = new()
    {
        ["data_keys.master_key_id"] = "the name of a key",
        ["data_keys.wrapped_key"] = "wrapped by the master key",
        ["execution_keys.key"] = "a dedup key: a name that the caller chose",
        ["execution_queue.concurrency_key"] = "a name that the caller chose",
        ["user_external_logins.provider_key"] = "the number of an account elsewhere",
        ["payloads.object_key"] = "where the object lies",
        ["workflows.import_key"] = "which workflow of elsewhere it was imported from",
        ["credentials.import_key"] = "which credential of elsewhere it was imported from",
    };

    [Fact]
    public void Every_column_that_looks_like_a_secret_is_sealed_or_a_hash()
    {
        var open = Columns().Where(column => Looks().IsMatch(column.Name) && !column.Name.EndsWith("_hash", StringComparison.Ordinal) && !column.Property.IsSealed()).Select(column => column.Name).ToList();
        Assert.Empty(open.Except(noSecrets.Keys));
        Assert.Empty(noSecrets.Keys.Except(open));   // what is gone or sealed needs no reason any more
    }

    [Fact]
    public void Every_sealed_column_is_bytes_of_a_tenants_row_with_one_id()
    {
        foreach (var (entity, property) in model.GetEntityTypes().SelectMany(entity => entity.GetProperties(), (entity, property) => (entity, property)).Where(column => column.property.IsSealed()))
        {
            Assert.Equal(typeof(byte[]), property.ClrType);
            Assert.True(typeof(ITenantOwned).IsAssignableFrom(entity.ClrType));
            Assert.Single(SealedColumns.Of(model), column => column.Name == $"{entity.GetTableName()}.{property.GetColumnName()}" && column.Key.Count == 1);
        }
    }

    [Theory]
    [InlineData("credentials.secret", true)]
    [InlineData("oauth.refresh_token", true)]
    [InlineData("two_factor.totp_seed", true)]
    [InlineData("webhooks.signing_key", true)]
    [InlineData("users.email", false)]
    [InlineData("api_keys.name", false)]
    public void The_name_of_the_column_decides(string name, bool looks) => Assert.Equal(looks, Looks().IsMatch(name));

    [Fact]
    public void The_model_tells_which_columns_are_sealed()
    {
        var builder = new ModelBuilder();
        builder.Entity<Thing>(thing =>
        {
            thing.ToTable("things").HasKey(t => new { t.TenantId, t.Id });
            thing.Property(t => t.Secret).IsSealed();
        });
        var column = Assert.Single(SealedColumns.Of((IModel)builder.FinalizeModel()));
        Assert.Equal(("things.Secret", "Id"), (column.Name, Assert.Single(column.Key)));
    }

    sealed record Thing(Guid TenantId, Guid Id, byte[] Secret, byte[] Other);

    static IEnumerable<(string Name, IProperty Property)> Columns()
        => from entity in model.GetEntityTypes()
           from property in entity.GetProperties()
           where property.GetColumnType() is var type && (type == "bytea" || type.StartsWith("text", StringComparison.Ordinal) || type.StartsWith("char", StringComparison.Ordinal) || type == "jsonb")
           select ($"{entity.GetTableName()}.{property.GetColumnName()}", property);

    [GeneratedRegex(@"\.\w*(secret|passw|token|key|credential|totp|otp|private|seed|bearer|cipher|cert)")]
    private static partial Regex Looks();
}
