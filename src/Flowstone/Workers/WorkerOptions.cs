using System.ComponentModel.DataAnnotations;
using System.Data.Common;
using Flowstone.Tenancy;
using Microsoft.Extensions.Options;

namespace Flowstone.Workers;

/// <summary>How a worker takes and keeps work. Bound from the configuration section <c>Flowstone:Worker</c>.</summary>
public sealed class WorkerOptions
{
    /// <summary>A name for people, in lists and logs. Default: host and process.</summary>
    [Required, StringLength(255)]
    public string Name { get; set; } = $"{Environment.MachineName}:{Environment.ProcessId}";

    /// <summary>How many executions run at once. Default 16.</summary>
    [Range(1, 10_000)]
    public int Concurrency { get; set; } = 16;

    /// <summary>How many executions one claim takes at most. Default 100; never more than there is room for.</summary>
    [Range(1, 1000)]
    public int ClaimBatch { get; set; } = 100;

    /// <summary>How long the worker may be silent before another takes over; it renews at a third of it. Default 30 s.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan Lease { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Only this tenant's work; null takes all tenants'.</summary>
    public Id<Tenant>? TenantId { get; set; }

    /// <summary>How long a worker may be at one execution before it ends as TIMEOUT, counted anew by each claim. Null, the default, does not limit.</summary>
    [Range(typeof(TimeSpan), "00:00:00.001", "24.00:00:00")]
    public TimeSpan? ExecutionTimeout { get; set; }

    /// <summary>When the worker is told to stop: how long what runs may go on before it is cancelled and given back. Default 30 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00")]
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Which errors of a handler pass by themselves: the execution is given back and tried again later instead of ending as FAILED.
    /// Default: <see cref="TransientWorkException"/>, a database that is away, and what its driver calls transient.
    /// </summary>
    public Func<Exception, bool> IsTransient { get; set; } = IsTransientByDefault;

    public static bool IsTransientByDefault(Exception error)
        => error is TransientWorkException or UnavailableException or DbException { IsTransient: true };
}

[OptionsValidator]
sealed partial class WorkerOptionsValidator : IValidateOptions<WorkerOptions>;
