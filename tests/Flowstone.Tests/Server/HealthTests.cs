using System.Net;
using Flowstone.Server;
using Flowstone.Server.Health;
using Flowstone.Tests.Snapshots;
using Microsoft.Extensions.DependencyInjection;

namespace Flowstone.Tests.Server;

[Collection<ServerTests>]
public sealed class HealthTests(TestDatabase database, TestServer server)
{
    [Fact]
    public async Task A_server_with_its_database_is_ready()
    {
        using var http = await server.AnonymousAsync();
        using var response = await http.GetAsync("/health/ready");
        var ready = await TestClient.ReadAsync(response, HttpStatusCode.OK);
        Assert.Equal(("READY", 0), (ready.GetProperty("status").GetString(), ready.GetProperty("problems").GetArrayLength()));
        Assert.True(ready.GetProperty("partitionsUntil").GetDateTimeOffset() > TimeProvider.System.Now() + TimeSpan.FromDays(14));
        Assert.Equal(0, await (await server.AppAsync()).Services.GetRequiredService<PartitionJob>().RunOnceAsync());
    }

    [Fact]
    public async Task A_server_without_its_database_lives_says_why_it_is_not_ready_and_refuses_work_for_now()
    {
        await using var alone = await TestServer.StartAsync("Host=/nowhere;Username=flowstone;Database=x");
        using var http = new HttpClient { BaseAddress = new Uri(alone.Urls.First()) };
        http.DefaultRequestHeaders.Add("Cookie", "flowstone_session=any");

        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync("/health/live")).StatusCode);
        using var ready = await http.GetAsync("/health/ready");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
        Assert.Contains("cannot be reached", await ready.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        using var work = await http.GetAsync("/api/v1/workflows");
        Assert.Equal("urn:flowstone:unavailable", (await TestClient.ReadAsync(work, HttpStatusCode.ServiceUnavailable)).GetProperty("type").GetString());
        Assert.Equal("5", work.Headers.RetryAfter?.ToString());
    }

    [Fact]
    public async Task A_server_whose_database_is_wrong_does_not_start()
    {
        await using var empty = TestServer.Build(database.AppConnectionString("postgres"));
        Assert.Equal(1, await FlowstoneServer.RunAsync(empty));

        var drifted = await database.NewDatabaseAsync();
        await database.ExecuteAsync(drifted, "alter table flowstone.workflows no force row level security");
        await using var unsafeServer = TestServer.Build(database.AppConnectionString(drifted));
        Assert.Equal(1, await FlowstoneServer.RunAsync(unsafeServer));
        Assert.Contains("workflows", unsafeServer.Services.GetRequiredService<StartCheck>().Refusal, StringComparison.Ordinal);

        await using var stranger = TestServer.Build(database.AppConnectionString("no_such_database"));
        Assert.Equal(1, await FlowstoneServer.RunAsync(stranger));
        await using var unconfigured = TestServer.Build("");
        Assert.Equal(1, await FlowstoneServer.RunAsync(unconfigured));
    }

    [Fact, Trait("Kind", "Snapshot")]
    public async Task The_api_is_described()
    {
        using var http = await server.AnonymousAsync();
        Snapshot.Match("openapi.json", await http.GetStringAsync("/openapi/v1.json"));
    }
}
