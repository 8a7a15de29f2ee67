using Flowstone.Executions;
using Flowstone.Workers;

namespace Flowstone.Tests.Workers;

/// <summary>A worker at work on one tenant, as in a process of its own, which can be stopped, or killed as a machine dies.</summary>
sealed class RunningWorker : IAsyncDisposable
{
    readonly CancellationTokenSource stop = new();
    readonly CancellationTokenSource kill = new();
    readonly FlowstoneStore store;
    readonly Task running;

    public RunningWorker(TestDatabase database, TestTenant tenant, Func<WorkContext, Task<WorkResult>> handler, Action<WorkerOptions>? configure = null)
    {
        var options = new WorkerOptions { Name = "worker", TenantId = tenant.Id, DrainTimeout = TimeSpan.FromSeconds(10) };
        configure?.Invoke(options);
        store = new FlowstoneStore(FlowstoneStore.Connect(new() { ConnectionString = database.AppConnectionString(), PoolMin = 0, PoolMax = 6 }), tenant.Clock);
        running = new Worker(store, options, handler).RunAsync(stop.Token, kill.Token);
    }

    public async Task StopAsync()
    {
        await stop.CancelAsync();
        await running;
    }

    /// <summary>Writes nothing any more.</summary>
    public async Task KillAsync()
    {
        await kill.CancelAsync();
        await running;
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        await store.DisposeAsync();
        stop.Dispose();
        kill.Dispose();
    }
}

static class WorkerTestExtensions
{
    static readonly TimeSpan patience = TimeSpan.FromSeconds(30);

    public static async Task<Execution> FinishedAsync(this TestTenant tenant, Id<Execution> id)
        => await Until.NotNullAsync(async () => await tenant.Scope.Executions.FindAsync(id) is { FinishedAt: not null } finished ? finished : null);

    public static Task<T> InTimeAsync<T>(this Task<T> task) => task.WaitAsync(patience);

    public static Task InTimeAsync(this Task task) => task.WaitAsync(patience);
}

static class Until
{
    /// <summary>Asks until there is something, for half a minute.</summary>
    public static async Task<T> NotNullAsync<T>(Func<Task<T?>> ask) where T : class
    {
        for (var i = 0; i < 1500; i++)
        {
            if (await ask() is { } found)
                return found;
            await Task.Delay(20);
        }
        throw new TimeoutException("It did not come.");
    }

    public static Task TrueAsync(Func<Task<bool>> ask) => NotNullAsync<object>(async () => await ask() ? true : null);
}
