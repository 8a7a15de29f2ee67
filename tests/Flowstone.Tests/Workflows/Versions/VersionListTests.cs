using System.Diagnostics.Metrics;
using Npgsql;

namespace Flowstone.Tests.Workflows.Versions;

public sealed class VersionListTests(TestDatabase database)
{
    [Fact]
    public async Task A_list_of_versions_of_a_megabyte_moves_kilobytes()
    {
        var alone = await database.AloneAsync();   // whose bytes can be told from others'
        var tenant = await alone.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        for (var i = 1; i <= 5; i++)
            await tenant.Scope.Workflows.UpdateAsync(workflow.Id, TestTenant.Definition(nodes: 1, note: new string((char)('a' + i), 1_000_000)), basedOn: i);

        Assert.InRange(await BytesAsync(alone, () => tenant.Scope.Workflows.VersionsAsync(workflow.Id, null, 50)), 1, 20_000);
        Assert.InRange(await BytesAsync(alone, () => tenant.Scope.Workflows.BlameAsync(workflow.Id)), 1, 20_000);
        Assert.InRange(await BytesAsync(alone, () => tenant.Scope.Workflows.FindVersionAsync(workflow.Id, 6)), 1_000_000, 2_000_000);   // that it counts
    }

    static async Task<long> BytesAsync(TestDatabase database, Func<Task> read)
    {
        var name = new NpgsqlConnectionStringBuilder(database.AppConnectionString()).Database!;
        var bytes = 0L;
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, own) =>
            {
                if (instrument.Meter.Name == "Npgsql" && instrument.Name.Contains("bytes_read", StringComparison.Ordinal))
                    own.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<long>((_, value, tags, _) =>
        {
            foreach (var tag in tags)
                if (tag.Value is string pool && pool.Contains($"Database={name}", StringComparison.Ordinal))
                    Interlocked.Add(ref bytes, value);
        });
        listener.Start();
        await read();
        return bytes;
    }
}
