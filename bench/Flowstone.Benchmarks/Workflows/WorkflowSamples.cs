using System.Text;
using System.Text.Json;
using Flowstone.Data;
using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;
using Npgsql;
using NpgsqlTypes;

namespace Flowstone.Benchmarks.Workflows;

/// <summary>Very many workflows of about 5 KB, some of whose words, node types and credentials are everywhere, and others in one.</summary>
sealed class WorkflowSamples(string superuser)
{
    static readonly string[] subjects = ["orders", "invoices", "leads", "customers", "tickets", "payments", "shipments", "reports", "contracts", "backups", "alerts", "newsletters", "returns", "products", "bookings", "surveys"];
    static readonly string[] verbs = ["sync", "import", "export", "notify", "archive", "enrich", "merge", "check", "route", "escalate"];
    static readonly string[] systems = ["slack", "hubspot", "postgres", "gmail", "notion", "stripe", "jira", "airtable", "github", "zendesk", "salesforce", "twilio", "mailchimp", "shopify", "asana", "trello"];

    public sealed record People(Id<User> Owner, Id<User> Everybody, Id<Team> Team);

    /// <summary>A tenant's workflows. Of a thousand, 5 are the owner's, 20 the team's, 20 PUBLIC, and the others somebody else's.</summary>
    public async Task<List<Id<Workflow>>> LoadAsync(Id<Tenant> tenant, int workflows, People? people)
    {
        const int AtOnce = 10_000;
        var ids = new List<Id<Workflow>>();
        await using var connection = new NpgsqlConnection(superuser);
        await connection.OpenAsync();
        for (var from = 0; from < workflows; from += AtOnce)
        {
            var batch = Enumerable.Range(from, Math.Min(AtOnce, workflows - from)).Select(number => (Number: number, Id: Id<Workflow>.New(TimeProvider.System), Json: Definition(number))).ToList();
            ids.AddRange(batch.Select(w => w.Id));
            var columns = batch.ConvertAll(w => (w.Number, w.Id, w.Json, Read: new DefinitionColumns(JsonElement.Parse(w.Json))));
            await CopyAsync(connection, "workflows (tenant_id, id, name, description, status, visibility, tags, owner_id, team_id, version, created_at, updated_at, category, is_template, indexed_version)", columns, async (row, w) =>
            {
                var kind = w.Number % 1000;
                var at = DateTimeOffset.UnixEpoch.AddDays(20_000).AddSeconds((long)w.Number * 7919 % 8_000_000);
                await row.WriteAsync(tenant.Value);
                await row.WriteAsync(w.Id.Value);
                await row.WriteAsync(w.Read.Name);
                await row.WriteAsync(w.Read.Description);
                await row.WriteAsync(EnumText<WorkflowStatus>.Of((WorkflowStatus)(w.Number % 4)));
                await row.WriteAsync(EnumText<Visibility>.Of(kind is >= 5 and < 25 ? Visibility.Team : kind is >= 25 and < 45 ? Visibility.Public : Visibility.Private));
                await row.WriteAsync(w.Read.Tags, NpgsqlDbType.Array | NpgsqlDbType.Text);
                await NullableAsync(row, kind < 5 ? people?.Owner.Value : people?.Everybody.Value);
                await NullableAsync(row, kind is >= 5 and < 25 ? people?.Team.Value : null);
                await row.WriteAsync(1);
                await row.WriteAsync(at);
                await row.WriteAsync(at);
                await row.WriteAsync(w.Read.Category!);
                await row.WriteAsync(kind == 30);
                await row.WriteAsync(1);
            });
            await CopyAsync(connection, "workflow_versions (tenant_id, workflow_id, number, definition, hash, created_at)", columns, async (row, w) =>
            {
                await row.WriteAsync(tenant.Value);
                await row.WriteAsync(w.Id.Value);
                await row.WriteAsync(1);
                await row.WriteAsync(w.Json, NpgsqlDbType.Jsonb);
                await row.WriteAsync(w.Read.Hash);
                await row.WriteAsync(DateTimeOffset.UnixEpoch);
            });
            var references = columns.SelectMany(w => DefinitionReferences.Of(JsonElement.Parse(w.Json)).GroupBy(r => (r.Kind, r.Value)).Select(r => (w.Id, r.Key.Kind, r.Key.Value, Nodes: r.Where(n => n.Node != "").Select(n => n.Node).ToArray()))).ToList();
            await CopyAsync(connection, "workflow_references (tenant_id, kind, value, workflow_id, node_ids)", references, async (row, r) =>
            {
                await row.WriteAsync(tenant.Value);
                await row.WriteAsync(EnumText<ReferenceKind>.Of(r.Kind));
                await row.WriteAsync(r.Value);
                await row.WriteAsync(r.Id.Value);
                await row.WriteAsync(r.Nodes, NpgsqlDbType.Array | NpgsqlDbType.Text);
            });
            await CopyAsync(connection, "workflow_texts (tenant_id, workflow_id, name, labels, words)", columns, async (row, w) =>
            {
                var (name, labels, words) = WorkflowIndex.TextOf(JsonElement.Parse(w.Json));
                await row.WriteAsync(tenant.Value);
                await row.WriteAsync(w.Id.Value);
                await row.WriteAsync(name);
                await row.WriteAsync(labels);
                await row.WriteAsync(words);
            });
        }
        return ids;
    }

