using System.Buffers.Binary;
using System.Diagnostics;
using System.Security.Cryptography;

namespace Flowstone.Credentials;

/// <summary>
/// Random nonces, drawn for many at a time: OpenSSL takes 2 µs for a draw of whatever length, and 1 µs to encrypt 1 KB
/// (bench/results.md, "seal").
/// </summary>
static class Nonces
{
    const int AtOnce = 42;

    [ThreadStatic] static byte[]? drawn;
    [ThreadStatic] static int left;

    public static void Fill(Span<byte> nonce)
    {
        drawn ??= new byte[AtOnce * Seal.NonceLength];
        if (left == 0)
        {
            RandomNumberGenerator.Fill(drawn);
            left = AtOnce;
        }
        left--;
        drawn.AsSpan(left * Seal.NonceLength, Seal.NonceLength).CopyTo(nonce);

        // What was drawn is there twice in a machine that was cloned while it ran; the nanosecond at which it is used is not.
        BinaryPrimitives.WriteInt64LittleEndian(nonce, BinaryPrimitives.ReadInt64LittleEndian(nonce) ^ Stopwatch.GetTimestamp());
    }
}
