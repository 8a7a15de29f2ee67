using System.Numerics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Flowstone.Credentials;

/// <summary>scrypt (RFC 7914), which .NET has not, for keys of others' making.</summary>
static class Scrypt
{
    const int Words = 16;   // of a block of Salsa20

    /// <param name="cost">N: a power of two.</param>
    /// <param name="blocks">r: takes 128 · N · r bytes of memory.</param>
    /// <param name="lanes">p, one after the other.</param>
    public static byte[] Derive(byte[] password, byte[] salt, int cost, int blocks, int lanes, int length)
    {
        var state = Rfc2898DeriveBytes.Pbkdf2(password, salt, 1, HashAlgorithmName.SHA256, lanes * 128 * blocks);
        var table = new uint[cost * blocks * 2 * Words];
        try
        {
            // Little-endian, as is every processor that .NET runs on but one.
            var words = MemoryMarshal.Cast<byte, uint>(state.AsSpan());
            for (var lane = 0; lane < lanes; lane++)
                Mix(words.Slice(lane * blocks * 2 * Words, blocks * 2 * Words), table, cost);
            return Rfc2898DeriveBytes.Pbkdf2(password, state, 1, HashAlgorithmName.SHA256, length);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(state);
            CryptographicOperations.ZeroMemory(MemoryMarshal.AsBytes(table.AsSpan()));
        }
    }

    // The RFC's scryptROMix.
    static void Mix(Span<uint> x, Span<uint> table, int cost)
    {
        Span<uint> y = new uint[x.Length];
        for (var i = 0; i < cost; i++)
        {
            x.CopyTo(table.Slice(i * x.Length, x.Length));
            MixBlocks(x, y);
        }
        for (var i = 0; i < cost; i++)
        {
            Xor(x, table.Slice((int)(x[^Words] & (uint)(cost - 1)) * x.Length, x.Length));
            MixBlocks(x, y);
        }
        y.Clear();
    }

    // The RFC's scryptBlockMix: of the results, those with even numbers come first.
    static void MixBlocks(Span<uint> x, Span<uint> y)
    {
        Span<uint> block = stackalloc uint[Words];
        x[^Words..].CopyTo(block);
        for (var i = 0; i < x.Length / Words; i++)
        {
            Xor(block, x.Slice(i * Words, Words));
            Salsa(block);
            block.CopyTo(y[((i / 2 * Words) + (i % 2 * x.Length / 2))..]);
        }
        y.CopyTo(x);
    }

    // Salsa20/8.
    static void Salsa(Span<uint> block)
    {
        Span<uint> x = stackalloc uint[Words];
        block.CopyTo(x);
        for (var i = 0; i < 4; i++)
        {
            Quarter(ref x[0], ref x[4], ref x[8], ref x[12]);
            Quarter(ref x[5], ref x[9], ref x[13], ref x[1]);
            Quarter(ref x[10], ref x[14], ref x[2], ref x[6]);
            Quarter(ref x[15], ref x[3], ref x[7], ref x[11]);
            Quarter(ref x[0], ref x[1], ref x[2], ref x[3]);
            Quarter(ref x[5], ref x[6], ref x[7], ref x[4]);
            Quarter(ref x[10], ref x[11], ref x[8], ref x[9]);
            Quarter(ref x[15], ref x[12], ref x[13], ref x[14]);
        }
        for (var i = 0; i < Words; i++)
            block[i] += x[i];
    }

    static void Quarter(ref uint a, ref uint b, ref uint c, ref uint d)
    {
        b ^= BitOperations.RotateLeft(a + d, 7);
        c ^= BitOperations.RotateLeft(b + a, 9);
        d ^= BitOperations.RotateLeft(c + b, 13);
        a ^= BitOperations.RotateLeft(d + c, 18);
    }

    static void Xor(Span<uint> into, ReadOnlySpan<uint> with)
    {
        for (var i = 0; i < into.Length; i++)
            into[i] ^= with[i];
    }
}
