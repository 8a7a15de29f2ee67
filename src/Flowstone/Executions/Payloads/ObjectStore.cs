using System.Globalization;
using System.Security.Cryptography;
using System.Text.RegularExpressions;
using Flowstone.Tenancy;

namespace Flowstone.Executions;

/// <summary>Keeps large payloads outside of the database, as bytes under a key. What is put is durable when the call returns.</summary>
abstract class ObjectStore : IDisposable
{
    /// <summary>The store of the options; null if there is none.</summary>
    public static ObjectStore? Of(PayloadOptions options) => options switch
    {
        { Folder: { Length: > 0 }, S3: not null } => throw new InvalidInputException("Flowstone:Payloads", "has a Folder and S3: choose one."),
        { Folder: { Length: > 0 } folder } => Directory.Exists(folder)   // made by hand: what looks empty may be a disk that is not mounted
            ? new FolderObjectStore(folder) : throw new InvalidInputException("Flowstone:Payloads:Folder", $"{folder} is not there: make it, or mount its disk."),
        { S3: { } s3 } => new S3ObjectStore(s3),
        _ => null,
    };

    /// <summary>Puts what may be there already, since a key follows from its content.</summary>
    public abstract Task PutAsync(ObjectKey key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken);

    /// <returns>Null if there is no such object.</returns>
    public abstract Task<Stream?> OpenAsync(ObjectKey key, CancellationToken cancellationToken);

    /// <summary>The tenant's objects of days before this one, in any order.</summary>
    public abstract IAsyncEnumerable<ObjectKey> ListAsync(Id<Tenant> tenant, DateOnly before, CancellationToken cancellationToken);

    /// <summary>It may be gone already.</summary>
    public abstract Task DeleteAsync(ObjectKey key, CancellationToken cancellationToken);

    public virtual void Dispose() => GC.SuppressFinalize(this);

    /// <summary>What went wrong, without what must stay secret.</summary>
    protected static UnavailableException Unavailable(string what, Exception error) => new($"The object store cannot be {what}: {error.Message}", error);
}

/// <summary>
/// <c>tenant/day/SHA-256 of the stored bytes</c>. A writer only ever names objects of its own day, so those of a day that has long passed
/// get no new reference: that is why the sweeper may delete what nobody refers to (docs/executions.md, "Payloads").
/// </summary>
sealed partial record ObjectKey
{
    const string DayFormat = "yyyyMMdd";

    ObjectKey(string text) => Text = text;

    public string Text { get; }

    public static ObjectKey Of(Id<Tenant> tenant, DateTimeOffset now, ReadOnlySpan<byte> content)
        => new($"{Folder(tenant, DateOnly.FromDateTime(now.UtcDateTime))}{Convert.ToHexStringLower(SHA256.HashData(content))}");

    /// <summary>Nothing but a key gets by: neither <c>..</c> nor what somebody else put into a shared bucket.</summary>
    public static ObjectKey? TryParse(string text) => Form().IsMatch(text) ? new(text) : null;

    public static string Folder(Id<Tenant> tenant, DateOnly day) => $"{tenant}/{day.ToString(DayFormat, CultureInfo.InvariantCulture)}/";

    public DateOnly Day => DateOnly.ParseExact(Text.AsSpan(37, 8), DayFormat, CultureInfo.InvariantCulture);

    /// <summary>Of the object's bytes.</summary>
    public byte[] Hash => Convert.FromHexString(Text.AsSpan(46, 64));

    public override string ToString() => Text;

    // With a suffix: what a folder's writer had not finished when it was killed.
    [GeneratedRegex(@"\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/20[0-9]{6}/[0-9a-f]{64}(\.[0-9a-f]{32}\.partial)?\z")]
    private static partial Regex Form();
}
