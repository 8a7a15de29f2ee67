using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Flowstone.Users.Identity;

/// <summary>
/// Counts an attempt before the password is looked at, as <see cref="SignIn"/> does: so parallel guesses are counted, and a lock is of a place and not of
/// the user. Addresses that are nobody's take as long.
/// </summary>
sealed class FlowstoneSignInManager(
    UserManager<FlowstoneUser> users, IHttpContextAccessor http, IUserClaimsPrincipalFactory<FlowstoneUser> claims, IOptions<IdentityOptions> options,
    ILogger<SignInManager<FlowstoneUser>> logger, IAuthenticationSchemeProvider schemes, IUserConfirmation<FlowstoneUser> confirmation, IUserStore<FlowstoneUser> store, FlowstoneStore flowstone, TimeProvider clock)
    : SignInManager<FlowstoneUser>(users, http, claims, options, logger, schemes, confirmation)
{
    FlowstoneUserStore Store => (FlowstoneUserStore)store;

    public override async Task<SignInResult> PasswordSignInAsync(string userName, string password, bool isPersistent, bool lockoutOnFailure)
    {
        if (await UserManager.FindByNameAsync(userName) is { } user)
            return await PasswordSignInAsync(user, password, isPersistent, lockoutOnFailure);
        try
        {
            await flowstone.SignIn.WithPasswordAsync(userName, password, SignInDevice.Source(Context));   // nobody's: counted, and as slow
            return SignInResult.Failed;
        }
        catch (TooManyAttemptsException)
        {
            return SignInResult.LockedOut;
        }
    }

    public override async Task<SignInResult> CheckPasswordSignInAsync(FlowstoneUser user, string password, bool lockoutOnFailure)
    {
        try
        {
            await Store.TakeAttemptAsync(user, Context.RequestAborted);
        }
        catch (TooManyAttemptsException)
        {
            return SignInResult.LockedOut;
        }
        if (!await UserManager.CheckPasswordAsync(user, password))
            return SignInResult.Failed;
        if (!await CanSignInAsync(user))
            return SignInResult.NotAllowed;
        if (!await IsTwoFactorEnabledAsync(user) || await IsTwoFactorClientRememberedAsync(user))
            await ResetLockout(user);
        else
            await Store.UncountAttemptAsync(user, Context.RequestAborted);   // the code is an attempt of its own
        return SignInResult.Success;
    }

    public override async Task<bool> CanSignInAsync(FlowstoneUser user) => user.Status == UserStatus.Active && await base.CanSignInAsync(user);

    public override async Task SignInWithClaimsAsync(FlowstoneUser user, AuthenticationProperties? authenticationProperties, IEnumerable<System.Security.Claims.Claim> additionalClaims)
    {
        await Store.SucceedAsync(user, SignInDevice.Keep(Context, clock.Now()), Context.RequestAborted);   // before a bearer token begins the answer
        await base.SignInWithClaimsAsync(user, authenticationProperties, additionalClaims);
    }
}
