using System.CommandLine;
using System.Text;
using System.Text.Json;
using Flowstone.Cli;
using Flowstone.Credentials;
using Flowstone.Tests.Credentials.Original;
using Flowstone.Tests.Snapshots;
using Flowstone.Workflows;

namespace Flowstone.Tests.Cli;

public sealed class CommandTests(TestDatabase database)
{
    [Fact]
    public async Task An_import_with_a_damaged_file_names_it_brings_in_the_rest_and_ends_with_1()
    {
        var tenant = await database.NewTenantAsync();
        var folder = Directory.CreateTempSubdirectory("flowstone-cli-").FullName;
        try
        {
            await File.WriteAllTextAsync(Path.Combine(folder, "good.json"), """{ "name": "Good", "nodes": [], "connections": {} }""");
            await File.WriteAllTextAsync(Path.Combine(folder, "bad.json"), """{ "name": "Bad", "nodes": """);

            var first = await Tool.CallAsync("import", "n8n", folder, "--tenant", tenant.Tenant.Slug, "--database", database.AppConnectionString());
            Assert.Equal(1, first.ExitCode);
            Assert.StartsWith("bad.json: $: is not valid JSON at line 1, column 27", first.Error, StringComparison.Ordinal);
            Assert.Equal("1 workflows, 0 nodes: 1 new, 0 changed, 0 unchanged, 1 failed\n", first.Output);

            File.Delete(Path.Combine(folder, "bad.json"));
            var second = await Tool.CallAsync("import", "n8n", folder, "--json", "--tenant", tenant.Tenant.Slug, "--database", database.AppConnectionString());
            Assert.Equal(0, second.ExitCode);
            Assert.Equal(1, JsonElement.Parse(second.Output).GetProperty("unchanged").GetInt32());
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task Workflows_are_exported_and_come_in_again_but_for_a_damaged_one()
    {
        var tenant = await database.NewTenantAsync();
        await tenant.CreateWorkflowAsync("One");
        var two = await tenant.CreateWorkflowAsync("Two");
        var folder = Directory.CreateTempSubdirectory("flowstone-cli-").FullName;
        try
        {
            Assert.Equal($"2 workflows written to {folder}\n", (await RunAsync("export", "workflows", folder)).Output);
            var file = Path.Combine(folder, $"{two.Id}.json");
            await File.WriteAllTextAsync(file, (await File.ReadAllTextAsync(file)).Replace("Two", "Three", StringComparison.Ordinal));

            var imported = await RunAsync("import", "workflows", folder);

            Assert.Equal((1, "2 documents: 1 workflows made, 1 refused\n"), (imported.ExitCode, imported.Output));
            Assert.StartsWith($"{two.Id}.json: versions[0].definition: is not what its hash says", imported.Error, StringComparison.Ordinal);
            Assert.Equal(["One", "One", "Two"], (await tenant.Scope.Workflows.ListAsync(new(), null, 10)).Select(w => w.Name).Order());


            // What ends it half-way leaves no doubt about what is there already.
            File.CreateSymbolicLink(Path.Combine(folder, "z.json"), "nowhere");
            var stopped = await RunAsync("import", "workflows", folder);
            Assert.Equal((1, ""), (stopped.ExitCode, stopped.Output));
            Assert.Contains("Stopped at z.json. 1 workflows were made of the files before it", stopped.Error, StringComparison.Ordinal);
            Assert.Equal(4, await tenant.Scope.Workflows.CountAsync());
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        Task<Tool.Result> RunAsync(params string[] arguments) => Tool.CallAsync([.. arguments, "--tenant", tenant.Tenant.Slug, "--database", database.AppConnectionString()]);
    }

    [Fact]
    public async Task Credentials_of_the_original_are_brought_in_with_what_is_wrong_named_and_no_secret_shown()
    {
        var tenant = await database.NewTenantAsync();
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, $$"""{"credentials":[{"id":"c1","name":"Shop","type":"API_KEY","data":"{{OriginalSecretsTests.OfFirst}}"},{"id":"c2","name":"Lost","type":"API_KEY","data":"{{OriginalSecretsTests.OfFirst[..^2]}}00"}]}""");

        var first = await RunAsync();
        Assert.Equal((1, "2 credentials: 1 new, 0 already here, 1 failed\n"), (first.ExitCode, first.Output));
        Assert.Contains("Lost (c2): The secret of the original system", first.Error, StringComparison.Ordinal);
        Assert.Contains("Shop (c1): Its owner is not here", first.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("sk_live", first.Output + first.Error, StringComparison.Ordinal);
        Assert.Equal(["ALREADY_THERE", "FAILED"], JsonElement.Parse((await RunAsync("--json")).Output).EnumerateArray().Select(row => row.GetProperty("outcome").GetString()));
        var credential = Assert.Single(await tenant.Scope.Credentials.ListAsync(new(), null, 10));
        Assert.Equal("sk_live_1", (await tenant.Scope.Credentials.RevealAsync(credential.Id)).Secret.GetProperty("apiKey").GetString());

        File.Delete(file);
        Assert.Equal((2, $"path: {file} is not there.\n"), ((await RunAsync()).ExitCode, (await RunAsync()).Error));

        Task<Tool.Result> RunAsync(params string[] more) => Tool.CallAsync(["import", "original", file, .. more, "--tenant", tenant.Tenant.Slug, "--database", database.AppConnectionString()]);
    }

    [Fact]
    public async Task A_user_is_made_changed_signed_out_and_deleted()
    {
        var tenant = await database.NewTenantAsync();
        var address = $"ada@{tenant.Tenant.Slug}.example";
        var made = await RunAsync("create", address, "--role", "Viewer");
        var token = made.Output.Split("To set the password: ")[1].Trim();
        Assert.True(await tenant.Store.SignIn.ResetPasswordAsync(token, "correct horse"));
        Assert.NotNull(await tenant.Store.SignIn.WithPasswordAsync(address, "correct horse"));
        Assert.Equal($"{address}: 1 sessions ended.\n", (await RunAsync("sign-out", address)).Output);
        Assert.Equal($"{address} signs in with the password alone.\n", (await RunAsync("two-factor-off", address)).Output);
        Assert.Equal($"{address}  User  Suspended\n", (await RunAsync("set", address, "--role", "User", "--status", "Suspended")).Output);
        Assert.Equal($"{address}: 0 failed sign-ins forgotten; the user is Suspended still.\n", (await RunAsync("unlock", address)).Output);
        Assert.Equal(address, JsonElement.Parse((await RunAsync("list", "--search", "ADA@", "--json")).Output)[0].GetProperty("email").GetString());
        Assert.StartsWith("--yes: is needed", (await RunAsync("delete", address)).Error, StringComparison.Ordinal);
        Assert.Equal($"{address} is deleted.\n", (await RunAsync("delete", address, "--delete-owned", "--yes")).Output);
        Assert.Equal(2, (await RunAsync("set", address)).ExitCode);

        Task<Tool.Result> RunAsync(params string[] arguments) => Tool.CallAsync(["user", .. arguments, "--tenant", tenant.Tenant.Slug, "--database", database.AppConnectionString()]);
    }

    [Fact]
    public async Task The_trash_is_listed_and_restored_and_purged_only_when_said()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync("Lost");
        await tenant.Scope.Workflows.DeleteAsync(workflow.Id);
        string[] where = ["--tenant", tenant.Tenant.Slug, "--database", database.AppConnectionString()];

        Assert.Contains($"{workflow.Id}", (await Tool.CallAsync(["trash", "list", .. where])).Output, StringComparison.Ordinal);
        Assert.Equal("Lost is back.\n", (await Tool.CallAsync(["trash", "restore", $"{workflow.Id}", .. where])).Output);
        Assert.Empty((await Tool.CallAsync(["trash", "list", .. where])).Output);
        Assert.StartsWith("--yes: is needed", (await Tool.CallAsync(["trash", "purge", "--database", database.AppConnectionString()])).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Schedules_are_listed_previewed_paused_and_resumed()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        var made = new NewSchedule { Name = "Every year", Cron = "30 9 1 1 *", TimeZone = "Europe/Berlin" };
        var schedule = await tenant.InAnotherProcess(database.Source).Scope.Schedules.CreateAsync(workflow.Id, made);
        string[] where = ["--tenant", tenant.Tenant.Slug, "--database", database.AppConnectionString()];

        Assert.Matches($@"^{schedule.Id}  \d{{4}}-01-01 08:30:00Z  30 9 1 1 \*  Europe/Berlin +Every year\n$", (await Tool.CallAsync(["schedule", "list", .. where])).Output);
        Assert.Equal("Every year is paused.\n", (await Tool.CallAsync(["schedule", "pause", $"{schedule.Id}", .. where])).Output);
        Assert.Empty((await Tool.CallAsync(["schedule", "next", $"{schedule.Id}", .. where])).Output);
        Assert.Matches(@"^Every year is due next at \d{4}-01-01 08:30:00Z\.\n$", (await Tool.CallAsync(["schedule", "resume", $"{schedule.Id}", .. where])).Output);
        Assert.Equal(3, JsonElement.Parse((await Tool.CallAsync(["schedule", "next", $"{schedule.Id}", "--count", "3", "--json", .. where])).Output).GetArrayLength());
        Assert.Equal(schedule.Id.ToString(), JsonElement.Parse((await Tool.CallAsync(["schedule", "list", "--workflow", $"{workflow.Id}", "--json", .. where])).Output)[0].GetProperty("id").GetString());
        Assert.Matches(@"^\d{4}-03-01 00:00:00Z  \w+day\n$", (await Tool.CallAsync(["schedule", "preview", "0 0 1 3 *", "--count", "1"])).Output);
        Assert.Equal((2, "cron: the minute '61' is wrong"), (await Tool.CallAsync(["schedule", "preview", "61 * * * *"])) is var wrong ? (wrong.ExitCode, wrong.Error[..30]) : default);
    }

    [Fact]
    public async Task Migrating_makes_workflows_of_an_older_release_findable()
    {
        var alone = await database.AloneAsync();
        var tenant = await alone.NewTenantAsync();
        await tenant.CreateWorkflowAsync("Nightly");
        await alone.ExecuteAsync(null, "delete from flowstone.workflow_texts; update flowstone.workflows set indexed_version = null");
        Assert.Empty(await tenant.Scope.Workflows.ListAsync(new() { Search = "nightly" }, null, 10));

        Assert.EndsWith("1 workflows can be searched now.\n", (await MigrateAsync()).Output, StringComparison.Ordinal);
        Assert.Single(await tenant.Scope.Workflows.ListAsync(new() { Search = "nightly" }, null, 10));
        Assert.DoesNotContain("searched", (await MigrateAsync()).Output, StringComparison.Ordinal);

        Task<Tool.Result> MigrateAsync() => Tool.CallAsync("migrate", "--database", alone.SuperuserConnectionString());
    }

    [Fact]
    public async Task Keys_are_listed_rotated_verified_and_destroyed()
    {
        var alone = await database.AloneAsync();
        var tenant = await alone.NewTenantAsync();
        await tenant.Scope.Credentials.CreateAsync(new() { Name = "Shop", Type = CredentialType.Custom, Secret = JsonElement.Parse("{}") });
        Assert.Matches($@"^{tenant.Tenant.Slug} +\S{{36}}  seals +1 values", (await RunAsync("list", "--only", tenant.Tenant.Slug)).Output);
        Assert.Equal("1 values sealed anew; 0 are left on older keys.\n", (await RunAsync("rotate")).Output);
        Assert.Equal(2, JsonElement.Parse((await RunAsync("list", "--json")).Output).GetArrayLength());
        var verified = await RunAsync("verify");
        Assert.Equal((0, "Nothing is left on older keys.\n"), (verified.ExitCode, verified.Error));
        Assert.Equal("0 data keys wrapped anew.\n", (await RunAsync("rewrap")).Output);
        Assert.Equal("1 data keys closed.\n", (await RunAsync("close")).Output);
        Assert.Equal(2, (await RunAsync("destroy", tenant.Tenant.Slug)).ExitCode);
        Assert.Equal($"2 data keys of {tenant.Tenant.Slug} are destroyed.\n", (await RunAsync("destroy", tenant.Tenant.Slug, "--yes")).Output);
        Assert.Contains("lost: the key was destroyed", (await RunAsync("verify")).Output, StringComparison.Ordinal);
        Assert.Equal("0 values sealed anew; 0 are left on older keys.\n", (await RunAsync("rotate")).Output);   // what is lost is in nobody's way

        Task<Tool.Result> RunAsync(params string[] arguments) => Tool.CallAsync(["keys", .. arguments, "--database", alone.AppConnectionString()]);
    }

    [Fact]
    public async Task Retention_is_set_explained_and_run()
    {
        var copy = database.AppConnectionString(await database.NewDatabaseAsync());
        Assert.Equal(0, (await Tool.CallAsync("tenant", "create", "acme", "--database", copy)).ExitCode);
        Assert.Equal(0, (await Tool.CallAsync("retention", "set", "--tenant", "acme", "--days", "365", "--database", copy)).ExitCode);

        var explained = await Tool.CallAsync("retention", "explain", "--database", copy);
        Assert.Matches(@"^acme +365 days\* +0 executions would go\.\n$", explained.Output);
        var run = JsonElement.Parse((await Tool.CallAsync("retention", "run", "--json", "--database", copy)).Output);
        Assert.Equal(0, run.GetProperty("executions").GetInt64());
        Assert.Equal(2, (await Tool.CallAsync("retention", "run", "--days", "0", "--database", copy)).ExitCode);
    }

    [Theory]
    [InlineData("Unrecognized command or argument 'sideways'", "sideways")]
    [InlineData("Required argument 'path' missing", "import", "n8n")]
    [InlineData("is neither a file nor a folder", "import", "n8n", "/nowhere/at/all")]
    [InlineData("there is no tenant 'nobody'", "export", "n8n", "/tmp/unused", "--tenant", "nobody")]
    [InlineData("DATABASE_URL: is not set", "serve")]
    [InlineData("--yes: is needed", "reset")]
    [InlineData("reset only works on Flowstone's own", "reset", "--yes", "--database", "Host=/nowhere")]
    public async Task Wrong_usage_says_what_and_ends_with_2(string message, params string[] arguments)
    {
        var needsDatabase = arguments[0] is "import" or "export";
        var result = await Tool.RunAsync(null, needsDatabase ? [.. arguments, "--database", database.AppConnectionString()] : arguments);

        Assert.Contains(message, result.Error, StringComparison.Ordinal);
        Assert.Equal(2, result.ExitCode);
    }

    [Theory]
    [InlineData("The database cannot be reached", "Host=/nowhere;Username=flowstone;Database=x")]
    [InlineData("is neither postgres://user:password@host:port/database nor", "secret-password-in-no-form")]
    public async Task A_database_that_does_not_answer_is_said_in_a_line_without_its_secrets(string message, string url)
    {
        var result = await Tool.RunAsync(null, "tenant", "list", "--database", url);

        Assert.Contains(message, result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", result.Error, StringComparison.Ordinal);
        Assert.Equal(1, result.ExitCode);
    }

    [Fact, Trait("Kind", "Snapshot")]
    public void Help_texts()
    {
        var text = new StringBuilder();
        Write(FlowstoneCommand.Create(), "");
        Snapshot.Match("help.txt", text.ToString().Replace("Flowstone.Tests", "flowstone", StringComparison.Ordinal));

        void Write(Command command, string path)
        {
            var output = new StringWriter();
            FlowstoneCommand.Create().Parse($"{path} --help").Invoke(new InvocationConfiguration { Output = output });
            text.Append($"=== flowstone{path}\n{output.ToString().ReplaceLineEndings("\n").TrimEnd()}\n\n");
            foreach (var sub in command.Subcommands)
                Write(sub, $"{path} {sub.Name}");
        }
    }
}
