namespace Flowstone.Executions;

/// <summary>What becomes of a payload over the limit: it is cut, or refused, or goes to the object store whole.</summary>
public enum PayloadOverflow { Truncate, Reject, Spill }

/// <summary>How large a workflow's or a tenant's payloads may be. What a workflow leaves open its tenant decides.</summary>
public record PayloadPolicy
{
    /// <summary>Bytes, before compression; null leaves it open. Nobody's limit is no limit.</summary>
    public long? LimitBytes { get; init; }

    /// <summary>Null leaves it open. Nobody's choice is REJECT.</summary>
    public PayloadOverflow? Overflow { get; init; }

    internal void Check(bool hasObjectStore)
    {
        if (LimitBytes is < 0)
            throw new InvalidInputException("limitBytes", "must be 0 or more, or null for none.");
        if (Overflow == PayloadOverflow.Spill && !hasObjectStore)
            throw new InvalidInputException("overflow", $"can be SPILL only with an object store: {PayloadOptions.NeedsStore}");
    }
}

/// <summary>What a tenant decides for its workflows.</summary>
public sealed record TenantPayloadPolicy : PayloadPolicy
{
    /// <summary>Whether payloads are encrypted from now on. What is stored stays as it is.</summary>
    public bool Seal { get; init; }
}

/// <summary>What holds for the payloads of one workflow's executions.</summary>
readonly record struct EffectivePolicy(long Limit, PayloadOverflow Overflow, bool Seal)
{
    public static readonly EffectivePolicy None = new(long.MaxValue, PayloadOverflow.Reject, false);
}
