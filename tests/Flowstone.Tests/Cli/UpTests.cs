using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Flowstone.Tests.Workers;

namespace Flowstone.Tests.Cli;

/// <summary>The first thing a newcomer does.</summary>
public sealed partial class UpTests : IDisposable
{
    // Not -INT: who runs the suite in the background of a shell has told it, and all that it starts, to ignore that.
    const string Stop = "-TERM";

    // Where PostgreSQL's user can reach it, as root too.
    readonly string data = Directory.CreateTempSubdirectory("flowstone-up-").FullName;

    public UpTests() => File.SetUnixFileMode(data, File.GetUnixFileMode(data) | UnixFileMode.OtherExecute | UnixFileMode.OtherRead);

    public void Dispose() => Directory.Delete(data, recursive: true);

    [Fact]
    public async Task Up_serves_a_console_with_demo_data_heals_its_database_and_leaves_nothing_behind()
    {
        var port = FreePort();
        using var up = Tool.Start(data, "up", "--port", $"{port}");
        using var ended = new EndOfProcess(up);
        var output = new List<string>();
        while (output.LastOrDefault() != "Ctrl-C stops it.")
            output.Add(await up.StandardOutput.ReadLineAsync() ?? throw new InvalidOperationException(string.Join('\n', [.. output, await up.StandardError.ReadToEndAsync()])));

        using var http = new HttpClient(new HttpClientHandler { UseCookies = true }) { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync("/health/ready")).StatusCode);
        var overview = await http.GetStringAsync(Link().Match(string.Join('\n', output)).Value);
        Assert.Contains("Nightly invoice export", overview, StringComparison.Ordinal);
        Assert.Matches("Sign in as +admin@demo.test  [a-z0-9]{4}(-[a-z0-9]{4}){3}   \\(shown once\\)", string.Join('\n', output));

        var keys = Path.Combine(data, "master.key");
        Assert.Equal($"Made a master key in {keys}. Keep a copy of it elsewhere: without it, the secrets in this database are lost.", await up.StandardError.ReadLineAsync());
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(keys));

        // A second command joins the database and has the same key; and the port is taken.
        var joined = await Tool.RunAsync(data, "tenant", "list");
        Assert.Contains("default", joined.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("master key", joined.Error, StringComparison.Ordinal);
        await RefuseAsKeyIsLostAsync();
        var second = await Tool.RunAsync(data, "up", "--port", $"{port}");
        Assert.Contains("in use", second.Output + second.Error, StringComparison.Ordinal);
        Assert.Equal(1, second.ExitCode);

        var postmaster = int.Parse((await File.ReadAllLinesAsync(Path.Combine(data, "postgres/data/postmaster.pid")))[0], null);
        Process.GetProcessById(postmaster).Kill();
        while (!(await up.StandardError.ReadLineAsync() ?? "").StartsWith("PostgreSQL had died", StringComparison.Ordinal))
            Assert.False(up.HasExited);
        for (var tries = 0; (await http.GetAsync("/health/ready")).StatusCode != HttpStatusCode.OK; tries++)
        {
            Assert.True(tries < 50);   // each broken connection of the pool may fail once
            await Task.Delay(100);
        }

        Process.Start("kill", [Stop, $"{up.Id}"])!.WaitForExit();
        await up.WaitForExitAsync().InTimeAsync();
        Assert.Equal(0, up.ExitCode);
        Assert.Empty(await ServerProcesses.ListAsync(Path.Combine(data, "postgres/data"), default));
    }

    async Task RefuseAsKeyIsLostAsync()
    {
        await RunSqlAsync("insert into flowstone.master_keys values ('0123456789abcdef', '', now())");
        var refused = await Tool.RunAsync(data, "tenant", "list");
        Assert.Contains("sealed with the master key 0123456789abcdef", refused.Error, StringComparison.Ordinal);
        Assert.Equal(1, refused.ExitCode);
        await RunSqlAsync("delete from flowstone.master_keys");

        async Task RunSqlAsync(string sql)
        {
            await using var connection = new Npgsql.NpgsqlConnection($"Host={data}/postgres/socket;Username=postgres;Database=flowstone;Pooling=false");
            await connection.OpenAsync();
            await using var command = new Npgsql.NpgsqlCommand(sql, connection);
            await command.ExecuteNonQueryAsync();
        }
    }

    /// <summary>A test that fails midway leaves no server behind: asked to stop, it stops its PostgreSQL too.</summary>
    sealed class EndOfProcess(Process process) : IDisposable
    {
        public void Dispose()
        {
            if (process.HasExited)
                return;
            Process.Start("kill", [Stop, $"{process.Id}"])!.WaitForExit();
            process.WaitForExit(TimeSpan.FromSeconds(30));
        }
    }

    static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    [GeneratedRegex(@"http://\S+/sign-in\?code=\S+")]
    private static partial Regex Link();
}
