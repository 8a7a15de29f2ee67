using System.Net;
using AngleSharp.Html.Dom;
using AngleSharp.Html.Parser;
using Flowstone.Executions;
using Flowstone.Server.Console;

namespace Flowstone.Tests.Server;

[Collection<ServerTests>]
public sealed class ConsoleTests(TestDatabase database, TestServer server)
{
    [Fact]
    public async Task Without_a_session_every_page_leads_to_the_sign_in()
    {
        using var http = await server.AnonymousAsync();
        foreach (var path in new[] { "/", "/workflows", "/schedules", "/executions/01900000-0000-7000-8000-000000000001" })
        {
            using var response = await http.GetAsync(path);
            Assert.Equal("/sign-in", response.Headers.Location?.ToString());
        }
    }

    [Fact]
    public async Task Empty_pages_say_what_to_do_next()
    {
        var user = await server.SignInAsync();
        Assert.Contains("./flowstone simulate", (await PageAsync(user, "/")).QuerySelector(".empty")?.TextContent, StringComparison.Ordinal);
        Assert.Contains("./flowstone import n8n", (await PageAsync(user, "/workflows")).QuerySelector(".empty")?.TextContent, StringComparison.Ordinal);
        Assert.Contains("No workflow has all", (await PageAsync(user, "/workflows?search=%3Cb%3E+zebra")).QuerySelector(".empty")?.TextContent, StringComparison.Ordinal);
        Assert.Contains("POST /api/v1/workflows/{id}/schedules", (await PageAsync(user, "/schedules")).QuerySelector(".empty")?.TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Workflows_are_searched_page_by_page()
    {
        var user = await server.SignInAsync();
        for (var i = 0; i < 60; i++)
            await user.CreateWorkflowAsync($"{(i % 6 == 0 ? "Weekly" : "Nightly")} & more {i}");

        var first = await PageAsync(user, "/workflows?search=nightly+%26");
        Assert.Equal(("nightly &", 50), (first.QuerySelector("input[type=search]")?.GetAttribute("value"), first.QuerySelectorAll("tbody tr").Length));
        Assert.Null(first.QuerySelector("a[rel=next]"));
        var all = await PageAsync(user, "/workflows?search=more");
        var rest = await PageAsync(user, all.QuerySelector("a[rel=next]")!.GetAttribute("href")!);
        Assert.Equal(10, rest.QuerySelectorAll("tbody tr").Length);
    }

    [Fact]
    public async Task Schedules_show_what_is_due_and_what_became_of_the_last_time()
    {
        var user = await server.SignInAsync();
        var path = $"workflows/{await user.CreateWorkflowAsync("<b>Nightly</b>")}/schedules";
        await user.PostAsync(path, new { name = "<i>Nine</i>", cron = "0 9 * * *", timeZone = "Europe/Berlin" }, HttpStatusCode.Created);
        await user.PostAsync(path, new { name = "Often", intervalSeconds = 90, active = false }, HttpStatusCode.Created);

        var page = await PageAsync(user, "/schedules");

        Assert.Equal(["Often", "<i>Nine</i>"], page.QuerySelectorAll("tbody td:nth-child(2)").Select(cell => cell.FirstChild!.TextContent));
        Assert.Equal("<b>Nightly</b>", page.QuerySelector("tbody .below")?.TextContent);
        Assert.Equal(["every 00:01:30", "0 9 * * *  Europe/Berlin"], page.QuerySelectorAll("tbody code").Select(cell => cell.TextContent));
        Assert.Equal("paused", page.QuerySelector("tbody td")?.TextContent);
        Assert.Matches(@"^\d{4}-\d\d-\d\d 0[78]:00:00$", page.QuerySelectorAll("tbody tr")[1].QuerySelector("td")?.TextContent);
    }

    [Fact]
    public async Task The_overview_counts_and_pages()
    {
        var user = await server.SignInAsync();
        var workflow = await user.CreateWorkflowAsync("<b>Nightly</b>");
        for (var i = 0; i < 30; i++)
            await user.StartAsync(workflow);

        var page = await PageAsync(user, "/");
        Assert.Equal("Overview · Flowstone", page.Title);
        Assert.Equal(["1", "30", "–", "30"], page.QuerySelectorAll(".counts dd").Select(d => d.TextContent));
        Assert.Equal(25, page.QuerySelectorAll("tbody tr").Length);
        Assert.Equal("<b>Nightly</b>", page.QuerySelector("tbody a")?.TextContent);
        var older = await PageAsync(user, page.QuerySelector("a[rel=next]")!.GetAttribute("href")!);
        Assert.Equal(5, older.QuerySelectorAll("tbody tr").Length);
    }

    [Fact]
    public async Task An_execution_shows_its_steps_and_its_error()
    {
        var user = await server.SignInAsync();
        var id = await user.StartAsync(await user.CreateWorkflowAsync(), new { text = "<script>" });
        var lease = (await user.PostAsync("work/claim", new { worker = "w" })).GetProperty("items")[0].GetProperty("lease");
        await user.PostAsync("work/nodes", new
        {
            lease,
            starts = new object[] { new { nodeId = "n0" }, new { nodeId = "n0", attempt = 2 }, new { nodeId = "n1", iteration = 1 } },
            finishes = new[] { new { nodeId = "n0", status = "FAILED", error = "no route" } },
        }, HttpStatusCode.NoContent);
        await user.PostAsync("work/finish", new { lease, status = "FAILED", error = "It <broke>." }, HttpStatusCode.NoContent);

        var page = await PageAsync(user, $"/executions/{id}");
        Assert.Equal(["Node 0 · attempt 1", "Node 0 · attempt 2", "Node 1 · round 2"], page.QuerySelectorAll(".gantt-names li").Select(li => li.TextContent));
        Assert.Equal(3, page.QuerySelectorAll("svg .bar").Length);
        Assert.Contains("It <broke>.", page.QuerySelector(".error")?.TextContent, StringComparison.Ordinal);
        Assert.Empty(page.QuerySelectorAll("[style], script"));
        var payload = await PageAsync(user, page.QuerySelector(".facts a")!.GetAttribute("href")!);
        Assert.Contains("\"text\": \"<script>\"", payload.QuerySelector("pre")?.TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_not_there_is_a_page_too()
    {
        var user = await server.SignInAsync();
        var page = await PageAsync(user, "/executions/01900000-0000-7000-8000-000000000001", HttpStatusCode.NotFound);
        Assert.Equal("Not found", page.QuerySelector("h1")?.TextContent);
        Assert.Equal("Invalid input", (await PageAsync(user, "/executions/x", HttpStatusCode.BadRequest)).QuerySelector("h1")?.TextContent);
    }

    [Fact]
    public async Task The_style_sheet_is_kept_by_its_tag()
    {
        using var http = await server.AnonymousAsync();
        using var first = await http.GetAsync("/console.css");
        Assert.Equal("text/css", first.Content.Headers.ContentType?.MediaType);
        http.DefaultRequestHeaders.IfNoneMatch.Add(first.Headers.ETag!);
        Assert.Equal(HttpStatusCode.NotModified, (await http.GetAsync("/console.css")).StatusCode);
    }

    [Fact]
    public async Task A_sign_in_without_the_forms_token_is_refused()
    {
        using var http = await server.AnonymousAsync();
        using var form = new FormUrlEncodedContent([new("email", "a@example.com"), new("password", "x")]);
        using var response = await http.PostAsync("/sign-in", form);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(0.7)]
    [InlineData(940)]
    [InlineData(61_000)]
    [InlineData(100_000_000)]
    public async Task The_axis_has_a_readable_number_of_ticks(double milliseconds)
    {
        var tenant = await database.NewTenantAsync();
        var claimed = await tenant.StartAndClaimAsync();
        var start = claimed.Execution.StartedAt!.Value;
        await tenant.Queue.RecordAsync(claimed.Lease, [new NodeStart { NodeId = "n0", StartedAt = start }],
            [new NodeFinish { NodeId = "n0", Status = ExecutionStatus.Success, FinishedAt = start.AddMilliseconds(milliseconds) }]);

        var gantt = new GanttRows(await tenant.Scope.Executions.TimelineAsync(claimed.Execution.Id), start.AddMilliseconds(milliseconds));

        Assert.InRange(gantt.Ticks.Count(), 2, 7);
        Assert.All(gantt.Shown, row => Assert.InRange(row.Left + row.Width, 0, 100.001));
    }

    static async Task<IHtmlDocument> PageAsync(TestClient user, string path, HttpStatusCode expected = HttpStatusCode.OK)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Add("Accept", "text/html");
        using var response = await user.Http.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == expected, $"{response.StatusCode}: {text}");
        return new HtmlParser().ParseDocument(text);
    }
}
