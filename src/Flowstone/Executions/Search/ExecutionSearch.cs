using System.Text;
using Flowstone.Data;
using Npgsql;
using static Flowstone.Data.Sql;

namespace Flowstone.Executions;

/// <summary>
/// The statement that finds executions. It has only the conditions that are asked for, so that each kind of question is planned for its
/// own index, and a union where statuses lie apart: what is unfinished is in the queue, what did not succeed has partial indexes, and
/// success is so common that the walk along the key meets it soon. No index names the status, which every run changes.
/// </summary>
sealed class ExecutionSearch
{
    /// <summary>Up to here a count is exact.</summary>
    public const int MostCounted = 10_000;

    static readonly ExecutionStatus[] unfinished = [ExecutionStatus.Pending, ExecutionStatus.Running, ExecutionStatus.Waiting];
    static readonly ExecutionStatus[] unsuccessful = [ExecutionStatus.Failed, ExecutionStatus.Cancelled, ExecutionStatus.Timeout];
    static readonly ExecutionStatus[] retryable = [ExecutionStatus.Failed, ExecutionStatus.Timeout];

    readonly ExecutionFilter filter;
    readonly int? limit;
    readonly List<NpgsqlParameter> parameters = [];   // $2 and on: $1 is the tenant
    readonly StringBuilder where = new("where e.tenant_id = $1");
    readonly StringBuilder joins = new();
    readonly List<string> branches = [];

    /// <summary>The number of the first parameter behind the tenant.</summary>
    public const int FirstParameter = 2;

    readonly bool reachesAll;

    /// <param name="attributes">The encoded values of the filter's attributes.</param>
    /// <param name="reach">AccessRule.FilterAsync's: of which workflows, with the first parameters.</param>
    public ExecutionSearch(ExecutionFilter filter, IReadOnlyList<byte[]> attributes, (string Sql, NpgsqlParameter[] Parameters) reach, Id<Execution>? before = null, int? limit = null)
    {
        (this.filter, this.limit, reachesAll) = (filter, limit, reach.Sql.Length == 0);
        where.Append(reach.Sql);
        parameters.AddRange(reach.Parameters);
        var workflow = filter.WorkflowId is { } id ? Add(P(id)) : null;
        And("e.workflow_id =", workflow);
        And("e.trigger =", filter.Trigger is { } trigger ? Add(P(EnumText<ExecutionTrigger>.Of(trigger))) : null);
        And("e.started_by =", filter.StartedBy is { } user ? Add(P(user)) : null);
        And("e.parent_id =", filter.ParentId is { } parent ? Add(P(parent)) : null);
        var since = filter.From is { } from ? Add(P(Lowest(from))) : null;
        var until = filter.To is { } to ? Lowest(to) : (Guid?)null;
        var below = (before?.Value, until) switch
        {
            ({ } last, { } first) => last.CompareTo(first) < 0 ? last : first,
            var (last, first) => last ?? first,
        };
        And("e.id >=", since);
        var end = below is { } bound ? Add(P(bound)) : null;
        And("e.id <", end);
        if (filter.Retryable)
            where.Append(" and e.retry_count < e.max_retries and e.retried_by is null");
        for (var i = 0; i < attributes.Count; i++)
            JoinAttribute(filter.Attributes[i], attributes[i], $"a{i}", workflow!);

        AddBranches(Wanted(filter), workflow, since, end);
    }

    static Guid Lowest(DateTimeOffset at) => Id<Execution>.Lowest(at).Value;

    /// <summary>Whether nothing can be found.</summary>
    public bool IsEmpty => branches.Count == 0;

    public (string Sql, NpgsqlParameter[] Parameters) Page()
    {
        var most = Add(P(limit));
        var pages = branches.Select(branch => $"(select {ExecutionRow.Columns} {branch} order by e.id desc limit {most})").ToList();
        return (pages is [var page] ? page : $"select * from ({string.Join(" union all ", pages)}) e order by id desc limit {most}", [.. parameters]);
    }

    /// <summary>One number, at most the limit.</summary>
    public (string Sql, NpgsqlParameter[] Parameters) Count()
    {
        var most = Add(P(limit));
        return ($"select count(*) from ({All} limit {most}) found", [.. parameters]);
    }

