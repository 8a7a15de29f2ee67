using Flowstone.Tenancy;

namespace Flowstone.Executions;

/// <summary>Where a sealed payload lies: it opens there and nowhere else.</summary>
/// <param name="Hash">The payload's name within its execution, 16 bytes.</param>
public readonly record struct PayloadPlace(Id<Tenant> TenantId, Id<Execution> ExecutionId, ReadOnlyMemory<byte> Hash);

/// <summary>Encrypts payloads of tenants that want it. Register one of your own to keep the keys elsewhere; a local master key (<c>FLOWSTONE_KEY_FILE</c>) brings the built-in one.</summary>
public abstract class PayloadSealer
{
    /// <summary>
    /// What names the sealed payload: 16 bytes that only a holder of the key can compute from the content, so that nobody learns by a guess what
    /// is stored. Equal contents of an execution have the same name.
    /// </summary>
    /// <param name="content">The content's own hash.</param>
    public abstract byte[] Name(Id<Tenant> tenantId, Id<Execution> executionId, ReadOnlySpan<byte> content);

    public abstract byte[] Seal(PayloadPlace place, ReadOnlySpan<byte> body);

    /// <exception cref="UnavailableException">It was sealed with another key, which the message names.</exception>
    /// <exception cref="PayloadDamagedException">It was changed, or belongs elsewhere.</exception>
    public abstract byte[] Open(PayloadPlace place, ReadOnlySpan<byte> body);
}

/// <summary>A stored payload cannot be given back as it was: bytes changed, or its object is gone. See docs/executions.md, "Payloads".</summary>
public sealed class PayloadDamagedException(string message, Exception? cause = null) : FlowstoneException(message, cause);
