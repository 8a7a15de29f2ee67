using Flowstone.Credentials;
using Flowstone.Server.Auth;
using Flowstone.Tenancy;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Flowstone.Server.Credentials;

/// <param name="State">CURRENT: it seals; RETIRED: it opens; DESTROYED: what it sealed is lost; UNKNOWN: the tenant has no such key, so the values were changed.</param>
/// <param name="Values">How many it seals by column, payloads not among them.</param>
/// <param name="ResealedAt">Since when a rotation has sealed anew all that it had sealed, but payloads.</param>
/// <param name="ClosedAt">Since when values that are sealed with it are refused.</param>
sealed record KeyState(
    Id<DataKey> Id, DataKeyState State, IReadOnlyDictionary<string, long> Values, string? MasterKeyId, DateTimeOffset? CreatedAt, DateTimeOffset? RetiredAt, DateTimeOffset? ResealedAt, DateTimeOffset? ClosedAt);

/// <param name="Behind">Values that are not sealed with the current key: a rotation is under way, or was left.</param>
sealed record KeysResponse(long Behind, IReadOnlyList<KeyState> Keys);

sealed record ClosedResponse(int Closed);

/// <param name="Confirm">The tenant's id: what is destroyed does not come back.</param>
sealed record DestroyKeysRequest(Id<Tenant> Confirm);

sealed record DestroyedResponse(int Destroyed);

/// <summary>The data keys of the caller's tenant: docs/credentials.md.</summary>
static class KeyEndpoints
{
    public static void MapKeys(this IEndpointRouteBuilder app)
    {
        var keys = app.MapGroup("/admin/keys").WithTags("Keys").RequireAuthorization(Access.Administrators);
        keys.MapGet("/", Report);
        keys.MapPost("/rotate", Rotate);
        keys.MapPost("/close", Close);
        keys.MapPost("/destroy", Destroy).WithExample("""{"confirm":"0199d1b0-0000-7000-8000-000000000001"}""");
    }

    /// <summary>The tenant's data keys and what each seals: the progress of a rotation, and in the end the proof that nothing is left.</summary>
    static async Task<Ok<KeysResponse>> Report(TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(Response(await tenant.Keys.ReportAsync(cancellationToken)));

    /// <summary>A new data key seals from now on, and all values are sealed with it in the background, while everybody goes on. Ask again for the progress.</summary>
    static async Task<Accepted<KeysResponse>> Rotate(TenantScope tenant, KeyRotationJob job, CancellationToken cancellationToken)
    {
        await tenant.Keys.RotateAsync(cancellationToken);
        job.Add(tenant.TenantId);
        return TypedResults.Accepted("/api/v1/admin/keys", Response(await tenant.Keys.ReportAsync(cancellationToken)));
    }

    /// <summary>From now on values that are sealed with older keys are refused. 409 while there are any.</summary>
    static async Task<Ok<ClosedResponse>> Close(TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(new ClosedResponse(await tenant.Keys.CloseAsync(cancellationToken)));

    /// <summary>Destroys the tenant's data keys: its secrets and sealed payloads cannot be read any more, by anybody, for ever.</summary>
    static async Task<Ok<DestroyedResponse>> Destroy(DestroyKeysRequest request, TenantScope tenant, CancellationToken cancellationToken)
        => request.Confirm == tenant.TenantId ? TypedResults.Ok(new DestroyedResponse(await tenant.Keys.DestroyAsync(cancellationToken)))
            : throw new InvalidInputException("confirm", $"must be the tenant's id, {tenant.TenantId}.");

    static KeysResponse Response(KeyReport report)
    {
        var values = report.Values.ToLookup(v => v.KeyId);
        var known = report.Keys.Select(key => key.Id).ToHashSet();
        return new(report.Behind,
        [
            .. report.Keys.Select(key => new KeyState(key.Id, key.RetiredAt is null ? DataKeyState.Current : DataKeyState.Retired, Columns(key.Id), key.MasterKeyId, key.CreatedAt, key.RetiredAt, key.ResealedAt, key.ClosedAt)),
            .. values.Where(key => !known.Contains(key.Key)).Select(key => new KeyState(key.Key, key.First().Key, Columns(key.Key), null, null, null, null, null)),
        ]);

        Dictionary<string, long> Columns(Id<DataKey> key) => values[key].ToDictionary(v => v.Column, v => v.Values);
    }
}
