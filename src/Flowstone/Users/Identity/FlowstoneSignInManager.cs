using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Flowstone.Users.Identity;

/// <summary>
/// Counts an attempt before the password or the code is looked at, as <see cref="SignIn"/> does: so parallel guesses are counted, and a lock is of a place and not of
/// the user. Addresses that are nobody's take as long.
/// </summary>
sealed class FlowstoneSignInManager(
    UserManager<FlowstoneUser> users, IHttpContextAccessor http, IUserClaimsPrincipalFactory<FlowstoneUser> claims, IOptions<IdentityOptions> options,
    ILogger<SignInManager<FlowstoneUser>> logger, IAuthenticationSchemeProvider schemes, IUserConfirmation<FlowstoneUser> confirmation, IUserStore<FlowstoneUser> store, FlowstoneStore flowstone)
    : SignInManager<FlowstoneUser>(users, http, claims, options, logger, schemes, confirmation)
{
    FlowstoneUserStore Store => (FlowstoneUserStore)store;

    public override async Task<SignInResult> PasswordSignInAsync(string userName, string password, bool isPersistent, bool lockoutOnFailure)
    {
        if (password.Length > Passwords.Longest)
            return SignInResult.Failed;
        if (await UserManager.FindByNameAsync(userName) is { } user)
            return await PasswordSignInAsync(user, password, isPersistent, lockoutOnFailure);
        return await CountedAsync(async () =>
        {
            await flowstone.SignIn.WithPasswordAsync(userName, password, SignInDevice.Source(Context));   // nobody's: counted, and as slow
            return SignInResult.Failed;
        });
    }

    public override Task<SignInResult> CheckPasswordSignInAsync(FlowstoneUser user, string password, bool lockoutOnFailure) => CountedAsync(async () =>
    {
        if (password.Length > Passwords.Longest)
            return SignInResult.Failed;
        var attempt = await Store.TakeAttemptAsync(user, Context.RequestAborted);
        if (user.PasswordHash is null)
            Passwords.Verify(null, password);   // as slow as for those who have one
        if (!await UserManager.CheckPasswordAsync(user, password))
            return SignInResult.Failed;
        if (!await CanSignInAsync(user))
            return SignInResult.NotAllowed;
        if (!await IsTwoFactorEnabledAsync(user) || await IsTwoFactorClientRememberedAsync(user))
            await Store.SucceedAttemptAsync(user, attempt, Context.RequestAborted);
        else
            await Store.UncountAttemptAsync(user, attempt, Context.RequestAborted);   // the code is an attempt of its own
        return SignInResult.Success;
    });

    public override Task<SignInResult> TwoFactorAuthenticatorSignInAsync(string code, bool isPersistent, bool rememberClient)
        => WithCodeAsync(user => Store.UseCodeAsync(user, code.Replace(" ", "", StringComparison.Ordinal).Replace("-", "", StringComparison.Ordinal), Context.RequestAborted), isPersistent, rememberClient);

    public override Task<SignInResult> TwoFactorSignInAsync(string provider, string code, bool isPersistent, bool rememberClient)
        => provider == Options.Tokens.AuthenticatorTokenProvider ? TwoFactorAuthenticatorSignInAsync(code, isPersistent, rememberClient) : Task.FromResult(SignInResult.Failed);

    public override Task<SignInResult> TwoFactorRecoveryCodeSignInAsync(string recoveryCode)
        => WithCodeAsync(user => Store.RedeemCodeAsync(user, recoveryCode, Context.RequestAborted), isPersistent: false, rememberClient: false);

    /// <summary>For whoever has shown the right password: the cookie of the first step, or the answer of the same request, says so.</summary>
    async Task<SignInResult> WithCodeAsync(Func<FlowstoneUser, Task<bool>> isRight, bool isPersistent, bool rememberClient) => await CountedAsync(async () =>
    {
        if (await GetTwoFactorAuthenticationUserAsync() is not { } user)
            return SignInResult.Failed;
        var attempt = await Store.TakeAttemptAsync(user, Context.RequestAborted);
        if (!await CanSignInAsync(user))
            return SignInResult.NotAllowed;
        if (!await isRight(user))
            return SignInResult.Failed;
        await Store.SucceedAttemptAsync(user, attempt, Context.RequestAborted);
        if (rememberClient)
            await RememberTwoFactorClientAsync(user);
        if (await Context.RequestServices.GetRequiredService<IAuthenticationSchemeProvider>().GetSchemeAsync(IdentityConstants.TwoFactorUserIdScheme) is not null)
            await Context.SignOutAsync(IdentityConstants.TwoFactorUserIdScheme);
        await SignInWithClaimsAsync(user, isPersistent, [new("amr", "mfa")]);
        return SignInResult.Success;
    });

    static async Task<SignInResult> CountedAsync(Func<Task<SignInResult>> attempt)
    {
        try
        {
            return await attempt();
        }
        catch (TooManyAttemptsException)
        {
            return SignInResult.LockedOut;
        }
    }

    public override async Task<bool> CanSignInAsync(FlowstoneUser user) => user.Status == UserStatus.Active && await base.CanSignInAsync(user);

    public override async Task SignInWithClaimsAsync(FlowstoneUser user, AuthenticationProperties? authenticationProperties, IEnumerable<System.Security.Claims.Claim> additionalClaims)
    {
        await Store.SignedInAsync(user, Context, Context.RequestAborted);   // before a bearer token begins the answer
        await base.SignInWithClaimsAsync(user, authenticationProperties, additionalClaims);
    }
}
