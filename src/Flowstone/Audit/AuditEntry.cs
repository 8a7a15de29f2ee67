using System.Text.Json;
using Flowstone.Data;
using Flowstone.Tenancy;
using Flowstone.Users;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Audit;

/// <summary>Who did what. Written in the transaction of what was done; the application cannot change or delete it.</summary>
public sealed record AuditEntry : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required Id<AuditEntry> Id { get; init; }
    public required DateTimeOffset At { get; init; }

    /// <summary>Null where a job of the platform acted. Stays when the user is deleted.</summary>
    public Id<User>? UserId { get; init; }

    /// <summary>Who it was, for people: <c>user …</c>, <c>API key … of user …</c>, <c>import</c>.</summary>
    public required string Actor { get; init; }

    /// <summary><c>CREDENTIAL_REVEALED</c>.</summary>
    public required string Action { get; init; }

    /// <summary>What it was done to.</summary>
    public required Guid ResourceId { get; init; }

    public required JsonElement Details { get; init; }

    /// <summary>The columns of a new entry behind the tenant, in the order of <see cref="Values"/>.</summary>
    internal const string Columns = "tenant_id, id, at, user_id, actor, action, resource_id, details";

    /// <summary>For <see cref="Columns"/> but the first.</summary>
    internal static NpgsqlParameter[] Values(TimeProvider clock, Actor actor, string action, Guid resource, JsonElement? details = null)
        => [P(Id<AuditEntry>.New(clock)), P(clock.Now()), P(actor.UserId), P(Text.Fit(actor.Name, MaxActorLength)), P(action), P(resource), Json(details is { } given ? JsonBytes.Of(given) : "{}"u8.ToArray())];

    /// <summary>A change with its entry, as one statement: where nothing was changed, nothing is entered. Its rows are those of the change.</summary>
    /// <param name="changes">Common table expressions, the last of which is called <c>changed</c> and returns something; <c>$1</c> is the tenant.</param>
    internal static (string Sql, NpgsqlParameter[] Parameters) With(
        string changes, NpgsqlParameter[] parameters, TimeProvider clock, Actor actor, string action, Guid resource, JsonElement? details = null)
    {
        var values = Values(clock, actor, action, resource, details);
        var places = string.Join(", ", values.Select((_, i) => $"${parameters.Length + 2 + i}"));
        return ($"with {changes}, audited as (insert into flowstone.audit_entries (tenant_id, id, at, user_id, actor, action, resource_id, details) select $1, {places} from changed limit 1) select * from changed", [.. parameters, .. values]);
    }

    internal const int MaxActorLength = 200;
}

sealed class AuditEntryMapping : IEntityTypeConfiguration<AuditEntry>
{
    public void Configure(EntityTypeBuilder<AuditEntry> entry)
    {
        entry.ToTable("audit_entries");
        entry.HasKey(e => new { e.TenantId, e.Id });
        entry.HasOne<Tenant>().WithMany().HasForeignKey(e => e.TenantId).OnDelete(DeleteBehavior.Cascade);
        entry.Property(e => e.Actor).HasMaxLength(AuditEntry.MaxActorLength);
        entry.Property(e => e.Action).HasMaxLength(64);

        // What was done to one thing.
        entry.HasIndex(e => new { e.TenantId, e.ResourceId, e.Id }).IsDescending(false, false, true).HasDatabaseName("ix_audit_entries_by_resource");
    }
}
