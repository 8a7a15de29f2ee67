using System.Security.Cryptography;
using Flowstone.Credentials;
using Flowstone.Tenancy;

namespace Flowstone.Executions;

/// <summary>Where a sealed payload lies: it opens there and nowhere else.</summary>
/// <param name="Hash">The payload's name within its execution, 16 bytes.</param>
readonly record struct PayloadPlace(Id<Tenant> TenantId, Id<Execution> ExecutionId, ReadOnlyMemory<byte> Hash)
{
    /// <summary>A row has two names, a sealed value one: the hash of both.</summary>
    public SealedPlace Sealed => new(TenantId, "payloads.body", new Guid(SHA256.HashData([.. ExecutionId.Value.ToByteArray(bigEndian: true), .. Hash.Span]).AsSpan(0, 16), bigEndian: true));
}

/// <summary>Seals payloads of tenants that want it, with their data keys: docs/credentials.md.</summary>
sealed class PayloadSealer(SecretSealer secrets)
{
    public bool CanSeal => secrets.HasKeys;

    /// <summary>
    /// What makes names of payloads, of the tenant's current data key: only its holder can compute a name from the content, so that nobody learns by a guess what is
    /// stored. Equal contents of an execution have the same name, unless the data key changes meanwhile.
    /// </summary>
    public async ValueTask<byte[]> NamingKeyAsync(Id<Tenant> tenant, CancellationToken cancellationToken)
    {
        using var key = await secrets.Keys.CurrentAsync(tenant, uses: 0, cancellationToken);
        return key.Derive("flowstone payload names 2"u8);
    }

    /// <param name="content">The content's own hash.</param>
    public static byte[] Name(byte[] namingKey, Id<Execution> execution, ReadOnlySpan<byte> content)
        => HMACSHA256.HashData(namingKey, (ReadOnlySpan<byte>)[.. execution.Value.ToByteArray(bigEndian: true), .. content])[..16];

    /// <summary>Replaces each body by what is stored for it.</summary>
    public async ValueTask SealAsync(Id<Tenant> tenant, Id<Execution> execution, List<StoredPayload> rows, CancellationToken cancellationToken)
    {
        using var key = await secrets.Keys.CurrentAsync(tenant, rows.Count, cancellationToken);
        for (var i = 0; i < rows.Count; i++)
            rows[i] = rows[i].Sealed ? rows[i] : rows[i] with { Body = Seal.Close(key, new PayloadPlace(tenant, execution, rows[i].Hash).Sealed, rows[i].Body), Sealed = true };
    }

    /// <exception cref="UnavailableException">Its data key cannot be unwrapped here.</exception>
    /// <exception cref="PayloadDamagedException">It was changed, belongs elsewhere, or its key is gone.</exception>
    public async ValueTask<byte[]> OpenAsync(PayloadPlace place, byte[] body, CancellationToken cancellationToken)
    {
        try
        {
            return await secrets.OpenAsync(place.Sealed, body, along: null, evenIfClosed: true, cancellationToken);
        }
        catch (CredentialSealException error)
        {
            throw new PayloadDamagedException($"Payload {Convert.ToHexStringLower(place.Hash.Span)} of execution {place.ExecutionId} does not open: {error.Message}", error);
        }
    }
}

/// <summary>A stored payload cannot be given back as it was: bytes changed, or its object is gone. See docs/executions.md, "Payloads".</summary>
public sealed class PayloadDamagedException(string message, Exception? cause = null) : FlowstoneException(message, cause);
