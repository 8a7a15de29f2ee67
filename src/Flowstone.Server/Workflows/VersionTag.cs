using System.Globalization;
using Microsoft.Net.Http.Headers;

namespace Flowstone.Server.Workflows;

/// <summary>A workflow's version as its ETag: <c>"3"</c>.</summary>
static class VersionTag
{
    public static void Set(HttpResponse response, int version)
        => response.Headers.ETag = string.Create(CultureInfo.InvariantCulture, $"\"{version}\"");

    /// <returns>The version that was edited; null for <c>*</c>, which takes whatever there is.</returns>
    /// <exception cref="RequestRefusedException">There is no If-Match.</exception>
    public static int? Require(HttpRequest request)
    {
        if (request.Headers.IfMatch.Count == 0)
            throw ErrorResponses.PreconditionRequired();

        // A proxy that compresses makes tags weak; the version is meant all the same.
        return EntityTagHeaderValue.TryParse(request.Headers.IfMatch.ToString(), out var tag) switch
        {
            true when tag.Equals(EntityTagHeaderValue.Any) => null,
            true when int.TryParse(tag.Tag.AsSpan().Trim('"'), NumberStyles.None, CultureInfo.InvariantCulture, out var version) => version,
            _ => throw new InvalidInputException("If-Match", "must be the ETag that came with the workflow, such as \"3\"."),
        };
    }
}
