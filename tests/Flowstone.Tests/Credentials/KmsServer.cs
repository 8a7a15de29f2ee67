using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text.Json;
using Amazon.KeyManagementService;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Flowstone.Tests.Credentials;

/// <summary>As much of AWS KMS as is used: keys that encrypt under a context, an alias, keys that are disabled.</summary>
sealed class KmsServer : IAsyncDisposable
{
    readonly WebApplication app;

    KmsServer(WebApplication app) => this.app = app;

    public const string Alias = "alias/flowstone";
    public static string Arn(int number) => $"arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-{number:d12}";

    public ConcurrentDictionary<string, byte[]> Keys { get; } = new() { [Arn(1)] = RandomNumberGenerator.GetBytes(32), [Arn(2)] = RandomNumberGenerator.GetBytes(32) };

    /// <summary>The key that the alias stands for.</summary>
    public string Current { get; set; } = Arn(1);

    public ConcurrentQueue<string> Calls { get; } = [];

    public AmazonKeyManagementServiceConfig Config => new() { ServiceURL = app.Urls.First(), MaxErrorRetry = 0, AuthenticationRegion = "eu-west-1" };

    public static async Task<KmsServer> StartAsync()
    {
        Environment.SetEnvironmentVariable("AWS_ACCESS_KEY_ID", "test");
        Environment.SetEnvironmentVariable("AWS_SECRET_ACCESS_KEY", "a secret that nobody sees");
        var builder = WebApplication.CreateBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        var server = new KmsServer(app);
        app.Run(server.AnswerAsync);
        await app.StartAsync();
        return server;
    }

    public ValueTask DisposeAsync() => app.DisposeAsync();

    async Task AnswerAsync(HttpContext context)
    {
        Assert.StartsWith("AWS4-HMAC-SHA256 Credential=test/", context.Request.Headers.Authorization.ToString(), StringComparison.Ordinal);
        var call = context.Request.Headers["X-Amz-Target"].ToString().Split('.')[1];
        Calls.Enqueue(call);
        var request = await JsonSerializer.DeserializeAsync<JsonElement>(context.Request.Body);
        var asked = request.GetProperty("KeyId").GetString()!;
        var arn = asked == Alias ? Current : asked;
        if (!Keys.TryGetValue(arn, out var key))
        {
            await RefuseAsync("NotFoundException");
            return;
        }
        var bound = request.TryGetProperty("EncryptionContext", out var pairs)
            ? JsonSerializer.SerializeToUtf8Bytes(pairs.EnumerateObject().OrderBy(pair => pair.Name, StringComparer.Ordinal).Select(pair => $"{pair.Name}={pair.Value}")) : [];
        using var aes = new AesGcm(key, 16);
        switch (call)
        {
            case "DescribeKey":
                await context.Response.WriteAsJsonAsync(new { KeyMetadata = new { Arn = arn, KeyId = arn.Split('/')[1] } }, JsonSerializerOptions.Default);
                break;
            case "Encrypt":
                var plain = request.GetProperty("Plaintext").GetBytesFromBase64();
                var blob = new byte[12 + plain.Length + 16];
                RandomNumberGenerator.Fill(blob.AsSpan(0, 12));
                aes.Encrypt(blob.AsSpan(0, 12), plain, blob.AsSpan(12, plain.Length), blob.AsSpan(12 + plain.Length), bound);
                await context.Response.WriteAsJsonAsync(new { CiphertextBlob = blob, KeyId = arn }, JsonSerializerOptions.Default);
                break;
            case "Decrypt":
                var given = request.GetProperty("CiphertextBlob").GetBytesFromBase64();
                var opened = new byte[given.Length - 28];
                try
                {
                    aes.Decrypt(given.AsSpan(0, 12), given.AsSpan(12, opened.Length), given.AsSpan(12 + opened.Length), opened, bound);
                }
                catch (AuthenticationTagMismatchException)
                {
                    await RefuseAsync("InvalidCiphertextException");
                    return;
                }
                await context.Response.WriteAsJsonAsync(new { Plaintext = opened, KeyId = arn }, JsonSerializerOptions.Default);
                break;
        }

        async Task RefuseAsync(string code)
        {
            context.Response.StatusCode = 400;
            await context.Response.WriteAsJsonAsync(new { __type = code, message = $"{code}, said the test" });
        }
    }
}
