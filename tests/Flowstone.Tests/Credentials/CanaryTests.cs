using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Flowstone.Credentials;
using Flowstone.Server;
using Flowstone.Tenancy;
using Flowstone.Users;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Logging;

namespace Flowstone.Tests.Credentials;

/// <summary>Plants secrets, drives what handles them, failures too, and looks for them wherever something is told.</summary>
public sealed class CanaryTests(TestDatabase shared)
{
    [Fact]
    public async Task No_secret_appears_in_logs_traces_errors_or_what_the_database_shows()
    {
        var canary = $"canary{Path.GetRandomFileName()}";
        var told = new Told();
        var database = await shared.AloneAsync();
        await database.ExecuteAsync(null, "create extension pg_stat_statements");
        var tenant = await database.NewTenantAsync();
        var user = await tenant.Scope.Users.CreateAsync(new NewUser { Email = $"ada@{tenant.Tenant.Slug}.example", Role = UserRole.Admin, PasswordHash = SignIn.HashPassword($"{canary}-password") });
        using var traces = told.Traces();
        await using var server = FlowstoneServer.Build([], builder =>
        {
            builder.Configuration["DATABASE_URL"] = database.AppConnectionString();
            builder.Configuration["FLOWSTONE_MASTER_KEY"] = TestKeys.Text;
            builder.WebHost.UseUrls("http://127.0.0.1:0");
            builder.Logging.ClearProviders().AddProvider(told).SetMinimumLevel(LogLevel.Trace).AddFilter(null, LogLevel.Trace);
        });
        await server.StartAsync();
        using var http = new HttpClient(new HttpClientHandler { UseCookies = false }) { BaseAddress = new Uri(server.Urls.First()) };

        var session = await AskAsync(HttpMethod.Post, "auth/login", new { email = user.Email, password = $"{canary}-password" }, HttpStatusCode.OK);
        await AskAsync(HttpMethod.Post, "auth/login", new { email = user.Email, password = $"{canary}-guess" }, HttpStatusCode.Unauthorized);
        await AskAsync(HttpMethod.Post, "auth/password/reset", new { token = $"{canary}-token", password = $"{canary}-new" }, HttpStatusCode.BadRequest);
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", session.GetProperty("token").GetString());
        var credential = (await AskAsync(HttpMethod.Post, "credentials", new { name = "Shop", type = "API_KEY", secret = new { apiKey = canary } }, HttpStatusCode.Created)).GetProperty("id").GetGuid();
        await AskAsync(HttpMethod.Post, "credentials", new { name = "Shop", type = "API_KEY", secret = new { other = canary } }, HttpStatusCode.BadRequest);
        await AskAsync(HttpMethod.Post, "credentials", new { name = "Shop", type = "NONE", secret = canary }, HttpStatusCode.BadRequest);
        await SendAsync(HttpMethod.Post, "credentials", new StringContent($$"""{"name":"Shop","type":"API_KEY","secret":{"apiKey":"{{canary}}" """, Encoding.UTF8, "application/json"), HttpStatusCode.BadRequest);
        await AskAsync(HttpMethod.Put, $"credentials/{credential}/secret", new { secret = new { apiKey = $"{canary}-2" } }, HttpStatusCode.OK);
        await AskAsync(HttpMethod.Put, $"credentials/{credential}/secret", new { secret = new { apiKey = $"{canary}-3" }, basedOn = 1 }, HttpStatusCode.Conflict);
        var revealed = await AskAsync(HttpMethod.Post, $"credentials/{credential}/reveal", new { purpose = "a test" }, HttpStatusCode.OK, told: false);
        Assert.Equal($"{canary}-2", revealed.GetProperty("secret").GetProperty("apiKey").GetString());   // it is what it seems
        await AskAsync(HttpMethod.Post, "auth/two-factor", new { password = $"{canary}-guess" }, HttpStatusCode.BadRequest);
        await database.ExecuteAsync(null, $"update flowstone.credential_versions set secret = set_byte(secret, 40, 1) || '\\x00' where tenant_id = '{tenant.Id}'");
        await AskAsync(HttpMethod.Post, $"credentials/{credential}/reveal", new { }, HttpStatusCode.InternalServerError);

        // In the library: what is thrown, and what records say of themselves.
        var scope = tenant.Store.Tenant(tenant.Id, Actor.User(user.Id));
        var given = new NewCredential { Name = "Shop", Type = CredentialType.SshKey, Secret = JsonSerializer.SerializeToElement(new { privateKey = canary }) };
        told.Add((await Assert.ThrowsAsync<InvalidInputException>(() => scope.Credentials.CreateAsync(given))).ToString());
        told.Add((await Assert.ThrowsAsync<CredentialSealException>(() => scope.Credentials.RevealAsync(new(credential)))).ToString());
        told.Add(given.ToString());
        told.Add(new RevealedCredential(new(credential), CredentialType.Custom, 1, given.Secret).ToString());
        told.Add(new NewUser { Email = "ada@acme.example", PasswordHash = canary }.ToString());
        await tenant.Store.KeyRotation.DestroyAsync(tenant.Id, Actor.System("test"));
        told.Add((await Assert.ThrowsAsync<CredentialSealException>(() => scope.Credentials.RevealAsync(new(credential)))).ToString());

        // In the database: statements as they are seen by others, and all rows but the sealed.
        told.Add(await database.ScalarAsync<string>("select coalesce(string_agg(query, ' '), '') from pg_stat_activity"));
        var statements = await database.ScalarAsync<string>("select string_agg(query, ' ') from pg_stat_statements where dbid = (select oid from pg_database where datname = current_database())");
        Assert.Contains("credential_versions", statements, StringComparison.Ordinal);   // it looks where it should
        told.Add(statements);
        told.Add(await database.ScalarAsync<string>("select string_agg(a::text, ' ') from flowstone.audit_entries a"));
        told.Add(await database.ScalarAsync<string>("select string_agg(encode(secret, 'escape'), ' ') from flowstone.credential_versions"));
        await server.StopAsync();

        Assert.True(told.Count > 100, $"Only {told.Count} things were told: this looks nowhere.");
        Assert.DoesNotContain(told.All, text => text.Contains(canary, StringComparison.Ordinal));

        Task<JsonElement> AskAsync(HttpMethod method, string path, object body, HttpStatusCode expected, bool told = true) => SendAsync(method, path, JsonContent.Create(body), expected, told);

        async Task<JsonElement> SendAsync(HttpMethod method, string path, HttpContent body, HttpStatusCode expected, bool tell = true)
        {
            using var request = new HttpRequestMessage(method, $"/api/v1/{path}") { Content = body };
            using var response = await http.SendAsync(request);
            var text = await response.Content.ReadAsStringAsync();
            Assert.True(response.StatusCode == expected, $"{path}: {response.StatusCode} {text.Replace(canary, "", StringComparison.Ordinal)}");
            if (tell)
                told.Add(text);
            return JsonElement.Parse(text);
        }
    }

    /// <summary>All that is logged and traced.</summary>
    sealed class Told : ILoggerProvider, ILogger
    {
        readonly ConcurrentQueue<string> texts = new();

        public int Count => texts.Count;
        public IEnumerable<string> All => texts;
        public void Add(string text) => texts.Enqueue(text);

        public ActivityListener Traces()
        {
            var listener = new ActivityListener
            {
                ShouldListenTo = _ => true,
                Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
                ActivityStopped = activity => Add($"{activity.DisplayName} {string.Join(' ', activity.TagObjects.Select(tag => $"{tag.Key}={tag.Value}"))} {string.Join(' ', activity.Events.SelectMany(e => e.Tags).Select(tag => $"{tag.Key}={tag.Value}"))}"),
            };
            ActivitySource.AddActivityListener(listener);
            return listener;
        }

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => Add($"{formatter(state, exception)} {state} {exception}");
        public ILogger CreateLogger(string categoryName) => this;
        public bool IsEnabled(LogLevel logLevel) => true;
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;
        public void Dispose()
        {
        }
    }
}
