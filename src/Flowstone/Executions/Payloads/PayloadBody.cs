using System.Buffers;
using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Flowstone.Data;

namespace Flowstone.Executions;

/// <summary>What goes into an execution or a node, or comes out: bytes with their type. Stored losslessly, compressed.</summary>
public sealed class PayloadBody
{
    internal const string JsonType = "application/json";

    // Below this, compression costs more than it saves.
    const int SmallestCompressed = 160;

    public PayloadBody(ReadOnlyMemory<byte> bytes, string contentType = JsonType)
    {
        Text.Require("contentType", contentType, 255);
        Bytes = bytes;
        ContentType = contentType;
    }

    /// <summary>A JSON value, byte for byte.</summary>
    public static PayloadBody Json(JsonElement value) => new(JsonBytes.Of(value));

    public ReadOnlyMemory<byte> Bytes { get; }
    public string ContentType { get; }

    /// <summary>How large it was before a limit cut it; null if it is whole.</summary>
    public long? WholeSizeBytes { get; internal init; }

    /// <summary>
    /// Names the payload within its execution: the first 16 bytes of its SHA-256. Where it is not plain JSON, type and former size count as
    /// well, so that equal bytes that mean something else are not taken for the same.
    /// </summary>
    public byte[] Hash => field ??= ContentType == JsonType && WholeSizeBytes is null
        ? SHA256.HashData(Bytes.Span)[..16]
        : SHA256.HashData([.. SHA256.HashData(Bytes.Span), .. Encoding.UTF8.GetBytes($"{ContentType}\0{WholeSizeBytes}")])[..16];

    /// <summary>The first bytes, as what they are: a part of a JSON document is text.</summary>
    internal PayloadBody CutTo(int length)
    {
        var isText = ContentType.StartsWith("text/", StringComparison.OrdinalIgnoreCase) || ContentType.Contains("json", StringComparison.OrdinalIgnoreCase);
        if (isText)
            while (length > 0 && (Bytes.Span[length] & 0xC0) == 0x80)   // not within a character
                length--;
        return new PayloadBody(Bytes[..length], isText ? "text/plain" : "application/octet-stream") { WholeSizeBytes = Bytes.Length };
    }

    /// <summary>As the <c>payloads</c> table keeps it.</summary>
    internal (PayloadEncoding Encoding, byte[] Body) Encode()
    {
        if (Bytes.Length >= SmallestCompressed)
        {
            var buffer = ArrayPool<byte>.Shared.Rent(Bytes.Length);
            try
            {
                // Worth it only if a sixteenth is saved.
                if (BrotliEncoder.TryCompress(Bytes.Span, buffer.AsSpan(0, Bytes.Length - (Bytes.Length / 16)), out var written, quality: 1, window: 22))
                    return (PayloadEncoding.Brotli, buffer[..written]);
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(buffer);
            }
        }
        return (PayloadEncoding.Plain, MemoryMarshal.TryGetArray(Bytes, out var whole) && whole.Count == whole.Array!.Length ? whole.Array : Bytes.ToArray());
    }

    internal static PayloadBody Decode(PayloadEncoding encoding, byte[] body, long size, string contentType, long? wholeSize)
    {
        if (encoding == PayloadEncoding.Plain)
            return new PayloadBody(body, contentType) { WholeSizeBytes = wholeSize };
        var bytes = new byte[size];
        if (!BrotliDecoder.TryDecompress(body, bytes, out var written) || written != size)
            throw new PayloadDamagedException("A stored payload does not decompress to its recorded size: it was changed.");
        return new PayloadBody(bytes, contentType) { WholeSizeBytes = wholeSize };
    }
}
