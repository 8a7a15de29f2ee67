using System.Security.Cryptography;
using Flowstone.Executions;
using Flowstone.Server.Auth;
using Flowstone.Users;
using Flowstone.Users.Identity;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Net.Http.Headers;

namespace Flowstone.Server.Console;

/// <summary>The pages for people. Rendered on the server; no script.</summary>
static class ConsoleEndpoints
{
    static readonly byte[] css = Read("console.css");
    static readonly EntityTagHeaderValue cssTag = new($"\"{Convert.ToHexStringLower(SHA256.HashData(css).AsSpan(0, 8))}\"");

    public static void MapConsole(this IEndpointRouteBuilder app)
    {
        var pages = app.MapGroup("").ExcludeFromDescription();
        pages.MapGet("/", (string? cursor) => Page<OverviewPage>(new { Cursor = cursor }));
        pages.MapGet("/workflows", (string? search, string? cursor) => Page<WorkflowsPage>(new { Search = search, Cursor = cursor }));
        pages.MapGet("/schedules", (string? cursor) => Page<SchedulesPage>(new { Cursor = cursor }));
        pages.MapGet("/executions/{id}", (Id<Execution> id) => Page<ExecutionPage>(new { Id = id }));
        pages.MapGet("/executions/{id}/payloads/{name}", (Id<Execution> id, string name) => Page<PayloadPage>(new { Id = id, Name = name }));
        pages.MapPost("/sign-out", SignOut).RequireAuthorization(Access.InPerson);

        pages.MapGet("/sign-in", SignInByLink).AllowAnonymous();
        pages.MapPost("/sign-in", SignInByForm).AllowAnonymous();
        pages.MapGet("/console.css", Css).AllowAnonymous();
    }

    static RazorComponentResult<T> Page<T>(object parameters) where T : IComponent => new(parameters) { PreventStreamingRendering = true };

    static async Task<IResult> SignInByLink(string? code, HttpContext context, SignInLinks links, FlowstoneStore store, CancellationToken cancellationToken)
    {
        if (code is null)
            return Page<SignInPage>(new { });
        if (links.Redeem(code) is not { } user)
            return Page<SignInPage>(new { Error = "This link was used before, or is older than ten minutes. Sign in with your password, or make a new link." });
        SessionToken.SetCookies(context, await store.SignIn.OpenAsync(user.Tenant, user.User, SignInDevice.Source(context), cancellationToken));
        return TypedResults.LocalRedirect("/");
    }

    static async Task<IResult> SignInByForm(
        [FromForm] string? email, [FromForm] string? password, [FromForm] string? code, HttpContext context, FlowstoneStore store, LoginThrottle throttle, CancellationToken cancellationToken)
    {
        try
        {
            throttle.Check(context);
            SessionToken.SetCookies(context, await store.SignIn.WithPasswordAsync(email ?? "", password ?? "", SignInDevice.Source(context), code, cancellationToken) ?? throw ErrorResponses.SignInFailed());
            return TypedResults.LocalRedirect("/");
        }
        catch (Exception error) when (error is RequestRefusedException or TooManyAttemptsException or CodeRequiredException)
        {
            var problem = ErrorResponses.Explain(error);
            context.Response.StatusCode = problem.Status!.Value;
            return Page<SignInPage>(new { Error = problem.Detail, Email = email, AskForCode = error is CodeRequiredException || !string.IsNullOrEmpty(code) });
        }
    }

    static async Task<RedirectHttpResult> SignOut(HttpContext context, IAntiforgery antiforgery, FlowstoneStore store, CancellationToken cancellationToken)
    {
        await antiforgery.ValidateRequestAsync(context);
        await store.SignIn.SignOutAsync(SessionToken.Find(context.Request)!, cancellationToken);
        SessionToken.DeleteCookie(context);
        return TypedResults.LocalRedirect("/sign-in");
    }

    static FileContentHttpResult Css(HttpContext context)
    {
        context.Response.Headers.CacheControl = "no-cache";   // kept, but asked for: the tag answers
        return TypedResults.File(css, "text/css; charset=utf-8", entityTag: cssTag);
    }

    static byte[] Read(string name)
    {
        using var stream = typeof(ConsoleEndpoints).Assembly.GetManifestResourceStream(name)!;
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        return bytes.ToArray();
    }
}
