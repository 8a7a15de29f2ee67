using Flowstone.Executions;
using Flowstone.Tenancy;
using Flowstone.Workflows;
using Npgsql;

namespace Flowstone.Benchmarks.History;

/// <summary>What is asked for: a few thousand executions from all over, in any order, the same for all sides.</summary>
sealed class HistorySamples
{
    public sealed record Sample(Id<Tenant> TenantId, Id<Workflow> WorkflowId, Id<Execution> ExecutionId, Id<Execution> MonthBack)
    {
        public TenantScope Scope(FlowstoneStore store) => store.Tenant(TenantId, Actor.System("benchmark"));
    }

    readonly Sample[] samples;
    int next;

    HistorySamples(Sample[] samples) => this.samples = samples;

    public static async Task<HistorySamples> ReadAsync(BenchmarkServer server, string database, IReadOnlyList<Id<Tenant>> tenants)
    {
        // About a tenth of all, of which at most five thousand are asked for.
        const string Some = "select tenant_id, workflow_id, id from flowstone.executions tablesample system (10) repeatable (1)";
        var found = new List<Sample>();
        await using var connection = new NpgsqlConnection(server.Superuser(database));
        await connection.OpenAsync();
        await using var monthBack = new NpgsqlCommand("select flowstone.lowest_id(now() - interval '30 days')", connection);
        var below = new Id<Execution>((Guid)(await monthBack.ExecuteScalarAsync())!);
        await using var command = new NpgsqlCommand(Some, connection);
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
            found.Add(new Sample(new(reader.GetGuid(0)), new(reader.GetGuid(1)), new(reader.GetGuid(2)), below));
        var shuffled = found.Where(sample => tenants.Contains(sample.TenantId)).ToArray();
        new Random(1).Shuffle(shuffled);
        return new HistorySamples(shuffled[..Math.Min(5000, shuffled.Length)]);
    }

    public Sample Next() => samples[(uint)Interlocked.Increment(ref next) % samples.Length];
}
