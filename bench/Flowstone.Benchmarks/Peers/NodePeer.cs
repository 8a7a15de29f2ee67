using System.Diagnostics;
using System.Text.Json;

namespace Flowstone.Benchmarks.Peers;

/// <summary>A program of bench/peers that is kept running and does a round when it is asked.</summary>
sealed class NodePeer : Side, IAsyncDisposable
{
    // Before each answer: libraries print lines of their own.
    const char Mark = '\u001e';

    readonly Process process;

    NodePeer(string name, Process process) : base(name) => this.process = process;

    public static async Task<NodePeer> StartAsync(string name, Uri database, int connections)
    {
        var process = Process.Start(new ProcessStartInfo("node")
        {
            ArgumentList = { "peer.js", name, database.ToString(), connections.ToString(System.Globalization.CultureInfo.InvariantCulture) },
            WorkingDirectory = Path.Combine(Report.Folder, "peers"),
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        var peer = new NodePeer(name, process);
        await peer.AnswerAsync();
        return peer;
    }

    public override async Task<Load> RunAsync(int callers, TimeSpan window)
    {
        await process.StandardInput.WriteLineAsync(JsonSerializer.Serialize(new { callers, seconds = window.TotalSeconds }));
        await process.StandardInput.FlushAsync();
        var answer = await AnswerAsync();
        return new Load(answer.GetProperty("completed").GetInt32(), Time("elapsed"), Time("p50"), Time("p99"), Time("cpu"));

        TimeSpan Time(string name) => TimeSpan.FromMilliseconds(answer.GetProperty(name).GetDouble());
    }

    async Task<JsonElement> AnswerAsync()
    {
        while (await process.StandardOutput.ReadLineAsync() is { } line)
            if (line.StartsWith(Mark))
                return JsonElement.Parse(line[1..]);
        await process.WaitForExitAsync();
        throw new InvalidOperationException($"{Name} has ended with code {process.ExitCode}.");
    }

    public async ValueTask DisposeAsync()
    {
        process.StandardInput.Close();   // which ends it
        await process.WaitForExitAsync();
        process.Dispose();
    }
}
