using System.Text.Json;
using Flowstone.Credentials;
using Flowstone.Server.Auth;
using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Flowstone.Server.Credentials;

/// <param name="Secret">An object with what the type needs.</param>
/// <param name="BasedOn">The version that was edited; null replaces whatever came meanwhile.</param>
sealed record SecretRequest(JsonElement Secret, int? BasedOn = null)
{
    /// <summary>Without the secret: this ends up in logs.</summary>
    public override string ToString() => nameof(SecretRequest);
}

sealed record VersionResponse(int Version);

/// <param name="Version">An older one than that which is used now.</param>
/// <param name="Purpose">What for; kept in the audit trail.</param>
sealed record RevealRequest(int? Version = null, string? Purpose = null);

sealed record ValidityResponse(CredentialValidity Validity);

sealed record UsingWorkflow(Id<Workflow> Id, string Name);

/// <param name="Rights">READ, USE, EDIT, DELETE, SHARE, ADMIN.</param>
/// <param name="ExpiresAt">From then on the share gives nothing; null is never.</param>
/// <param name="MaxUses">How often it gives the plaintext, all in all; null is without limit.</param>
sealed record CredentialShareRequest(IReadOnlyList<CredentialRight> Rights, DateTimeOffset? ExpiresAt = null, int? MaxUses = null);

/// <summary>Credentials. No answer but that of <c>reveal</c> holds a secret.</summary>
static class CredentialEndpoints
{
    public static void MapCredentials(this IEndpointRouteBuilder app)
    {
        var credentials = app.MapGroup("/credentials").WithTags("Credentials");
        credentials.MapGet("/", List);
        credentials.MapGet("/statistics", Statistics);
        credentials.MapPost("/", Create).WithExample("""{"name":"Our shop","type":"API_KEY","secret":{"apiKey":"sk_live_…"},"expiresAt":"2027-01-31T00:00:00Z"}""");
        credentials.MapGet("/{id}", Get).WithName("GetCredential");
        credentials.MapPatch("/{id}", Update).WithExample("""{"name":"Our new shop","active":true}""");
        credentials.MapDelete("/{id}", Delete);
        credentials.MapPut("/{id}/secret", SetSecret).WithExample("""{"secret":{"apiKey":"sk_live_…"},"basedOn":1}""");
        credentials.MapPost("/{id}/reveal", Reveal).WithExample("""{"purpose":"nightly import"}""");
        credentials.MapGet("/{id}/validity", Validity);
        credentials.MapGet("/{id}/workflows", Workflows);
        credentials.MapGet("/{id}/versions", Versions);
        credentials.MapPost("/{id}/versions/{number}/restore", Restore);
        credentials.MapGet("/{id}/shares", Shares);
        credentials.MapPut("/{id}/shares/{userId}", PutShare).WithExample("""{"rights":["USE"],"expiresAt":"2027-01-31T00:00:00Z","maxUses":100}""");
        credentials.MapDelete("/{id}/shares/{userId}", DeleteShare).RequireAuthorization(Access.Everybody);   // viewers may give theirs back
    }

    static async Task<Ok<Page<Credential>>> List(
        TenantScope tenant, string? type, bool? active, bool? expired, string? search, Id<User>? ownerId, [AsParameters] PageQuery page, CancellationToken cancellationToken)
    {
        var filter = new CredentialFilter { Type = Choice.Parse<CredentialType>("type", type), Active = active, Expired = expired, Search = search, OwnerId = ownerId };
        return TypedResults.Ok(page.Of(await tenant.Credentials.ListAsync(filter, page.Before<Credential>(), page.Take, cancellationToken), c => c.Id));
    }

