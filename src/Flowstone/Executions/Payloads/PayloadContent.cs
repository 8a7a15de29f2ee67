using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Flowstone.Executions;

/// <summary>A payload to be read once, from its beginning to its end.</summary>
public sealed class PayloadContent : IAsyncDisposable
{
    internal PayloadContent(Stream body, string contentType, long sizeBytes, long? wholeSizeBytes)
        => (Body, ContentType, SizeBytes, WholeSizeBytes) = (body, contentType, sizeBytes, wholeSizeBytes);

    /// <summary>Throws <see cref="PayloadDamagedException"/> at its end, if what was read is not what was stored.</summary>
    public Stream Body { get; }

    public string ContentType { get; }
    public long SizeBytes { get; }

    /// <summary>How large it was before a limit cut it; null if it is whole.</summary>
    public long? WholeSizeBytes { get; }

    public ValueTask DisposeAsync() => Body.DisposeAsync();

    internal static PayloadContent Of(PayloadBody body)
    {
        var bytes = MemoryMarshal.TryGetArray(body.Bytes, out var array) ? array : body.Bytes.ToArray();
        return new(new MemoryStream(bytes.Array!, bytes.Offset, bytes.Count, writable: false), body.ContentType, body.Bytes.Length, body.WholeSizeBytes);
    }
}

/// <summary>Decodes an object and complains at its end if its bytes are not those that its key names.</summary>
sealed class VerifiedStream : ReadOnlyStream
{
    readonly ObjectKey key;
    readonly Tap tap;
    readonly Stream decoded;

    public VerifiedStream(Stream stored, ObjectKey key, PayloadEncoding encoding)
    {
        this.key = key;
        tap = new Tap(stored);
        decoded = encoding == PayloadEncoding.Brotli ? new BrotliStream(tap, CompressionMode.Decompress) : tap;
    }

    public static PayloadDamagedException Damaged(ObjectKey key, Exception? cause = null) => new($"The object {key} of a payload is not as it was stored.", cause);

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            var count = await decoded.ReadAsync(buffer, cancellationToken);
            if (count == 0 && buffer.Length > 0)
                await CheckAsync(cancellationToken);
            return count;
        }
        catch (Exception error) when (decoded is BrotliStream && error is InvalidOperationException or InvalidDataException)   // it notices a change first
        {
            throw Damaged(key, error);
        }
    }

    // The decoder stops where its own data end, which need not be the end of the object.
    async Task CheckAsync(CancellationToken cancellationToken)
    {
        var rest = new byte[1024];
        while (await tap.ReadAsync(rest, cancellationToken) > 0)
        {
        }
        if (!tap.Hash.GetCurrentHash().AsSpan().SequenceEqual(key.Hash))
            throw Damaged(key);
    }

    protected override void Dispose(bool disposing)
    {
        decoded.Dispose();
        tap.Dispose();
        base.Dispose(disposing);
    }

    /// <summary>Hashes what passes.</summary>
    sealed class Tap(Stream inner) : ReadOnlyStream
    {
        public IncrementalHash Hash { get; } = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var count = await inner.ReadAsync(buffer, cancellationToken);
            Hash.AppendData(buffer.Span[..count]);
            return count;
        }

        protected override void Dispose(bool disposing)
        {
            inner.Dispose();
            Hash.Dispose();
            base.Dispose(disposing);
        }
    }
}

/// <summary>The members that every stream must have, of one that is only read, forwards and asynchronously.</summary>
abstract class ReadOnlyStream : Stream
{
    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => false;
    public override long Length => throw new NotSupportedException();
    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
    public abstract override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default);
    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("Read it asynchronously.");
    public override void Flush() { }
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
