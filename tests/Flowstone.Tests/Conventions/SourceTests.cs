using System.Reflection;
using System.Text.RegularExpressions;

namespace Flowstone.Tests.Conventions;

public sealed partial class SourceTests
{
    static readonly IReadOnlyList<(string Name, string Text)> sources = [.. Repository.Sources("src/Flowstone")
        .Where(file => !file.Contains("/Migrations/", StringComparison.Ordinal))
        .Select(file => (Path.GetFileName(file), File.ReadAllText(file)))];

    // Why these need not name a tenant:
    static readonly Dictionary<string, string> exceptions = new()
    {
        ["select tenant_id, user_id from flowstone.find_email($1)"] = "sign-in: the tenant is what it asks for",
        ["insert into flowstone.tenants (id, slug"] = "makes the tenant",
        ["select id, slug, name, shard_key, created_at from flowstone.tenants"] = "the directory of tenants, as the worker's role",
        ["from flowstone.executions e {joins} {conditions}"] = "the conditions begin with the tenant",
        ["payload_overflow, seal_payloads from flowstone.tenants where id = $1"] = "the tenant's own row",
        ["update flowstone.tenants set payload_limit"] = "the tenant's own row",
        ["select id, slug, (settings ->> 'retentionDays')::int from flowstone.tenants"] = "the directory of tenants, as the worker's role",
        ["update flowstone.tenants set "] = "the tenant is the row",
        ["flowstone.expire_partition"] = "a week of all tenants, as the worker's role",
        ["where i.inhparent = 'flowstone.executions'::regclass"] = "the catalogue",
        ["coalesce(current_setting('flowstone.tenants', true), '')"] = "what a caller's transaction had set, to be put back",
        ["set_config('role', $1, true)"] = "no table's: gives a caller's transaction its role and tenants back",
        ["flowstone.schema_migrations"] = "no tenant's",
        ["flowstone.master_keys"] = "no tenant's",
        ["flowstone.create_partitions"] = "no tenant's",
        ["flowstone.partitions_until"] = "no tenant's",
    };

    [Fact]
    public void Every_statement_on_a_tenants_table_names_the_tenant()
    {
        var statements = sources.SelectMany(source => Literals().Matches(source.Text).Select(match => (source.Name, Sql: match.Value)))
            .Where(literal => literal.Name != "TenantPolicies.cs" && Statement().IsMatch(literal.Sql)).ToList();
        Assert.True(statements.Count > 25, $"Only {statements.Count} statements were found: does the search still work?");
        foreach (var (name, sql) in statements)
            Assert.True(sql.Contains("tenant_id", StringComparison.Ordinal) || exceptions.Keys.Any(known => sql.Contains(known, StringComparison.Ordinal)), $"{name}: {sql}");
    }

    // Constants of the code, role names, and tenants as Guids: nothing that a user wrote.
    static readonly string[] known =
    [
        "{rest}", "{Tree}", "{asked}", "{List(", "{WriteSql.Payload}", "{Payload}", "{Locked}", "{NewRun}", "{There}", "{There(", "{Queued}", "{ExecutionRow.Columns}", "{NodeExecutionRow.Columns}", "{role}", "{tenants}", "{name}", "{LockKey}", "{Database.ByKeyOnly}", "{TenantPolicies.", "{Horizon.Days}", "{QueueSql.ClaimOrder}", "{reach.Sql}", "{ended}", "{RowsAtOnce}", "{Given(", "{Count(", "{key}", "{reachOfQueue.Sql}", "{Ended(", "{Ways(", "{tenant}", "{user}", "{now}", "{next", "{column}", "{(int)needed}", "{joined}", "{AnotherAdministrator}", "{change}", "{changes}", "{places}", "{below}", "{AuditEntry.Columns}", "{shares}", "{AccessRule.MayUse}", "{KeyAlong}", "{column.", "{key}", "{Counting}", "{which}", "{Unfinished}", "{OnlyTheirs}",
        "{ShortestHorizon.Days}", "{table}", "{AppRole}", "{policy.", "{check}", "{condition}", "{column}", "{QueueSql.", "{First}",
        "{All", "{most}", "{branch}", "{string.Join(\" union all ", "{alias}", "{workflow}", "{comparison}", "{Add(P(", "{end}", "{columns}", "{Place}", "{Columns}", "{conditions}", "{WorkflowRow.Columns}", "{found}", "{sql}", "{page.Sql}", "{reach.Few}", "{AsBefore}", "{walk}", "{many}", "{Users(", "{kind}", "{value}", "{before}", "{conditions}", "{limit}", "{tags}", "{search.", "{Newest}", "{Joined}", "{Order}", "{Ended}", "{Expired}", "{(limits ? ", "{(has.", "{(thorough ? ", "{(failed ? ",
    ];

