namespace Flowstone.Credentials;

/// <summary>
/// The master keys, wherever they are: they wrap data keys, and each wrapped key names its master. Register one of your own to keep them
/// elsewhere than in a key file, the environment or AWS KMS.
/// </summary>
public interface IKeyRing
{
    /// <summary>The id of the key that <see cref="WrapAsync"/> takes: one and the same as long as the process runs.</summary>
    /// <exception cref="UnavailableException">It cannot be asked now.</exception>
    ValueTask<string> CurrentIdAsync(CancellationToken cancellationToken = default);

    /// <summary>Whether it could open what that key wrapped: false is a reason not to start.</summary>
    bool Has(string masterKeyId);

    /// <summary>Wraps a data key with the current master key, bound to its place.</summary>
    /// <exception cref="UnavailableException">The master key cannot be used now.</exception>
    ValueTask<byte[]> WrapAsync(DataKeyPlace place, ReadOnlyMemory<byte> key, CancellationToken cancellationToken = default);

    /// <summary>Opens what a master key wrapped. Whoever gets the key wipes it when done.</summary>
    /// <exception cref="UnavailableException">The master key is not here, or cannot be used now.</exception>
    /// <exception cref="CredentialSealException">It was changed, or belongs to another place.</exception>
    ValueTask<byte[]> UnwrapAsync(string masterKeyId, DataKeyPlace place, ReadOnlyMemory<byte> wrapped, CancellationToken cancellationToken = default);
}
