using System.Collections.Concurrent;
using System.Xml.Linq;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Flowstone.Tests.Executions.Payloads;

/// <summary>
/// As much of S3 as is used, with pages of two. FLOWSTONE_TEST_S3 names a real one instead: http://host:port/bucket, with credentials in
/// the environment, as the SDK takes them.
/// </summary>
sealed class S3Server : IAsyncDisposable
{
    readonly WebApplication? app;

    S3Server(WebApplication? app, S3Options options) => (this.app, Options) = (app, options);

    public S3Options Options { get; }
    public ConcurrentDictionary<string, byte[]> Objects { get; } = new();

    public static async Task<S3Server> StartAsync()
    {
        var prefix = $"test-{Path.GetRandomFileName()}/";
        if (Environment.GetEnvironmentVariable("FLOWSTONE_TEST_S3") is { Length: > 0 } real)
            return new S3Server(null, new S3Options { Endpoint = new Uri(new Uri(real), "/"), Bucket = new Uri(real).AbsolutePath.Trim('/'), Prefix = prefix });

        Environment.SetEnvironmentVariable("AWS_ACCESS_KEY_ID", "test");
        Environment.SetEnvironmentVariable("AWS_SECRET_ACCESS_KEY", "a secret that nobody sees");
        var builder = WebApplication.CreateBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        var server = new S3Server(app, new S3Options { Bucket = "payloads", Prefix = prefix });
        app.Run(server.AnswerAsync);
        await app.StartAsync();
        server.Options.Endpoint = new Uri(app.Urls.First());
        return server;
    }

    public async ValueTask DisposeAsync()
    {
        if (app is not null)
            await app.DisposeAsync();
    }

    async Task AnswerAsync(HttpContext context)
    {
        Assert.StartsWith("AWS4-HMAC-SHA256 Credential=test/", context.Request.Headers.Authorization.ToString(), StringComparison.Ordinal);
        var path = context.Request.Path.Value!.TrimStart('/').Split('/', 2);
        var (bucket, key) = (path[0], path.Length > 1 ? path[1] : "");
        switch (context.Request.Method)
        {
            case var _ when bucket != Options.Bucket:
                await RefuseAsync("NoSuchBucket");
                break;
            case "PUT":
                var body = new MemoryStream();
                await context.Request.Body.CopyToAsync(body);
                Objects[key] = body.ToArray();
                break;
            case "GET" when key.Length == 0:
                await ListAsync();
                break;
            case "GET" when Objects.TryGetValue(key, out var content):
                await context.Response.Body.WriteAsync(content);
                break;
            case "DELETE":
                Objects.TryRemove(key, out _);
                context.Response.StatusCode = 204;
                break;
            default:
                await RefuseAsync("NoSuchKey");
                break;
        }

        Task ListAsync()
        {
            var after = context.Request.Query["continuation-token"].ToString();
            var found = Objects.Keys.Where(k => k.StartsWith(context.Request.Query["prefix"].ToString(), StringComparison.Ordinal) && string.CompareOrdinal(k, after) > 0)
                .Order(StringComparer.Ordinal).ToList();
            return WriteAsync(new XElement("ListBucketResult", new XElement("IsTruncated", found.Count > 2), new XElement("NextContinuationToken", found.Take(2).LastOrDefault()),
                found.Take(2).Select(k => new XElement("Contents", new XElement("Key", k)))));
        }

        Task RefuseAsync(string code)
        {
            context.Response.StatusCode = 404;
            return WriteAsync(new XElement("Error", new XElement("Code", code), new XElement("Message", code)));
        }

        Task WriteAsync(XElement answer)
        {
            context.Response.ContentType = "application/xml";
            return context.Response.WriteAsync(answer.ToString());
        }
    }
}
