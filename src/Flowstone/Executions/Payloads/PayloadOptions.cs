using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Flowstone;

/// <summary>Where large payloads go. Without <see cref="Folder"/> and <see cref="S3"/> all stay in the database.</summary>
public sealed class PayloadOptions
{
    internal const string NeedsStore = "set Flowstone:Payloads:Folder or Flowstone:Payloads:S3:Bucket.";

    /// <summary>Payloads over this many bytes (before compression) go to the object store. Null: only those that a policy sends there.</summary>
    [Range(0, long.MaxValue)]
    public long? SpillAboveBytes { get; set; }

    /// <summary>A folder that is there already and that all processes share, on a disk that is backed up with the database.</summary>
    public string? Folder { get; set; }

    /// <summary>A bucket instead of a folder.</summary>
    [ValidateObjectMembers]
    public S3Options? S3 { get; set; }

    /// <summary>How old an object must be, 1 h to a year, before the sweeper takes it for an orphan. Default 24 h. docs/executions.md, "Payloads".</summary>
    [Range(typeof(TimeSpan), "01:00:00", "365.00:00:00")]
    public TimeSpan SweepAfter { get; set; } = TimeSpan.FromHours(24);
}

/// <summary>A bucket of Amazon S3, or of anything that speaks its protocol. Credentials come from where the AWS SDK looks for them: the environment, a profile, the machine's role.</summary>
public sealed class S3Options
{
    [Required]
    public string Bucket { get; set; } = "";

    /// <summary>Null is Amazon.</summary>
    public Uri? Endpoint { get; set; }

    /// <summary>Null is the environment's.</summary>
    public string? Region { get; set; }

    /// <summary>Goes before each object's key, for a bucket that is shared: <c>flowstone/production/</c>.</summary>
    public string Prefix { get; set; } = "";
}
