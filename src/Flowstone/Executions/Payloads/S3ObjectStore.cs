using System.Net;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Amazon;
using Amazon.Runtime;
using Amazon.S3;
using Amazon.S3.Model;
using Flowstone.Tenancy;

namespace Flowstone.Executions;

/// <summary>Objects in a bucket. (The SDK is 2.2 MB in two files without further dependencies: less than a project of its own is worth.)</summary>
sealed class S3ObjectStore : ObjectStore
{
    readonly AmazonS3Client client;
    readonly S3Options options;

    public S3ObjectStore(S3Options options)
    {
        this.options = options;
        var config = new AmazonS3Config
        {
            // What others that speak the protocol understand as well.
            RequestChecksumCalculation = RequestChecksumCalculation.WHEN_REQUIRED,
            ResponseChecksumValidation = ResponseChecksumValidation.WHEN_REQUIRED,
        };
        if (options.Region is { Length: > 0 } region)
            config.RegionEndpoint = RegionEndpoint.GetBySystemName(region);
        if (options.Endpoint is { } endpoint)
        {
            config.ServiceURL = endpoint.ToString();
            config.ForcePathStyle = true;
            config.AuthenticationRegion = options.Region is { Length: > 0 } named ? named : "us-east-1";
        }
        client = new AmazonS3Client(config);
    }

    public override Task PutAsync(ObjectKey key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) => TryAsync("written", async () =>
    {
        var array = MemoryMarshal.TryGetArray(content, out var segment) ? segment : content.ToArray();
        using var stream = new MemoryStream(array.Array!, array.Offset, array.Count, writable: false);
        return await client.PutObjectAsync(new PutObjectRequest
        {
            BucketName = options.Bucket,
            Key = NameOf(key),
            InputStream = stream,
            AutoCloseStream = false,
            UseChunkEncoding = false,
            ContentType = "application/octet-stream",
        }, cancellationToken);
    });

    public override Task<Stream?> OpenAsync(ObjectKey key, CancellationToken cancellationToken) => TryAsync<Stream?>("read", async () =>
    {
        try
        {
            var found = await client.GetObjectAsync(options.Bucket, NameOf(key), cancellationToken);
            return found.ResponseStream;
        }
        catch (AmazonS3Exception error) when (error.StatusCode == HttpStatusCode.NotFound && error.ErrorCode != "NoSuchBucket")
        {
            return null;
        }
    });

    public override async IAsyncEnumerable<ObjectKey> ListAsync(Id<Tenant> tenant, DateOnly before, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var request = new ListObjectsV2Request { BucketName = options.Bucket, Prefix = $"{options.Prefix}{tenant}/" };
        do
        {
            var page = await TryAsync("read", () => client.ListObjectsV2Async(request, cancellationToken));
            foreach (var found in page.S3Objects ?? [])
                if (ObjectKey.TryParse(found.Key[options.Prefix.Length..]) is { } key)
                {
                    if (key.Day >= before)
                        yield break;   // keys come in order, so by day
                    yield return key;
                }
            request.ContinuationToken = page.IsTruncated is true ? page.NextContinuationToken : null;
        }
        while (request.ContinuationToken is not null);
    }

    public override Task DeleteAsync(ObjectKey key, CancellationToken cancellationToken)
        => TryAsync("swept", () => client.DeleteObjectAsync(options.Bucket, NameOf(key), cancellationToken));

    public override void Dispose()
    {
        client.Dispose();
        base.Dispose();
    }

    string NameOf(ObjectKey key) => options.Prefix + key.Text;

    static async Task<T> TryAsync<T>(string what, Func<Task<T>> call)
    {
        try
        {
            return await call();
        }
        catch (Exception error) when (error is AmazonServiceException or AmazonClientException or HttpRequestException or IOException)
        {
            throw Unavailable(what, error);
        }
    }
}
