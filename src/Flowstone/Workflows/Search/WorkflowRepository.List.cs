using Flowstone.Data;
using Flowstone.Executions;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Workflows;

/// <summary>How many workflows there are.</summary>
/// <param name="Versions">Of all of them together.</param>
public sealed record WorkflowFigures(
    long Total, IReadOnlyDictionary<WorkflowStatus, long> ByStatus, IReadOnlyDictionary<Visibility, long> ByVisibility, long Templates, long Versions);

public sealed partial class WorkflowRepository
{
    /// <summary>Up to here a count is exact.</summary>
    const int MostCounted = 10_000;

    /// <summary>A page, newest first, continuing below <paramref name="before"/>.</summary>
    public async Task<List<Workflow>> ListAsync(WorkflowFilter filter, Id<Workflow>? before, int limit, CancellationToken cancellationToken = default)
        => (await PageAsync(filter, WorkflowOrder.Newest, before is { } last ? new(last) : null, limit, cancellationToken)).ConvertAll(listed => listed.Workflow);

    /// <summary>A page of the workflows that the actor may know of, continuing behind <paramref name="after"/>. Never touches definitions.</summary>
    /// <exception cref="InvalidInputException">The order needs a search, or cannot be with one.</exception>
    public async Task<List<ListedWorkflow>> PageAsync(WorkflowFilter filter, WorkflowOrder order, WorkflowPlace? after, int limit, CancellationToken cancellationToken = default)
    {
        var search = new WorkflowSearch(filter, order, after, limit);
        if (filter.Search is { Length: > 0 } text)
            return await FindAsync(filter, text, order == WorkflowOrder.Relevance, after, limit, cancellationToken);
        if (search is { Tags: { } tags, Before: { } before })
            return await TaggedAsync(search, tags, before, cancellationToken);
        if (await access.PageAsync(WorkflowRow.Columns, search.Conditions, search.End, search.Next, cancellationToken) is not { } page)
            return [];
        return await database.SearchAsync(page.Sql, [.. search.Parameters, .. page.Parameters], Listed, cancellationToken);
    }

    static ListedWorkflow Listed(NpgsqlDataReader row)
    {
        var workflow = WorkflowRow.Read(row);
        return new(workflow, new(workflow.Id, workflow.UpdatedAt));
    }

    // A page for each tag, of which the newest are the page.
    async Task<List<ListedWorkflow>> TaggedAsync(WorkflowSearch search, string tags, string before, CancellationToken cancellationToken)
    {
        var reach = await access.RowsAsync(search.Next, cancellationToken);
        return await database.WalkAsync($"""
            select {WorkflowRow.Columns} from (
                select distinct p.id from unnest({tags}) tag (value) cross join lateral ({Users(reach, "'TAG'", "tag.value", before, search.UntaggedFilters, search.Limit)}) p order by p.id desc limit {search.Limit}) p
              join flowstone.workflows w on w.id = p.id where w.tenant_id = $1 {search.End}
            """, [.. search.Parameters, .. reach.Parameters], Listed, cancellationToken);
    }

    async Task<List<ListedWorkflow>> FindAsync(WorkflowFilter filter, string text, bool ranked, WorkflowPlace? after, int limit, CancellationToken cancellationToken)
    {
        if (await FoundAsync(filter, text, ranked, after, limit, cancellationToken) is not var (found, parameters))
            return [];
        var sql = $"select {WorkflowRow.Columns}, f.rank from {found} join flowstone.workflows w on w.id = f.id where w.tenant_id = $1 order by f.rank, w.id desc";
        return await database.SearchAsync(sql, parameters, row => new ListedWorkflow(WorkflowRow.Read(row), new(new(row.GetGuid(1)), Rank: row.GetInt32(WorkflowRow.Count))), cancellationToken);
    }

    // "Contains" is not leakproof, so behind a policy it uses no index: a function of the owner's does, for this tenant alone, among what the actor may know of.
    async Task<(string Sql, NpgsqlParameter[] Parameters)?> FoundAsync(WorkflowFilter filter, string text, bool ranked, WorkflowPlace? after, int limit, CancellationToken cancellationToken)
    {
        var patterns = WorkflowSearch.Patterns(text);
        if (patterns.Length == 0 || await access.ReachAsync(next: 14, cancellationToken) is not { } reach)
            return null;
        var sql = $"flowstone.find_workflows($1, array(select normalize(p, nfkc) from unnest($2) p), {reach.Sql}, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) f";
        return (sql,
        [
            P(patterns), P(filter.Status is { } status ? EnumText<WorkflowStatus>.Of(status) : null), P(filter.Visibility is { } visibility ? EnumText<Visibility>.Of(visibility) : null),
            P(filter.Category), P(filter.Tags is { Count: > 0 } tags ? tags.Select(WorkflowReference.Key).ToArray() : null), P(filter.IsTemplate), P(filter.OwnerId), P(filter.TeamId),
            P(ranked), P(after?.Rank), P(after?.Id), P(limit), .. reach.Parameters,
        ]);
    }

    /// <summary>How many there are of those that the actor may know of, exactly up to 10,000.</summary>
    public async Task<Total> CountAsync(WorkflowFilter filter, CancellationToken cancellationToken = default)
    {
        var search = new WorkflowSearch(filter, WorkflowOrder.Newest, null, MostCounted + 1);
        (string Sql, NpgsqlParameter[] Parameters)? counted = null;
        if (filter.Search is { Length: > 0 } text)
            counted = await FoundAsync(filter, text, ranked: false, null, MostCounted + 1, cancellationToken);
        else if (await access.PageAsync("w.id", search.Filters, search.End, search.Next, cancellationToken) is { } page)
            counted = ($"({page.Sql}) f", [.. search.Parameters, .. page.Parameters]);
        if (counted is not var (sql, parameters))
            return new Total(0, TotalKind.Exact);
        var found = (await database.SearchAsync($"select count(*) from {sql}", parameters, row => row.GetInt64(0), cancellationToken)).Single();
        return found > MostCounted ? new Total(MostCounted, TotalKind.MoreThan) : new Total(found, TotalKind.Exact);
    }

    /// <summary>Of those that the actor may know of.</summary>
    public async Task<WorkflowFigures> StatisticsAsync(CancellationToken cancellationToken = default)
    {
        var reachable = await access.WorkflowsAsync(cancellationToken);
        var groups = await database.ReadAsync(db => reachable(db).Where(w => w.DeletedAt == null).GroupBy(w => new { w.Status, w.Visibility, w.IsTemplate })
            .Select(g => new { g.Key.Status, g.Key.Visibility, g.Key.IsTemplate, Count = g.LongCount(), Versions = g.Sum(w => (long)w.Version) }).ToListAsync(cancellationToken));
        return new WorkflowFigures(groups.Sum(g => g.Count), groups.GroupBy(g => g.Status).ToDictionary(g => g.Key, g => g.Sum(one => one.Count)),
            groups.GroupBy(g => g.Visibility).ToDictionary(g => g.Key, g => g.Sum(one => one.Count)), groups.Where(g => g.IsTemplate).Sum(g => g.Count), groups.Sum(g => g.Versions));
    }
}
