using Flowstone;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

public static class FlowstoneServices
{
    /// <summary>Adds <see cref="FlowstoneStore"/>: everything that there is, on one screen.</summary>
    /// <param name="configure">Has the last word, after the configuration section <c>Flowstone</c> and the environment.</param>
    public static IServiceCollection AddFlowstone(this IServiceCollection services, Action<FlowstoneOptions>? configure = null)
    {
        services.AddOptions<FlowstoneOptions>()
            .BindConfiguration("Flowstone")
            .Configure<IConfiguration>(ReadEnvironment)
            .Configure(configure ?? (_ => { }))
            .ValidateOnStart();
        services.AddSingleton<IValidateOptions<FlowstoneOptions>, FlowstoneOptionsValidator>();
        services.AddSingleton<IValidateOptions<FlowstoneOptions>, ResourcesValidator>();
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<FlowstoneStore>();
        return services;
    }

    /// <summary>The options of a process without a host: a command.</summary>
    internal static FlowstoneOptions FromEnvironment()
    {
        var configuration = new ConfigurationBuilder().AddEnvironmentVariables().Build();
        var options = new FlowstoneOptions();
        configuration.GetSection("Flowstone").Bind(options);
        ReadEnvironment(options, configuration);
        return options;
    }

    // The names that the platform's operators know (design section 9).
    static void ReadEnvironment(FlowstoneOptions options, IConfiguration configuration)
    {
        options.ConnectionString = configuration["DATABASE_URL"] ?? options.ConnectionString;
        options.PoolMin = configuration.GetValue("DATABASE_POOL_MIN", options.PoolMin);
        options.PoolMax = configuration.GetValue("DATABASE_POOL_MAX", options.PoolMax);
        options.Writers = configuration.GetValue("DATABASE_WRITERS", options.Writers);
        if (configuration.GetValue<int?>("DATABASE_TIMEOUT") is { } milliseconds)
            options.CommandTimeout = TimeSpan.FromMilliseconds(milliseconds);
        options.KeyFile = configuration["FLOWSTONE_KEY_FILE"] ?? options.KeyFile;
        options.MasterKey = configuration["FLOWSTONE_MASTER_KEY"] ?? options.MasterKey;
        options.OldMasterKeys = configuration["FLOWSTONE_OLD_MASTER_KEYS"] ?? options.OldMasterKeys;
        options.MaxDefinitionBytes = configuration.GetValue("FLOWSTONE_MAX_DEFINITION_BYTES", options.MaxDefinitionBytes);
        options.KmsKey = configuration["FLOWSTONE_KMS_KEY"] ?? options.KmsKey;
    }
}
