using Flowstone.Tenancy;
using Flowstone.Users;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Flowstone.Server.Auth;

/// <param name="Code">Of the authenticator app; to turn it off, a recovery code does, too.</param>
sealed record CodeRequest(string Code)
{
    /// <summary>Without the code: this ends up in logs.</summary>
    public override string ToString() => nameof(CodeRequest);
}

sealed record PasswordRequest(string Password)
{
    /// <summary>Without the password: this ends up in logs.</summary>
    public override string ToString() => nameof(PasswordRequest);
}

/// <param name="RecoveryCodes">Each signs in once without the app. They are not shown again.</param>
sealed record RecoveryCodesResponse(IReadOnlyList<string> RecoveryCodes)
{
    /// <summary>Without the codes: this ends up in logs.</summary>
    public override string ToString() => nameof(RecoveryCodesResponse);
}

static class TwoFactorEndpoints
{
    public static void MapTwoFactor(this IEndpointRouteBuilder auth)
    {
        var own = auth.MapGroup("/two-factor").RequireAuthorization(Access.InPerson);
        own.MapGet("/", Status);
        own.MapPost("/", Begin).WithExample("""{"password":"correct horse"}""");
        own.MapPost("/confirm", Confirm).WithExample("""{"code":"492039"}""");
        own.MapPost("/recovery-codes", NewRecoveryCodes).WithExample("""{"code":"492039"}""");
        own.MapPost("/disable", Disable).WithExample("""{"code":"7kq2-mmhd-p9xa-3vtr"}""");
    }

    static async Task<Ok<TwoFactorStatus>> Status(TenantScope tenant, HttpContext context, CancellationToken cancellationToken)
        => TypedResults.Ok(await tenant.TwoFactor.StatusAsync(context.User.UserId, cancellationToken));

    /// <summary>Makes a secret for an authenticator app; it counts from the confirmation on.</summary>
    static async Task<Ok<NewAuthenticator>> Begin(PasswordRequest request, TenantScope tenant, HttpContext context, CancellationToken cancellationToken)
        => TypedResults.Ok(await tenant.TwoFactor.BeginAsync(context.User.UserId, request.Password, cancellationToken: cancellationToken) ?? throw new InvalidInputException("password", "is not the password."));

    /// <summary>From now on a code is asked for at login. All other sessions end. The answer holds the recovery codes.</summary>
    static async Task<Ok<RecoveryCodesResponse>> Confirm(CodeRequest request, TenantScope tenant, HttpContext context, CancellationToken cancellationToken)
        => Codes(await tenant.TwoFactor.ConfirmAsync(context.User.UserId, request.Code, SessionToken.Find(context.Request), cancellationToken));

    /// <summary>Replaces the recovery codes. All other sessions end.</summary>
    static async Task<Ok<RecoveryCodesResponse>> NewRecoveryCodes(CodeRequest request, TenantScope tenant, HttpContext context, CancellationToken cancellationToken)
        => Codes(await tenant.TwoFactor.NewRecoveryCodesAsync(context.User.UserId, request.Code, SessionToken.Find(context.Request), cancellationToken));

    static async Task<NoContent> Disable(CodeRequest request, TenantScope tenant, HttpContext context, CancellationToken cancellationToken)
        => await tenant.TwoFactor.DisableAsync(context.User.UserId, request.Code, cancellationToken) ? TypedResults.NoContent() : throw WrongCode();

    static Ok<RecoveryCodesResponse> Codes(IReadOnlyList<string>? codes) => TypedResults.Ok(new RecoveryCodesResponse(codes ?? throw WrongCode()));

    static InvalidInputException WrongCode() => new("code", "is not right, or was used before. Wait for the next one.");
}
