using System.Net;
using System.Text.Json;
using Flowstone.Users;

namespace Flowstone.Tests.Server;

[Collection<ServerTests>]
public sealed class KeyApiTests(TestServer server)
{
    [Fact]
    public async Task Keys_are_rotated_in_the_background_closed_and_destroyed_by_administrators()
    {
        var admin = await server.SignInAsync();
        var credential = (await admin.PostAsync("credentials", new { name = "Shop", type = "API_KEY", secret = new { apiKey = "k" } }, HttpStatusCode.Created)).GetProperty("id").GetString();
        var before = await admin.GetAsync("admin/keys");
        Assert.Equal(["CURRENT"], States(before));
        Assert.Equal(1, before.GetProperty("keys")[0].GetProperty("values").GetProperty("credential_versions.secret").GetInt32());

        await admin.PostAsync("admin/keys/rotate", new { }, HttpStatusCode.Accepted);
        JsonElement after;
        do
            after = await admin.GetAsync("admin/keys");
        while (after.GetProperty("behind").GetInt32() > 0);   // its progress
        Assert.Equal(["RETIRED", "CURRENT"], States(after));
        await admin.PostAsync($"credentials/{credential}/reveal", new { });

        Assert.Equal(1, (await admin.PostAsync("admin/keys/close", new { })).GetProperty("closed").GetInt32());
        Assert.Equal(["confirm"], TestClient.Fields(await admin.ProblemAsync(HttpStatusCode.BadRequest, HttpMethod.Post, "admin/keys/destroy", new { confirm = admin.User.Id.ToString() })));
        Assert.Equal(2, (await admin.PostAsync("admin/keys/destroy", new { confirm = admin.Tenant.Id.ToString() })).GetProperty("destroyed").GetInt32());
        Assert.Equal(["DESTROYED"], States(await admin.GetAsync("admin/keys")));
    }

    [Fact]
    public async Task Nobody_else_sees_or_changes_them()
    {
        var user = await server.SignInAsync(UserRole.User);
        await user.ProblemAsync(HttpStatusCode.Forbidden, HttpMethod.Get, "admin/keys");
        foreach (var what in new[] { "rotate", "close", "destroy" })
            await user.ProblemAsync(HttpStatusCode.Forbidden, HttpMethod.Post, $"admin/keys/{what}", new { confirm = user.Tenant.Id.ToString() });
    }

    static IEnumerable<string?> States(JsonElement keys) => keys.GetProperty("keys").EnumerateArray().Select(key => key.GetProperty("state").GetString());
}