    public async Task ExecuteAsync(string sql)
    {
        await using var connection = new NpgsqlConnection(superuser);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        await command.ExecuteNonQueryAsync();
    }

    static Task NullableAsync(NpgsqlBinaryImporter row, Guid? value) => value is { } present ? row.WriteAsync(present) : row.WriteNullAsync();

    static async Task CopyAsync<T>(NpgsqlConnection connection, string target, IEnumerable<T> rows, Func<NpgsqlBinaryImporter, T, Task> write)
    {
        await using var copy = await connection.BeginBinaryImportAsync($"copy flowstone.{target} from stdin binary");
        foreach (var row in rows)
        {
            await copy.StartRowAsync();
            await write(copy, row);
        }
        await copy.CompleteAsync();
    }

    /// <summary>Ten nodes; the word <c>rareN</c> in one workflow of the tenant, <c>seldomN</c> in a hundred, a subject in one of sixteen, a verb in one of ten.</summary>
    /// <param name="edit">Of a parameter alone: nothing that could be looked for.</param>
    public static byte[] Definition(int number, int edit = 0)
    {
        var random = new Random(number);
        string Pick(string[] words) => words[random.Next(words.Length)];
        return Encoding.UTF8.GetBytes(JsonSerializer.Serialize(new
        {
            name = $"{Pick(verbs)} {Pick(subjects)} with {Pick(systems)} rare{number}",
            description = $"{Pick(verbs)} what {Pick(systems)} knows of {Pick(subjects)}, every night; seldom{number % 1000}.",
            category = Pick(subjects),
            tags = new[] { Pick(subjects), $"tag{number % 5000}" },
            nodes = Enumerable.Range(0, 10).Select(i => new
            {
                id = $"{number:x8}-{i:x4}-4000-8000-000000000000",
                name = $"{Pick(verbs)} {Pick(systems)} {i}",
                type = i == 0 ? "n8n-nodes-base.scheduleTrigger" : i < 4 ? "n8n-nodes-base.httpRequest" : $"n8n-nodes-base.{Pick(systems)}",
                position = new[] { i * 200, 300 },
                parameters = new { url = $"https://api{random.Next(500)}.example.com/v1/{Pick(subjects)}", text = new string((char)('a' + i), 250), edit },
                credentials = i is 2 or 5 ? new Dictionary<string, object> { ["api"] = new { id = i == 2 ? $"common{number % 5}" : $"rare{number % 20_000}", name = $"Key {number % 3000}" } } : null,
            }),
        }));
    }
}