    /// <summary>The plan as JSON, whose first <c>Plan Rows</c> is what PostgreSQL expects to find.</summary>
    /// <remarks>The tenant is left to the policy: PostgreSQL would take the two for independent, and expect the tenant's share of its share.</remarks>
    public (string Sql, NpgsqlParameter[] Parameters) Estimate()
        => ($"explain (format json) {All.Replace("where e.tenant_id = $1", "where true", StringComparison.Ordinal)}", [.. parameters]);

    string All => string.Join(" union all ", branches.Select(branch => $"select 1 {branch}"));

    static List<ExecutionStatus>? Wanted(ExecutionFilter filter)
    {
        var wanted = filter.Statuses?.Distinct().ToList();
        if (filter.Retryable)
            wanted = [.. retryable.Where(status => wanted?.Contains(status) ?? true)];
        if (filter.ErrorText is { Length: > 0 })
            wanted = [.. unsuccessful.Where(status => wanted?.Contains(status) ?? true)];
        return wanted;
    }

    void AddBranches(List<ExecutionStatus>? wanted, string? workflow, string? since, string? end)
    {
        var conditions = where.ToString();
        if (wanted is null || wanted.Contains(ExecutionStatus.Success))
        {
            branches.Add($"from flowstone.executions e {joins} {conditions} {AnyOf(wanted)}");
            return;
        }
        if (wanted.Intersect(unsuccessful).ToList() is { Count: > 0 } failures)
        {
            var some = failures.Count == unsuccessful.Length ? null : failures;
            branches.Add($"from {(filter.ErrorText is { Length: > 0 } text ? Errors(text, workflow, some, since, end) : "flowstone.executions e")} {joins} {conditions} and e.reason is not null {AnyOf(some)}");
        }
        if (wanted.Intersect(unfinished).ToList() is { Count: > 0 } open)
        {
            var ofWorkflow = workflow is null ? "" : $" and q.workflow_id = {workflow}";
            branches.Add($"""
                from flowstone.execution_queue q join flowstone.executions e on e.tenant_id = q.tenant_id and e.id = q.execution_id {joins} {conditions}
                 and q.tenant_id = $1 and q.shard_key = (select t.shard_key from flowstone.tenants t where t.id = $1){ofWorkflow} {AnyOf(open)}
                """);
        }
    }

    // Row-level security keeps the trigram index from the application's role; a function of the owner's uses it, for this tenant alone.
    // It stops at the limit where it knows all conditions.
    string Errors(string text, string? workflow, List<ExecutionStatus>? statuses, string? since, string? end)
    {
        var whole = reachesAll && filter is { Trigger: null, StartedBy: null, ParentId: null, Retryable: false, Attributes.Count: 0 };
        var given = string.Join(", ", Add(P(Like.Containing(text))), workflow ?? "null",
            Add(P(statuses?.Select(EnumText<ExecutionStatus>.Of).ToArray())), since ?? "null", end ?? "null", Add(P(whole ? limit : null)));
        return $"flowstone.find_errors($1, {given}) f (id) cross join lateral (select * from flowstone.executions e where e.tenant_id = $1 and e.id = f.id offset 0) e";
    }

    string AnyOf(List<ExecutionStatus>? statuses) => statuses is null ? "" : $"and e.status = any({Add(P(statuses.Select(EnumText<ExecutionStatus>.Of).ToArray()))})";

    void JoinAttribute(AttributeCondition condition, byte[] value, string alias, string workflow)
    {
        var comparison = condition.Comparison switch
        {
            Comparison.Equal => "=",
            Comparison.Less => "<",
            Comparison.LessOrEqual => "<=",
            Comparison.Greater => ">",
            _ => ">=",
        };

        // A range ends where the values of its type do.
        var end = condition.Comparison is Comparison.Less or Comparison.LessOrEqual ? $" and {alias}.value >= {Add(P(value[..1]))}"
            : condition.Comparison is Comparison.Greater or Comparison.GreaterOrEqual ? $" and {alias}.value < {Add(P(new[] { (byte)(value[0] + 1) }))}" : "";
        joins.Append($"""
             join flowstone.execution_attributes {alias} on {alias}.tenant_id = $1 and {alias}.execution_id = e.id and {alias}.workflow_id = {workflow}
              and {alias}.name = {Add(P(condition.Name))} and {alias}.value {comparison} {Add(P(value))}{end}
            """);
    }

    void And(string condition, string? value)
    {
        if (value is not null)
            where.Append(" and ").Append(condition).Append(' ').Append(value);
    }

    string Add(NpgsqlParameter parameter)
    {
        parameters.Add(parameter);
        return $"${parameters.Count + 1}";
    }
}
