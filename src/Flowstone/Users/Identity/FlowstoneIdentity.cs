using System.Security.Claims;
using Flowstone.Data;
using Flowstone.Users;
using Flowstone.Users.Identity;
using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

public static class FlowstoneIdentity
{
    /// <summary>
    /// Has ASP.NET Core Identity keep its users in Flowstone: <c>services.AddIdentityApiEndpoints&lt;FlowstoneUser&gt;().AddFlowstoneStores()</c>. Passwords, tokens, codes and
    /// locks are Flowstone's (docs/identity.md); what is configured of Identity's own lock is not used.
    /// </summary>
    public static IdentityBuilder AddFlowstoneStores(this IdentityBuilder identity, Action<FlowstoneIdentityOptions>? configure = null)
    {
        var services = identity.Services;
        services.AddOptions<FlowstoneIdentityOptions>().BindConfiguration("Flowstone:Identity").Configure(configure ?? (_ => { }));
        services.AddHttpContextAccessor();
        services.Replace(ServiceDescriptor.Scoped<IPasswordHasher<FlowstoneUser>, PasswordHashes>());
        services.Replace(ServiceDescriptor.Scoped<IUserClaimsPrincipalFactory<FlowstoneUser>, UserClaims>());
        services.PostConfigure<IdentityOptions>(options =>
        {
            options.User.RequireUniqueEmail = true;
            options.User.AllowedUserNameCharacters = "";   // all that an address may have
            options.Password.RequiredLength = Math.Max(Passwords.Shortest, options.Password.RequiredLength);
            options.Lockout.MaxFailedAccessAttempts = int.MaxValue;
            options.Tokens.PasswordResetTokenProvider = options.Tokens.EmailConfirmationTokenProvider = StoredTokens.Name;
            options.Tokens.ProviderMap[StoredTokens.Name] = new TokenProviderDescriptor(typeof(StoredTokens));
            options.Tokens.ProviderMap.Remove(TokenOptions.DefaultPhoneProvider);   // users have no number
            options.Tokens.ProviderMap.Remove(TokenOptions.DefaultEmailProvider);   // its codes are good more than once
            options.Tokens.ProviderMap[TokenOptions.DefaultAuthenticatorProvider] = new TokenProviderDescriptor(typeof(AuthenticatorCodes));
        });
        services.AddScoped<IPasswordValidator<FlowstoneUser>, LongestPassword>();
        services.AddScoped<StoredTokens>();
        services.AddScoped<AuthenticatorCodes>();
        return identity.AddUserStore<FlowstoneUserStore>().AddSignInManager<FlowstoneSignInManager>();
    }

    sealed class PasswordHashes : IPasswordHasher<FlowstoneUser>
    {
        public string HashPassword(FlowstoneUser user, string password) => Passwords.Hash(password);   // its length was looked at where it is new

        public PasswordVerificationResult VerifyHashedPassword(FlowstoneUser user, string hashedPassword, string providedPassword) => Passwords.Verify(hashedPassword, providedPassword);
    }

    sealed class LongestPassword : IPasswordValidator<FlowstoneUser>
    {
        public Task<IdentityResult> ValidateAsync(UserManager<FlowstoneUser> manager, FlowstoneUser user, string? password)
            => Task.FromResult(password?.Length > Passwords.Longest
                ? IdentityResult.Failed(new IdentityError { Code = "PasswordTooLong", Description = "Passwords have at most 1,000 characters." }) : IdentityResult.Success);
    }

    /// <summary>With the role, for <c>[Authorize(Roles = "ADMIN")]</c>.</summary>
    sealed class UserClaims(UserManager<FlowstoneUser> users, IOptions<IdentityOptions> options) : UserClaimsPrincipalFactory<FlowstoneUser>(users, options)
    {
        protected override async Task<ClaimsIdentity> GenerateClaimsAsync(FlowstoneUser user)
        {
            var identity = await base.GenerateClaimsAsync(user);
            identity.AddClaim(new Claim(Options.ClaimsIdentity.RoleClaimType, EnumText<UserRole>.Of(user.Role)));
            return identity;
        }
    }
}
