using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Flowstone.Credentials.Original;

/// <summary>
/// AES-GCM with a nonce of any length (NIST SP 800-38D), which .NET's takes with 12 bytes alone. Not in constant time: for reading what others sealed, never for what is
/// asked over the network.
/// </summary>
static class AnyNonceGcm
{
    const int Block = 16;

    /// <returns>Null if the tag is not of this key, nonce and text.</returns>
    public static byte[]? Open(byte[] key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> cipher, ReadOnlySpan<byte> tag)
    {
        using var aes = Aes.Create();
        aes.Key = key;
        var hashKey = BinaryPrimitives.ReadUInt128BigEndian(aes.EncryptEcb(new byte[Block], PaddingMode.None));
        var counter = nonce.Length == 12
            ? new UInt128(BinaryPrimitives.ReadUInt64BigEndian(nonce), (ulong)BinaryPrimitives.ReadUInt32BigEndian(nonce[8..]) << 32 | 1)
            : Hash(hashKey, nonce);

        // The first block of the key stream covers the tag, the others the text.
        var stream = new byte[Block * (1 + Blocks(cipher.Length))];
        for (var at = 0; at < stream.Length; at += Block)
            BinaryPrimitives.WriteUInt128BigEndian(stream.AsSpan(at), counter & ~(UInt128)uint.MaxValue | unchecked((uint)counter + (uint)(at / Block)));
        aes.EncryptEcb(stream, stream, PaddingMode.None);
        try
        {
            Span<byte> expected = stackalloc byte[Block];
            BinaryPrimitives.WriteUInt128BigEndian(expected, Hash(hashKey, cipher) ^ BinaryPrimitives.ReadUInt128BigEndian(stream));
            if (!CryptographicOperations.FixedTimeEquals(expected, tag))
                return null;
            var text = new byte[cipher.Length];
            for (var i = 0; i < text.Length; i++)
                text[i] = (byte)(cipher[i] ^ stream[Block + i]);
            return text;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(stream);
        }
    }

    // GHASH of a nonce is that of a text with nothing bound to it: padded with zeros, then the length in bits.
    static UInt128 Hash(UInt128 key, ReadOnlySpan<byte> bytes)
    {
        UInt128 hash = 0;
        Span<byte> block = stackalloc byte[Block];
        for (var at = 0; at < bytes.Length; at += Block)
        {
            block.Clear();
            bytes[at..Math.Min(at + Block, bytes.Length)].CopyTo(block);
            hash = Multiply(hash ^ BinaryPrimitives.ReadUInt128BigEndian(block), key);
        }
        return Multiply(hash ^ (ulong)bytes.Length * 8, key);
    }

    // In GF(2^128), whose bits GCM counts from the left.
    static UInt128 Multiply(UInt128 x, UInt128 y)
    {
        UInt128 product = 0;
        for (; x != 0; x <<= 1)
        {
            if (x >> 127 != 0)
                product ^= y;
            y = (y & 1) == 0 ? y >> 1 : y >> 1 ^ (UInt128)0xe1 << 120;
        }
        return product;
    }

    static int Blocks(int length) => (length + Block - 1) / Block;
}
