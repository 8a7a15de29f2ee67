using System.Net.Http.Headers;
using Flowstone.Server;
using Flowstone.Users;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Logging;

namespace Flowstone.Tests.Server;

/// <summary>The tests that share one <see cref="TestServer"/>.</summary>
[CollectionDefinition]
public sealed class ServerTests : ICollectionFixture<TestServer>;

/// <summary>One real server on a real port for all tests of this folder, started when the first test asks for it.</summary>
public sealed class TestServer(TestDatabase database) : IAsyncDisposable
{
    readonly Lazy<Task<WebApplication>> app = new(() => StartAsync(database.AppConnectionString()));

    public async Task<WebApplication> AppAsync() => await app.Value;

    public async Task<Uri> AddressAsync() => new((await app.Value).Urls.First());

    /// <summary>A server of its own, on a free port.</summary>
    public static async Task<WebApplication> StartAsync(string connectionString)
    {
        var server = Build(connectionString);
        await server.StartAsync();
        return server;
    }

    public static WebApplication Build(string connectionString, Action<WebApplicationBuilder>? configure = null) => FlowstoneServer.Build([], builder =>
    {
        builder.Configuration["DATABASE_URL"] = connectionString;
        builder.Configuration["FLOWSTONE_MASTER_KEY"] = TestKeys.Text;
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        configure?.Invoke(builder);
    });

    /// <summary>Somebody who is signed in, in a tenant of their own unless one is given.</summary>
    public async Task<TestClient> SignInAsync(UserRole role = UserRole.Admin, TestTenant? tenant = null)
    {
        tenant ??= await database.NewTenantAsync();
        var user = await tenant.Scope.Users.CreateAsync(new NewUser { Email = $"{Path.GetRandomFileName()}@example.com", Role = role });
        var token = (await tenant.Store.SignIn.OpenAsync(tenant.Id, user.Id)).Token;
        var http = await AnonymousAsync();
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return new TestClient(http, tenant, user, token);
    }

    /// <summary>Keeps no cookies and follows no redirects.</summary>
    public async Task<HttpClient> AnonymousAsync()
        => new(new HttpClientHandler { AllowAutoRedirect = false, UseCookies = false }) { BaseAddress = await AddressAsync() };

    public async ValueTask DisposeAsync()
    {
        if (!app.IsValueCreated)
            return;
        await using var server = await app.Value;
        await server.StopAsync();
    }
}
