using System.Security.Claims;
using Flowstone.Users;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;

namespace Flowstone.Server.Auth;

/// <summary>Who may call what. An endpoint that says nothing is for users who are signed in, and for viewers only to read.</summary>
static class Access
{
    /// <summary>The policy of what only administrators may do.</summary>
    public const string Administrators = "administrators";

    /// <summary>The policy of what every role may do, even if it is no reading: signing out.</summary>
    public const string Everybody = "everybody";

    /// <summary>The policy of what a user does in person, not by a key.</summary>
    public const string InPerson = "in person";

    /// <summary>The policy of whoever claims executions: a key for that, or an administrator.</summary>
    public const string Work = "work";

    public static void AddSessionAuthentication(this IServiceCollection services)
    {
        services.AddAuthentication(SessionAuthentication.SchemeName).AddScheme<AuthenticationSchemeOptions, SessionAuthentication>(SessionAuthentication.SchemeName, null);
        services.AddAuthorizationBuilder()
            .AddPolicy(Administrators, policy => policy.RequireAssertion(context => IsAdministrator(context.User)))
            .AddPolicy(Everybody, policy => policy.RequireAuthenticatedUser())
            .AddPolicy(InPerson, policy => policy.RequireAuthenticatedUser().RequireAssertion(context => context.User.ApiKey is null))
            .AddPolicy(Work, policy => policy.RequireAssertion(context => context.User.ApiKey?.MayWork ?? IsAdministrator(context.User)))
            .SetDefaultPolicy(Users)
            .SetFallbackPolicy(Users);
        services.AddHttpContextAccessor();
        services.AddScoped(provider => SessionAuthentication.OpenScope(
            provider.GetRequiredService<FlowstoneStore>(), provider.GetRequiredService<IHttpContextAccessor>().HttpContext!.User));
        services.AddSingleton<SignInLinks>();
        services.AddSingleton<LoginThrottle>();
    }

    static bool IsAdministrator(ClaimsPrincipal user)
        => user.IsInRole(Choice.Text(UserRole.Admin)) && (user.ApiKey is not { } key || key.Scopes.Contains(ApiScope.Admin));

    static AuthorizationPolicy Users => new AuthorizationPolicyBuilder()
        .RequireAuthenticatedUser()
        .RequireAssertion(context => !context.User.IsInRole(Choice.Text(UserRole.Viewer))
            || context.Resource is HttpContext { Request.Method: var method } && (HttpMethods.IsGet(method) || HttpMethods.IsHead(method)))
        .Build();
}
