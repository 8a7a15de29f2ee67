using Npgsql;
using NpgsqlTypes;

namespace Flowstone.Data;

/// <summary>A hand-written statement with its parameters, <c>$1</c> first.</summary>
readonly record struct Statement(string Text, params NpgsqlParameter[] Parameters)
{
    /// <summary>Divides by zero where it changes nothing: then nothing of the transaction is stored, and <see cref="PostgresErrors.IsRefusal"/> tells.</summary>
    public static Statement Guarded(string change, params NpgsqlParameter[] parameters) => new($"with changed as ({change} returning 1) select 1 / count(*) from changed", parameters);

    public NpgsqlBatchCommand ToCommand()
    {
        var command = new NpgsqlBatchCommand(Text);
        foreach (var parameter in Parameters)
            command.Parameters.Add(parameter);
        return command;
    }
}

/// <summary>Typed parameters of hand-written SQL.</summary>
static class Sql
{
    /// <summary>A parameter whose type is known even where its value is null.</summary>
    public static NpgsqlParameter P<T>(T value)
    {
        if (value is string text)
            Text.RequireStorable(text);
        return new NpgsqlParameter<T> { TypedValue = value };
    }

    public static NpgsqlParameter P<T>(Id<T> value) => new NpgsqlParameter<Guid> { TypedValue = value.Value };

    public static NpgsqlParameter P<T>(Id<T>? value) => new NpgsqlParameter<Guid?> { TypedValue = value?.Value };

    public static NpgsqlParameter Json(byte[]? utf8) => new() { Value = (object?)utf8 ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Jsonb };

    public static T? Get<T>(this NpgsqlDataReader row, int column) => row.IsDBNull(column) ? default : row.GetFieldValue<T>(column);
}
