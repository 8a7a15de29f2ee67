using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Flowstone;

/// <summary>How Flowstone reaches its database. Bound from the configuration section <c>Flowstone</c>, then from the environment.</summary>
public sealed class FlowstoneOptions
{
    /// <summary>
    /// An Npgsql connection string or a <c>postgres://</c> URL (environment: <c>DATABASE_URL</c>). Its user is <c>flowstone</c>, or
    /// somebody else who may become <c>flowstone_app</c> and <c>flowstone_worker</c>. A secret: it is never logged.
    /// </summary>
    [Required(ErrorMessage = "No database is configured: set DATABASE_URL, or run 'flowstone up', which brings one.")]
    public string ConnectionString { get; set; } = "";

    /// <summary>Connections kept open (<c>DATABASE_POOL_MIN</c>). Default 2.</summary>
    [Range(0, 1000)]
    public int PoolMin { get; set; } = 2;

    /// <summary>Connections at most (<c>DATABASE_POOL_MAX</c>). Default 10: small warm pools beat large ones.</summary>
    [Range(1, 1000)]
    public int PoolMax { get; set; } = 10;

    /// <summary>How long a statement may take (<c>DATABASE_TIMEOUT</c>, in milliseconds). Default 30 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.100", "01:00:00")]
    public TimeSpan CommandTimeout { get; set; } = TimeSpan.FromSeconds(30);
}

[OptionsValidator]
sealed partial class FlowstoneOptionsValidator : IValidateOptions<FlowstoneOptions>;
