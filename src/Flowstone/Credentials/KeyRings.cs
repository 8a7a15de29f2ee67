namespace Flowstone.Credentials;

/// <summary>Where master keys are of two kinds, on the way from one to the other: the current one wraps, both unwrap.</summary>
sealed class KeyRings(IKeyRing current, IKeyRing old) : IKeyRing, IDisposable
{
    public ValueTask<string> CurrentIdAsync(CancellationToken cancellationToken = default) => current.CurrentIdAsync(cancellationToken);

    public bool Has(string masterKeyId) => current.Has(masterKeyId) || old.Has(masterKeyId);

    public ValueTask<byte[]> WrapAsync(DataKeyPlace place, ReadOnlyMemory<byte> key, CancellationToken cancellationToken = default) => current.WrapAsync(place, key, cancellationToken);

    public ValueTask<byte[]> UnwrapAsync(string masterKeyId, DataKeyPlace place, ReadOnlyMemory<byte> wrapped, CancellationToken cancellationToken = default)
        => (old.Has(masterKeyId) && !current.Has(masterKeyId) ? old : current).UnwrapAsync(masterKeyId, place, wrapped, cancellationToken);

    public void Dispose()
    {
        (current as IDisposable)?.Dispose();
        (old as IDisposable)?.Dispose();
    }
}
