using System.Buffers;
using System.Security.Cryptography;

namespace Flowstone.Data;

/// <summary>Hashes what is written to it, a block at a time: a document of any size needs 16 KB.</summary>
sealed class HashingBuffer : IBufferWriter<byte>, IDisposable
{
    readonly IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    byte[] block = ArrayPool<byte>.Shared.Rent(16 * 1024);
    int used;

    public void Advance(int count) => used += count;

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        if (block.Length - used < Math.Max(sizeHint, 1))
            Empty(sizeHint);
        return block.AsMemory(used);
    }

    public Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    public byte[] Finish()
    {
        Empty(0);
        return hash.GetHashAndReset();
    }

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(block);
        hash.Dispose();
    }

    void Empty(int needed)
    {
        hash.AppendData(block, 0, used);
        used = 0;
        if (needed > block.Length)
        {
            ArrayPool<byte>.Shared.Return(block);
            block = ArrayPool<byte>.Shared.Rent(needed);
        }
    }
}
