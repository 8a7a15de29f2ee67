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

    public static void AddSessionAuthentication(this IServiceCollection services)
    {
        services.AddAuthentication(SessionAuthentication.SchemeName).AddScheme<AuthenticationSchemeOptions, SessionAuthentication>(SessionAuthentication.SchemeName, null);
        services.AddAuthorizationBuilder()
            .AddPolicy(Administrators, policy => policy.RequireRole(Choice.Text(UserRole.Admin)))
            .AddPolicy(Everybody, policy => policy.RequireAuthenticatedUser())
            .SetDefaultPolicy(Users)
            .SetFallbackPolicy(Users);
        services.AddHttpContextAccessor();
        services.AddScoped(provider => SessionAuthentication.OpenScope(
            provider.GetRequiredService<FlowstoneStore>(), provider.GetRequiredService<IHttpContextAccessor>().HttpContext!.User));
        services.AddSingleton<SignInLinks>();
        services.AddSingleton<LoginThrottle>();
    }

    static AuthorizationPolicy Users => new AuthorizationPolicyBuilder()
        .RequireAuthenticatedUser()
        .RequireAssertion(context => !context.User.IsInRole(Choice.Text(UserRole.Viewer))
            || context.Resource is HttpContext { Request.Method: var method } && (HttpMethods.IsGet(method) || HttpMethods.IsHead(method)))
        .Build();
}
