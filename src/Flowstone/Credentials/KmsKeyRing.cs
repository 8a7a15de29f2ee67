using System.Security.Cryptography;
using Amazon;
using Amazon.KeyManagementService;
using Amazon.KeyManagementService.Model;
using Amazon.Runtime;

namespace Flowstone.Credentials;

/// <summary>
/// A master key that never leaves AWS KMS; region, endpoint and credentials come from where the SDK looks for them. Tenant and data key are the
/// encryption context. A key that wrapped data keys before opens them as long as KMS allows it: it need not be named.
/// </summary>
sealed class KmsKeyRing : IKeyRing, IDisposable
{
    readonly string key;
    readonly AmazonKeyManagementServiceClient client;
    string? current;

    /// <param name="key">A key's ARN; or an alias, which is asked for once what key it stands for.</param>
    /// <exception cref="InvalidInputException">The SDK finds no region, and an alias names none.</exception>
    public KmsKeyRing(string key) : this(key, Configure(key))
    {
    }

    internal KmsKeyRing(string key, AmazonKeyManagementServiceConfig config)
    {
        this.key = key.StartsWith("arn:", StringComparison.Ordinal) || key.StartsWith("alias/", StringComparison.Ordinal) ? key
            : throw new InvalidInputException("FLOWSTONE_KMS_KEY", "must be the ARN of a key (arn:aws:kms:REGION:ACCOUNT:key/ID) or an alias (alias/NAME).");
        if (IsKey(key))
            current = key;
        try
        {
            client = new AmazonKeyManagementServiceClient(config);
        }
        catch (AmazonClientException error)
        {
            throw new InvalidInputException("FLOWSTONE_KMS_KEY", $"{error.Message} Set AWS_REGION.");
        }
    }

    public async ValueTask<string> CurrentIdAsync(CancellationToken cancellationToken = default)
        => current ??= (await TryAsync(key, () => client.DescribeKeyAsync(new DescribeKeyRequest { KeyId = key }, cancellationToken))).KeyMetadata.Arn;

    public bool Has(string masterKeyId) => IsKey(masterKeyId);

    public async ValueTask<byte[]> WrapAsync(DataKeyPlace place, ReadOnlyMemory<byte> key, CancellationToken cancellationToken = default)
    {
        var master = await CurrentIdAsync(cancellationToken);
        var plain = key.ToArray();
        try
        {
            using var stream = new MemoryStream(plain);
            var answer = await TryAsync(master, () => client.EncryptAsync(new EncryptRequest { KeyId = master, Plaintext = stream, EncryptionContext = Context(place) }, cancellationToken));
            return answer.CiphertextBlob.ToArray();
        }
        finally
        {
            CryptographicOperations.ZeroMemory(plain);
        }
    }

    public async ValueTask<byte[]> UnwrapAsync(string masterKeyId, DataKeyPlace place, ReadOnlyMemory<byte> wrapped, CancellationToken cancellationToken = default)
    {
        if (!Has(masterKeyId))
            throw new UnavailableException($"The data key {place.Id} is wrapped by the master key {masterKeyId}, which is none of AWS KMS. {KeySource.PutBack}");
        using var blob = new MemoryStream(wrapped.ToArray());
        try
        {
            var answer = await TryAsync(masterKeyId, () => client.DecryptAsync(new DecryptRequest { KeyId = masterKeyId, CiphertextBlob = blob, EncryptionContext = Context(place) }, cancellationToken));
            return answer.Plaintext.ToArray();
        }
        catch (UnavailableException error) when (error.InnerException is InvalidCiphertextException or IncorrectKeyException)
        {
            throw CredentialSealException.OfKey(place, $"does not open with its master key {masterKeyId}: it was changed, or it belongs to another row.", error);
        }
    }

    public void Dispose() => client.Dispose();

    static AmazonKeyManagementServiceConfig Configure(string key)
    {
        var config = new AmazonKeyManagementServiceConfig();
        if (FallbackRegionFactory.GetRegionEndpoint() is null && key.Split(':') is ["arn", _, _, { Length: > 0 } region, ..])
            config.RegionEndpoint = RegionEndpoint.GetBySystemName(region);
        return config;
    }

    static bool IsKey(string id) => id.StartsWith("arn:", StringComparison.Ordinal) && id.Contains(":key/", StringComparison.Ordinal);

    static Dictionary<string, string> Context(DataKeyPlace place) => new() { ["flowstone:tenant"] = place.TenantId.ToString(), ["flowstone:data-key"] = place.Id.ToString() };

    static async Task<T> TryAsync<T>(string key, Func<Task<T>> call)
    {
        try
        {
            return await call();
        }
        catch (AmazonServiceException error)
        {
            throw new UnavailableException($"AWS KMS did not use the key {key}: {error.ErrorCode ?? error.StatusCode.ToString()}. {error.Message}", error);
        }
        catch (Exception error) when (error is AmazonClientException or HttpRequestException or IOException)
        {
            throw new UnavailableException($"AWS KMS cannot be reached for the key {key}: {error.Message}", error);
        }
    }
}
