using System.Text;
using Flowstone.Data;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Workflows;

/// <summary>The conditions of a list of workflows: only those that are asked for, so that each question is planned for its own index.</summary>
sealed class WorkflowSearch
{
    const int MaxWords = 12;

    readonly List<NpgsqlParameter> parameters = [];   // $2 and on: $1 is the tenant
    readonly StringBuilder conditions = new(" and w.deleted_at is null");

    /// <exception cref="InvalidInputException">Order and filter do not fit.</exception>
    public WorkflowSearch(WorkflowFilter filter, WorkflowOrder order, WorkflowPlace? after, int limit)
    {
        Text.Check("search", filter.Search, 1000);
        if (filter.Search is not { Length: > 0 } && order == WorkflowOrder.Relevance)
            throw new InvalidInputException("sort", "by relevance needs a search.");
        if (filter.Search is { Length: > 0 } && order == WorkflowOrder.Updated)
            throw new InvalidInputException("sort", "by change cannot be with a search.");
        And("w.status =", filter.Status is { } status ? P(EnumText<WorkflowStatus>.Of(status)) : null);
        And("w.visibility =", filter.Visibility is { } visibility ? P(EnumText<Visibility>.Of(visibility)) : null);
        And("w.category =", filter.Category is { } category ? P(category) : null);
        And("w.owner_id =", filter.OwnerId is { } owner ? P(owner) : null);
        And("w.team_id =", filter.TeamId is { } team ? P(team) : null);
        if (filter.IsTemplate is { } template)
            conditions.Append(template ? " and w.is_template" : " and not w.is_template");
        UntaggedFilters = conditions.ToString();
        if (filter.Tags is { Count: > 0 } tags)
        {
            foreach (var tag in tags)
                Text.Check("tag", tag, int.MaxValue);
            Tags = Add(P(tags.Select(WorkflowReference.Key).Distinct().ToArray()));
            conditions.Append($" and w.id in (select r.workflow_id from flowstone.workflow_references r where r.tenant_id = $1 and r.kind = 'TAG' and r.value = any({Tags}))");
        }
        Filters = conditions.ToString();
        if (order == WorkflowOrder.Updated)
        {
            if (after is { } place)
                conditions.Append($" and (w.updated_at, w.id) < ({Add(P(place.UpdatedAt))}, {Add(P(place.Id))})");
        }
        else if (order == WorkflowOrder.Newest && filter.Search is not { Length: > 0 })
        {
            if (Tags is not null)
                Before = Add(P(after?.Id));
            And("w.id <", after is { } place ? P(place.Id) : null);
        }
        Conditions = conditions.ToString();
        Limit = Add(P(limit));
        End = $"order by {(order == WorkflowOrder.Updated ? "w.updated_at desc, w.id desc" : "w.id desc")} limit {Limit}";
    }

    /// <summary>Of each way to a workflow, with the place behind which the page begins.</summary>
    public string Conditions { get; }

    /// <summary>The same without the place.</summary>
    public string Filters { get; }

    /// <summary>Without the tags, too.</summary>
    public string UntaggedFilters { get; }

    /// <summary>Places of parameters: the tags, of which a workflow has any; the id below which a page of these begins, newest first; how many are wanted.</summary>
    public string? Tags { get; }

    public string? Before { get; }

    public string Limit { get; }

    /// <summary>Order and limit.</summary>
    public string End { get; }

    public IEnumerable<NpgsqlParameter> Parameters => parameters;

    /// <summary>The number of the next parameter.</summary>
    public int Next => parameters.Count + 2;

    /// <summary>What flowstone.find_workflows looks for.</summary>
    public static string[] Patterns(string search) => [.. Words.Of(search).Distinct(StringComparer.Ordinal).Take(MaxWords).Select(Words.Pattern)];

    void And(string condition, NpgsqlParameter? value)
    {
        if (value is not null)
            conditions.Append(" and ").Append(condition).Append(' ').Append(Add(value));
    }

    string Add(NpgsqlParameter parameter)
    {
        parameters.Add(parameter);
        return $"${parameters.Count + 1}";
    }
}
