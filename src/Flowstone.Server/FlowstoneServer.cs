using Flowstone.Data;
using Flowstone.Executions;
using Flowstone.Server.Auth;
using Flowstone.Server.Console;
using Flowstone.Server.Credentials;
using Flowstone.Server.Executions;
using Flowstone.Server.Health;
using Flowstone.Server.Permissions;
using Flowstone.Server.Users;
using Flowstone.Server.Workflows;
using Flowstone.Workflows;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Options;

namespace Flowstone.Server;

/// <summary>The HTTP API, the console and the background jobs, as one application.</summary>
public static class FlowstoneServer
{
    /// <summary>Room in a body for what goes around a definition.</summary>
    const long MaxAroundBytes = 1024 * 1024;

    /// <param name="configure">Has the last word: <c>builder.Configuration["DATABASE_URL"] = …</c>, addresses, logging.</param>
    public static WebApplication Build(string[] args, Action<WebApplicationBuilder>? configure = null)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { Args = args, ApplicationName = typeof(FlowstoneServer).Assembly.GetName().Name });
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.AddServerHeader = false);
        builder.Logging.AddFilter("Microsoft.AspNetCore", LogLevel.Warning);   // its request lines hold query strings, and those sign-in codes

        builder.Services.AddFlowstone();
        builder.Services.AddSessionAuthentication();
        builder.Services.AddServerHealth();
        builder.Services.AddSingleton<PayloadSweepJob>().AddHostedService(provider => provider.GetRequiredService<PayloadSweepJob>());
        builder.Services.AddHostedService<MaintenanceJob>();
        builder.Services.AddHostedService<ScheduleJob>();
        builder.Services.AddSingleton<KeyRotationJob>().AddHostedService(provider => provider.GetRequiredService<KeyRotationJob>());
        builder.Services.AddServerOpenApi();
        builder.Services.AddRazorComponents();
        builder.Services.AddDataProtection().UseEphemeralDataProtectionProvider();   // only the sign-in form's antiforgery token needs keys, for minutes
        builder.Services.Configure<RouteHandlerOptions>(routes => routes.ThrowOnBadRequest = true);   // so that ErrorResponses learns the field
        builder.Services.ConfigureHttpJsonOptions(json =>
        {
            FlowstoneJson.Configure(json.SerializerOptions);
            json.SerializerOptions.MaxDepth = JsonDocuments.MaxDepth + 20;   // a definition, and what goes around it
            json.SerializerOptions.RespectNullableAnnotations = true;
            json.SerializerOptions.RespectRequiredConstructorParameters = true;
        });
        configure?.Invoke(builder);

        var app = builder.Build();
        var options = app.Services.GetRequiredService<IOptions<FlowstoneOptions>>();
        app.UseSecurityHeaders();
        app.UseErrorResponses();
        app.Use((context, next) =>
        {
            context.Features.GetRequiredFeature<IHttpMaxRequestBodySizeFeature>().MaxRequestBodySize = options.Value.MaxDefinitionBytes + MaxAroundBytes;   // unless the endpoint says otherwise
            return next(context);
        });
        app.UseStartCheck();
        app.UseRouting();
        app.UseCrossSiteGuard();
        app.UseAuthentication();
        app.UseAuthorization();
        app.UseAntiforgery();

        app.MapHealth();
        app.MapOpenApi().AllowAnonymous();
        app.MapConsole();
        var api = app.MapGroup("/api/v1");
        api.MapAuth();
        api.MapUsers();
        api.MapTeams();
        api.MapApiKeys();
        api.MapWorkflows();
        api.MapVersions();
        api.MapPublishing();
        api.MapTrash();
        api.MapTransfer();
        api.MapSchedules();
        api.MapWorkflowLists();
        api.MapShares();
        api.MapComments();
        api.MapCredentials();
        api.MapKeys();
        api.MapExecutions();
        api.MapExecutionControl();
        api.MapWork();
        api.MapPayloadPolicies();
        return app;
    }

    /// <summary>Serves until the process is told to stop.</summary>
    /// <param name="started">Is called once with the address on which the server listens.</param>
    /// <returns>The exit code: 1 if the server refused to start or go on, which the log explains.</returns>
    public static async Task<int> RunAsync(WebApplication app, Action<string>? started = null, CancellationToken cancellationToken = default)
    {
        try
        {
            await app.StartAsync(cancellationToken);
        }
        catch (Exception error) when (error is StartRefusedException or OptionsValidationException or ArgumentException or IOException)
        {
            ServerLog.Refused(app.Logger, error.Message);   // a setting, the database or the port: the message says which
            return 1;
        }
        started?.Invoke(app.Urls.First());
        await app.WaitForShutdownAsync(cancellationToken);
        return app.Services.GetRequiredService<StartCheck>().Refusal is null ? 0 : 1;
    }
}

static partial class ServerLog
{
    [LoggerMessage(Level = LogLevel.Critical, Message = "The server does not start: {Reason}")]
    public static partial void Refused(ILogger logger, string reason);
}
