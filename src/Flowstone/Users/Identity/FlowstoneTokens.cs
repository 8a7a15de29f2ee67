using Microsoft.AspNetCore.Identity;

namespace Flowstone.Users.Identity;

/// <summary>Tokens for verifying an address and for a new password: random, stored as hashes, good once. What they are for deletes them, in its transaction.</summary>
sealed class StoredTokens(FlowstoneStore store, TimeProvider clock) : IUserTwoFactorTokenProvider<FlowstoneUser>
{
    public const string Name = "Flowstone";

    public async Task<string> GenerateAsync(string purpose, UserManager<FlowstoneUser> manager, FlowstoneUser user)
        => await store.Tenant(user.TenantId!.Value, Tenancy.Actor.System("identity")).Users.CreateTokenAsync(user.Id!.Value, PurposeOf(purpose));

    public Task<bool> ValidateAsync(string purpose, string token, UserManager<FlowstoneUser> manager, FlowstoneUser user)
        => UserRepository.IsTokenAsync(store.App, user.TenantId!.Value, user.Id!.Value, PurposeOf(purpose), token, clock.Now());

    public Task<bool> CanGenerateTwoFactorTokenAsync(UserManager<FlowstoneUser> manager, FlowstoneUser user) => Task.FromResult(false);

    static TokenPurpose PurposeOf(string purpose) => purpose switch
    {
        UserManager<FlowstoneUser>.ResetPasswordTokenPurpose => TokenPurpose.ResetPassword,
        UserManager<FlowstoneUser>.ConfirmEmailTokenPurpose => TokenPurpose.VerifyEmail,
        _ => throw new NotSupportedException($"There are no stored tokens for '{purpose}'."),
    };
}

/// <summary>Codes of an authenticator app, each good once.</summary>
sealed class AuthenticatorCodes(IUserStore<FlowstoneUser> store) : IUserTwoFactorTokenProvider<FlowstoneUser>
{
    public Task<string> GenerateAsync(string purpose, UserManager<FlowstoneUser> manager, FlowstoneUser user) => Task.FromResult("");   // the app does

    public Task<bool> ValidateAsync(string purpose, string token, UserManager<FlowstoneUser> manager, FlowstoneUser user) => ((FlowstoneUserStore)store).UseCodeAsync(user, token, default);

    public Task<bool> CanGenerateTwoFactorTokenAsync(UserManager<FlowstoneUser> manager, FlowstoneUser user) => Task.FromResult(user.TotpSecret is not null);
}
