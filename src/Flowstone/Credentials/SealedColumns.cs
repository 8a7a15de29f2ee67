using Flowstone.Data;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Flowstone.Credentials;

/// <summary>A column whose values are sealed.</summary>
/// <param name="Key">The columns that find a row within its tenant.</param>
sealed record SealedColumn(string Table, string Column, IReadOnlyList<string> Key)
{
    /// <summary>As <see cref="SealedPlace.Column"/> has it.</summary>
    public string Name => $"{Table}.{Column}";
}

/// <summary>Which columns are sealed, as the EF model says: rotation walks them, and a test sees that none is forgotten.</summary>
static class SealedColumns
{
    const string Annotation = "Flowstone:Sealed";

    static readonly Lazy<IReadOnlyList<SealedColumn>> all = new(() =>
    {
        using var db = new FlowstoneDb(FlowstoneDbOptions.CreateWithoutDatabase(), default);
        return [.. Of(db.GetService<IDesignTimeModel>().Model)];
    });

    public static IReadOnlyList<SealedColumn> All => all.Value;

    /// <summary>Every value in this column is one of <see cref="SecretSealer"/>'s.</summary>
    public static void IsSealed(this PropertyBuilder<byte[]> property) => property.HasAnnotation(Annotation, true);

    public static bool IsSealed(this IReadOnlyProperty property) => property.FindAnnotation(Annotation) is not null;

    public static IEnumerable<SealedColumn> Of(IModel model)
        => from entity in model.GetEntityTypes()
           from property in entity.GetProperties()
           where property.IsSealed()
           select new SealedColumn(entity.GetTableName()!, property.GetColumnName(), [.. entity.FindPrimaryKey()!.Properties.Skip(1).Select(key => key.GetColumnName())]);
}
