using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Flowstone.Benchmarks.Runs;
using Flowstone.Permissions;
using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;
using Npgsql;
using NpgsqlTypes;

namespace Flowstone.Benchmarks.Workflows;

/// <summary>How long do a list, a search, "who uses this" and a save take among very many workflows, for an administrator and for a user who may see some of them?</summary>
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
        var samples = new WorkflowSamples(server.Superuser(Name));
        var (administrator, user) = await FillAsync(store, samples, workflows);
        report.Add($"{workflows:N0} workflows of 5 KB in one tenant, {OfNeighbours:N0} in each of {Neighbours} others. The user owns 0.5 %, and sees 2 % of a team, 2 % that are PUBLIC and {Shares} that are shared. One caller, {calls} calls.");
        var random = new Random(7);
        (string Question, Func<TenantScope, Task<int>> Ask)[] questions =
        [
            ("newest", s => PageAsync(s, new())),
            ("last changed", s => PageAsync(s, new(), WorkflowOrder.Updated)),
            ("of a status", s => PageAsync(s, new() { Status = WorkflowStatus.Archived })),
            ("with a tag of a sixteenth", s => PageAsync(s, new() { Tags = ["orders"] })),
            ("with either of two rare tags", s => PageAsync(s, new() { Tags = [$"tag{random.Next(5000)}", $"tag{random.Next(5000)}"] })),
            ("templates", s => PageAsync(s, new() { IsTemplate = true, Visibility = Visibility.Public })),
            ("search: a word in all (http)", s => FindAsync(s, "http")),
            ("search: a word in a tenth of the names (sync)", s => FindAsync(s, "sync")),
            ("search: two words (slack orders)", s => FindAsync(s, "slack orders")),
            ("search: three words (import jira survey)", s => FindAsync(s, "import jira survey")),
            ("search: a word in a thousandth", s => FindAsync(s, $"seldom{random.Next(1000)}")),
            ("search: a word in one name", s => FindAsync(s, $"rare{random.Next(workflows)}")),
            ("search: a common and a rare word", s => FindAsync(s, $"http rare{random.Next(workflows)}")),
            ("search: a part of a word (lack)", s => FindAsync(s, "lack")),
            ("search: a word in none", s => FindAsync(s, "zebra")),
            ("uses a credential of a fifth", s => UsageAsync(s, ReferenceKind.Credential, "common3")),
            ("uses a rare credential", s => UsageAsync(s, ReferenceKind.Credential, $"rare{random.Next(20_000)}")),
            ("uses a node type of all", s => UsageAsync(s, ReferenceKind.NodeType, "n8n-nodes-base.httpRequest")),
            ("mentions a host", s => UsageAsync(s, ReferenceKind.Url, $"api{random.Next(500)}.example.com")),
        ];
        var table = new Table("page of 50", "administrator p50 ms", "p99 ms", "found", "user p50 ms", "p99 ms", "found");
        foreach (var (question, ask) in questions)
            await AskAsync(table, question, ask, administrator, user);
        report.Add(table);

        await samples.ExecuteAsync("delete from flowstone.team_members; update flowstone.workflows set visibility = 'PRIVATE' where visibility = 'PUBLIC'");
        await samples.ExecuteAsync("vacuum analyze flowstone.workflows");
        report.Add("The same user, to whom only what is owned and shared is left: 0.7 %.");
        var few = new Table("page of 50", "user p50 ms", "p99 ms", "found");
        foreach (var (question, ask) in questions)
            await AskAsync(few, question, ask, user);
        report.Add(few);
        report.Add(await SaveAsync(administrator, server.Superuser(Name), calls));
        await report.EndAsync();

        async Task AskAsync(Table table, string question, Func<TenantScope, Task<int>> ask, params TenantScope[] scopes)
        {
            var cells = new List<string> { question };
            foreach (var scope in scopes)
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

    /// <summary>A save of what nobody looks for, one of what has all other names, types, hosts and credentials, and the two rows of a save written by hand, past all policies.</summary>
    static async Task<Table> SaveAsync(TenantScope scope, string superuser, int saves)
    {
        var workflows = await scope.Workflows.ListAsync(new(), null, 3 * saves);
        await using var connection = new NpgsqlConnection(superuser);
        await connection.OpenAsync();
        var kinds = new (string Name, Func<Workflow, int, Task> Save)[]
        {
            ("by hand: one update, one insert", (workflow, number) => ByHandAsync(connection, scope.TenantId, workflow, WorkflowSamples.Definition(number))),
            ("a parameter changed", async (workflow, number) => await scope.Workflows.UpdateAsync(workflow.Id, JsonElement.Parse(WorkflowSamples.Definition(NumberOf(workflow), number + 1)), basedOn: 1)),
            ("everything changed", async (workflow, number) => await scope.Workflows.UpdateAsync(workflow.Id, JsonElement.Parse(WorkflowSamples.Definition(number + 1_000_000)), basedOn: 1)),
        };
        var times = kinds.Select(_ => new List<double>()).ToArray();
        for (var i = 0; i < workflows.Count; i++)
        {
            var started = Stopwatch.GetTimestamp();
            await kinds[i % kinds.Length].Save(workflows[i], i);
            if (i >= Warm * kinds.Length)
                times[i % kinds.Length].Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
        }
        var table = new Table("save of a workflow of 5 KB", "p50 ms", "p99 ms");
        foreach (var (kind, measured) in kinds.Zip(times))
            table.Add(kind.Name, Text(Percentile(measured, 50)), Text(Percentile(measured, 99)));
        return table;

        static int NumberOf(Workflow workflow) => int.Parse(workflow.Name.AsSpan(workflow.Name.LastIndexOf("rare", StringComparison.Ordinal) + 4), CultureInfo.InvariantCulture);
    }

    static async Task ByHandAsync(NpgsqlConnection connection, Id<Tenant> tenant, Workflow workflow, byte[] definition)
    {
        await using var batch = new NpgsqlBatch(connection)
        {
            BatchCommands =
            {
                new("update flowstone.workflows set version = 2, name = $3, updated_at = now() where tenant_id = $1 and id = $2") { Parameters = { new() { Value = tenant.Value }, new() { Value = workflow.Id.Value }, new() { Value = workflow.Name } } },
                new("insert into flowstone.workflow_versions (tenant_id, workflow_id, number, definition, hash, created_at) values ($1, $2, 2, $3, $4, now())")
                {
                    Parameters = { new() { Value = tenant.Value }, new() { Value = workflow.Id.Value }, new() { Value = definition, NpgsqlDbType = NpgsqlDbType.Jsonb }, new() { Value = SHA256.HashData(definition) } },
                },
            },
        };
        await batch.PrepareAsync();
        await batch.ExecuteNonQueryAsync();
    }

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