    [Fact]
    public void Only_known_constants_are_interpolated_into_SQL()
    {
        foreach (var (name, text) in sources)
        {
            foreach (var sql in Literals().Matches(text).Select(match => match.Value).Where(literal => literal.StartsWith('$') && SqlText().IsMatch(literal)))
                Assert.All(Holes().Matches(sql).Select(hole => hole.Value), hole => Assert.True(known.Any(k => hole.StartsWith(k, StringComparison.Ordinal)), $"{name}: {hole} in {sql}"));
        }
    }

    [Fact]
    public void Every_exception_of_ours_is_a_FlowstoneException()
        => Assert.All(typeof(FlowstoneStore).Assembly.GetTypes().Where(type => type.IsAssignableTo(typeof(Exception))), type => Assert.True(type.IsAssignableTo(typeof(FlowstoneException)), type.Name));

    [Fact]
    public void Every_public_asynchronous_method_takes_a_token_last()
    {
        var methods = new[] { typeof(FlowstoneStore), typeof(Flowstone.EmbeddedPostgres) }.SelectMany(type => type.Assembly.GetExportedTypes())
            .SelectMany(type => type.GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly))
            .Where(method => method.ReturnType.IsAssignableTo(typeof(Task)) || method.ReturnType.Name.StartsWith("ValueTask", StringComparison.Ordinal))
            .Where(method => method.Name != nameof(IAsyncDisposable.DisposeAsync)).ToList();
        Assert.True(methods.Count > 30);
        Assert.All(methods, method => Assert.True(
            method.GetParameters() is [.., { Name: "cancellationToken", HasDefaultValue: true } last] && last.ParameterType == typeof(CancellationToken), $"{method.DeclaringType!.Name}.{method.Name}"));
        Assert.All(methods, method => Assert.EndsWith("Async", method.Name, StringComparison.Ordinal));
    }

    [Fact]
    public void No_source_names_a_machine_of_its_makers()
    {
        // Put together, so that this file does not find itself.
        var forbidden = new[] { "/wo" + "rk/", "nuget" + ".org", "npm" + "js.org", "py" + "pi.org" };
        foreach (var file in new[] { "src", "tests", "tools" }.Where(folder => Directory.Exists(Path.Combine(Repository.Root, folder))).SelectMany(Repository.Sources))
        {
            var text = File.ReadAllText(file);
            Assert.All(forbidden, word => Assert.False(text.Contains(word, StringComparison.Ordinal), $"{file}: {word}"));
        }
    }

    [GeneratedRegex("\\$*\"\"\".*?\"\"\"|\\$?\"(?:[^\"\\\\\n]|\\\\.)*\"", RegexOptions.Singleline)]
    private static partial Regex Literals();

    [GeneratedRegex(@"\b(select|insert|update|delete|from|join)\b.*\bflowstone\.", RegexOptions.Singleline | RegexOptions.IgnoreCase)]
    private static partial Regex Statement();

    [GeneratedRegex(@"^\$+""+\s*(select|insert into|update|delete from|set local|create|drop|alter|grant|with) ")]
    private static partial Regex SqlText();

    [GeneratedRegex(@"\{[^}]*\}")]
    private static partial Regex Holes();
}
