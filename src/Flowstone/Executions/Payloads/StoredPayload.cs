namespace Flowstone.Executions;

/// <summary>A payload as its row keeps it. Made before the group commit, whose lane then only lays out columns.</summary>
sealed record StoredPayload(byte[] Hash, string ContentType, PayloadEncoding Encoding, long SizeBytes, byte[]? Body)
{
    /// <summary>Where the body lies, if not in the row.</summary>
    public string? ObjectKey { get; init; }

    public bool Sealed { get; init; }
    public long? WholeSizeBytes { get; init; }
}
