namespace Flowstone.Tenancy;

/// <summary>The 32 constants by which the execution queue can be distributed (docs/adr/0002-queue-shard-keys.md).</summary>
static class ShardKeys
{
    const int Count = 32;

    /// <summary>Spreads tenants evenly. Stored with the tenant: on a distributed database the operator may place it elsewhere.</summary>
    public static Guid Choose(Id<Tenant> tenant)
    {
        Span<byte> bytes = stackalloc byte[16];
        tenant.Value.TryWriteBytes(bytes);
        // The last byte of a version-7 UUID is random.
        return new Guid(0, 0, 0, [0, 0, 0, 0, 0, 0, 0, (byte)(bytes[15] % Count)]);
    }
}
