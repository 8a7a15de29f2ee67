using Flowstone.Workers;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace Flowstone.Tests.Workers;

public sealed class HostedWorkerTests(TestDatabase database)
{
    sealed class Greeter(WorkerLife life) : IDisposable
    {
        public string Greet(string whom) => life.Disposed == 0 ? $"\"Hello, {whom}\"" : throw new ObjectDisposedException(nameof(Greeter));

        public void Dispose() => life.Disposed++;
    }

    sealed class WorkerLife
    {
        public int Disposed { get; set; }
    }

    [Fact]
    public async Task A_host_runs_a_worker_with_services_of_a_scope_per_execution_and_stops_it_gently()
    {
        var tenant = await database.NewTenantAsync();
        var execution = await tenant.StartAsync();
        var began = new TaskCompletionSource();
        using var host = Build(options => options.TenantId = tenant.Id, async (services, work) =>
        {
            began.SetResult();
            await Task.Delay(300, work.CancellationToken);
            return TestTenant.Json(services.GetRequiredService<Greeter>().Greet("you"));
        });
        await host.StartAsync();
        await began.Task.InTimeAsync();

        await host.StopAsync().InTimeAsync();

        var finished = await tenant.Scope.Executions.FindAsync(execution.Id);
        Assert.Equal("\"Hello, you\""u8, finished!.Output!.Value!.Bytes.Span);
        Assert.Equal(1, host.Services.GetRequiredService<WorkerLife>().Disposed);
    }

    [Fact]
    public void An_option_out_of_its_range_is_refused_before_anything_runs()
    {
        var error = Assert.Throws<OptionsValidationException>(() => Build(options => options.Lease = TimeSpan.FromMilliseconds(10), (_, _) => throw new InvalidOperationException()));

        Assert.Contains(nameof(WorkerOptions.Lease), error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_host_waits_for_the_drain()
    {
        using var host = Build(options => options.DrainTimeout = TimeSpan.FromMinutes(10), (_, _) => throw new InvalidOperationException());

        Assert.True(host.Services.GetRequiredService<IOptions<HostOptions>>().Value.ShutdownTimeout > TimeSpan.FromMinutes(10));
    }

    IHost Build(Action<WorkerOptions> configure, Func<IServiceProvider, WorkContext, Task<WorkResult>> handler)
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Services.AddSingleton<WorkerLife>();
        builder.Services.AddScoped<Greeter>();
        builder.Services.AddFlowstone(options => (options.ConnectionString, options.PoolMax) = (database.AppConnectionString(), 6));
        builder.Services.AddFlowstoneWorker(configure, handler);
        return builder.Build();
    }
}