    /// <summary>How many there are, by type.</summary>
    static async Task<Ok<CredentialFigures>> Statistics(TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(await tenant.Credentials.StatisticsAsync(cancellationToken));

    static async Task<CreatedAtRoute<Credential>> Create(NewCredential request, TenantScope tenant, CancellationToken cancellationToken)
    {
        var credential = await tenant.Credentials.CreateAsync(request, cancellationToken);
        return TypedResults.CreatedAtRoute(credential, "GetCredential", new { id = credential.Id });
    }

    static async Task<Ok<Credential>> Get(Id<Credential> id, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(await tenant.Credentials.FindAsync(id, cancellationToken) ?? throw new NotFoundException("Credential", id));

    static async Task<Ok<Credential>> Update(Id<Credential> id, CredentialChanges changes, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(await tenant.Credentials.UpdateAsync(id, changes, cancellationToken));

    static async Task<NoContent> Delete(Id<Credential> id, TenantScope tenant, CancellationToken cancellationToken)
        => await tenant.Credentials.DeleteAsync(id, cancellationToken) ? TypedResults.NoContent() : throw new NotFoundException("Credential", id);

    /// <summary>Gives it another secret; those before are kept as versions.</summary>
    static async Task<Ok<VersionResponse>> SetSecret(Id<Credential> id, SecretRequest request, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(new VersionResponse(await tenant.Credentials.SetSecretAsync(id, request.Secret, request.BasedOn, cancellationToken)));

    /// <summary>The plaintext, for those who may use it; entered in the audit trail.</summary>
    static async Task<Ok<RevealedCredential>> Reveal(Id<Credential> id, RevealRequest? request, TenantScope tenant, HttpContext context, CancellationToken cancellationToken)
    {
        context.Response.Headers.CacheControl = "no-store";
        return TypedResults.Ok(await tenant.Credentials.RevealAsync(id, request?.Version, request?.Purpose, cancellationToken));
    }

    /// <summary>Whether it could be used now.</summary>
    static async Task<Ok<ValidityResponse>> Validity(Id<Credential> id, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(new ValidityResponse(await tenant.Credentials.ValidityAsync(id, cancellationToken)));

    /// <summary>The workflows whose newest version names it in a node, in one page.</summary>
    static async Task<Ok<Page<UsingWorkflow>>> Workflows(Id<Credential> id, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(new Page<UsingWorkflow>([.. (await tenant.Credentials.UsedByAsync(id, cancellationToken)).Select(w => new UsingWorkflow(w.Key, w.Value)).OrderBy(w => w.Name, StringComparer.Ordinal)], null));

    /// <summary>Newest first, without their secrets.</summary>
    static async Task<Ok<Page<CredentialVersionSummary>>> Versions(Id<Credential> id, TenantScope tenant, [AsParameters] PageQuery page, CancellationToken cancellationToken)
        => TypedResults.Ok(page.Of(await tenant.Credentials.VersionsAsync(id, page.BeforeNumber(), page.Take, cancellationToken), v => v.Number));

    /// <summary>Makes a version's secret the one that is used, as a new version.</summary>
    static async Task<Ok<VersionResponse>> Restore(Id<Credential> id, int number, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(new VersionResponse(await tenant.Credentials.RestoreAsync(id, number, cancellationToken)));

    /// <summary>All shares in one page, expired ones among them; longest first.</summary>
    static async Task<Ok<Page<CredentialShare>>> Shares(Id<Credential> id, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(new Page<CredentialShare>(await tenant.CredentialShares.ListAsync(id, cancellationToken), null));

    /// <summary>Shares the credential with a user, or changes the share.</summary>
    static async Task<Ok<CredentialShare>> PutShare(Id<Credential> id, Id<User> userId, CredentialShareRequest request, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(await tenant.CredentialShares.SetAsync(id, userId, request.Rights, request.ExpiresAt, request.MaxUses, cancellationToken));

    /// <summary>Ends a share; whoever has it may give it back.</summary>
    static async Task<NoContent> DeleteShare(Id<Credential> id, Id<User> userId, TenantScope tenant, CancellationToken cancellationToken)
        => await tenant.CredentialShares.DeleteAsync(id, userId, cancellationToken) ? TypedResults.NoContent() : throw new NotFoundException("Share", userId);
}
