using Flowstone.Data;
using Flowstone.Executions;
using Flowstone.Users;
using Npgsql;

namespace Flowstone.Workflows;

/// <summary>Reads a workflow from the columns of a hand-written statement.</summary>
static class WorkflowRow
{
    public const string Columns = """
        w.tenant_id, w.id, w.name, w.description, w.status, w.visibility, w.tags, w.owner_id, w.team_id, w.version, w.published_version,
        w.category, w.is_template, w.deleted_at, w.paused_at, w.max_concurrency, w.created_at, w.updated_at
        """;

    public const int Count = 18;

    public static Workflow Read(NpgsqlDataReader row) => new()
    {
        TenantId = new(row.GetGuid(0)),
        Id = new(row.GetGuid(1)),
        Name = row.GetString(2),
        Description = row.Get<string>(3),
        Status = EnumText<WorkflowStatus>.Parse(row.GetString(4)),
        Visibility = EnumText<Visibility>.Parse(row.GetString(5)),
        Tags = row.GetFieldValue<string[]>(6),
        OwnerId = row.GetId<User>(7),
        TeamId = row.GetId<Team>(8),
        Version = row.GetInt32(9),
        PublishedVersion = row.Get<int?>(10),
        Category = row.Get<string>(11),
        IsTemplate = row.GetBoolean(12),
        DeletedAt = row.Get<DateTimeOffset?>(13),
        PausedAt = row.Get<DateTimeOffset?>(14),
        MaxConcurrency = row.Get<int?>(15),
        CreatedAt = row.GetFieldValue<DateTimeOffset>(16),
        UpdatedAt = row.GetFieldValue<DateTimeOffset>(17),
    };
}
