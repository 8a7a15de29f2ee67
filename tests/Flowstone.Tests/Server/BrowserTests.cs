using System.Net;
using Flowstone.Users;
using Microsoft.Playwright;

namespace Flowstone.Tests.Server;

/// <summary>A person's way through the console in a real browser, with its security headers in force.</summary>
[Collection<ServerTests>]
public sealed class BrowserTests(TestServer server)
{
    const string Chromium = "/usr/bin/chromium";

    static readonly string[] arguments =
    [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ];

    [Fact]
    public async Task A_person_signs_in_sees_the_counts_and_opens_an_execution()
    {
        if (!File.Exists(Chromium) && Environment.GetEnvironmentVariable("CI") is null)
            Assert.Skip($"{Chromium} is missing: apt-get install chromium");
        var user = await server.SignInAsync();
        var person = await user.Tenant.Scope.Users.CreateAsync(
            new NewUser { Email = $"{Path.GetRandomFileName()}@example.com", Role = UserRole.Admin, PasswordHash = SignIn.HashPassword("correct horse") });
        await RunAsync(user);

        using var playwright = await Playwright.CreateAsync();
        await using var browser = await playwright.Chromium.LaunchAsync(new() { ExecutablePath = Chromium, Args = arguments });
        var page = await browser.NewPageAsync(new() { BaseURL = (await server.AddressAsync()).ToString() });
        var complaints = new List<string>();
        page.Console += (_, message) => complaints.Add(message.Text);

        await page.GotoAsync("/");
        await SignInAsync("wrong password");
        await Assertions.Expect(page.GetByRole(AriaRole.Alert)).ToContainTextAsync("wrong");
        complaints.Clear();   // the browser notes the 401
        await SignInAsync("correct horse");
        await Assertions.Expect(page).ToHaveTitleAsync("Overview · Flowstone");
        await Assertions.Expect(page.Locator(".counts")).ToContainTextAsync("100.0 %");

        await page.GetByRole(AriaRole.Link, new() { Name = "Nightly report" }).ClickAsync();
        await Assertions.Expect(page.Locator(".gantt-names li")).ToHaveCountAsync(3);
        await Assertions.Expect(page.Locator("svg .bar.success .time").First).ToBeVisibleAsync();
        Assert.True((await page.Locator("svg .bar .time").First.BoundingBoxAsync())!.Width > 1, "The style sheet and the drawing must be in force.");

        await page.SetViewportSizeAsync(400, 800);
        Assert.True(await page.EvaluateAsync<bool>("document.documentElement.scrollWidth <= window.innerWidth"), "A narrow screen must not scroll sideways.");
        await page.GetByRole(AriaRole.Button, new() { Name = "Sign out" }).ClickAsync();
        await Assertions.Expect(page).ToHaveTitleAsync("Sign in · Flowstone");
        Assert.Empty(complaints);

        async Task SignInAsync(string password)
        {
            await page.GetByLabel("E-mail").FillAsync(person.Email);
            await page.GetByLabel("Password").FillAsync(password);
            await page.GetByRole(AriaRole.Button, new() { Name = "Sign in" }).ClickAsync();
        }
    }

    static async Task RunAsync(TestClient user)
    {
        await user.StartAsync(await user.CreateWorkflowAsync("Nightly report"));
        var lease = (await user.PostAsync("work/claim", new { worker = "w" })).GetProperty("items")[0].GetProperty("lease");
        var nodes = new[] { "n0", "n1", "n2" };
        await user.PostAsync("work/nodes", new { lease, starts = nodes.Select(nodeId => new { nodeId }) }, HttpStatusCode.NoContent);
        await user.PostAsync("work/nodes", new { lease, finishes = nodes.Select(nodeId => new { nodeId, status = "SUCCESS" }) }, HttpStatusCode.NoContent);
        await user.PostAsync("work/finish", new { lease, status = "SUCCESS" }, HttpStatusCode.NoContent);
    }
}
