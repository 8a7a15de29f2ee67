using Flowstone.Data;
using Npgsql;

namespace Flowstone.Credentials;

/// <summary>Seals what must not be read in the database, and opens it again. See docs/credentials.md.</summary>
public sealed class SecretSealer : IDisposable
{
    readonly DataKeys? keys;

    /// <param name="keys">Null: there is no master key.</param>
    internal SecretSealer(DataKeys? keys) => this.keys = keys;

    internal bool HasKeys => keys is not null;

    /// <summary>To seal or open many with one key: <see cref="DataKeys.CurrentAsync"/> and <see cref="Seal"/>.</summary>
    internal DataKeys Keys => keys ?? throw new UnavailableException(KeySource.NeedsKey);

    /// <summary>Seals with the tenant's current data key. What comes back opens at this place only.</summary>
    /// <exception cref="UnavailableException">There is no master key, or it cannot be used now; nothing was sealed.</exception>
    public async ValueTask<byte[]> SealAsync(SealedPlace place, ReadOnlyMemory<byte> secret, CancellationToken cancellationToken = default)
    {
        using var key = await Keys.CurrentAsync(place.TenantId, uses: 1, cancellationToken);
        return Seal.Close(key, place, secret.Span);
    }

    /// <summary>Seals and stores: again, if the key was retired in between, which another process may not have heard.</summary>
    /// <param name="store">Stores the value in one transaction that begins with the guard.</param>
    internal async Task<T> StoreAsync<T>(
        SealedPlace place, ReadOnlyMemory<byte> secret, Func<byte[], (string Sql, NpgsqlParameter[] Parameters), Task<T>> store, CancellationToken cancellationToken)
    {
        for (var tries = 0; ; tries++)
        {
            var value = await SealAsync(place, secret, cancellationToken);
            var key = Seal.KeyOf(place, value);
            try
            {
                return await store(value, DataKeys.Guard(key));
            }
            catch (ConflictException error) when (PostgresErrors.IsRefusal(error) && tries < 3)
            {
                Keys.Forget(new(place.TenantId, key));
            }
        }
    }

    /// <exception cref="CredentialSealException">It was changed, belongs elsewhere, or its key is gone.</exception>
    /// <exception cref="UnavailableException">There is no master key, or it cannot be used now.</exception>
    public ValueTask<byte[]> OpenAsync(SealedPlace place, ReadOnlyMemory<byte> sealedValue, CancellationToken cancellationToken = default)
        => OpenAsync(place, sealedValue, along: null, evenIfClosed: false, cancellationToken);

    /// <param name="along">The data key as it came with the value's row, in one round trip; null if it did not.</param>
    /// <param name="evenIfClosed">For what a rotation leaves with its key.</param>
    internal async ValueTask<byte[]> OpenAsync(SealedPlace place, ReadOnlyMemory<byte> sealedValue, WrappedKey? along, bool evenIfClosed, CancellationToken cancellationToken)
    {
        using var key = await Keys.GetAsync(place, Seal.KeyOf(place, sealedValue.Span), along, cancellationToken);
        if (key.IsClosed && !evenIfClosed)
            throw CredentialSealException.At(place, $"is sealed with the data key {key.Id}, which was closed when nothing was sealed with it any more: it was put there from an old copy.");
        return Seal.Open(key, place, sealedValue.Span);
    }

    /// <summary>Wipes the keys from memory.</summary>
    public void Dispose() => keys?.Dispose();
}
