using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Security.Cryptography;

namespace Flowstone.Credentials.Original;

/// <summary>scrypt (RFC 7914), which .NET has not, for keys of others' making.</summary>
static class Scrypt
{
    // Of each block of 16 words the diagonals lie side by side while it is mixed: Salsa20 then works on four words at a time, and nothing else minds their order.
    static ReadOnlySpan<byte> Diagonals => [0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11];

    /// <param name="cost">N: a power of two.</param>
    /// <param name="blocks">r: takes 128 · N · r bytes of memory.</param>
    /// <param name="lanes">p, one after the other.</param>
    public static byte[] Derive(byte[] password, byte[] salt, int cost, int blocks, int lanes, int length)
    {
        var state = Rfc2898DeriveBytes.Pbkdf2(password, salt, 1, HashAlgorithmName.SHA256, lanes * 128 * blocks);
        var table = new Vector128<uint>[cost * 8 * blocks];
        try
        {
            // Little-endian, as is every processor that .NET runs on but one.
            var words = MemoryMarshal.Cast<byte, uint>(state.AsSpan());
            for (var lane = 0; lane < lanes; lane++)
                Mix(words.Slice(lane * 32 * blocks, 32 * blocks), table, cost);
            return Rfc2898DeriveBytes.Pbkdf2(password, state, 1, HashAlgorithmName.SHA256, length);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(state);
            CryptographicOperations.ZeroMemory(MemoryMarshal.AsBytes(table.AsSpan()));
        }
    }

    // The RFC's scryptROMix.
    static void Mix(Span<uint> words, Span<Vector128<uint>> table, int cost)
    {
        Span<Vector128<uint>> x = new Vector128<uint>[words.Length / 4], y = new Vector128<uint>[words.Length / 4];
        var ordered = MemoryMarshal.Cast<Vector128<uint>, uint>(x);
        for (var i = 0; i < words.Length; i++)
            ordered[i] = words[(i & ~15) + Diagonals[i & 15]];
        for (var i = 0; i < cost; i++)
        {
            x.CopyTo(table.Slice(i * x.Length, x.Length));
            MixBlocks(x, y);
        }
        for (var i = 0; i < cost; i++)
        {
            var other = table.Slice((int)(x[^4].ToScalar() & (uint)(cost - 1)) * x.Length, x.Length);
            for (var at = 0; at < x.Length; at++)
                x[at] ^= other[at];
            MixBlocks(x, y);
        }
        for (var i = 0; i < words.Length; i++)
            words[(i & ~15) + Diagonals[i & 15]] = ordered[i];
        x.Clear();
        y.Clear();
    }

    // The RFC's scryptBlockMix: of the results, those with even numbers come first.
    static void MixBlocks(Span<Vector128<uint>> x, Span<Vector128<uint>> y)
    {
        var (a, b, c, d) = (x[^4], x[^3], x[^2], x[^1]);
        for (var i = 0; i < x.Length; i += 4)
        {
            (a, b, c, d) = (a ^ x[i], b ^ x[i + 1], c ^ x[i + 2], d ^ x[i + 3]);
            var (a0, b0, c0, d0) = (a, b, c, d);
            for (var round = 0; round < 8; round++)   // Salsa20/8: columns, rows, and so on
            {
                b ^= Rotate(a + d, 7);
                c ^= Rotate(b + a, 9);
                d ^= Rotate(c + b, 13);
                a ^= Rotate(d + c, 18);
                (b, c, d) = (Vector128.Shuffle(d, Vector128.Create(1u, 2, 3, 0)), Vector128.Shuffle(c, Vector128.Create(2u, 3, 0, 1)), Vector128.Shuffle(b, Vector128.Create(3u, 0, 1, 2)));
            }
            (a, b, c, d) = (a + a0, b + b0, c + c0, d + d0);
            var to = (i / 8 * 4) + (i % 8 == 0 ? 0 : x.Length / 2);
            (y[to], y[to + 1], y[to + 2], y[to + 3]) = (a, b, c, d);
        }
        y.CopyTo(x);
    }

    static Vector128<uint> Rotate(Vector128<uint> words, int bits) => words << bits | words >>> (32 - bits);
}
