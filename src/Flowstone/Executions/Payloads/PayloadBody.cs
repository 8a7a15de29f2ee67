using System.IO.Compression;
using System.Security.Cryptography;
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

    /// <summary>Names the payload within its execution: the first 16 bytes of the SHA-256.</summary>
    public byte[] Hash => field ??= SHA256.HashData(Bytes.Span)[..16];

    /// <summary>As the <c>payloads</c> table keeps it.</summary>
    internal (PayloadEncoding Encoding, byte[] Body) Encode()
    {
        if (Bytes.Length >= SmallestCompressed)
        {
            var buffer = new byte[Bytes.Length - (Bytes.Length / 16)];   // worth it only if a sixteenth is saved
            if (BrotliEncoder.TryCompress(Bytes.Span, buffer, out var written, quality: 1, window: 22))
                return (PayloadEncoding.Brotli, buffer[..written]);
        }
        return (PayloadEncoding.Plain, Bytes.ToArray());
    }

    internal static PayloadBody Decode(PayloadEncoding encoding, byte[] body, long size, string contentType)
    {
        if (encoding == PayloadEncoding.Plain)
            return new PayloadBody(body, contentType);
        var bytes = new byte[size];
        if (!BrotliDecoder.TryDecompress(body, bytes, out var written) || written != size)
            throw new InvalidDataException("A stored payload is damaged: it does not decompress to its recorded size.");
        return new PayloadBody(bytes, contentType);
    }
}
