using System.Globalization;
using Flowstone.Credentials;
using Flowstone.Executions;
using Flowstone.Server.Console;
using Flowstone.Users;
using Flowstone.Workflows;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;

namespace Flowstone.Server;

/// <summary>What HTTP alone knows to refuse.</summary>
sealed class RequestRefusedException(ProblemDetails problem) : FlowstoneException(problem.Detail!)
{
    public ProblemDetails Problem => problem;
}

/// <summary>The one place where errors become statuses, as RFC 9457 problem details; as a page where a person looks on.</summary>
static partial class ErrorResponses
{
    public static void UseErrorResponses(this WebApplication app) => app.Use(async (context, next) =>
    {
        try
        {
            await next(context);
            if (context.Response is { StatusCode: >= 400, HasStarted: false, ContentType: null, ContentLength: null })
                await WriteAsync(context, OfStatus(context.Response.StatusCode));
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            context.Response.StatusCode = StatusCodes.Status499ClientClosedRequest;   // nobody is there to read more
        }
        catch (Exception error) when (!context.Response.HasStarted)
        {
            var problem = Explain(error);
            if (problem.Status == 500 && error is not (PayloadDamagedException or CredentialSealException))
            {
                problem.Extensions["traceId"] = context.TraceIdentifier;
                Unexpected(app.Logger, context.Request.Method, context.Request.Path, context.TraceIdentifier, error);
            }
            context.Response.Clear();
            await WriteAsync(context, problem);
        }
    });

    /// <summary>What a client is told of an error.</summary>
    public static ProblemDetails Explain(Exception error) => error switch
    {
        RequestRefusedException e => e.Problem,
        InvalidInputException e => Invalid(e.Errors),
        NotFoundException e => Problem(404, "not-found", "Not found", e.Message),
        TooManyAttemptsException e => Later("too-many-attempts", "Too many attempts", e.Message, e.RetryAfter),
        CodeRequiredException e => Problem(401, "code-required", "Code required", e.Message),
        RateLimitException e => Later("rate-limit", "Rate limit", e.Message, e.RetryAfter),
        AccessDeniedException e => Problem(403, "forbidden", "Forbidden", e.Message),
        ConflictException e => Problem(409, "conflict", "Conflict", e.Message),
        PayloadDamagedException e => Problem(500, "payload-damaged", "Payload damaged", e.Message),
        CredentialSealException e => Problem(500, "seal-broken", "Seal broken", e.Message),
        UnavailableException e => Problem(503, "unavailable", "Not available", e.Message),
        BadHttpRequestException { StatusCode: 400 } e => Invalid(BadRequests.Explain(e)),
        BadHttpRequestException e => OfStatus(e.StatusCode),
        _ => OfStatus(500),
    };

    static ProblemDetails OfStatus(int status) => status switch
    {
        400 => Problem(400, "invalid-input", "Invalid input", "The request could not be read."),
        401 => Problem(401, "unauthenticated", "Not signed in", "Sign in first: POST /api/v1/auth/login, then send the token as 'Authorization: Bearer …'."),
        403 => Problem(403, "forbidden", "Forbidden", "Your role does not allow this. Ask an administrator."),
        404 => Problem(404, "not-found", "Not found", "There is nothing at this address."),
        405 => Problem(405, "method-not-allowed", "Method not allowed", "This address does not take that method; the header Allow lists those that it takes."),
        413 => Problem(413, "too-large", "Too large", "The request's body is larger than is allowed here."),
        415 => Problem(415, "unsupported-media-type", "Unsupported media type", "Send JSON, with 'Content-Type: application/json'."),
        500 => Problem(500, "internal", "Internal error", "Something went wrong on our side. It is in the server's log under the trace id."),
        _ => Problem(status, "refused", "Refused", "The request was refused."),
    };

    static ProblemDetails Invalid(IReadOnlyList<FieldError> errors)
    {
        var problem = Problem(400, "invalid-input", "Invalid input", "Nothing was stored. See 'errors' for each field.");
        problem.Extensions["errors"] = errors.GroupBy(e => e.Field).ToDictionary(field => field.Key, field => field.Select(e => e.Message).ToArray());
        return problem;
    }

    public static RequestRefusedException SignInFailed()
        => new(Problem(401, "sign-in-failed", "Sign-in failed", "The e-mail address, the password or the code is wrong, or the account is not active."));

    static ProblemDetails Later(string code, string title, string message, TimeSpan retryAfter)
    {
        var problem = Problem(429, code, title, message);
        problem.Extensions["retryAfterMs"] = (long)retryAfter.TotalMilliseconds;
        return problem;
    }

    public static RequestRefusedException CrossSite()
        => new(Problem(403, "cross-site", "Cross-site request", "A change that is signed in by cookie must come from the console's own pages. Programs send a bearer token."));

    public static RequestRefusedException PreconditionRequired()
        => new(Problem(428, "precondition-required", "Precondition required", "Send the ETag of the version that you edited as If-Match, so that no other change is lost."));

    /// <summary>With what each side did to the version that was edited, and where they are in each other's way.</summary>
    public static RequestRefusedException VersionConflict(VersionConflictException error)
    {
        var problem = Problem(412, "version-conflict", "Version conflict", error.Message);
        problem.Extensions["currentVersion"] = error.Theirs.Number;
        problem.Extensions["conflicts"] = error.Conflicts;
        if (error.Base is { } origin)
        {
            problem.Extensions["basedOn"] = origin.Number;
            problem.Extensions["theirs"] = DefinitionDiff.Between(origin.Definition, error.Theirs.Definition);
            problem.Extensions["mine"] = DefinitionDiff.Between(origin.Definition, error.Mine);
        }
        return new(problem);
    }

    static ProblemDetails Problem(int status, string code, string title, string detail)
        => new() { Type = $"urn:flowstone:{code}", Status = status, Title = title, Detail = detail };

    static Task WriteAsync(HttpContext context, ProblemDetails problem)
    {
        context.Response.StatusCode = problem.Status!.Value;
        if (problem.Status is 413 && context.Features.Get<IHttpMaxRequestBodySizeFeature>()?.MaxRequestBodySize is { } most)
            problem.Detail = FormattableString.Invariant($"The request's body is larger than the {most:N0} bytes that are allowed here.");
        if (problem.Extensions.TryGetValue("retryAfterMs", out var retryAfter))
            context.Response.Headers.RetryAfter = Math.Max(1, ((long)retryAfter! + 999) / 1000).ToString(CultureInfo.InvariantCulture);
        if (problem.Status is 503)
            context.Response.Headers.RetryAfter = "5";
        if (problem.Extensions.TryGetValue("currentVersion", out var version))
            context.Response.Headers.ETag = string.Create(CultureInfo.InvariantCulture, $"\"{version}\"");
        return IsForPeople(context.Request)
            ? new RazorComponentResult<ErrorPage>(new { Problem = problem }) { StatusCode = problem.Status, PreventStreamingRendering = true }.ExecuteAsync(context)
            : TypedResults.Problem(problem).ExecuteAsync(context);
    }

    static bool IsForPeople(HttpRequest request)
        => !request.Path.StartsWithSegments("/api") && request.Headers.Accept.ToString().Contains("text/html", StringComparison.Ordinal);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Method} {Path} failed (trace {TraceId}).")]
    static partial void Unexpected(ILogger logger, string method, string path, string traceId, Exception error);
}
