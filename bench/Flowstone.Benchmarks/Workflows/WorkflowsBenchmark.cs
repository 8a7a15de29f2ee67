using System.Diagnostics;
using System.Globalization;
using Flowstone.Benchmarks.Runs;
using Flowstone.Permissions;
using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;

namespace Flowstone.Benchmarks.Workflows;

/// <summary>How long do a list, a search and "who uses this" take among very many workflows, for an administrator and for a user who may see some of them?</summary>
static class WorkflowsBenchmark
{
    const int Neighbours = 3, OfNeighbours = 5_000, Shares = 200, Warm = 20;

    public static async Task RunAsync(Settings settings)
    {
        var workflows = settings.Executions > 0 ? settings.Executions : 100_000;
        var calls = Math.Max(10, 60 * settings.Rounds);
        await using var server = await BenchmarkServer.StartAsync(settings.Database);
        var report = await Report.BeginAsync("workflows", settings, server);
        const string Name = "flowstone_workflows";
        await server.CreateFlowstoneDatabaseAsync(Name);
        await using var store = RunsDatabase.Store(server, Name, settings.Pool);
        var (administrator, user) = await FillAsync(store, new WorkflowSamples(server.Superuser(Name)), workflows);
        report.Add($"{workflows:N0} workflows of 5 KB in one tenant, {OfNeighbours:N0} in each of {Neighbours} others. The user owns 0.5 %, and sees 2 % of a team, 2 % that are PUBLIC and {Shares} that are shared. One caller, {calls} calls.");
        var table = new Table("page of 50", "administrator p50 ms", "p99 ms", "found", "user p50 ms", "p99 ms", "found");
        var random = new Random(7);

        await AskAsync("newest", s => PageAsync(s, new()));
        await AskAsync("last changed", s => PageAsync(s, new(), WorkflowOrder.Updated));
        await AskAsync("of a status", s => PageAsync(s, new() { Status = WorkflowStatus.Archived }));
        await AskAsync("with a tag of a sixteenth", s => PageAsync(s, new() { Tags = ["orders"] }));
        await AskAsync("with either of two rare tags", s => PageAsync(s, new() { Tags = [$"tag{random.Next(5000)}", $"tag{random.Next(5000)}"] }));
        await AskAsync("templates", s => PageAsync(s, new() { IsTemplate = true, Visibility = Visibility.Public }));
        await AskAsync("search: a word in all (http)", s => FindAsync(s, "http"));
        await AskAsync("search: a word in a tenth of the names (sync)", s => FindAsync(s, "sync"));
        await AskAsync("search: two words (slack orders)", s => FindAsync(s, "slack orders"));
        await AskAsync("search: three words (import jira survey)", s => FindAsync(s, "import jira survey"));
        await AskAsync("search: a word in a thousandth", s => FindAsync(s, $"seldom{random.Next(1000)}"));
        await AskAsync("search: a word in one name", s => FindAsync(s, $"rare{random.Next(workflows)}"));
        await AskAsync("search: a common and a rare word", s => FindAsync(s, $"http rare{random.Next(workflows)}"));
        await AskAsync("search: a part of a word (lack)", s => FindAsync(s, "lack"));
        await AskAsync("search: a word in none", s => FindAsync(s, "zebra"));
        await AskAsync("uses a credential of a fifth", s => UsageAsync(s, ReferenceKind.Credential, "common3"));
        await AskAsync("uses a rare credential", s => UsageAsync(s, ReferenceKind.Credential, $"rare{random.Next(20_000)}"));
        await AskAsync("uses a node type of all", s => UsageAsync(s, ReferenceKind.NodeType, "n8n-nodes-base.httpRequest"));
        await AskAsync("mentions a host", s => UsageAsync(s, ReferenceKind.Url, $"api{random.Next(500)}.example.com"));
        report.Add(table);
        await report.EndAsync();

        async Task AskAsync(string question, Func<TenantScope, Task<int>> ask)
        {
            var cells = new List<string> { question };
            foreach (var scope in new[] { administrator, user })
            {
                var (times, found) = (new List<double>(), 0L);
                for (var i = -Warm; i < calls; i++)
                {
                    var started = Stopwatch.GetTimestamp();
                    var rows = await ask(scope);
                    if (i < 0)
                        continue;
                    times.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
                    found += rows;
                }
                cells.AddRange([Text(Percentile(times, 50)), Text(Percentile(times, 99)), Text((double)found / calls)]);
            }
            table.Add([.. cells]);
            Console.WriteLine($"  {string.Join(" | ", cells)}");
        }
    }

    static async Task<int> PageAsync(TenantScope scope, WorkflowFilter filter, WorkflowOrder order = WorkflowOrder.Newest) => (await scope.Workflows.PageAsync(filter, order, null, 50)).Count;

    static Task<int> FindAsync(TenantScope scope, string words) => PageAsync(scope, new() { Search = words }, WorkflowOrder.Relevance);

    static async Task<int> UsageAsync(TenantScope scope, ReferenceKind kind, string value) => (await scope.Workflows.UsageAsync(kind, value, null, 50)).Count;

    static async Task<(TenantScope Administrator, TenantScope User)> FillAsync(FlowstoneStore store, WorkflowSamples samples, int workflows)
    {
        // The trigrams are put in at the end, as a bulk import would.
        await samples.ExecuteAsync("create table public.later as select indexdef from pg_indexes where tablename = 'workflow_texts' and indexdef like '%gin%'; drop index flowstone.ix_workflow_texts_labels, flowstone.ix_workflow_texts_words");
        var tenant = await store.Tenants.CreateAsync("bench", "Benchmark");
        var system = store.Tenant(tenant.Id, Actor.System("benchmark"));
        var users = await system.Users.CreateManyAsync([.. new[] { UserRole.Admin, UserRole.User, UserRole.User }.Select((role, i) => new NewUser { Email = $"u{i}@example.com", Role = role })]);
        var team = await system.Teams.CreateAsync("Team", null, users[2].Id);
        await system.Teams.SetMemberAsync(team.Id, users[1].Id, TeamRole.Member);
        var ids = await samples.LoadAsync(tenant.Id, workflows, new(users[1].Id, users[2].Id, team.Id));
        foreach (var id in ids.Where((_, i) => i % Math.Max(1, workflows / Shares) == 77))
            await system.Shares.SetAsync(id, users[1].Id, ShareLevel.Read);
        for (var i = 0; i < Neighbours; i++)
            await samples.LoadAsync((await store.Tenants.CreateAsync($"neighbour-{i}", "Neighbour")).Id, OfNeighbours, people: null);
        await samples.ExecuteAsync("do $$ declare i text; begin for i in select indexdef from public.later loop execute i; end loop; end $$; drop table public.later");
        await samples.ExecuteAsync("vacuum analyze");
        Console.WriteLine("  loaded");
        return (store.Tenant(tenant.Id, Actor.User(users[0].Id)), store.Tenant(tenant.Id, Actor.User(users[1].Id)));
    }

    static double Percentile(List<double> times, int percentile) => times.Order().ElementAt(times.Count * percentile / 100);

    static string Text(double value) => value.ToString("0.0", CultureInfo.InvariantCulture);
}
