using System.Diagnostics;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json;

namespace Flowstone.CrashTest;

/// <summary>The server, through which executions are started; it dies as well.</summary>
sealed class ServerProcess(string database, string email, string password) : IAsyncDisposable
{
    static readonly TimeSpan patience = TimeSpan.FromSeconds(60);

    readonly HttpClient client = new() { Timeout = TimeSpan.FromSeconds(15) };
    readonly int port = FreePort();
    Process? process;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in new[] { Path.Combine(AppContext.BaseDirectory, "Flowstone.Cli.dll"), "serve", "--port", $"{port}" })
            start.ArgumentList.Add(argument);
        start.Environment["DATABASE_URL"] = database;
        process = Process.Start(start)!;
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        for (var began = Stopwatch.StartNew(); began.Elapsed < patience; await Task.Delay(100, cancellationToken))
        {
            try
            {
                if ((await client.GetAsync(new Uri($"http://127.0.0.1:{port}/health/ready"), cancellationToken)).IsSuccessStatusCode)
                {
                    await SignInAsync(cancellationToken);
                    return;
                }
            }
            catch (HttpRequestException) when (!process.HasExited)
            {
                // Not yet.
            }
        }
        throw new TimeoutException("The server did not become ready.");
    }

    async Task SignInAsync(CancellationToken cancellationToken)
    {
        var answer = await client.PostAsJsonAsync(Api("auth/login"), new { email, password }, cancellationToken);
        answer.EnsureSuccessStatusCode();
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", (await answer.Content.ReadFromJsonAsync<JsonElement>(cancellationToken)).GetProperty("token").GetString());
    }

    /// <returns>The execution, once its start is acknowledged; null if nobody knows.</returns>
    public async Task<Guid?> StartExecutionAsync(Guid workflow, JsonElement input, CancellationToken cancellationToken)
    {
        try
        {
            var answer = await client.PostAsJsonAsync(Api("executions"), new { workflowId = workflow, input }, cancellationToken);
            if ((int)answer.StatusCode is >= 400 and < 500)   // the campaign itself is wrong
                throw new InvalidOperationException($"The start was refused: {await answer.Content.ReadAsStringAsync(cancellationToken)}");
            return answer.IsSuccessStatusCode ? (await answer.Content.ReadFromJsonAsync<JsonElement>(cancellationToken)).GetProperty("id").GetGuid() : null;
        }
        catch (Exception error) when (error is HttpRequestException or IOException || error is TaskCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return null;
        }
    }

    Uri Api(string path) => new($"http://127.0.0.1:{port}/api/v1/{path}");

    public async Task KillAsync()
    {
        if (process is null)
            return;
        if (!process.HasExited)
            Posix.Kill(process.Id);
        await process.WaitForExitAsync();
        process.Dispose();
        process = null;
    }

    static int FreePort()
    {
        using var listener = new TcpListener(System.Net.IPAddress.Loopback, 0);
        listener.Start();
        return ((System.Net.IPEndPoint)listener.LocalEndpoint).Port;
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        client.Dispose();
    }
}
