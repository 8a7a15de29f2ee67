using System.Security.Cryptography;
using Flowstone.Executions;

namespace Flowstone.Tests.Executions.Payloads;

/// <summary>The sweeper goes over all tenants, but each test's store has the objects of its own tenant alone.</summary>
public sealed class PayloadSweeperTests(TestDatabase database)
{
    static readonly TimeSpan grace = TimeSpan.FromHours(24);
    static readonly PayloadBody large = TestTenant.Json($"[\"{new string('x', 5_000)}\"]");

    [Fact]
    public async Task What_was_put_for_a_write_that_never_came_goes_after_the_grace_period_and_nothing_else()
    {
        using var folder = new ObjectFolder();
        var objects = new FolderObjectStore(folder.Path);
        var tenant = await database.NewTenantAsync(new PayloadSettings(objects, SpillAbove: 1_000));
        var execution = await tenant.StartAsync(input: large);
        // As after a kill between object and row, and one in the midst of writing.
        var orphan = ObjectKey.Of(tenant.Id, tenant.Clock.Now(), "orphan"u8);
        await objects.PutAsync(orphan, "orphan"u8.ToArray(), default);
        await File.WriteAllTextAsync(Path.Combine(folder.Path, $"{orphan}.{new string('0', 32)}.partial"), "or");
        var stranger = Path.Combine(folder.Path, "readme.txt");
        await File.WriteAllTextAsync(stranger, "not ours");

        Assert.Equal(new PayloadSweep(0, 0), await tenant.Store.PayloadSweeper.SweepAsync());
        tenant.Clock.Advance(grace);
        Assert.Equal(0, (await tenant.Store.PayloadSweeper.SweepAsync()).Deleted);   // a day counts from its end
        tenant.Clock.Advance(grace);

        Assert.Equal(new PayloadSweep(3, 2), await tenant.Store.PayloadSweeper.SweepAsync());
        Assert.NotNull(await tenant.Scope.Executions.FindPayloadAsync(execution.Id, execution.Input!));
        Assert.True(File.Exists(stranger));

        await database.ExecuteAsync("flowstone_test", $"delete from flowstone.payloads where tenant_id = '{tenant.Id}'");   // as retention does
        Assert.Equal(new PayloadSweep(1, 1), await tenant.Store.PayloadSweeper.SweepAsync());
        Assert.Equal([stranger], folder.Files);
        Assert.False(Directory.Exists(Path.GetDirectoryName(Path.Combine(folder.Path, orphan.Text))));
    }

    [Fact]
    public async Task A_writer_that_dies_between_object_and_row_leaves_an_orphan_and_no_row()
    {
        using var folder = new ObjectFolder();
        var tenant = await database.NewTenantAsync(new PayloadSettings(new DyingStore(new FolderObjectStore(folder.Path)), SpillAbove: 1_000));

        await Assert.ThrowsAsync<InvalidOperationException>(() => tenant.StartAsync(input: large));

        Assert.Equal(0, await database.ScalarAsync<long>($"select count(*) from flowstone.executions where tenant_id = '{tenant.Id}'"));
        Assert.Single(folder.Files);
        tenant.Clock.Advance(2 * grace);
        Assert.Equal(new PayloadSweep(1, 1), await tenant.Store.PayloadSweeper.SweepAsync());
        Assert.Empty(folder.Files);
    }

    sealed class DyingStore(ObjectStore inner) : ObjectStore
    {
        public override async Task PutAsync(ObjectKey key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
        {
            await inner.PutAsync(key, content, cancellationToken);
            throw new InvalidOperationException("killed");
        }

        public override Task<Stream?> OpenAsync(ObjectKey key, CancellationToken cancellationToken) => inner.OpenAsync(key, cancellationToken);
        public override IAsyncEnumerable<ObjectKey> ListAsync(Id<Flowstone.Tenancy.Tenant> tenant, DateOnly before, CancellationToken cancellationToken) => inner.ListAsync(tenant, before, cancellationToken);
        public override Task DeleteAsync(ObjectKey key, CancellationToken cancellationToken) => inner.DeleteAsync(key, cancellationToken);
    }

    [Fact]
    public async Task What_is_written_as_of_another_time_is_an_object_of_today()
    {
        using var folder = new ObjectFolder();
        var tenant = await database.NewTenantAsync(new PayloadSettings(new FolderObjectStore(folder.Path), SpillAbove: 1_000));
        var other = new ManualClock();   // ahead, since there are partitions for that
        other.Advance(5 * grace);

        await tenant.Store.At(other).Tenant(tenant.Id, Flowstone.Tenancy.Actor.System("import")).Executions.StartAsync(new NewExecution { WorkflowId = (await tenant.CreateWorkflowAsync()).Id, Input = large });

        Assert.Contains($"/{tenant.Clock.Now():yyyyMMdd}/", Assert.Single(folder.Files), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_object_of_a_tenant_of_another_database_is_left_alone()
    {
        using var folder = new ObjectFolder();
        var objects = new FolderObjectStore(folder.Path);
        var tenant = await database.NewTenantAsync(new PayloadSettings(objects));
        await objects.PutAsync(ObjectKey.Of(Id<Flowstone.Tenancy.Tenant>.New(tenant.Clock), tenant.Clock.Now(), "theirs"u8), "theirs"u8.ToArray(), default);
        tenant.Clock.Advance(3 * grace);

        Assert.Equal(new PayloadSweep(0, 0), await tenant.Store.PayloadSweeper.SweepAsync());
        Assert.Single(folder.Files);
    }

    [Fact]
    public async Task Under_concurrent_writers_no_object_that_is_referred_to_is_deleted()
    {
        using var folder = new ObjectFolder();
        var objects = new FolderObjectStore(folder.Path);
        var tenant = await database.NewTenantAsync(new PayloadSettings(objects, SpillAbove: 100));
        var workflow = await tenant.CreateWorkflowAsync();
        var bodies = Enumerable.Range(0, 20).Select(_ => new PayloadBody(RandomNumberGenerator.GetBytes(500), "image/png")).ToArray();   // few, so that old contents come again and again
        var started = new System.Collections.Concurrent.ConcurrentBag<Execution>();
        var written = 0;

        // Days go by in milliseconds; retention takes what is oldest; sweepers never rest.
        var writers = Enumerable.Range(0, 4).Select(async w =>
        {
            for (var i = 0; i < 60; i++)
            {
                started.Add(await tenant.StartAsync(workflow, input: bodies[(w + i) % bodies.Length]));
                if (Interlocked.Increment(ref written) % 20 == 0)
                    tenant.Clock.Advance(TimeSpan.FromHours(6));
                if (i % 10 == 0)
                    await objects.PutAsync(ObjectKey.Of(tenant.Id, tenant.Clock.Now(), BitConverter.GetBytes(i)), BitConverter.GetBytes(i), default);
                if (i % 3 == 0 && started.TryTake(out var old))
                    await database.ExecuteAsync("flowstone_test", $"delete from flowstone.payloads where execution_id = '{old.Id}'");
            }
        }).ToArray();
        var deleted = 0L;
        var sweepers = Enumerable.Range(0, 2).Select(async _ =>
        {
            while (!Task.WhenAll(writers).IsCompleted)
                Interlocked.Add(ref deleted, (await tenant.Store.PayloadSweeper.SweepAsync()).Deleted);
        });
        await Task.WhenAll([.. writers, .. sweepers]);

        Assert.True(deleted > 0);
        foreach (var execution in started)
            Assert.NotNull(await tenant.Scope.Executions.FindPayloadAsync(execution.Id, execution.Input!));
    }
}
