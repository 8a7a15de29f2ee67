using Flowstone.Tenancy;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Flowstone.Users;

public enum TeamRole { Owner, Admin, Member, Viewer }

/// <summary>Users who work on the same workflows.</summary>
public sealed record Team : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required Id<Team> Id { get; init; }
    public required string Name { get; init; }
    public string? Description { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset UpdatedAt { get; init; }
}

/// <summary>One user's place in one team.</summary>
public sealed record TeamMember : ITenantOwned
{
    public required Id<Tenant> TenantId { get; init; }
    public required Id<Team> TeamId { get; init; }
    public required Id<User> UserId { get; init; }
    public required TeamRole Role { get; init; }
    public required DateTimeOffset JoinedAt { get; init; }
}

sealed class TeamMapping : IEntityTypeConfiguration<Team>
{
    public void Configure(EntityTypeBuilder<Team> team)
    {
        team.ToTable("teams");
        team.HasKey(t => new { t.TenantId, t.Id });
        team.HasOne<Tenant>().WithMany().HasForeignKey(t => t.TenantId).OnDelete(DeleteBehavior.Cascade);
        team.Property(t => t.Name).HasMaxLength(255);
        team.Property(t => t.Description).HasMaxLength(2000);
    }
}

sealed class TeamMemberMapping : IEntityTypeConfiguration<TeamMember>
{
    public void Configure(EntityTypeBuilder<TeamMember> member)
    {
        member.ToTable("team_members");
        member.HasKey(m => new { m.TenantId, m.TeamId, m.UserId });
        member.HasOne<Team>().WithMany().HasForeignKey(m => new { m.TenantId, m.TeamId }).OnDelete(DeleteBehavior.Cascade);
        member.HasOne<User>().WithMany().HasForeignKey(m => new { m.TenantId, m.UserId }).OnDelete(DeleteBehavior.Cascade);

        // A user's teams; and deleting a user.
        member.HasIndex(m => new { m.TenantId, m.UserId }).HasDatabaseName("ix_team_members_by_user");
    }
}
