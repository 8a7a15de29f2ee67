using System.ComponentModel.DataAnnotations;
using Flowstone.Workflows;
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

    /// <summary>Connections at most (<c>DATABASE_POOL_MAX</c>), beside those of <see cref="Writers"/>. Default 10: small warm pools beat large ones.</summary>
    [Range(1, 1000)]
    public int PoolMax { get; set; } = 10;

    /// <summary>How long a statement may take (<c>DATABASE_TIMEOUT</c>, in milliseconds). Default 30 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.100", "01:00:00")]
    public TimeSpan CommandTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Connections at once for the writes of starts, steps and ends (<c>DATABASE_WRITERS</c>), 1 to 16. Default 1: concurrent calls share a transaction,
    /// and fewer, larger transactions were the fastest on 2 cores. More may help on a large machine: measure.
    /// </summary>
    [Range(1, 16)]
    public int Writers { get; set; } = 1;

    /// <summary>
    /// A file with the master key, 32 bytes in base64, and older ones as further lines (<c>FLOWSTONE_KEY_FILE</c>); docs/credentials.md.
    /// Keep a copy elsewhere: what it seals opens with nothing else.
    /// </summary>
    public string? KeyFile { get; set; }

    /// <summary>The master key itself, where there is no file (<c>FLOWSTONE_MASTER_KEY</c>). A secret: it is never logged.</summary>
    public string? MasterKey { get; set; }

    /// <summary>Beside the current key: older ones, with commas between, which only open (<c>FLOWSTONE_OLD_MASTER_KEYS</c>); in base64, or as ARN of AWS KMS. Secrets as well.</summary>
    public string? OldMasterKeys { get; set; }

    /// <summary>Instead of both: a key of AWS KMS, as ARN or <c>alias/NAME</c> (<c>FLOWSTONE_KMS_KEY</c>).</summary>
    public string? KmsKey { get; set; }

    /// <summary>Failed sign-ins to one address from one place before it is locked. Default 5.</summary>
    [Range(3, 100)]
    public int MaxLoginFailures { get; set; } = 5;

    /// <summary>How long it is locked then, and how long a failure counts. Default 30 minutes.</summary>
    [Range(typeof(TimeSpan), "00:01:00", "1.00:00:00")]
    public TimeSpan LoginLock { get; set; } = TimeSpan.FromMinutes(30);

    /// <summary>
    /// The largest definition that is stored (<c>FLOWSTONE_MAX_DEFINITION_BYTES</c>), 64 KiB to 32 MiB. Default 5 MiB: several times the largest workflow
    /// that people published. Each save reads and writes all of it.
    /// </summary>
    [Range(64 * 1024, 32 * 1024 * 1024)]
    public int MaxDefinitionBytes { get; set; } = WorkflowDefinition.MaxBytes;

    /// <summary>Where large payloads go.</summary>
    [ValidateObjectMembers]
    public PayloadOptions Payloads { get; set; } = new();
}

[OptionsValidator]
sealed partial class FlowstoneOptionsValidator : IValidateOptions<FlowstoneOptions>;

/// <summary>What an attribute cannot tell: whether there is a key where one is named, and an object store that can be made.</summary>
sealed class ResourcesValidator : IValidateOptions<FlowstoneOptions>
{
    public ValidateOptionsResult Validate(string? name, FlowstoneOptions options)
    {
        try
        {
            (Credentials.KeySource.Of(options) as IDisposable)?.Dispose();
            Executions.PayloadSettings.Of(options).Objects?.Dispose();
            return ValidateOptionsResult.Success;
        }
        catch (InvalidInputException error)
        {
            return ValidateOptionsResult.Fail(error.Message);
        }
    }
}
