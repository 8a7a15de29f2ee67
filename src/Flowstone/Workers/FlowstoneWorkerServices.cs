using Flowstone;
using Flowstone.Executions;
using Flowstone.Workers;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

public static class FlowstoneWorkerServices
{
    /// <summary>Adds a worker that runs as long as the host; <c>AddFlowstone</c> is needed as well. May be called several times.</summary>
    /// <param name="configure">Has the last word, after the configuration section <c>Flowstone:Worker</c>; null changes nothing.</param>
    /// <param name="handler">Runs an execution. Its services are of a scope of their own per execution.</param>
    public static IServiceCollection AddFlowstoneWorker(
        this IServiceCollection services, Action<WorkerOptions>? configure, Func<IServiceProvider, WorkContext, Task<WorkResult>> handler)
    {
        var name = $"worker {services.Count}";   // options of its own
        services.AddOptions<WorkerOptions>(name).BindConfiguration("Flowstone:Worker").Configure(configure ?? (_ => { })).ValidateOnStart();
        services.AddSingleton<IValidateOptions<WorkerOptions>, WorkerOptionsValidator>();

        // Where no server runs, the workers keep the tables tidy.
        services.AddHostedService<MaintenanceJob>();

        // A host waits for 30 s when it stops, unless told: less than a drain may take.
        services.AddOptions<HostOptions>().Configure<IOptionsMonitor<WorkerOptions>>((host, workers) =>
        {
            var needed = workers.Get(name).DrainTimeout + TimeSpan.FromSeconds(15);
            if (host.ShutdownTimeout < needed)
                host.ShutdownTimeout = needed;
        });
        return services.AddSingleton<IHostedService>(provider => new WorkerService(new Worker(
            provider.GetRequiredService<FlowstoneStore>(), provider.GetRequiredService<IOptionsMonitor<WorkerOptions>>().Get(name),
            async work =>
            {
                await using var scope = provider.CreateAsyncScope();
                return await handler(scope.ServiceProvider, work);
            }, provider.GetRequiredService<ILogger<Worker>>())));
    }

    /// <inheritdoc cref="AddFlowstoneWorker(IServiceCollection, Action{WorkerOptions}?, Func{IServiceProvider, WorkContext, Task{WorkResult}})"/>
    public static IServiceCollection AddFlowstoneWorker(this IServiceCollection services, Action<WorkerOptions>? configure, Func<WorkContext, Task<WorkResult>> handler)
        => services.AddFlowstoneWorker(configure, (_, work) => handler(work));
}

sealed class WorkerService(Worker worker) : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stoppingToken) => worker.RunAsync(stoppingToken);
}
